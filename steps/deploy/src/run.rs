//! A plan, had: through the port, with the way back when it fails.

use pilotage_outcome::{
    Change, CheckOutcome, CheckResult, Class, Effects, ExitCode, Fault, Outcome, StepReport,
};
use pilotage_probe::Probe;
use pilotage_step::Context;
use serde_json::json;

use crate::desired::{Desired, Identity, Labels};
use crate::live::{InstanceId, Live};
use crate::operation::Operation;
use crate::plan::{Plan, plan, recovery, undo};
use crate::port::Target;
use crate::prove::{Depth, prove};
use pilotage_name::ServiceKey;

/// How often an instance is started anew because an address it had been given was taken.
const STARTS: u32 = 3;

/// What the person or pipeline asked for besides the release itself.
#[derive(Clone, Debug, Default)]
pub struct Wishes {
    /// Change nothing.
    pub dry_run: bool,
    /// Apply this plan or none.
    pub expect_plan: Option<String>,
    /// Tell changes by the exit code.
    pub detailed: bool,
}

/// Makes the service equal to `desired`.
///
/// # Errors
/// When there is no verdict: refused, unavailable, stopped.
pub async fn apply<T: Target, P: Probe>(
    target: &T,
    probe: &P,
    desired: &Desired,
    wishes: &Wishes,
    cx: &Context,
) -> Result<StepReport, Fault> {
    let _claim = match wishes.dry_run {
        true => None,
        false => Some(target.claim(&desired.labels).await?),
    };
    let live = target
        .observe(desired.active().then_some(&desired.descriptor))
        .await?;
    let plan = plan(desired, &live, &target.capabilities())?;
    let run = Run {
        target,
        probe,
        desired,
        live: &live,
        plan: &plan,
        cx,
    };
    run.go(wishes).await
}

/// Goes back to the instance that served before.
///
/// # Errors
/// When there is no verdict: refused, unavailable, stopped.
pub async fn go_back<T: Target, P: Probe>(
    target: &T,
    probe: &P,
    key: &ServiceKey,
    labels: &Labels,
    wishes: &Wishes,
    cx: &Context,
) -> Result<StepReport, Fault> {
    let _claim = match wishes.dry_run {
        true => None,
        false => Some(target.claim(labels).await?),
    };
    let live = target.observe(None).await?;
    let plan = undo(key, labels, &live, &target.capabilities())?;
    let back = plan
        .instance
        .ok_or_else(|| Fault::internal("an undo without an instance"))?;
    let desired = desired_of(key, labels, &live, back)?;
    let run = Run {
        target,
        probe,
        desired: &desired,
        live: &live,
        plan: &plan,
        cx,
    };
    run.go(wishes).await
}

/// What there is to want of an instance that served: itself, in the name of this release.
fn desired_of(key: &ServiceKey, labels: &Labels, live: &Live, id: InstanceId) -> Result<Desired, Fault> {
    let found = live
        .instance(id)
        .and_then(|instance| Some((instance.identity.clone()?, instance.descriptor.clone()?)));
    let (identity, descriptor) = found.ok_or_else(|| {
        Fault::unavailable(format!("instance {id} cannot be read, so it cannot serve again"))
    })?;
    Ok(Desired {
        key: key.clone(),
        labels: labels.clone(),
        identity,
        descriptor,
        // It is started with the secrets it was given when it was made.
        secrets: std::collections::BTreeMap::new(),
    })
}

/// Why the operations of a plan came to a halt.
enum Halt {
    /// The answer is no.
    No(String),
    /// There is no answer.
    Fault(Fault),
}

impl<E: Into<Fault>> From<E> for Halt {
    fn from(error: E) -> Self {
        Self::Fault(error.into())
    }
}

struct Run<'r, T, P> {
    target: &'r T,
    probe: &'r P,
    desired: &'r Desired,
    live: &'r Live,
    plan: &'r Plan,
    cx: &'r Context,
}

impl<T: Target, P: Probe> Run<'_, T, P> {
    async fn go(&self, wishes: &Wishes) -> Result<StepReport, Fault> {
        self.cx.note(|report| {
            *report = self.named(StepReport::new(report.outcome));
        });
        if let Some(expected) = &wishes.expect_plan
            && *expected != self.plan.digest
        {
            return Err(Fault::refused(format!(
                "the plan no longer fits: it was {expected}, and would now be {}",
                self.plan.digest
            ))
            .help("the service or its descriptor was changed since; make a new plan and look at it"));
        }
        if wishes.dry_run {
            return Ok(self.dry(wishes.detailed));
        }
        let mut checks = Vec::new();
        let mut changes = Vec::new();
        for (index, planned) in self.plan.operations.iter().enumerate() {
            let operation = planned.operation;
            tracing::info!("{operation} ({})", planned.why);
            if operation.changes() {
                self.cx.note(|report| report.effects = Effects::Partial);
            }
            let done = self.step(operation, &mut checks).await;
            match done {
                Ok(()) if operation.changes() => {
                    changes.push(change(operation).detail(planned.why.clone()));
                    self.cx.note(|report| report.changes.clone_from(&changes));
                }
                Ok(()) => {}
                Err(halt) => return self.halted(halt, operation, index, checks, changes).await,
            }
        }
        let mut passed = true;
        if let (true, Some(instance)) = (self.plan.is_empty(), self.plan.instance) {
            let verified = self.verify(instance, &mut checks).await;
            match verified {
                Ok(()) => {}
                Err(Halt::No(_)) => passed = false,
                Err(Halt::Fault(fault)) => return Err(fault.effects(Effects::None)),
            }
        }
        let effects = if self.plan.is_empty() {
            Effects::None
        } else {
            Effects::Complete
        };
        let mut report = self.named(if passed {
            StepReport::passed()
        } else {
            StepReport::failed()
        });
        report.checks = checks;
        report.changes = changes;
        Ok(self.tell(report.effects(effects)).await)
    }

    async fn step(&self, operation: Operation, checks: &mut Vec<CheckResult>) -> Result<(), Halt> {
        match operation {
            Operation::Prove { instance } => self.prove(instance, checks).await,
            Operation::Verify { instance } => self.verify(instance, checks).await,
            other => Ok(self
                .cx
                .cancel
                .run(self.target.apply(&other, self.desired))
                .await??),
        }
    }

    async fn prove(&self, instance: InstanceId, checks: &mut Vec<CheckResult>) -> Result<(), Halt> {
        let mut starts = 1;
        loop {
            let asked = prove(
                self.target,
                self.probe,
                &self.desired.descriptor,
                instance,
                Depth::Whole,
            );
            let proved = self.cx.cancel.run(asked).await??;
            if proved.ending.as_ref().is_some_and(|ending| ending.again) && starts < STARTS {
                starts += 1;
                tracing::warn!(
                    "instance {instance}: an address it was given was taken meanwhile; it is started again"
                );
                let start = Operation::Start { instance };
                self.cx
                    .cancel
                    .run(self.target.apply(&start, self.desired))
                    .await??;
                continue;
            }
            let reason = proved
                .checks
                .iter()
                .find(|check| check.outcome != CheckOutcome::Passed)
                .map(|check| format!("{}: {}", check.name, check.reason));
            checks.extend(proved.checks);
            return match reason {
                None if proved.good => Ok(()),
                reason => Err(Halt::No(format!(
                    "instance {instance} is not well: {}",
                    reason.unwrap_or_default()
                ))),
            };
        }
    }

    async fn verify(&self, instance: InstanceId, checks: &mut Vec<CheckResult>) -> Result<(), Halt> {
        let evidence = self.cx.cancel.run(self.target.evidence(instance)).await??;
        let Identity {
            digest,
            version,
            config_hash,
        } = &self.desired.identity;
        let mut found = vec![
            compared("proof digest", digest, &evidence.identity.digest),
            compared("proof version", version, &evidence.identity.version),
            compared("proof config hash", config_hash, &evidence.identity.config_hash),
        ];
        found.push(match evidence.astray.is_empty() {
            true => CheckResult::new("proof route", CheckOutcome::Passed),
            false => CheckResult::new("proof route", CheckOutcome::Failed).reason(evidence.astray.join("; ")),
        });
        let asked = prove(
            self.target,
            self.probe,
            &self.desired.descriptor,
            instance,
            Depth::Once,
        );
        let proved = self.cx.cancel.run(asked).await??;
        found.extend(proved.checks.into_iter().map(|mut check| {
            check.name = format!("proof {}", check.name);
            check
        }));
        let bad = found
            .iter()
            .find(|check| check.outcome != CheckOutcome::Passed)
            .map(|check| format!("{}: {}", check.name, check.reason));
        checks.extend(found);
        match bad {
            None => Ok(()),
            Some(reason) => Err(Halt::No(format!(
                "instance {instance} serves and is not proved: {reason}"
            ))),
        }
    }

    /// Brings back what served, and says what is left of the release.
    async fn halted(
        &self,
        halt: Halt,
        operation: Operation,
        index: usize,
        checks: Vec<CheckResult>,
        mut changes: Vec<Change>,
    ) -> Result<StepReport, Fault> {
        let verified = self.plan.operations[..index]
            .iter()
            .any(|planned| matches!(planned.operation, Operation::Verify { .. }));
        // What is proved stays.
        let clean_up_only = verified || self.plan.instance.is_none();
        let operations = match clean_up_only {
            true => Vec::new(),
            false => recovery(self.plan, index + 1),
        };
        let mut restored = !clean_up_only;
        for back in operations {
            tracing::info!("{back} (going back: {operation} did not succeed)");
            match self.recover(back).await {
                Ok(()) => changes.push(change(back).detail("going back".to_owned())),
                Err(fault) => {
                    restored = false;
                    let causes = std::iter::once(fault.message.clone()).chain(fault.causes());
                    tracing::error!("{back}: {}", causes.collect::<Vec<_>>().join(": "));
                    // What a newer release has changed meanwhile is its own.
                    if fault.class == Class::Refused {
                        break;
                    }
                }
            }
        }
        let changed = self.plan.operations[..=index]
            .iter()
            .any(|planned| planned.operation.changes());
        let switched_alone = self.plan.before.is_none()
            && self.plan.operations[..index]
                .iter()
                .any(|planned| matches!(planned.operation, Operation::Switch { .. }));
        let effects = match changed {
            false => Effects::None,
            true if restored && !self.plan.has_downtime() && !switched_alone => Effects::None,
            true => Effects::Partial,
        };
        let stays = match (self.plan.before, effects) {
            (Some(before), Effects::None) => format!("instance {before} keeps serving"),
            (Some(before), _) if restored => format!("instance {before} serves again"),
            _ => String::new(),
        };
        self.cx.note(|report| {
            report.checks.clone_from(&checks);
            report.changes.clone_from(&changes);
        });
        match halt {
            Halt::Fault(mut fault) => {
                if !stays.is_empty() {
                    fault = fault.help(stays);
                }
                Err(fault.effects(effects))
            }
            Halt::No(reason) => {
                let mut report = self.named(StepReport::failed()).effects(effects);
                report.summary = match stays.is_empty() {
                    true => reason,
                    false => format!("{reason}; {stays}"),
                };
                report.text = format!("{}\n", report.summary);
                report.checks = checks;
                report.changes = changes;
                report.result = json!({"plan": self.plan});
                Ok(report)
            }
        }
    }

    /// One operation on the way back. It is bounded by itself and runs also when the step was asked to stop.
    async fn recover(&self, back: Operation) -> Result<(), Fault> {
        match (back, self.plan.before) {
            // The old one is led to by its own ports and routes, not by those of the new descriptor.
            (Operation::Switch { instance } | Operation::Start { instance }, Some(before))
                if instance == before =>
            {
                let old = desired_of(&self.plan.service, &self.desired.labels, self.live, before)?;
                self.target.apply(&back, &old).await?;
                if matches!(back, Operation::Start { .. }) {
                    let asked = prove(self.target, self.probe, &old.descriptor, before, Depth::Once).await?;
                    if !asked.good {
                        return Err(Fault::unavailable(format!("instance {before} is not well again")));
                    }
                }
                Ok(())
            }
            _ => Ok(self.target.apply(&back, self.desired).await?),
        }
    }

    /// A report with everything that is known before the first effect.
    fn named(&self, mut report: StepReport) -> StepReport {
        let labels = &self.desired.labels;
        report.project = Some(self.desired.key.project.clone());
        report.environment = Some(self.desired.key.environment.clone());
        report.service = Some(self.desired.key.service.clone());
        report.commit.clone_from(&labels.commit);
        report.release.clone_from(&labels.release);
        report.fence = (labels.fence > 0).then_some(labels.fence);
        report.plan_digest(self.plan.digest.clone())
    }

    fn dry(&self, detailed: bool) -> StepReport {
        let mut report = self.named(StepReport::passed());
        report.changes = self
            .plan
            .operations
            .iter()
            .filter(|planned| planned.operation.changes())
            .map(|planned| change(planned.operation).detail(planned.why.clone()))
            .collect();
        report.summary = match self.plan.is_empty() {
            true => "nothing to do".to_owned(),
            false => format!("{} effects planned", report.changes.len()),
        };
        report.result = json!({"plan": self.plan, "unchanged": self.plan.is_empty()});
        let report = report
            .output("plan", self.plan.digest.clone())
            .text(format!("{}\n", self.plan));
        match (detailed, self.plan.is_empty(), self.plan.risks.is_empty()) {
            (false, ..) | (true, true, _) => report,
            (true, false, true) => report.exit_as(ExitCode::Changes),
            (true, false, false) => report.exit_as(ExitCode::RiskyChanges),
        }
    }

    /// What runs now, in words, data and outputs.
    async fn tell(&self, mut report: StepReport) -> StepReport {
        let Identity {
            digest,
            version,
            config_hash,
        } = &self.desired.identity;
        let service = &self.desired.key;
        report = report.output("plan", self.plan.digest.clone());
        let mut addresses = Vec::new();
        let summary = match self.plan.instance {
            Some(instance) => {
                addresses = self.target.outputs(instance).await;
                report = report
                    .output("instance", instance.0.to_string())
                    .output("digest", digest.clone())
                    .output("version", version.clone())
                    .output("config_hash", config_hash.clone());
                let serves = match (report.outcome, self.plan.is_empty()) {
                    (Outcome::Passed, true) => "serves already",
                    (Outcome::Passed, false) => "serves",
                    _ => "serves and is not proved",
                };
                format!("{service}: {version} {serves} as instance {instance}")
            }
            None if self.plan.is_empty() => format!("{service}: is retired already"),
            None => format!("{service}: is retired"),
        };
        let shown: Vec<String> = addresses
            .iter()
            .map(|(name, address)| format!("{name}={address}"))
            .collect();
        for (name, address) in addresses {
            report = report.output(name, address);
        }
        report.text = match shown.is_empty() {
            true => format!("{summary}\n"),
            false => format!("{summary} ({})\n", shown.join(", ")),
        };
        report.summary = match report
            .checks
            .iter()
            .find(|check| check.outcome == CheckOutcome::Failed)
        {
            Some(check) => format!("{summary}: {}: {}", check.name, check.reason),
            None => summary,
        };
        report.result = json!({"plan": self.plan, "unchanged": self.plan.is_empty()});
        report
    }
}

fn compared(name: &str, wanted: &str, found: &str) -> CheckResult {
    if wanted == found {
        CheckResult::new(name, CheckOutcome::Passed).reason(found)
    } else {
        CheckResult::new(name, CheckOutcome::Failed).reason(format!("expected {wanted}, found {found}"))
    }
}

fn change(operation: Operation) -> Change {
    let (action, subject) = match operation {
        Operation::Mark { fence } => ("marked", format!("fence {fence}")),
        Operation::OpenFront => ("started", "the front door".to_owned()),
        Operation::Prepare { instance } => ("prepared", format!("instance {instance}")),
        Operation::Start { instance } => ("started", format!("instance {instance}")),
        Operation::Prove { instance } => ("proved", format!("instance {instance}")),
        Operation::Switch { instance } => ("switched", format!("to instance {instance}")),
        Operation::Verify { instance } => ("verified", format!("instance {instance}")),
        Operation::Stop { instance, .. } => ("stopped", format!("instance {instance}")),
        Operation::Remove { instance } => ("removed", format!("instance {instance}")),
        Operation::Withdraw => ("freed", "the routes".to_owned()),
    };
    Change::new(action, subject)
}
