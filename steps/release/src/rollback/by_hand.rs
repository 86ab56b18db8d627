//! The same by hand, for a person who signs with a key that this step does not have.

use pilotage_command_line::quoted;
use pilotage_name::CommitId;

use super::{RollbackRequest, RollbackTarget, TRAILER};

/// What would let a rollback pass where the policy wants its commit signed.
pub(super) fn signed(
    request: &RollbackRequest,
    target: &RollbackTarget,
    tip: &CommitId,
    branch: &str,
    restored: &[String],
) -> Vec<String> {
    let RollbackRequest {
        environment,
        service,
        reason,
        ..
    } = request;
    let subject = format!("Roll {service} in {environment} back to {}", target.version);
    // One line of a terminal each.
    let reason: Vec<&str> = reason.split_whitespace().collect();
    let branch = quoted(branch);
    let files: Vec<String> = restored.iter().map(|path| quoted(path)).collect();
    vec![
        "the same command with `--signing-key FILE`, a private SSH key whose public half stands under `people`".to_owned(),
        format!("or by hand: git fetch origin && git switch {branch} && git merge --ff-only origin/{branch}"),
        format!("            git checkout {} -- {}", target.commit, files.join(" ")),
        format!(
            "            git commit -S -m {} -m {} --trailer 'Rollback-To: {}' --trailer '{TRAILER}: {tip}'",
            quoted(&subject),
            quoted(&reason.join(" ")),
            target.commit
        ),
        format!("            git push origin {branch}"),
    ]
}
