use std::collections::BTreeMap;
use std::path::Path;

use pilotage_config::StepName;
use pilotage_ledger::Holder;
use pilotage_message::Event;
use pilotage_name::ServiceName;
use pilotage_outcome::Fault;
use pilotage_step::Context;

use super::Target;
use super::release::scratch;
use crate::adapter::process::Processes;
use crate::approve::Approval;
use crate::directory::PlanDirectory;
use crate::port::{Call, Launcher, Needs};
use crate::prepare::{Prepared, prepare};
use crate::record::{Ran, StageRecord};
use crate::records::Records;
use crate::result::record_of;

/// What the deploy step would do to one service; none where the plan has no deploy. Nothing is changed.
pub(super) async fn deploy_plan(
    cx: &Context,
    launcher: &Processes,
    service: &ServiceName,
    prepared: &Prepared,
    folder: &Path,
) -> Result<Option<StageRecord>, Fault> {
    let Prepared { plan, texts, next } = prepared;
    let directory = PlanDirectory::create(&folder.join(service.as_str()), plan, texts)?;
    let Some(stage) = plan.due().find(|stage| stage.step == StepName::Deploy) else {
        return Ok(None);
    };
    let mut environment = directory.environment(plan, stage, Event::Started);
    // The plan the release itself would make, not one of a deploy that comes too late.
    environment.insert("PILOTAGE_FENCE".to_owned(), next.fence.to_string());
    let call = Call {
        program: "pilotage-deploy".to_owned(),
        arguments: vec!["plan".to_owned()],
        environment,
        needs: Needs::Secrets(pilotage_descriptor::SecretSource::env_prefix(service)),
        label: format!("{service} deploy plan"),
        log: directory.file("reports/plan.log"),
        deadline: stage.deadline.as_std(),
    };
    let ended = launcher.run(&call, &cx.cancel).await;
    Ok(Some(record_of(Ran::Stage(stage.clone()), &ended, &directory)))
}

/// Looks whether what was released still runs as it was, where nothing else is to be done: an instance that died or a
/// secret that changed is released again. Where the target does not answer, the release itself says why.
pub(super) async fn look_again(
    cx: &Context,
    records: &Records,
    launcher: &Processes,
    target: &Target,
    holder: &Holder,
    answers: BTreeMap<ServiceName, Result<Prepared, Approval>>,
) -> Result<BTreeMap<ServiceName, Result<Prepared, Approval>>, Fault> {
    let mut looked = BTreeMap::new();
    for (service, answer) in answers {
        let (approved, why) = match answer {
            Err(Approval::Stands(approved, why)) => (approved, why),
            other => {
                looked.insert(service, other);
                continue;
            }
        };
        let (environment, name) = (target.environment.clone(), service.clone());
        let prepared = records
            .with(move |desk| prepare(desk, &environment, &name, &approved))
            .await?;
        let folder = scratch(holder)?;
        let record = deploy_plan(cx, launcher, &service, &prepared, folder.path()).await?;
        let unchanged = record.is_none_or(|record| {
            let report = record.report.as_ref();
            record.passed() && report.is_some_and(|report| report.changes.is_empty())
        });
        let answer = match unchanged {
            true => Err(Approval::Nothing(why)),
            false => Ok(prepared),
        };
        looked.insert(service, answer);
    }
    Ok(looked)
}
