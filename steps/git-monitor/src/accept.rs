//! Accepting the tip of a branch that was rewritten, or deleted and made again.

use pilotage_decision::{Recorded, fault, past};
use pilotage_gate::History;
use pilotage_ledger::{AcceptedPush, EnvironmentRecord, LinuxMachine};
use pilotage_message::Who;
use pilotage_outcome::{Change, Effects, Fault, StepReport};
use pilotage_step::{Context, RepoArgs};
use serde_json::json;

use crate::open::{blocking, desk};

/// How often it is tried again when a monitor was faster.
const TRIES: u32 = 5;

pub(crate) async fn accept(
    repo: &RepoArgs,
    branch: &str,
    reason: String,
    by: &Who,
    cx: &Context,
) -> Result<StepReport, Fault> {
    let environment = repo.required_environment()?.clone();
    let mut desk = desk(repo, branch, cx).await?;
    let tip = desk.sight().tip(&environment).map_err(Fault::from)?.clone();
    if let Some(commit) = desk.asked(repo.commit.as_ref()).map_err(Fault::from)?
        && commit != tip
    {
        return Err(Fault::refused(format!(
            "{} is not the tip of {environment} any more: that is {tip}",
            commit.short()
        ))
        .help("look at what was pushed since, then accept that"));
    }
    let by = by.to_string();
    let dry_run = cx.dry_run;
    if !dry_run {
        cx.note(|report| report.effects = Effects::Partial);
    }
    let name = environment.clone();
    let done = blocking(cx, move || {
        let holder = LinuxMachine::read()
            .and_then(|machine| machine.this_process())
            .map_err(|error| Fault::unavailable("this process cannot be identified").caused_by(error))?;
        for _ in 0..TRIES {
            let monitor = desk.ledger().monitor(&environment).map_err(fault::of_ledger)?;
            let record = &monitor.environment;
            let history = past::history(desk.cache(), record, &tip).map_err(Fault::from)?;
            let History::Rewritten {
                from, accepted: None, ..
            } = history
            else {
                return Ok(None);
            };
            if dry_run {
                return Ok(Some((from, tip)));
            }
            let push = AcceptedPush {
                was: Some(from.clone()),
                now: tip.clone(),
                by: by.clone(),
                reason: reason.clone(),
                at: desk.now(),
            };
            let changed = EnvironmentRecord {
                accepted_push: Some(push),
                untold: true,
                frozen: None,
                ..record.clone()
            };
            let data = json!({"accepted": tip});
            let recorded = desk.record(&environment, &monitor, &[], Some(changed), holder.clone(), data);
            match recorded.map_err(Fault::from)? {
                Recorded::Done(_) => return Ok(Some((from, tip))),
                Recorded::Moved => {}
            }
        }
        Err(Fault::unavailable("the ledger is being written all the time").help("try again"))
    })
    .await?;
    Ok(match done {
        None => StepReport::passed()
            .summary(format!("{name} is not frozen; there is nothing to accept"))
            .text(format!("{name} is not frozen; there is nothing to accept\n")),
        Some((from, to)) => {
            let is = if dry_run { "would be" } else { "is" };
            let text = format!(
                "{name}: the way from {} to {} {is} accepted\n",
                from.short(),
                to.short()
            );
            StepReport::passed()
                .effects(if dry_run { Effects::None } else { Effects::Complete })
                .change(Change::new("accept", format!("the tip {} of {name}", to.short())))
                .summary(text.trim_end())
                .text(text)
        }
    })
}
