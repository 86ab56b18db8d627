//! A commit by hand on the branch of an environment: the gates are asked about it before anybody sees it, and it is pushed
//! onto nothing but the tip that it was made for.

use pilotage_config::Proof;
use pilotage_decision::Desk;
use pilotage_decision::fault::of_git;
use pilotage_gate::{Decision, Verdict};
use pilotage_gitrepo::{RefName, RefUpdate, UpdateResult};
use pilotage_name::{CommitId, EnvironmentName, ServiceName};
use pilotage_outcome::Fault;

/// How often a commit is made anew because somebody pushed meanwhile.
pub(crate) const TRIES: u32 = 5;

/// The branch and its tip.
pub(crate) fn tip(desk: &Desk, environment: &EnvironmentName) -> Result<(RefName, CommitId), Fault> {
    let tip = desk.sight().tip(environment).map_err(Fault::from)?.clone();
    match desk.sight().config.environment(environment) {
        Some(known) => Ok((RefName::branch(&known.branch).map_err(of_git)?, tip)),
        None => Err(Fault::internal("an environment with a tip and without a branch")),
    }
}

/// What stands in the way of a commit that no ref points at yet; none where it may be released.
pub(crate) fn objection(
    desk: &mut Desk,
    environment: &EnvironmentName,
    service: &ServiceName,
    commit: &CommitId,
) -> Result<Option<Decision>, Fault> {
    let (decided, _) = desk
        .decide(environment, std::slice::from_ref(service), commit, None)
        .map_err(Fault::from)?;
    let decision = decided.into_iter().next().map(|one| one.decision);
    Ok(decision.filter(|decision| !matches!(decision.verdict, Verdict::Accept | Verdict::Nothing)))
}

/// Whether a commit without a signature is refused because the policy wants one.
pub(crate) fn lacks_signature(desk: &Desk, environment: &EnvironmentName, decision: &Decision) -> bool {
    let policy = desk.sight().config.policy_of(environment);
    let wants_it = policy
        .people
        .as_ref()
        .is_some_and(|rule| rule.proof == Proof::Signed);
    wants_it && decision.objections().any(|gate| gate.gate == "people")
}

/// Pushes a commit onto the tip it was made for, and looks at the repository anew; false where the branch has moved.
pub(crate) fn push(
    desk: &mut Desk,
    branch: &RefName,
    tip: &CommitId,
    commit: &CommitId,
) -> Result<bool, Fault> {
    let update = RefUpdate {
        name: branch.clone(),
        expected: Some(tip.clone()),
        new: commit.clone(),
    };
    let results = desk.remote().push(desk.cache(), &[update]).map_err(of_git)?;
    match results.into_iter().next() {
        Some(result @ (UpdateResult::Done | UpdateResult::Moved { .. })) => {
            desk.look().map_err(Fault::from)?;
            Ok(matches!(result, UpdateResult::Done))
        }
        Some(UpdateResult::Refused(text)) => Err(Fault::refused(format!(
            "the server does not take the commit: {}",
            pilotage_diagnostic::printable(&text)
        ))
        .help("whoever does this needs the right to push to the environment's branch")),
        Some(UpdateResult::Unknown(text)) => Err(Fault::unavailable(format!(
            "whether the commit was pushed is not known: {}",
            pilotage_diagnostic::printable(&text)
        ))
        .help("run the same command again")),
        None => Err(Fault::internal("a push without a result")),
    }
}

/// The branch never stood still.
pub(crate) fn moved(environment: &EnvironmentName) -> Fault {
    Fault::unavailable(format!(
        "the branch of {environment} moved {TRIES} times meanwhile"
    ))
    .help("run the same command again")
}
