//! What can be gone back to.

use std::collections::BTreeSet;

use pilotage_decision::descriptors::{self, Resolved};
use pilotage_decision::fault::of_ledger;
use pilotage_decision::{Desk, holder, past};
use pilotage_diagnostic::printable;
use pilotage_ledger::{EndWord, Ending, Liveness, Release, ReleaseState, TriggerKind};
use pilotage_name::{CommitId, ReleaseId};
use pilotage_outcome::Fault;

use super::RollbackRequest;

/// So many versions are told to somebody who has to choose one.
const MOST_TOLD: usize = 10;

/// What was proved once, and so can be gone back to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RollbackTarget {
    /// Its version.
    pub version: String,
    /// The commit that asked for it.
    pub commit: CommitId,
    /// The digest of its resolved descriptor.
    pub descriptor: String,
    /// The change that brought it, where it is known.
    pub change: Option<CommitId>,
}

impl RollbackTarget {
    /// Whether it is what somebody names, by version, by commit, or by both.
    fn is(&self, version: Option<&str>, commit: Option<&CommitId>) -> bool {
        let of_it = |commit: &CommitId| *commit == self.commit || Some(commit) == self.change.as_ref();
        version.is_none_or(|version| version == self.version) && commit.is_none_or(of_it)
    }
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

/// Picks what to go back to. As long as the branch asks for anything else than what was proved to run, that is what runs;
/// else what was proved before it. What was rejected, or rolled back from, is gone back to only when it is named, by its
/// version or a commit of it. `asked` is the digest of what the branch asks for, where that can be read.
///
/// # Errors
/// In words, when there is nothing of that kind; with the versions there are, newest first.
pub fn choose(
    state: &ReleaseState,
    asked: Option<&str>,
    to: Option<&str>,
    commit: Option<&CommitId>,
) -> Result<Choice, (String, Vec<String>)> {
    let named = to.is_some() || commit.is_some();
    let past = state.history.iter().rev().filter_map(proved);
    let now = state
        .proved
        .as_ref()
        .filter(|proved| !proved.retired)
        .map(|proved| RollbackTarget {
            version: proved.version.clone(),
            commit: proved.commit.clone(),
            descriptor: proved.descriptor.clone(),
            change: proved.change.as_ref().map(|change| change.commit.clone()),
        });
    let candidates: Vec<RollbackTarget> = now.into_iter().chain(past).collect();
    let running = state.proved.as_ref().map(|proved| proved.descriptor.as_str());
    let open = state.held.is_some() || state.unsettled.is_some() || asked != running;
    if !named
        && !open
        && let Some(standing) = standing(state)
    {
        return Ok(Choice::Stands(standing));
    }
    let found = match named {
        true => candidates.iter().find(|target| target.is(to, commit)),
        false => candidates.iter().find(|target| {
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
        let why = match (to, commit) {
            (Some(version), None) => format!("version {version} was never proved to run here"),
            (Some(version), Some(commit)) => {
                format!("version {version} was never proved to run here by {}", commit.short())
            }
            (None, Some(commit)) => format!("nothing of {} was ever proved to run here", commit.short()),
            (None, None) if versions.len() > 1 => {
                "everything else that was proved here was rejected or rolled back from since; `--to VERSION` goes there \
                 all the same"
                    .to_owned()
            }
            (None, None) => "nothing else was ever proved to run here".to_owned(),
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
        change: release
            .begun
            .trigger
            .change
            .as_ref()
            .map(|change| change.commit.clone()),
    })
}

/// The rollback that brought what runs, while nothing else was begun since.
fn standing(state: &ReleaseState) -> Option<Standing> {
    if state.running.is_some() {
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
/// Nothing is picked while a release goes on: what would be pushed could not be released, and what runs is about to change.
pub(super) fn target(desk: &mut Desk, request: &RollbackRequest, tip: &CommitId) -> Result<Choice, Fault> {
    let RollbackRequest {
        environment, service, ..
    } = request;
    let environments = desk.sight().environments();
    let read = descriptors::read(desk.cache(), tip, environment, service, &environments);
    let asked = match read.map_err(Fault::from)? {
        Resolved::Valid(valid) => Some(valid.digest),
        Resolved::Broken { .. } | Resolved::Absent => None,
    };
    let chain = desk.ledger().release(environment, service).map_err(of_ledger)?;
    let holder = holder(chain.state());
    if let Some(running) = &chain.state().running
        && !matches!(holder, Liveness::Dead(_))
    {
        let goes_on = past::under_way(running, &holder);
        let abandon = desk.command_lines().abandon(&running.id);
        return Err(Fault::refused(format!(
            "{service} in {environment} is being released already: {goes_on}; nothing was pushed"
        ))
        .help("go back when it has ended")
        .help(format!("or give it up first: {abandon}")));
    }
    let (to, commit) = (request.to.as_deref(), request.commit.as_ref());
    choose(chain.state(), asked.as_deref(), to, commit).map_err(|(why, versions)| {
        let fault = Fault::refused(format!("{} in {}: {why}", request.service, request.environment));
        match versions.is_empty() {
            true => fault,
            false => fault.help(proved_were(&versions)),
        }
    })
}

/// The newest versions that were proved, for somebody who has to choose one.
fn proved_were(versions: &[String]) -> String {
    let newest = versions.iter().take(MOST_TOLD).map(|version| printable(version));
    let newest = newest.collect::<Vec<_>>().join(", ");
    match versions.len().checked_sub(MOST_TOLD).filter(|more| *more > 0) {
        Some(more) => format!("proved were, newest first: {newest}, and {more} before them"),
        None => format!("proved were, newest first: {newest}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn somebody_who_has_to_choose_is_told_the_last_ten() {
        let versions: Vec<String> = (0..30).rev().map(|number| format!("1.{number}.0")).collect();
        let told = proved_were(&versions);
        assert!(
            told.contains(": 1.29.0, ") && told.ends_with(" 1.20.0, and 20 before them"),
            "{told}"
        );
        assert_eq!(proved_were(&versions[29..]), "proved were, newest first: 1.0.0");
    }
}
