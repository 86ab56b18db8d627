use std::collections::BTreeMap;
use std::path::Path;

use pilotage_ledger::{Holder, LinuxMachine};
use pilotage_name::ServiceName;
use pilotage_outcome::{Change, Fault, Outcome, StepReport};
use pilotage_step::Context;
use serde_json::json;

use super::look::{deploy_plan, look_again};
use super::{Target, prepared, this_process};
use crate::adapter::process::Processes;
use crate::approve::Approval;
use crate::prepare::Prepared;
use crate::records::Records;
use crate::report::report;
use crate::run::Run;
use crate::scratch::ScratchDirectory;

/// Plans, begins, runs the stages and finishes.
pub(super) async fn release(
    cx: &Context,
    records: Records,
    launcher: Processes,
    target: Target,
    keep: Option<&Path>,
) -> Result<StepReport, Fault> {
    let holder = this_process()?;
    cx.cancel.check()?;
    let answers = prepared(&records, &target, holder.clone(), cx.dry_run).await?;
    let project = records
        .with(|desk| Ok(desk.sight().config.project.clone()))
        .await?;
    let answers = look_again(cx, &records, &launcher, &target, &holder, answers).await?;
    let scratch = match (keep, cx.dry_run) {
        (Some(_), false) => None,
        _ => Some(scratch(&holder)?),
    };
    let folder = match (&scratch, keep) {
        (Some(scratch), _) => scratch.path(),
        (None, Some(keep)) => keep,
        (None, None) => return Err(Fault::internal("a run without a folder")),
    };
    if cx.dry_run {
        return dry(cx, &launcher, &target, answers, folder).await;
    }
    cx.note(|report| {
        report.environment = Some(target.environment.clone());
        report.project = Some(project.clone());
    });
    let run = Run {
        launcher,
        records,
        cancel: cx.cancel.clone(),
        holder,
        folder: folder.to_owned(),
    };
    let ends = run.all(answers).await?;
    Ok(report(&project, &target.environment, ends))
}

/// A folder for plans that nobody wants to keep.
pub(super) fn scratch(holder: &Holder) -> Result<ScratchDirectory, Fault> {
    let made = match holder {
        Holder::Process(owner) => LinuxMachine::read()
            .and_then(|machine| ScratchDirectory::create(&std::env::temp_dir(), owner, &machine)),
        Holder::Build(_) | Holder::Other(_) => Err(std::io::Error::other("its owner is no process")),
    };
    made.map_err(|error| Fault::unavailable("no folder for the plans can be made").caused_by(error))
}

/// What would be done, the plans of the deploy step included.
async fn dry(
    cx: &Context,
    launcher: &Processes,
    target: &Target,
    answers: BTreeMap<ServiceName, Result<Prepared, Approval>>,
    folder: &Path,
) -> Result<StepReport, Fault> {
    let mut outcomes = Vec::new();
    let mut whole = StepReport::passed().environment(target.environment.clone());
    let mut plans = Vec::new();
    for (service, answer) in answers {
        let prepared = match answer {
            Ok(prepared) => prepared,
            Err(approval) => {
                let end = crate::service_end::not_now(approval);
                outcomes.push(end.outcome());
                whole
                    .text
                    .push_str(&crate::report::text(&target.environment, &service, &end));
                continue;
            }
        };
        let plan = &prepared.plan;
        whole.text.push_str(&plan.text());
        if let Some(record) = deploy_plan(cx, launcher, &service, &prepared, folder).await? {
            outcomes.push(record.outcome.unwrap_or(Outcome::Internal));
            whole.text.push_str(&format!("  deploy: {}\n", record.summary));
            for change in record.report.iter().flat_map(|report| &report.changes) {
                whole
                    .text
                    .push_str(&format!("    {} {}\n", change.action, change.subject));
                whole.changes.push(
                    Change::new(change.action.clone(), format!("{service}: {}", change.subject))
                        .detail(change.detail.clone()),
                );
            }
        }
        plans.push(serde_json::to_value(plan).unwrap_or_default());
    }
    whole.outcome = crate::service_end::worst(outcomes);
    Ok(whole.result(json!({"plans": plans})))
}
