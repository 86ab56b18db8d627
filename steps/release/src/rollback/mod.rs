//! Going back to a version that was proved, by a commit that restores its descriptor: git stays the truth, and the release
//! that follows passes the same gates as any other.

mod by_hand;
mod commit;
mod target;

use std::sync::Arc;

use pilotage_config::Proof;
use pilotage_decision::Desk;
use pilotage_decision::fault::of_git;
use pilotage_gate::{Decision, Verdict};
use pilotage_gitrepo::{RefName, RefUpdate, SigningKey, UpdateResult};
use pilotage_message::Who;
use pilotage_name::{CommitId, EnvironmentName, ServiceName};
use pilotage_outcome::Fault;

use self::commit::RollbackCommit;
pub use self::target::{Choice, RollbackTarget, Standing, choose};
use crate::approve::Refusal;

/// The trailer that names what a commit rolls back from; a release of such a commit rejects that.
pub const TRAILER: &str = "Rollback-Of";

/// How often the commit is made anew because somebody pushed meanwhile.
const TRIES: u32 = 5;

/// What is asked for.
#[derive(Clone, Debug)]
pub struct RollbackRequest {
    /// The environment.
    pub environment: EnvironmentName,
    /// The service.
    pub service: ServiceName,
    /// The version to go back to; without it the one that was proved before.
    pub to: Option<String>,
    /// The commit to go back to: one that asked for what was proved, or that brought it.
    pub commit: Option<CommitId>,
    /// Why.
    pub reason: String,
    /// Who does it: author and committer of the commit.
    pub by: Who,
    /// Signs the commit.
    pub signing_key: Option<Arc<SigningKey>>,
    /// Change nothing.
    pub dry_run: bool,
}

/// What came of the request.
#[derive(Clone, Debug)]
pub enum Rollback {
    /// This commit stands on the branch now.
    Pushed {
        /// The commit.
        commit: CommitId,
        /// What it restores.
        target: RollbackTarget,
    },
    /// The branch asks for that already.
    Asked {
        /// What it asks for.
        target: RollbackTarget,
    },
    /// It was done before, and nothing was released since: nothing is changed.
    Stands(Standing),
    /// It would be pushed.
    Dry {
        /// What would be restored.
        target: RollbackTarget,
    },
    /// The gates stand in the way; nothing was pushed.
    Refused(Box<Refusal>),
}

/// Writes the commit, asks the gates about it, and pushes it by compare-and-swap.
///
/// # Errors
/// The repository cannot be read or written, or there is nothing to go back to.
pub fn roll_back(
    desk: &mut Desk,
    request: &RollbackRequest,
    now: jiff::Timestamp,
) -> Result<Rollback, Fault> {
    for _ in 0..TRIES {
        let tip = desk
            .sight()
            .tip(&request.environment)
            .map_err(Fault::from)?
            .clone();
        let branch = match desk.sight().config.environment(&request.environment) {
            Some(known) => RefName::branch(&known.branch).map_err(of_git)?,
            None => return Err(Fault::internal("an environment with a tip and without a branch")),
        };
        let target = match target::target(desk, request)? {
            Choice::Back(target) => target,
            Choice::Stands(standing) => return Ok(Rollback::Stands(standing)),
        };
        let Some(RollbackCommit { id: commit, paths }) = commit::write(desk, request, &target, &tip, now)?
        else {
            return Ok(Rollback::Asked { target });
        };
        let (decided, _) = desk
            .decide(
                &request.environment,
                std::slice::from_ref(&request.service),
                &commit,
                None,
            )
            .map_err(Fault::from)?;
        if let Some(one) = decided.first()
            && !matches!(one.decision.verdict, Verdict::Accept | Verdict::Nothing)
        {
            let mut refusal = Refusal::of(&one.decision);
            if lacks_signature(desk, request, &one.decision) {
                refusal.satisfy = by_hand::signed(
                    request,
                    &target,
                    &tip,
                    branch.branch_name().unwrap_or_default(),
                    &paths,
                );
            }
            return Ok(Rollback::Refused(Box::new(refusal)));
        }
        if request.dry_run {
            return Ok(Rollback::Dry { target });
        }
        let update = RefUpdate {
            name: branch,
            expected: Some(tip),
            new: commit.clone(),
        };
        let result = desk
            .remote()
            .push(desk.cache(), &[update])
            .map_err(of_git)?
            .into_iter()
            .next();
        match result {
            Some(UpdateResult::Done) => {
                desk.look().map_err(Fault::from)?;
                return Ok(Rollback::Pushed { commit, target });
            }
            Some(UpdateResult::Moved { .. }) => {
                desk.look().map_err(Fault::from)?;
            }
            Some(UpdateResult::Refused(text)) => {
                return Err(Fault::refused(format!(
                    "the server does not take the commit: {}",
                    pilotage_diagnostic::printable(&text)
                ))
                .help("whoever rolls back needs the right to push to the environment's branch"));
            }
            Some(UpdateResult::Unknown(text)) => {
                return Err(Fault::unavailable(format!(
                    "whether the commit was pushed is not known: {}",
                    pilotage_diagnostic::printable(&text)
                ))
                .help("run the same command again"));
            }
            None => return Err(Fault::internal("a push without a result")),
        }
    }
    Err(Fault::unavailable(format!(
        "the branch of {} moved {TRIES} times meanwhile",
        request.environment
    ))
    .help("run the same command again"))
}

/// Whether the commit is refused because the policy wants it signed and no key was given.
fn lacks_signature(desk: &Desk, request: &RollbackRequest, decision: &Decision) -> bool {
    let policy = desk.sight().config.policy_of(&request.environment);
    let wants_it = policy
        .people
        .as_ref()
        .is_some_and(|rule| rule.proof == Proof::Signed);
    wants_it && request.signing_key.is_none() && decision.objections().any(|gate| gate.gate == "people")
}
