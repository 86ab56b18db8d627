//! What can be gone back to.

use std::collections::BTreeSet;

use pilotage_decision::Desk;
use pilotage_decision::fault::of_ledger;
use pilotage_ledger::{EndWord, Ending, ReleaseState};
use pilotage_name::CommitId;
use pilotage_outcome::Fault;

use super::RollbackRequest;

/// What was proved once, and so can be gone back to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RollbackTarget {
    /// Its version.
    pub version: String,
    /// The commit that asked for it.
    pub commit: CommitId,
    /// The digest of its resolved descriptor.
    pub descriptor: String,
}

/// Picks what to go back to. While a version is held that is what runs; else what was proved before what runs.
///
/// # Errors
/// In words, when there is nothing of that kind; with the versions there are.
pub fn choose(state: &ReleaseState, to: Option<&str>) -> Result<RollbackTarget, (String, Vec<String>)> {
    let proved = state.history.iter().rev().filter_map(|release| {
        let Some(Ending::Finished(finished)) = release.end.as_ref().map(|end| &end.how) else {
            return None;
        };
        let good = finished.outcome == EndWord::Succeeded && !finished.undone && release.undone.is_none();
        (good && finished.proof.is_some() && !release.begun.retires).then(|| RollbackTarget {
            version: release.begun.version.clone(),
            commit: release.begun.commit.clone(),
            descriptor: release.begun.descriptor.clone(),
        })
    });
    let now = state
        .proved
        .as_ref()
        .filter(|proved| !proved.retired)
        .map(|proved| RollbackTarget {
            version: proved.version.clone(),
            commit: proved.commit.clone(),
            descriptor: proved.descriptor.clone(),
        });
    let candidates: Vec<RollbackTarget> = now.into_iter().chain(proved).collect();
    let running = state.proved.as_ref().map(|proved| proved.descriptor.as_str());
    let found = match to {
        Some(version) => candidates.iter().find(|target| target.version == version),
        None if state.held.is_some() || state.unsettled.is_some() => candidates.first(),
        None => candidates
            .iter()
            .find(|target| Some(target.descriptor.as_str()) != running),
    };
    found.cloned().ok_or_else(|| {
        let mut seen = BTreeSet::new();
        let versions = candidates
            .iter()
            .map(|target| target.version.clone())
            .filter(|version| seen.insert(version.clone()));
        let why = match to {
            Some(version) => format!("version {version} was never proved to run here"),
            None => "nothing else was ever proved to run here".to_owned(),
        };
        (why, versions.collect())
    })
}

/// What a request means, by the record of the service.
pub(super) fn target(desk: &mut Desk, request: &RollbackRequest) -> Result<RollbackTarget, Fault> {
    let chain = desk
        .ledger()
        .release(&request.environment, &request.service)
        .map_err(of_ledger)?;
    choose(chain.state(), request.to.as_deref()).map_err(|(why, versions)| {
        let fault = Fault::refused(format!("{} in {}: {why}", request.service, request.environment));
        match versions.is_empty() {
            true => fault,
            false => fault.help(format!("proved were: {}", versions.join(", "))),
        }
    })
}
