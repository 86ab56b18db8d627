//! `pilotage why`: the story of one service, from the record in git and from nothing else.

mod present;
mod story;
mod text;

use std::collections::BTreeMap;
use std::sync::Arc;

use pilotage_decision::descriptors::{self, Resolved};
use pilotage_decision::fault::{of_ledger, unreadable_policy};
use pilotage_decision::{Access, Desk, Error, Still, holder};
use pilotage_diagnostic::nearest;
use pilotage_ledger::{PastRecord, ReleaseChain};
use pilotage_name::{CommitId, EnvironmentName, ServiceName};
use pilotage_outcome::{Fault, StepReport};
use pilotage_step::Context;
use serde_json::json;

use crate::args::Why;
pub use present::{Asks, Known, Present};
pub use story::{Chapter, Kind, tell};
pub use text::text;

/// How many decisions are read when not all events are asked for: each is a file of its own in the history.
const DECISIONS: usize = 500;

/// Tells the story.
///
/// # Errors
/// The repository or the ledger cannot be read, or there is no such service.
pub async fn run(wish: Box<Why>, cx: &Context) -> Result<StepReport, Fault> {
    let context = cx.clone();
    let looking = tokio::task::spawn_blocking(move || look(&wish, &context));
    cx.cancel
        .run(looking)
        .await?
        .map_err(|error| Fault::internal("the story broke off").caused_by(error))?
}

fn look(wish: &Why, cx: &Context) -> Result<StepReport, Fault> {
    let service = match &wish.of {
        Some(service) => service,
        None => wish.repository.required_service()?,
    };
    let environment = match &wish.place {
        Some(environment) => environment,
        None => wish.repository.required_environment()?,
    };
    let mut access = Access::of(&wish.repository, &wish.config_branch, cx)?;
    // Nothing is written here, so nothing is to be signed.
    access.ledger_key = None;
    let (mut desk, broken) = Desk::open_past(access)?;
    let tip = match desk.sight().tip(environment) {
        Ok(tip) => Some(tip.clone()),
        // A branch that is gone still has a past.
        Err(Error::NoBranch { .. }) => None,
        Err(error) => return Err(error.into()),
    };

    let chain = desk.ledger().release(environment, service).map_err(of_ledger)?;
    let monitor = desk.ledger().monitor(environment).map_err(of_ledger)?;
    let most = if wish.last == 0 {
        usize::MAX
    } else {
        DECISIONS.max(wish.last)
    };
    let mut decisions = desk
        .ledger()
        .service_history(environment, service, most)
        .map_err(of_ledger)?;
    decisions.reverse();

    let known = desk.sight().config.environment(environment);
    let commands = desk.command_lines();
    let still = known.and_then(|known| Still::of(known, &monitor.environment, tip.as_ref(), &commands));
    let why = still.as_ref().map(|still| still.why.clone());
    let by = desk.sight().config_commit.short().to_owned();
    let said = broken.as_ref().map(|wrong| unreadable_policy(wrong, &by));
    let present = present(&mut desk, environment, service, tip.as_ref(), &chain, still, said)?;
    let asks_nothing = matches!(present.asks, Asks::Nothing | Asks::Unknown);
    if chain.entries.is_empty() && decisions.is_empty() && asks_nothing {
        return Err(unknown(&desk, environment, service, tip.as_ref(), why)?);
    }
    let commit = desk.asked(wish.repository.commit.as_ref())?;
    let all = story(&chain, &decisions, commit.as_ref());
    let skipped = match wish.last {
        0 => 0,
        last => all.len().saturating_sub(last),
    };
    let told = &all[skipped..];
    let result = json!({
        "earlier": skipped,
        "story": told,
        "now": present,
        "frozen": monitor.environment.frozen.as_ref().map(|frozen| &frozen.reason),
        "still": why,
    });
    let report = StepReport::passed()
        .project(desk.sight().config.project.clone())
        .environment(environment.clone())
        .service(service.clone());
    let report = match tip {
        Some(tip) => report.commit(tip),
        None => report,
    };
    let report = match broken {
        Some(Error::Config { diagnostics }) => report.diagnostics(diagnostics),
        _ => report,
    };
    Ok(report
        .summary(present.sentence())
        .result(result)
        .text(text(told, skipped, &present)))
}

fn story(chain: &Arc<ReleaseChain>, decisions: &[PastRecord], commit: Option<&CommitId>) -> Vec<Chapter> {
    let mut all = tell(chain, decisions);
    if let Some(commit) = commit {
        all.retain(|chapter| chapter.is_about(commit));
    }
    all
}

/// How things are now: what runs, what git asks for, and what the gates would say, where they can be asked.
fn present(
    desk: &mut Desk,
    environment: &EnvironmentName,
    service: &ServiceName,
    tip: Option<&CommitId>,
    chain: &ReleaseChain,
    still: Option<Still>,
    broken: Option<String>,
) -> Result<Present, Fault> {
    let asks = asks(desk, environment, service, tip)?;
    let decision = match (&asks, tip, &broken) {
        (Asks::Valid { .. } | Asks::Broken { .. }, Some(tip), None) => {
            let (decided, _) = desk.decide(environment, std::slice::from_ref(service), tip, None)?;
            decided.into_iter().next().map(|one| one.decision)
        }
        _ => None,
    };
    let state = chain.state();
    let known = Known {
        asks,
        state,
        holder: &holder(state),
        decision,
        still,
        broken,
        commands: &desk.command_lines(),
    };
    Ok(Present::of(environment, service, known))
}

fn asks(
    desk: &Desk,
    environment: &EnvironmentName,
    service: &ServiceName,
    tip: Option<&CommitId>,
) -> Result<Asks, Error> {
    let Some(tip) = tip else { return Ok(Asks::Unknown) };
    let environments = desk.sight().environments();
    Ok(
        match descriptors::read(desk.cache(), tip, environment, service, &environments)? {
            Resolved::Valid(valid) => Asks::Valid {
                commit: tip.clone(),
                version: valid.descriptor.version.to_string(),
                digest: valid.digest,
            },
            Resolved::Broken { diagnostics } => Asks::Broken {
                commit: tip.clone(),
                problems: diagnostics
                    .iter()
                    .filter(|problem| problem.is_error())
                    .map(|problem| problem.line())
                    .collect(),
            },
            Resolved::Absent => Asks::Nothing,
        },
    )
}

fn unknown(
    desk: &Desk,
    environment: &EnvironmentName,
    service: &ServiceName,
    tip: Option<&CommitId>,
    still: Option<String>,
) -> Result<Fault, Error> {
    let known = match tip {
        Some(tip) => descriptors::list(desk.cache(), tip)?.found,
        None => BTreeMap::new(),
    };
    let names = || known.keys().map(ServiceName::as_str);
    let fault = Fault::usage(format!(
        "neither {environment} nor its record knows a service `{service}`"
    ));
    Ok(match nearest(service.as_str(), names()) {
        Some(near) => fault.help(format!("did you mean `{near}`?")),
        None if known.is_empty() => {
            fault.help(still.unwrap_or_else(|| format!("{environment} has no services")))
        }
        None => fault.help(format!(
            "the services of {environment} are {}",
            names().take(20).collect::<Vec<_>>().join(", ")
        )),
    })
}
