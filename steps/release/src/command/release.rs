use std::collections::BTreeMap;
use std::path::Path;

use pilotage_config::StepName;
use pilotage_ledger::{Holder, LinuxMachine};
use pilotage_message::Event;
use pilotage_name::ServiceName;
use pilotage_outcome::{Change, Fault, Outcome, StepReport};
use pilotage_step::Context;
use serde_json::json;

use super::{Target, prepared, this_process};
use crate::adapter::process::Processes;
use crate::approve::Approval;
use crate::directory::PlanDirectory;
use crate::port::{Call, Launcher, Needs};
use crate::prepare::Prepared;
use crate::record::Ran;
use crate::records::Records;
use crate::result::record_of;
use crate::run::Run;
use crate::scratch::ScratchDirectory;
use crate::tell::report;

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
fn scratch(holder: &Holder) -> Result<ScratchDirectory, Fault> {
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
        let Prepared { plan, texts, next } = match answer {
            Ok(prepared) => prepared,
            Err(approval) => {
                let end = crate::run::not_now(approval);
                outcomes.push(end.outcome());
                whole
                    .text
                    .push_str(&crate::tell::text(&target.environment, &service, &end));
                continue;
            }
        };
        whole.text.push_str(&plan.text());
        let directory = PlanDirectory::create(&folder.join(service.as_str()), &plan, &texts)?;
        if let Some(stage) = plan.due().find(|stage| stage.step == StepName::Deploy) {
            let mut environment = directory.environment(&plan, stage, Event::Started);
            // The plan the release itself would make, not one of a deploy that comes too late.
            environment.insert("PILOTAGE_FENCE".to_owned(), next.fence.to_string());
            let call = Call {
                program: "pilotage-deploy".to_owned(),
                arguments: vec!["plan".to_owned()],
                environment,
                needs: Needs::Secrets(pilotage_descriptor::SecretSource::env_prefix(&service)),
                label: format!("{service} deploy plan"),
                log: directory.file("reports/plan.log"),
                deadline: stage.deadline.as_std(),
            };
            let ended = launcher.run(&call, &cx.cancel).await;
            let record = record_of(Ran::Stage(stage.clone()), &ended, &directory);
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
        plans.push(serde_json::to_value(&plan).unwrap_or_default());
    }
    whole.outcome = crate::run::worst(outcomes);
    Ok(whole.result(json!({"plans": plans})))
}
