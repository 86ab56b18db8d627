//! Beginning releases: who may, and the swap that decides.

use std::collections::HashSet;
use std::time::Duration;

use jiff::Timestamp;
use pilotage_gitrepo::{Edit, RefName, RefUpdate, Repository};
use pilotage_name::{CommitId, ReleaseId, ServiceKey};

use super::chain::{EVENT, ReleaseChain};
use super::event::{Abandoned, Begun, Event, Trigger, TriggerKind, What};
use super::lease::Lease;
use super::message::message;
use super::state::{Rejection, Release, ReleaseState};
use crate::error::LedgerError;
use crate::holder::{Holder, Liveness, liveness};
use crate::ledger::{Ledger, Swap, TRIES};
use crate::place;

/// A release that is to begin.
#[derive(Clone, Debug, PartialEq)]
pub struct BeginRequest {
    /// Project, environment and service.
    pub service: ServiceKey,
    /// The commit to release.
    pub commit: CommitId,
    /// The commit of the config branch.
    pub config_commit: CommitId,
    /// Hash of the policy.
    pub policy: String,
    /// Digest of the resolved descriptor.
    pub descriptor: String,
    /// Hash of the descriptor's normalised intent.
    pub config: String,
    /// Version the descriptor asks for.
    pub version: String,
    /// Digest of the plan, where it is known.
    pub plan: Option<String>,
    /// Why, and for whom.
    pub trigger: Trigger,
    /// Where the accepted decision stands.
    pub decision: Option<String>,
    /// Who will run it.
    pub holder: Holder,
    /// After this time another one may take it over: the plan's deadlines and some more.
    pub lasts: Duration,
    /// Success means that nothing runs any more.
    pub retires: bool,
}

/// The answer to one [`BeginRequest`].
#[derive(Debug)]
pub enum Begin {
    /// It has begun. The same holder asking for the same commit again gets its lease back.
    Begun(Lease),
    /// Another release runs.
    HeldBy {
        /// Its id.
        release: ReleaseId,
        /// Its holder.
        holder: Holder,
        /// What is known of the holder.
        liveness: Liveness,
        /// Since when it runs.
        since: Timestamp,
        /// From when on it may be taken over.
        expires: Timestamp,
    },
    /// A release of a newer commit has begun, ended or been adopted already.
    Superseded {
        /// That release.
        by: ReleaseId,
        /// Its commit.
        commit: CommitId,
    },
    /// Nothing automatic releases this descriptor again: it was rejected, and nobody committed since.
    Rejected(Box<Rejection>),
    /// This one could not be begun; the others are not touched by that.
    Failed(LedgerError),
}

/// What the chain allows, before the swap.
enum Allowed {
    /// Write this commit.
    Write { update: RefUpdate, lease: Lease },
    /// That is the answer.
    Answer(Begin),
}

/// Ancestry in the environment repository, as [`Ledger::begin`] asks for it: a commit that is gone, because its branch
/// was rewritten, is nobody's ancestor.
pub fn ancestry(
    repository: &Repository,
) -> impl FnMut(&CommitId, &CommitId) -> Result<bool, pilotage_gitrepo::Error> {
    |ancestor, commit| match repository.is_ancestor(ancestor, commit) {
        Err(pilotage_gitrepo::Error::NoCommit { .. }) => Ok(false),
        answer => answer,
    }
}

impl Ledger {
    /// Begins releases, each by compare-and-swap and independently of the others, in one push.
    ///
    /// A running release is taken over when its holder is provably gone or its time is over; that stands in the chain
    /// as `abandoned`. `is_ancestor(a, b)` tells whether commit `a` of the environment's branch is `b` or in its
    /// history; [`ancestry`] is that question to a repository.
    ///
    /// # Errors
    /// The repository could not be asked at all. What concerns one service only is that one's answer.
    pub fn begin(
        &mut self,
        requests: &[BeginRequest],
        is_ancestor: &mut dyn FnMut(&CommitId, &CommitId) -> Result<bool, pilotage_gitrepo::Error>,
    ) -> Result<Vec<Begin>, LedgerError> {
        let mut answers: Vec<Option<Begin>> = requests.iter().map(|_| None).collect();
        let mut names = Vec::with_capacity(requests.len());
        let mut seen = HashSet::new();
        for (index, request) in requests.iter().enumerate() {
            let name = place::release(&request.service.environment, &request.service.service)?;
            if !seen.insert(name.clone()) {
                answers[index] = Some(Begin::Failed(LedgerError::Twice { name: name.clone() }));
            }
            names.push(name);
        }
        let mut unsettled: Vec<Option<LedgerError>> = requests.iter().map(|_| None).collect();
        for _ in 0..TRIES {
            let open: Vec<usize> = (0..requests.len())
                .filter(|index| answers[*index].is_none())
                .collect();
            if open.is_empty() {
                break;
            }
            self.refresh_names(&open.iter().map(|index| &names[*index]).collect::<Vec<_>>())?;
            let mut writes = Vec::new();
            for index in open {
                match self.allowed(&requests[index], &names[index], is_ancestor) {
                    Ok(Allowed::Answer(answer)) => answers[index] = Some(answer),
                    Ok(Allowed::Write { update, lease }) => writes.push((index, update, lease)),
                    Err(error) => answers[index] = Some(Begin::Failed(error)),
                }
            }
            let updates: Vec<RefUpdate> = writes.iter().map(|(_, update, _)| update.clone()).collect();
            for ((index, _, lease), swap) in writes.into_iter().zip(self.swap(&updates)?) {
                match swap {
                    Swap::Done => answers[index] = Some(Begin::Begun(lease)),
                    Swap::Failed(error) => answers[index] = Some(Begin::Failed(error)),
                    // The chain is read again; should our own begin stand there, it is recognised by its holder.
                    Swap::Moved => {}
                    Swap::Unsettled(error) => unsettled[index] = Some(error),
                }
            }
        }
        Ok(answers
            .into_iter()
            .zip(names)
            .zip(unsettled)
            .map(|((answer, name), unsettled)| {
                answer.unwrap_or_else(|| {
                    Begin::Failed(unsettled.unwrap_or(LedgerError::Contended { name, tries: TRIES }))
                })
            })
            .collect())
    }

    fn allowed(
        &mut self,
        request: &BeginRequest,
        name: &RefName,
        is_ancestor: &mut dyn FnMut(&CommitId, &CommitId) -> Result<bool, pilotage_gitrepo::Error>,
    ) -> Result<Allowed, LedgerError> {
        let chain = self.known_release(&request.service.environment, &request.service.service)?;
        self.refuse_unbelieved(name, &chain)?;
        let state = chain.state();
        if let Some(theirs) = state
            .project
            .as_ref()
            .filter(|theirs| **theirs != request.service.project)
        {
            return Err(LedgerError::OtherProject {
                name: name.clone(),
                theirs: theirs.clone(),
                ours: request.service.project.clone(),
            });
        }
        if let Some(running) = &state.running
            && running.begun.holder == request.holder
            && running.begun.commit == request.commit
            && let Some(tip) = &chain.tip
        {
            let lease = Lease {
                release: running.id.clone(),
                tip: tip.clone(),
                expires: running.begun.expires,
            };
            return Ok(Allowed::Answer(Begin::Begun(lease)));
        }
        for (by, commit) in newer_candidates(&chain) {
            if *commit != request.commit && is_ancestor(&request.commit, commit)? {
                return Ok(Allowed::Answer(Begin::Superseded {
                    by: by.clone(),
                    commit: commit.clone(),
                }));
            }
        }
        if let Some(rejection) = rejected(state, request, is_ancestor)? {
            return Ok(Allowed::Answer(Begin::Rejected(Box::new(rejection.clone()))));
        }
        let now = self.clock.now();
        let mut tip = chain.tip.clone();
        if let Some(running) = &state.running {
            let reason = match self.takeover_reason(running, now) {
                Ok(reason) => reason,
                Err(liveness) => return Ok(Allowed::Answer(held_by(running, liveness))),
            };
            let what = What::Abandoned(Abandoned {
                by: request.trigger.by.clone(),
                reason,
                takeover: true,
            });
            let event = Event {
                release: running.id.clone(),
                at: now,
                what,
            };
            tip = Some(self.write_event(tip.as_ref(), &event)?);
        }
        let release = state.next();
        let expires = now.saturating_add(request.lasts).unwrap_or(Timestamp::MAX);
        let event = Event {
            release: release.clone(),
            at: now,
            what: What::Begun(Box::new(begun(request, &release, expires))),
        };
        let new = self.write_event(tip.as_ref(), &event)?;
        let update = RefUpdate {
            name: name.clone(),
            expected: chain.tip.clone(),
            new: new.clone(),
        };
        Ok(Allowed::Write {
            update,
            lease: Lease {
                release,
                tip: new,
                expires,
            },
        })
    }

    /// Why a running release may be taken over, or what is known of its holder when it may not.
    fn takeover_reason(&self, running: &Release, now: Timestamp) -> Result<String, Liveness> {
        match liveness(&running.begun.holder, &*self.machine) {
            Liveness::Dead(how) => Ok(how),
            Liveness::Alive | Liveness::Unknown if now >= running.begun.expires => {
                Ok(format!("its time was over at {}", running.begun.expires))
            }
            alive => Err(alive),
        }
    }

    /// Writes the commit of an event; nothing moves yet.
    pub(crate) fn write_event(
        &self,
        parent: Option<&CommitId>,
        event: &Event,
    ) -> Result<CommitId, LedgerError> {
        let json = event.to_json().map_err(LedgerError::Event)?;
        self.write_on(
            None,
            parent,
            &[Edit::write(EVENT, json)],
            &message(event),
            event.at,
        )
    }

    /// Nothing is built on an event that is not believed.
    pub(crate) fn refuse_unbelieved(&self, name: &RefName, chain: &ReleaseChain) -> Result<(), LedgerError> {
        match chain.entries.last() {
            Some(entry) => match &entry.doubt {
                Some(why) => Err(LedgerError::Unbelieved {
                    name: name.clone(),
                    commit: entry.commit.clone(),
                    why: why.clone(),
                }),
                None => Ok(()),
            },
            None => Ok(()),
        }
    }
}

/// The commits a request may be older than: what runs, what ended last, what is proved.
fn newer_candidates(chain: &ReleaseChain) -> impl Iterator<Item = (&ReleaseId, &CommitId)> {
    let state = chain.state();
    let begun = state
        .running
        .iter()
        .chain(state.last())
        .map(|release| (&release.id, &release.begun.commit));
    begun.chain(
        state
            .proved
            .iter()
            .map(|proved| (&proved.release, &proved.commit)),
    )
}

/// The rejection that stands in the way of a machine. A person may release whatever the gates let through; a machine only
/// what somebody brought by a commit that the rejected one did not have.
fn rejected<'a>(
    state: &'a ReleaseState,
    request: &BeginRequest,
    is_ancestor: &mut dyn FnMut(&CommitId, &CommitId) -> Result<bool, pilotage_gitrepo::Error>,
) -> Result<Option<&'a Rejection>, LedgerError> {
    match request.trigger.kind {
        TriggerKind::Hand | TriggerKind::Rollback => return Ok(None),
        TriggerKind::Monitor | TriggerKind::Jenkins | TriggerKind::Other(_) => {}
    }
    for rejection in state.rejections.iter().rev() {
        if rejection.asked.descriptor != request.descriptor {
            continue;
        }
        let brought_since = match &request.trigger.change {
            Some(change) => !is_ancestor(&change.commit, &rejection.asked.commit)?,
            None => false,
        };
        if !brought_since {
            return Ok(Some(rejection));
        }
    }
    Ok(None)
}

fn held_by(running: &Release, liveness: Liveness) -> Begin {
    Begin::HeldBy {
        release: running.id.clone(),
        holder: running.begun.holder.clone(),
        liveness,
        since: running.begun_at,
        expires: running.begun.expires,
    }
}

fn begun(request: &BeginRequest, release: &ReleaseId, expires: Timestamp) -> Begun {
    Begun {
        service: request.service.clone(),
        fence: release.fence,
        commit: request.commit.clone(),
        config_commit: request.config_commit.clone(),
        policy: request.policy.clone(),
        descriptor: request.descriptor.clone(),
        config: request.config.clone(),
        version: request.version.clone(),
        plan: request.plan.clone(),
        trigger: request.trigger.clone(),
        decision: request.decision.clone(),
        holder: request.holder.clone(),
        expires,
        retires: request.retires,
    }
}
