//! How the services of an environment would be decided now. Reads, and changes nothing.

use pilotage_config::First;
use pilotage_decision::descriptors;
use pilotage_name::ServiceName;
use pilotage_outcome::{Fault, StepReport};
use pilotage_step::{Context, RepoArgs};
use serde_json::json;

use crate::open::{blocking, desk};

pub(crate) async fn explain(
    repo: &RepoArgs,
    branch: &str,
    first: Option<First>,
    cx: &Context,
) -> Result<StepReport, Fault> {
    let mut desk = desk(repo, branch, cx).await?;
    let repo = repo.clone();
    let decisions = blocking(cx, move || {
        let environments = match &repo.environment {
            Some(environment) => vec![environment.clone()],
            None => desk.sight().environments(),
        };
        let mut decisions = Vec::new();
        for environment in environments {
            let tip = match &repo.commit {
                Some(commit) => commit.clone(),
                None => desk.sight().tip(&environment).map_err(Fault::from)?.clone(),
            };
            let listed = descriptors::list(desk.cache(), &tip).map_err(Fault::from)?;
            let services: Vec<ServiceName> = if repo.service.is_empty() {
                listed.found.into_keys().collect()
            } else {
                repo.service.clone()
            };
            let (decided, _) = desk
                .decide(&environment, &services, &tip, first)
                .map_err(Fault::from)?;
            decisions.extend(decided.into_iter().map(|one| one.decision));
        }
        Ok(decisions)
    })
    .await?;
    let text: String = decisions.iter().map(pilotage_gate::Decision::explain).collect();
    Ok(StepReport::passed()
        .summary(format!("{} services explained", decisions.len()))
        .result(json!({ "decisions": decisions }))
        .text(text))
}
