//! Going back to a version that was proved, by a commit that restores its descriptor: git stays the truth, and the release
//! that follows passes the same gates as any other.

mod by_hand;
mod commit;
mod target;

use std::sync::Arc;

use pilotage_decision::Desk;
use pilotage_gitrepo::SigningKey;
use pilotage_message::Who;
use pilotage_name::{CommitId, EnvironmentName, ServiceName};
use pilotage_outcome::Fault;

use self::commit::RollbackCommit;
pub use self::target::{Choice, RollbackTarget, Standing, choose};
use crate::approve::Refusal;
use crate::branch;

/// The trailer that names what a commit rolls back from; a release of such a commit rejects that.
pub const TRAILER: &str = "Rollback-Of";

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
    for _ in 0..branch::TRIES {
        let (branch, tip) = branch::tip(desk, &request.environment)?;
        let target = match target::target(desk, request, &tip)? {
            Choice::Back(target) => target,
            Choice::Stands(standing) => return Ok(Rollback::Stands(standing)),
        };
        let Some(RollbackCommit { id: commit, paths }) = commit::write(desk, request, &target, &tip, now)?
        else {
            return Ok(Rollback::Asked { target });
        };
        if let Some(decision) = branch::objection(desk, &request.environment, &request.service, &commit)? {
            let mut refusal = Refusal::of(&decision);
            if request.signing_key.is_none() && branch::lacks_signature(desk, &request.environment, &decision)
            {
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
        if branch::push(desk, &branch, &tip, &commit)? {
            return Ok(Rollback::Pushed { commit, target });
        }
    }
    Err(branch::moved(&request.environment))
}
