//! What a lease allows: to go on with a release and to end it, as long as it is the newest.

use jiff::Timestamp;
use pilotage_gitrepo::{RefName, RefUpdate};
use pilotage_name::{CommitId, EnvironmentName, ReleaseId, ServiceName};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::chain::ReleaseChain;
use super::event::{Abandoned, Affirmed, Event, Finished, Undone, What};
use super::state::Ending;
use crate::error::LedgerError;
use crate::ledger::{Ledger, TRIES};
use crate::place;
use crate::text::one_line;

/// The right to run one release. Plain data, so that it can wait in a plan directory between two processes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Lease {
    /// The release; its number is the fence.
    pub release: ReleaseId,
    /// The chain's newest commit when the lease was given or last used.
    pub tip: CommitId,
    /// After this time another one may take the release over.
    #[schemars(with = "String", extend("format" = "date-time"))]
    pub expires: Timestamp,
}

/// The answer to a write under a lease.
#[derive(Clone, Debug, PartialEq)]
pub enum Append {
    /// It is written; go on with this lease.
    Done(Lease),
    /// The release had been finished already, as it stands here: an earlier try whose reply was lost.
    Already(Box<Finished>),
    /// Something that counts was written since; nothing of this was.
    Lost {
        /// Who or what came in between.
        by: String,
    },
}

/// Whether a lease still holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It does.
    Holds,
    /// It does not: no effect may follow.
    Lost {
        /// Who or what came in between.
        by: String,
    },
}

/// The answer to [`Ledger::abandon`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Abandon {
    /// This release was given up.
    Done(ReleaseId),
    /// No such release runs.
    NotRunning {
        /// What runs instead.
        running: Option<ReleaseId>,
    },
}

impl Ledger {
    /// Whether a lease still holds, read anew: to be asked before each effect.
    ///
    /// # Errors
    /// The repository could not be asked. That is no leave to go on.
    pub fn verify(&mut self, lease: &Lease) -> Result<Standing, LedgerError> {
        let (environment, service) = (&lease.release.environment, &lease.release.service);
        let chain = self.release(environment, service)?;
        self.refuse_unbelieved(&place::release(environment, service)?, &chain)?;
        let runs = chain
            .state()
            .running
            .as_ref()
            .is_some_and(|running| running.id == lease.release);
        // A later process of the same release may have written since, so the lease's commit need not be the newest.
        if runs && chain.entries.iter().rev().any(|entry| entry.commit == lease.tip) {
            Ok(Standing::Holds)
        } else {
            Ok(Standing::Lost {
                by: lost_to(&chain, lease),
            })
        }
    }

    /// Ends a release.
    ///
    /// # Errors
    /// The repository could not be asked or told.
    pub fn finish(&mut self, lease: &Lease, finished: Finished) -> Result<Append, LedgerError> {
        self.append(lease, What::Finished(Box::new(finished)))
    }

    /// Notes that a release has switched back; it still runs until it is finished.
    ///
    /// # Errors
    /// The repository could not be asked or told.
    pub fn undone(&mut self, lease: &Lease, undone: Undone) -> Result<Append, LedgerError> {
        self.append(lease, What::Undone(undone))
    }

    fn append(&mut self, lease: &Lease, what: What) -> Result<Append, LedgerError> {
        let (environment, service) = (&lease.release.environment, &lease.release.service);
        let name = place::release(environment, service)?;
        let event = Event {
            release: lease.release.clone(),
            at: self.clock.now(),
            what,
        };
        let chain = self.release(environment, service)?;
        if is_newest(&chain, lease) {
            self.refuse_unbelieved(&name, &chain)?;
            let new = self.write_event(chain.tip.as_ref(), &event)?;
            let update = RefUpdate {
                name,
                expected: chain.tip.clone(),
                new: new.clone(),
            };
            if self.swap_one(update)? {
                return Ok(Append::Done(Lease {
                    tip: new,
                    ..lease.clone()
                }));
            }
        }
        let chain = self.release(environment, service)?;
        Ok(match already(&chain, lease, &event.what) {
            Some(finished) => Append::Already(finished),
            None => Append::Lost {
                by: lost_to(&chain, lease),
            },
        })
    }

    /// Gives up a release that somebody else holds, and says why. Without an id, whichever runs.
    ///
    /// # Errors
    /// The repository could not be asked or told.
    pub fn abandon(
        &mut self,
        environment: &EnvironmentName,
        service: &ServiceName,
        release: Option<&ReleaseId>,
        by: &str,
        reason: &str,
    ) -> Result<Abandon, LedgerError> {
        let name = place::release(environment, service)?;
        for _ in 0..TRIES {
            let chain = self.release(environment, service)?;
            self.refuse_unbelieved(&name, &chain)?;
            let running = chain.state().running.as_ref().map(|running| running.id.clone());
            let Some(id) = running
                .clone()
                .filter(|id| release.is_none_or(|wanted| wanted == id))
            else {
                return Ok(Abandon::NotRunning { running });
            };
            let what = What::Abandoned(Abandoned {
                by: by.to_owned(),
                reason: reason.to_owned(),
                takeover: false,
            });
            if self.add(
                &name,
                &chain,
                Event {
                    release: id.clone(),
                    at: self.clock.now(),
                    what,
                },
            )? {
                return Ok(Abandon::Done(id));
            }
        }
        Err(LedgerError::Contended { name, tries: TRIES })
    }

    /// Lets a chain go on whose newest events are not believed; they go on counting for nothing but the fence.
    /// Needs a signing key whose signature is believed, or the chain stays where it is. Tells whether it was needed.
    ///
    /// # Errors
    /// The repository could not be asked or told.
    pub fn affirm(
        &mut self,
        environment: &EnvironmentName,
        service: &ServiceName,
        by: &str,
        reason: &str,
    ) -> Result<bool, LedgerError> {
        let name = place::release(environment, service)?;
        for _ in 0..TRIES {
            let chain = self.release(environment, service)?;
            if chain.entries.last().is_none_or(|entry| entry.doubt.is_none()) {
                return Ok(false);
            }
            let what = What::Affirmed(Affirmed {
                by: by.to_owned(),
                reason: reason.to_owned(),
            });
            if self.add(
                &name,
                &chain,
                Event {
                    release: chain.state().newest(),
                    at: self.clock.now(),
                    what,
                },
            )? {
                let chain = self.known_release(environment, service)?;
                return self.refuse_unbelieved(&name, &chain).map(|()| true);
            }
        }
        Err(LedgerError::Contended { name, tries: TRIES })
    }

    fn add(&mut self, name: &RefName, chain: &ReleaseChain, event: Event) -> Result<bool, LedgerError> {
        let new = self.write_event(chain.tip.as_ref(), &event)?;
        self.swap_one(RefUpdate {
            name: name.clone(),
            expected: chain.tip.clone(),
            new,
        })
    }
}

/// Whether a lease's release runs and nothing that counts was written since. What nobody believes, and a person's word
/// that it does not count, take nothing away from the holder.
fn is_newest(chain: &ReleaseChain, lease: &Lease) -> bool {
    let runs = chain
        .state()
        .running
        .as_ref()
        .is_some_and(|running| running.id == lease.release);
    let newest = chain.entries.iter().rev().find(|entry| {
        let affirmed = matches!(
            entry.event.as_ref().map(|event| &event.what),
            Some(What::Affirmed(_))
        );
        entry.doubt.is_none() && !affirmed
    });
    runs && newest.is_some_and(|entry| entry.commit == lease.tip)
}

/// The end of this lease's release, when that is what was to be written.
fn already(chain: &ReleaseChain, lease: &Lease, what: &What) -> Option<Box<Finished>> {
    if !matches!(what, What::Finished(_)) {
        return None;
    }
    let release = chain
        .state()
        .history
        .iter()
        .rev()
        .find(|release| release.id == lease.release)?;
    match &release.end.as_ref()?.how {
        Ending::Finished(finished) => Some(finished.clone()),
        Ending::Abandoned(_) => None,
    }
}

/// Who or what came after a lease, in words.
fn lost_to(chain: &ReleaseChain, lease: &Lease) -> String {
    let state = chain.state();
    if let Some(running) = &state.running {
        let begun = &running.begun;
        return if running.id == lease.release {
            format!("a later write of {} by {}", running.id, begun.holder)
        } else {
            format!(
                "{}, begun by {} at {}",
                running.id, begun.holder, running.begun_at
            )
        };
    }
    let ours = state
        .history
        .iter()
        .rev()
        .find(|release| release.id == lease.release);
    match ours.and_then(|release| release.end.as_ref()) {
        Some(end) => match &end.how {
            Ending::Finished(finished) => format!("its own end: {} at {}", finished.outcome, end.at),
            Ending::Abandoned(abandoned) => {
                format!(
                    "{}, who gave it up at {}: {}",
                    one_line(&abandoned.by),
                    end.at,
                    one_line(&abandoned.reason)
                )
            }
        },
        None if chain.tip.is_none() => "the chain was deleted".to_owned(),
        None => "a chain that does not know this release".to_owned(),
    }
}
