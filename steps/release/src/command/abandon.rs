use pilotage_decision::fault::of_ledger;
use pilotage_ledger::Abandon;
use pilotage_message::Who;
use pilotage_outcome::{Effects, Fault, Outcome, StepReport};
use pilotage_step::{Context, RepoArgs};

use crate::records::Records;

/// Gives up what somebody else holds.
pub(super) async fn abandon(
    cx: &Context,
    records: &Records,
    repo: &RepoArgs,
    release: Option<pilotage_name::ReleaseId>,
    reason: String,
    by: Who,
) -> Result<StepReport, Fault> {
    let (environment, service) = (
        repo.required_environment()?.clone(),
        repo.required_service()?.clone(),
    );
    let dry_run = cx.dry_run;
    let name = by.to_string();
    let answer = records
        .with(move |desk| {
            if dry_run {
                let chain = desk.ledger().release(&environment, &service).map_err(of_ledger)?;
                let running = chain.state().running.as_ref().map(|running| running.id.clone());
                return Ok(
                    match running
                        .clone()
                        .filter(|id| release.as_ref().is_none_or(|wanted| wanted == id))
                    {
                        Some(id) => Abandon::Done(id),
                        None => Abandon::NotRunning { running },
                    },
                );
            }
            desk.ledger()
                .abandon(&environment, &service, release.as_ref(), &name, &reason)
                .map_err(of_ledger)
        })
        .await?;
    Ok(match answer {
        Abandon::Done(id) => {
            let verb = if cx.dry_run {
                "would be given up"
            } else {
                "is given up"
            };
            let summary = format!("{id} {verb}; what it changed is not known, the next release finds out");
            let effects = if cx.dry_run {
                Effects::None
            } else {
                Effects::Complete
            };
            StepReport::passed().effects(effects).summary(summary).release(id)
        }
        Abandon::NotRunning { running: Some(id) } => StepReport::new(Outcome::Refused { waiting: false })
            .summary(format!("another release goes on: {id}")),
        Abandon::NotRunning { running: None } => {
            StepReport::passed().summary("no release goes on, nothing to do")
        }
    })
}
