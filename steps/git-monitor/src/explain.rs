//! How the services of an environment would be decided now. Reads, and changes nothing.

use std::collections::BTreeSet;

use pilotage_config::First;
use pilotage_decision::{Error, Still, descriptors, fault};
use pilotage_diagnostic::{Diagnostics, nearest};
use pilotage_name::ServiceName;
use pilotage_outcome::{Fault, StepReport};
use pilotage_step::{Context, RepoArgs};
use serde_json::json;

use crate::open::{blocking, desk};
use crate::tick;

/// So many services are named to somebody who asked for one that nobody knows.
const MOST_NAMED: usize = 20;

pub(crate) async fn explain(
    repo: &RepoArgs,
    branch: &str,
    first: Option<First>,
    cx: &Context,
) -> Result<StepReport, Fault> {
    let mut desk = desk(repo, branch, cx).await?;
    let repo = repo.clone();
    let (decisions, problems, remarks) = blocking(cx, move || {
        let commit = desk.asked(repo.commit.as_ref()).map_err(Fault::from)?;
        let environments = match &repo.environment {
            Some(environment) => vec![environment.clone()],
            None => desk.sight().environments(),
        };
        let mut decisions = Vec::new();
        let mut problems = Diagnostics::default();
        let mut remarks = Vec::new();
        let mut names = BTreeSet::new();
        let commands = desk.command_lines();
        for environment in environments {
            let known = desk.sight().config.environment(&environment).cloned();
            let tip = match desk.sight().tip(&environment) {
                Ok(tip) => Some(tip.clone()),
                // A branch that is gone, or not there yet, decides nothing; what is known of it is told.
                Err(Error::NoBranch { .. }) => None,
                Err(error) => return Err(Fault::from(error)),
            };
            let monitor = desk.ledger().monitor(&environment).map_err(fault::of_ledger)?;
            if !repo.service.is_empty() {
                let released = desk.ledger().releases(&environment).map_err(fault::of_ledger)?;
                names.extend(released.into_keys().chain(monitor.services.keys().cloned()));
            }
            let still =
                known.and_then(|known| Still::of(&known, &monitor.environment, tip.as_ref(), &commands));
            if let Some(still) = still {
                remarks.push(format!("{}; to go on: {}", still.why, still.needs));
            }
            let Some(tip) = tip else { continue };
            let tip = commit.clone().unwrap_or(tip);
            let listed = descriptors::list(desk.cache(), &tip).map_err(Fault::from)?;
            let services: Vec<ServiceName> = if repo.service.is_empty() {
                listed.found.into_keys().collect()
            } else {
                names.extend(listed.found.into_keys());
                repo.service.clone()
            };
            let (decided, _) = desk
                .decide(&environment, &services, &tip, first)
                .map_err(Fault::from)?;
            problems.extend(tick::problems(&decided));
            decisions.extend(decided.into_iter().map(|one| one.decision));
        }
        match repo.service.iter().find(|service| !names.contains(*service)) {
            Some(stranger) => Err(unknown(stranger, &names)),
            None => Ok((decisions, problems, remarks)),
        }
    })
    .await?;
    let mut text: String = decisions.iter().map(pilotage_gate::Decision::explain).collect();
    for remark in &remarks {
        text.push_str(&format!("{}\n", pilotage_diagnostic::printable(remark)));
    }
    Ok(StepReport::passed()
        .summary(format!("{} services explained", decisions.len()))
        .diagnostics(problems)
        .result(json!({ "decisions": decisions, "remarks": remarks }))
        .text(text))
}

/// A service that neither a branch nor the ledger knows is a slip of the hand; "nothing to do" would say that all is well.
fn unknown(stranger: &ServiceName, names: &BTreeSet<ServiceName>) -> Fault {
    let fault = Fault::usage(format!(
        "no branch and no record that was looked at knows a service `{stranger}`"
    ));
    let names = || names.iter().map(ServiceName::as_str);
    match nearest(stranger.as_str(), names()) {
        Some(near) => fault.help(format!("did you mean `{near}`?")),
        None if names().next().is_none() => fault.help("there are no services yet"),
        None => {
            let some: Vec<&str> = names().take(MOST_NAMED).collect();
            fault.help(format!("there are {}", some.join(", ")))
        }
    }
}
