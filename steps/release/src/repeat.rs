//! Whether a release tries again what an earlier one came to no answer about, and who told people that it started. Pure: as
//! the ledger knows it, so that whoever tries again comes to the same.

use pilotage_config::StepName;
use pilotage_ledger::{EndWord, Ending, Release};
use pilotage_name::{CommitId, ReleaseId};

/// The release that told people of the start of what is tried again now: this commit and descriptor, in the releases just
/// before. None where nobody was told yet.
#[must_use]
pub(crate) fn told_by(history: &[Release], commit: &CommitId, descriptor: &str) -> Option<ReleaseId> {
    let before = history.iter().rev();
    let same = before.take_while(|release| {
        release.begun.commit == *commit && release.begun.descriptor == descriptor && is_unanswered(release)
    });
    same.filter(|release| told(release))
        .last()
        .map(|release| release.id.clone())
}

/// Whether it ended without a yes: what it was for was not done.
fn is_unanswered(release: &Release) -> bool {
    match release.end.as_ref().map(|end| &end.how) {
        Some(Ending::Finished(finished)) => finished.outcome != EndWord::Succeeded,
        Some(Ending::Abandoned(_)) => true,
        None => false,
    }
}

/// Whether its first stage told that it started. What became of the stages of one that was given up is not known.
fn told(release: &Release) -> bool {
    let Some(Ending::Finished(finished)) = release.end.as_ref().map(|end| &end.how) else {
        return false;
    };
    let first = finished.stages.first();
    first.is_some_and(|stage| stage.step == StepName::Notify.as_str() && stage.outcome == EndWord::Succeeded)
}
