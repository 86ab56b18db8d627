//! The release whose stages somebody else runs: its lease before, its judgement after.

use std::collections::BTreeMap;
use std::path::Path;

use pilotage_ledger::{Append, Holder, TriggerKind};
use pilotage_outcome::{Effects, Fault, StepReport};
use pilotage_step::{Context, RepoArgs};

use super::{Target, prepared};
use crate::args::contradicts;
use crate::directory::PlanDirectory;
use crate::judge::{judge, proof_of_undo};
use crate::message::{ended, started};
use crate::plan::ReleasePlan;
use crate::record::Ran;
use crate::records::Records;
use crate::release::ReleaseEnd;
use crate::report::report;
use crate::result::left_behind;
use crate::service_end::ServiceEnd;
use crate::written::Written;

/// Opens a plan's directory and holds the flags against it.
fn open(repo: &RepoArgs, dir: &Path) -> Result<(PlanDirectory, ReleasePlan), Fault> {
    let (directory, plan) = PlanDirectory::open(dir)?;
    if contradicts(repo, &plan.service.environment, &plan.service.service) {
        return Err(Fault::usage(format!(
            "the plan is about {}, the flags about another service",
            plan.service
        )));
    }
    Ok((directory, plan))
}

/// Takes the lease.
pub(super) async fn begin(
    cx: &Context,
    records: &Records,
    repo: &RepoArgs,
    dir: &Path,
    build: String,
) -> Result<StepReport, Fault> {
    let (directory, mut plan) = open(repo, dir)?;
    let holder = Holder::build(build);
    let environment = plan.service.environment.clone();
    let service = plan.service.service.clone();
    let target = Target {
        environment: environment.clone(),
        services: vec![service.clone()],
        commit: Some(plan.commit.clone()),
    };
    // Time has passed since the plan was made: another commit may have been accepted. What the gates say now is what is
    // recorded, and what the release rests on.
    let again = prepared(records, &target, holder.clone(), cx.dry_run)
        .await?
        .remove(&service);
    let end = match again {
        Some(Ok(again)) if again.plan.descriptor == plan.descriptor && again.plan.policy == plan.policy => {
            plan.decision = again.plan.decision;
            None
        }
        Some(Ok(_)) => {
            return Err(
                Fault::refused("the plan no longer fits: policy or descriptor read differently now").help(
                    format!(
                        "make a new plan with `{}`",
                        records.command_lines().plan(&environment, &service)
                    ),
                ),
            );
        }
        Some(Err(approval)) => Some(crate::service_end::not_now(approval)),
        None => return Err(Fault::internal("a service without an answer")),
    };
    plan.trigger.kind = match plan.trigger.kind {
        TriggerKind::Rollback => TriggerKind::Rollback,
        _ => TriggerKind::Jenkins,
    };
    plan.digest = plan.computed_digest();
    let end = match end {
        Some(end) => end,
        None if cx.dry_run => return Ok(StepReport::passed().key(&plan.service).text(plan.text())),
        None => match crate::begin::begin(records, vec![plan.clone()], holder)
            .await?
            .pop()
        {
            Some(Ok(begun)) => {
                directory.save(&begun)?;
                directory.tell(&started(&begun, begun.lease.as_ref()))?;
                let mut report = StepReport::passed()
                    .key(&begun.service)
                    .commit(begun.commit.clone());
                report.effects = Effects::Complete;
                if let Some(lease) = &begun.lease {
                    report = report
                        .output("release", lease.release.to_string())
                        .output("fence", lease.release.fence.to_string())
                        .summary(format!("{} has begun", lease.release))
                        .release(lease.release.clone());
                }
                return Ok(report);
            }
            Some(Err(end)) => end,
            None => return Err(Fault::internal("a begin without an answer")),
        },
    };
    let project = plan.service.project.clone();
    Ok(report(&project, &environment, BTreeMap::from([(service, end)])))
}

/// Judges and writes the end.
pub(super) async fn finish(
    cx: &Context,
    records: &Records,
    repo: &RepoArgs,
    dir: &Path,
) -> Result<StepReport, Fault> {
    let (directory, mut plan) = open(repo, dir)?;
    let Some(lease) = plan.lease.clone() else {
        let begin = records.command_lines().begin(&dir.display().to_string());
        return Err(Fault::usage("the plan has not begun").help(format!("`{begin}` takes its lease")));
    };
    let left = left_behind(&plan, &directory);
    let judgement = judge(&plan, &left, None);
    directory.tell(&ended(&plan, Some(&lease), &left, &judgement))?;
    let key = plan.service.clone();
    if cx.dry_run {
        let end = ReleaseEnd {
            plan,
            records: left,
            judgement,
            written: Written::Observed,
        };
        let ends = BTreeMap::from([(key.service, ServiceEnd::Released(Box::new(end)))]);
        return Ok(report(&key.project, &key.environment, ends));
    }
    let mut written = None;
    let undo = left
        .iter()
        .find(|record| matches!(record.what, Ran::Undo(_)) && record.passed());
    if let Some(record) = undo {
        let proof = proof_of_undo(record);
        let undone = pilotage_ledger::Undone {
            to: proof
                .as_ref()
                .and_then(|proof| proof.version.clone())
                .or_else(|| plan.from_version.clone()),
            reason: judgement
                .reason
                .first()
                .cloned()
                .unwrap_or_else(|| "undone".to_owned()),
            proof,
        };
        match records.undone(&lease, undone, &cx.cancel).await? {
            Append::Done(lease) => {
                plan.lease = Some(lease);
                directory.save(&plan)?;
            }
            Append::Already(_) => {}
            Append::Lost { by } => written = Some(Written::Lost(by)),
        }
    }
    let written = match (written, &plan.lease) {
        (Some(lost), _) => lost,
        (None, Some(lease)) => {
            match records
                .finish(lease, judgement.finished(&plan, &left), &cx.cancel)
                .await?
            {
                Append::Done(lease) => {
                    plan.lease = Some(lease);
                    directory.save(&plan)?;
                    Written::Yes
                }
                Append::Already(_) => Written::Already,
                Append::Lost { by } => Written::Lost(by),
            }
        }
        (None, None) => return Err(Fault::internal("a lease went missing")),
    };
    let end = ReleaseEnd {
        plan,
        records: left,
        judgement,
        written,
    };
    let ends = BTreeMap::from([(key.service, ServiceEnd::Released(Box::new(end)))]);
    Ok(report(&key.project, &key.environment, ends))
}
