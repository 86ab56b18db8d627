//! What can be gone back to.

use std::collections::BTreeSet;

use pilotage_decision::Desk;
use pilotage_decision::fault::of_ledger;
use pilotage_ledger::{EndWord, Ending, Release, ReleaseState, TriggerKind};
use pilotage_name::{CommitId, ReleaseId};
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

/// What a request comes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Choice {
    /// This is gone back to.
    Back(RollbackTarget),
    /// What runs was brought by a rollback, and nothing was released since: whoever asks again means that one.
    Stands(Standing),
}

/// A rollback that is done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    /// The release that went back.
    pub release: ReleaseId,
    /// The version that runs since.
    pub version: String,
    /// Since when.
    pub since: jiff::Timestamp,
    /// Who went back.
    pub by: String,
}

/// Picks what to go back to. While a version is held that is what runs; else what was proved before what runs. What was
/// rejected, or rolled back from, is gone back to only when it is named.
///
/// # Errors
/// In words, when there is nothing of that kind; with the versions there are.
pub fn choose(state: &ReleaseState, to: Option<&str>) -> Result<Choice, (String, Vec<String>)> {
    let past = state.history.iter().rev().filter_map(proved);
    let now = state
        .proved
        .as_ref()
        .filter(|proved| !proved.retired)
        .map(|proved| RollbackTarget {
            version: proved.version.clone(),
            commit: proved.commit.clone(),
            descriptor: proved.descriptor.clone(),
        });
    let candidates: Vec<RollbackTarget> = now.into_iter().chain(past).collect();
    if to.is_none()
        && let Some(standing) = standing(state)
    {
        return Ok(Choice::Stands(standing));
    }
    let running = state.proved.as_ref().map(|proved| proved.descriptor.as_str());
    let open = state.held.is_some() || state.unsettled.is_some();
    let found = match to {
        Some(version) => candidates.iter().find(|target| target.version == version),
        None => candidates.iter().find(|target| {
            let rejected = state
                .rejections
                .iter()
                .any(|rejection| rejection.asked.descriptor == target.descriptor);
            !rejected && (open || Some(target.descriptor.as_str()) != running)
        }),
    };
    found.cloned().map(Choice::Back).ok_or_else(|| {
        let mut seen = BTreeSet::new();
        let versions: Vec<String> = candidates
            .iter()
            .map(|target| target.version.clone())
            .filter(|version| seen.insert(version.clone()))
            .collect();
        let why = match to {
            Some(version) => format!("version {version} was never proved to run here"),
            None if versions.len() > 1 => {
                "everything else that was proved here was rejected or rolled back from since; `--to VERSION` goes there \
                 all the same"
                    .to_owned()
            }
            None => "nothing else was ever proved to run here".to_owned(),
        };
        (why, versions)
    })
}

/// What a release proved, if it did and was not undone.
fn proved(release: &Release) -> Option<RollbackTarget> {
    let Some(Ending::Finished(finished)) = release.end.as_ref().map(|end| &end.how) else {
        return None;
    };
    let good = finished.outcome == EndWord::Succeeded && !finished.undone && release.undone.is_none();
    (good && finished.proof.is_some() && !release.begun.retires).then(|| RollbackTarget {
        version: release.begun.version.clone(),
        commit: release.begun.commit.clone(),
        descriptor: release.begun.descriptor.clone(),
    })
}

/// The rollback that brought what runs, while nothing else was begun since.
fn standing(state: &ReleaseState) -> Option<Standing> {
    if state.running.is_some() || state.held.is_some() || state.unsettled.is_some() {
        return None;
    }
    let now = state.proved.as_ref()?;
    let last = state.last().filter(|last| last.id == now.release)?;
    (last.begun.trigger.kind == TriggerKind::Rollback && !now.adopted).then(|| Standing {
        release: now.release.clone(),
        version: now.version.clone(),
        since: now.since,
        by: now.by.clone(),
    })
}

/// What a request means, by the record of the service.
pub(super) fn target(desk: &mut Desk, request: &RollbackRequest) -> Result<Choice, Fault> {
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
