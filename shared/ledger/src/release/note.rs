//! What is noted of services while nothing runs: that they run already, or that a version is not to run.

use std::collections::HashSet;

use pilotage_gitrepo::{RefName, RefUpdate};
use pilotage_name::{CommitId, EnvironmentName, ReleaseId, ServiceName};

use super::chain::ReleaseChain;
use super::event::{Adopted, Event, Rejected, What};
use crate::error::LedgerError;
use crate::holder::Holder;
use crate::ledger::{Ledger, Swap, TRIES};
use crate::place;
use crate::text::one_line;

/// Something to be noted while nothing runs.
#[derive(Clone, Debug, PartialEq)]
pub enum Note {
    /// What runs was taken over as it is.
    Adopted(Adopted),
    /// A version is not to run here.
    Rejected(Rejected),
}

/// The answer to [`Ledger::note`].
#[derive(Clone, Debug, PartialEq)]
pub enum Noted {
    /// It is written, now or by an earlier try.
    Done,
    /// A release runs; end or abandon it first.
    HeldBy {
        /// The release.
        release: ReleaseId,
        /// Its holder.
        holder: Holder,
    },
}

/// What the chain allows, before the swap.
enum Allowed {
    Write(RefUpdate),
    Answer(Noted),
}

/// One note on its way.
#[derive(Default)]
struct Way {
    answer: Option<Result<Noted, LedgerError>>,
    /// What was sent last without an answer that settles it.
    sent: Option<(CommitId, LedgerError)>,
}

impl Way {
    /// Whether nothing has happened for it yet.
    fn is_untried(&self) -> bool {
        self.answer.is_none() && self.sent.is_none()
    }
}

impl Ledger {
    /// Writes down an adoption or a rejection while nothing runs.
    ///
    /// # Errors
    /// The repository could not be asked or told.
    pub fn note(
        &mut self,
        environment: &EnvironmentName,
        service: &ServiceName,
        note: &Note,
    ) -> Result<Noted, LedgerError> {
        let answers = self.note_all(environment, &[(service.clone(), note.clone())])?;
        answers.into_iter().next().unwrap_or(Ok(Noted::Done))
    }

    /// The same for many services of an environment, each by compare-and-swap and independently of the others, in one
    /// listing and one push. An adoption that stands in its chain already is not written twice, so whoever was
    /// interrupted may simply ask again.
    ///
    /// # Errors
    /// The repository could not be asked at all. What concerns one service only is that one's answer.
    pub fn note_all(
        &mut self,
        environment: &EnvironmentName,
        notes: &[(ServiceName, Note)],
    ) -> Result<Vec<Result<Noted, LedgerError>>, LedgerError> {
        let mut ways: Vec<Way> = notes.iter().map(|_| Way::default()).collect();
        let mut names = Vec::with_capacity(notes.len());
        let mut seen = HashSet::new();
        for (way, (service, _)) in ways.iter_mut().zip(notes) {
            let name = place::release(environment, service)?;
            if !seen.insert(name.clone()) {
                way.answer = Some(Err(LedgerError::Twice { name: name.clone() }));
            }
            names.push(name);
        }
        for _ in 0..TRIES {
            let open: Vec<usize> = (0..notes.len())
                .filter(|index| ways[*index].answer.is_none())
                .collect();
            let read = match open.as_slice() {
                [] => break,
                [one] => self.refresh_names(&[&names[*one]]),
                _ => self.refresh_patterns(&[place::releases(environment)]),
            };
            match read {
                Ok(()) => {}
                Err(error) if ways.iter().all(Way::is_untried) => return Err(error),
                // What was answered before stays answered.
                Err(error) => {
                    for index in open {
                        ways[index].answer = Some(Err(LedgerError::Unsettled {
                            name: names[index].clone(),
                            text: one_line(&error.to_string()),
                        }));
                    }
                    break;
                }
            }
            let mut writes = Vec::new();
            for index in open {
                let (service, note) = &notes[index];
                let sent = ways[index].sent.as_ref().map(|(commit, _)| commit);
                match self.may_note(environment, service, &names[index], note, sent) {
                    Ok(Allowed::Write(update)) => writes.push((index, update)),
                    Ok(Allowed::Answer(noted)) => ways[index].answer = Some(Ok(noted)),
                    Err(error) => ways[index].answer = Some(Err(error)),
                }
            }
            let updates: Vec<RefUpdate> = writes.iter().map(|(_, update)| update.clone()).collect();
            let swaps = match self.swap(&updates) {
                Ok(swaps) => swaps,
                Err(error) if ways.iter().all(Way::is_untried) => return Err(error),
                Err(error) => {
                    for (index, update) in writes {
                        ways[index].answer = Some(Err(LedgerError::Unsettled {
                            name: update.name,
                            text: one_line(&error.to_string()),
                        }));
                    }
                    break;
                }
            };
            for ((index, update), swap) in writes.into_iter().zip(swaps) {
                match swap {
                    Swap::Done => ways[index].answer = Some(Ok(Noted::Done)),
                    Swap::Failed(error) => ways[index].answer = Some(Err(error)),
                    Swap::Moved => {}
                    Swap::Unsettled(error) => ways[index].sent = Some((update.new, error)),
                }
            }
        }
        let answered = ways.into_iter().zip(names).map(|(way, name)| {
            let unsettled = way.sent.map(|(_, error)| error);
            way.answer
                .unwrap_or_else(|| Err(unsettled.unwrap_or(LedgerError::Contended { name, tries: TRIES })))
        });
        Ok(answered.collect())
    }

    fn may_note(
        &mut self,
        environment: &EnvironmentName,
        service: &ServiceName,
        name: &RefName,
        note: &Note,
        sent: Option<&CommitId>,
    ) -> Result<Allowed, LedgerError> {
        let chain = self.known_release(environment, service)?;
        if stands(&chain, note, sent) {
            return Ok(Allowed::Answer(Noted::Done));
        }
        self.refuse_unbelieved(name, &chain)?;
        let state = chain.state();
        if let Some(running) = &state.running {
            return Ok(Allowed::Answer(Noted::HeldBy {
                release: running.id.clone(),
                holder: running.begun.holder.clone(),
            }));
        }
        let what = match note {
            Note::Adopted(adopted) => What::Adopted(Box::new(adopted.clone())),
            Note::Rejected(rejected) => What::Rejected(rejected.clone()),
        };
        let event = Event {
            release: state.newest(),
            at: self.clock.now(),
            what,
        };
        let new = self.write_event(chain.tip.as_ref(), &event)?;
        Ok(Allowed::Write(RefUpdate {
            name: name.clone(),
            expected: chain.tip.clone(),
            new,
        }))
    }
}

/// Whether this note is the last word of the chain already, or what was sent for it came in after all.
fn stands(chain: &ReleaseChain, note: &Note, sent: Option<&CommitId>) -> bool {
    if sent.is_some_and(|sent| chain.entries.iter().any(|entry| entry.commit == *sent)) {
        return true;
    }
    let Note::Adopted(adopted) = note else {
        return false;
    };
    let newest = chain.entries.last().filter(|entry| entry.doubt.is_none());
    let event = newest.and_then(|entry| entry.event.as_ref());
    matches!(event.map(|event| &event.what), Some(What::Adopted(there)) if **there == *adopted)
}
