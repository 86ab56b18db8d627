//! What the ledger knows of an environment, as far as a decision turns on it.

use std::collections::BTreeMap;

use pilotage_config::{First, Proof};
use pilotage_gate::{Carried, FirstSight, Held, History, Seen};
use pilotage_gitrepo::Repository;
use pilotage_ledger::{
    Accepted, EndWord, Ending, EnvironmentRecord, Liveness, Monitor, Release, ReleaseState, ServiceRecord,
};
use pilotage_name::{CommitId, EnvironmentName, ReleaseId, ServiceName};

use crate::error::Error;

/// What is known of one environment.
#[derive(Clone, Debug)]
pub struct EnvironmentPast {
    /// Whether decisions were made here before.
    pub first_sight: FirstSight,
    /// How the branch moved since.
    pub history: History,
    /// The tip at the first sight: where the range of a service that was never accepted starts.
    pub base: Option<CommitId>,
    /// What is known of each service.
    pub services: BTreeMap<ServiceName, ServicePast>,
}

/// What is known of one service of an environment.
#[derive(Clone, Debug, Default)]
pub struct ServicePast {
    /// The last accepted decision, as far as it counts: see `outdated`.
    pub accepted: Option<Seen>,
    /// The last accepted decision, where it was made under another policy and nothing was released of it since. What
    /// counts as accepted is then what runs.
    pub outdated: Option<Seen>,
    /// What runs, proved.
    pub running: Option<Seen>,
    /// The release that is under way.
    pub under_way: Option<ReleaseId>,
    /// How the newest release ended, where it left neither a proof nor a rejection.
    pub unsettled: Option<String>,
    /// The rejection that holds it.
    pub held: Option<Held>,
    /// Everything rejected, newest first.
    pub rejected: Vec<Seen>,
    /// What was proved in the environments below.
    pub carried: Vec<Carried>,
    /// Files of the branch that the accepted descriptor took content from.
    pub files: Vec<String>,
    /// Why what the ledger knows of it cannot be read, where it cannot.
    pub unreadable: Option<String>,
}

/// Whether the environment was seen before, and if not, what its owner wants.
#[must_use]
pub fn first_sight(record: &EnvironmentRecord, asked: Option<First>) -> FirstSight {
    match (&record.first, asked) {
        (Some(_), _) => FirstSight::Known,
        (None, Some(First::Deploy)) => FirstSight::Deploy,
        (None, Some(First::Adopt)) => FirstSight::Adopt,
        (None, None) => FirstSight::Unanswered,
    }
}

/// How the branch moved from what was recorded to `tip`. A branch that was deleted and came back counts as rewritten:
/// what it was in between is not known.
///
/// # Errors
/// The repository cannot be read.
pub fn history(
    repository: &Repository,
    record: &EnvironmentRecord,
    tip: &CommitId,
) -> Result<History, Error> {
    let accepted = record.accepted_push.as_ref();
    let settled = |from: &CommitId| -> Result<History, Error> {
        // An acceptance holds for the tip it names and what was pushed on top of it, never for another rewrite.
        let accepted = match accepted.filter(|push| push.was.as_ref() == Some(from)) {
            Some(push) if repository.has_commit(&push.now) && repository.is_ancestor(&push.now, tip)? => {
                Some(format!("{} ({})", push.reason, push.by))
            }
            Some(_) | None => None,
        };
        Ok(History::Rewritten {
            from: from.clone(),
            to: tip.clone(),
            accepted,
        })
    };
    if let Some(was) = record.frozen.as_ref().and_then(|frozen| frozen.was.as_ref()) {
        return settled(was);
    }
    match &record.seen {
        None => Ok(History::Linear),
        Some(seen) if seen == tip => Ok(History::Linear),
        // The old tip may be gone from the cache altogether; then it is no ancestor either.
        Some(seen) if repository.has_commit(seen) && repository.is_ancestor(seen, tip)? => {
            Ok(History::Linear)
        }
        Some(seen) => settled(seen),
    }
}

/// Whether something was accepted under another policy than `policy` and has not been released since. Whoever is about
/// to start that asks the gates again; what is released stays, whatever policy says later.
#[must_use]
pub fn is_outdated(accepted: &Accepted, state: Option<&ReleaseState>, policy: &str) -> bool {
    let proved = state.and_then(|state| state.proved.as_ref());
    accepted.policy.as_deref() != Some(policy)
        && proved.is_none_or(|proved| proved.descriptor != accepted.descriptor)
}

/// What is known of one service under today's `policy`, given by its hash. `below` are the records of the same service in
/// the environments this one takes its changes from, `holder` is what is known of whoever holds its release. A release whose
/// holder is gone is not under way: whoever comes next takes it over.
#[must_use]
pub fn service(
    record: Option<&ServiceRecord>,
    state: Option<&ReleaseState>,
    below: &[(EnvironmentName, Accepted)],
    policy: &str,
    holder: &Liveness,
) -> ServicePast {
    let accepted = record.and_then(|record| record.accepted.as_ref());
    let outdated = accepted.is_some_and(|accepted| is_outdated(accepted, state, policy));
    let mut past = ServicePast {
        accepted: accepted.map(|accepted| Seen {
            commit: accepted.commit.clone(),
            version: accepted.version.clone(),
            digest: accepted.descriptor.clone(),
        }),
        files: accepted
            .map(|accepted| accepted.files.clone())
            .unwrap_or_default(),
        carried: below
            .iter()
            .filter_map(|(environment, accepted)| carried(environment, accepted))
            .collect(),
        ..ServicePast::default()
    };
    if outdated {
        past.outdated = past.accepted.take();
    }
    let Some(state) = state else { return past };
    past.running = state.proved.as_ref().map(|proved| Seen {
        commit: proved.commit.clone(),
        version: proved.version.clone(),
        digest: proved.descriptor.clone(),
    });
    if outdated {
        past.accepted.clone_from(&past.running);
    }
    let seen = |asked: &pilotage_ledger::Asked| Seen {
        commit: asked.commit.clone(),
        version: asked.version.clone(),
        digest: asked.descriptor.clone(),
    };
    past.held = state.held.as_ref().map(|held| Held {
        rejected: seen(&held.asked),
        release: held.release.clone(),
        why: held.why.clone(),
    });
    match &state.running {
        Some(release) if matches!(holder, Liveness::Dead(_)) => {
            past.unsettled = Some(under_way(release, holder))
        }
        running => {
            past.under_way = running.as_ref().map(|release| release.id.clone());
            past.unsettled = unsettled(state, past.accepted.as_ref());
        }
    }
    past.rejected = state
        .rejections
        .iter()
        .rev()
        .map(|rejection| seen(&rejection.asked))
        .collect();
    past
}

/// Why what was accepted does not run though nothing rejected it: the newest release of it came to no answer, or one of
/// whatever else may have changed the target and left no proof.
fn unsettled(state: &ReleaseState, accepted: Option<&Seen>) -> Option<String> {
    let of_it = |release: &&Release| accepted.is_some_and(|seen| seen.digest == release.begun.descriptor);
    let proved = |release: &&Release| {
        let proved = state.proved.as_ref();
        proved.is_some_and(|proved| proved.descriptor == release.begun.descriptor)
    };
    let last = state.last().filter(of_it).filter(|last| !proved(last));
    last.and_then(loose_end).or_else(|| {
        let doubtful = state.unsettled.as_ref()?;
        let release = state.history.iter().rev().find(|release| release.id == *doubtful);
        let end = release.and_then(loose_end);
        Some(end.unwrap_or_else(|| format!("{doubtful} ended without proof")))
    })
}

/// What is to be said of a release that goes on, by what is known of whoever holds it.
#[must_use]
pub fn under_way(running: &Release, holder: &Liveness) -> String {
    let (id, version) = (&running.id, &running.begun.version);
    let since = running.begun_at.strftime("%Y-%m-%d %H:%M:%S UTC");
    match holder {
        Liveness::Dead(how) => {
            format!(
                "{id} began to release {version} at {since} and was cut off: {how}; the next run takes it over"
            )
        }
        Liveness::Alive | Liveness::Unknown => {
            format!(
                "{id} releases {version} since {since}, held by {}",
                running.begun.holder
            )
        }
    }
}

/// How a release ended that neither proved what was asked nor rejected it.
#[must_use]
pub fn loose_end(release: &Release) -> Option<String> {
    let id = &release.id;
    match &release.end.as_ref()?.how {
        Ending::Finished(finished) if finished.outcome == EndWord::Succeeded => None,
        Ending::Finished(finished) => Some(match finished.reason.first() {
            Some(reason) => format!("{id} ended {}: {reason}", finished.outcome),
            None => format!("{id} ended {}", finished.outcome),
        }),
        Ending::Abandoned(abandoned) => Some(format!("{id} was given up: {}", abandoned.reason)),
    }
}

fn carried(environment: &EnvironmentName, accepted: &Accepted) -> Option<Carried> {
    Some(Carried {
        environment: environment.clone(),
        commit: accepted.commit.clone(),
        content: accepted.blob.clone()?,
        person: accepted.by.clone()?,
        proof: accepted.grade.as_deref()?.parse::<Proof>().ok()?,
    })
}

/// The last accepted decisions of one service in the environments below, nearest first.
#[must_use]
pub fn accepted_below(
    below: &[(EnvironmentName, std::sync::Arc<Monitor>)],
    service: &ServiceName,
) -> Vec<(EnvironmentName, Accepted)> {
    below
        .iter()
        .filter_map(|(environment, monitor)| {
            Some((
                environment.clone(),
                monitor.services.get(service)?.accepted.clone()?,
            ))
        })
        .collect()
}
