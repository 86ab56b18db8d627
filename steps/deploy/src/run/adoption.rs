//! What runs already, taken for the instance that serves.

use pilotage_outcome::{Change, Effects, Fault, StepReport};
use pilotage_step::Context;
use serde_json::json;

use super::{Wishes, change, claim, give_back};
use crate::desired::{Desired, Identity};
use crate::error::TargetError;
use crate::operation::Operation;
use crate::plan::adoption;
use crate::port::{Found, Target};

/// What an instance is said to be made of that was not made from a descriptor: no descriptor has this hash, so the next
/// release makes one that is.
const UNKNOWN: &str = "adopted";

/// Makes what runs under `name` the instance that serves.
///
/// # Errors
/// When there is no verdict: refused, unavailable, stopped.
pub async fn adopt<T: Target>(
    target: &T,
    name: &str,
    desired: &Desired,
    wishes: &Wishes,
    cx: &Context,
) -> Result<StepReport, Fault> {
    let claim = claim(target, &desired.labels, wishes).await?;
    let done = take_over(target, name, desired, wishes, cx).await;
    give_back(target, claim).await;
    done
}

async fn take_over<T: Target>(
    target: &T,
    name: &str,
    desired: &Desired,
    wishes: &Wishes,
    cx: &Context,
) -> Result<StepReport, Fault> {
    let live = cx.cancel.run(target.observe(None)).await??;
    let (name, digest, differences) = match cx.cancel.run(target.find(name, desired)).await?? {
        Found::Stranger {
            name,
            digest,
            differences,
        } => (name, digest, differences),
        Found::Adopted(id) => {
            let known = live.instance(id).and_then(|instance| instance.identity.clone());
            let summary = format!("{}: {name} is instance {id} already", desired.key);
            let mut report = named(StepReport::passed().summary(summary.clone()), desired);
            let differences: &[&str] = match known.as_ref() == Some(&desired.identity) {
                true => &[],
                false => &["it was adopted as something else"],
            };
            report = report.result(json!({"differences": differences}));
            if let Some(identity) = known {
                report = report
                    .output("digest", identity.digest)
                    .output("version", identity.version);
            }
            let report = report.output("instance", id.0.to_string());
            return Ok(report.text(format!("{summary}\n")));
        }
    };
    let same = differences.is_empty();
    let identity = Identity {
        // Another image is another version, whatever that is called.
        version: match digest == desired.identity.digest {
            true => desired.identity.version.clone(),
            false => UNKNOWN.to_owned(),
        },
        digest,
        instance_hash: match same {
            true => desired.identity.instance_hash.clone(),
            false => UNKNOWN.to_owned(),
        },
    };
    let plan = adoption(desired, &identity, &live, &name)?;
    let instance = plan
        .instance
        .ok_or_else(|| Fault::internal("an adoption without an instance"))?;
    let mut text = format!("{plan}\n");
    for difference in &differences {
        text.push_str(&format!("  differs: {difference}\n"));
    }
    if !same {
        text.push_str("  the next release replaces it\n");
    }
    let adopts = format!("{}: {name} ", desired.key);
    let report = named(StepReport::passed(), desired).plan_digest(plan.digest.clone());
    let report = report
        .output("plan", plan.digest.clone())
        .output("instance", instance.0.to_string())
        .output("digest", identity.digest.clone())
        .output("version", identity.version.clone())
        .result(json!({"plan": plan, "differences": differences}));
    if wishes.dry_run {
        let summary = format!("{adopts}would be adopted as instance {instance}");
        return Ok(report.summary(summary).text(text));
    }
    let mut changes: Vec<Change> = Vec::new();
    for planned in &plan.operations {
        let done: Result<(), TargetError> = match planned.operation {
            Operation::Adopt { instance } => target.adopt(&name, instance, &identity, desired).await,
            other => target.apply(&other, desired).await,
        };
        if let Err(error) = done {
            // Each effect can be repeated, and nothing that serves was changed.
            return Err(Fault::from(error).effects(match changes.is_empty() {
                true => Effects::None,
                false => Effects::Partial,
            }));
        }
        if planned.operation.changes() {
            changes.push(change(planned.operation).detail(planned.why.clone()));
        }
    }
    let summary = format!("{adopts}is adopted as instance {instance}");
    let mut report = report.summary(summary).text(text).effects(Effects::Complete);
    report.changes = changes;
    Ok(report)
}

fn named(mut report: StepReport, desired: &Desired) -> StepReport {
    report.project = Some(desired.key.project.clone());
    report.environment = Some(desired.key.environment.clone());
    report.service = Some(desired.key.service.clone());
    report.commit.clone_from(&desired.labels.commit);
    report.fence = (desired.labels.fence > 0).then_some(desired.labels.fence);
    report
}
