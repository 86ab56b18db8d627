use std::cell::RefCell;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use pilotage_name::CommitId;
use tokio::time::Instant;

use crate::operation::{Operation, Server};
use crate::repository::commit_id;
use crate::{Error, Listing, RefName, RefPattern, Remote, Repository, fetch, transport};

/// One ref to be moved, and only from where it is believed to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefUpdate {
    /// The ref.
    pub name: RefName,
    /// Where it must be now; `None`: it must not exist.
    pub expected: Option<CommitId>,
    /// Where it goes. Must descend from `expected`: nothing is ever rewritten.
    pub new: CommitId,
}

/// What became of one [`RefUpdate`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UpdateResult {
    /// The ref went from `expected` to `new`, now or by an earlier try whose reply was lost.
    Done,
    /// Somebody else was first: the ref is elsewhere. Nothing of this update happened.
    Moved {
        /// Where the ref is; `None`: it does not exist (any more).
        actual: Option<CommitId>,
    },
    /// The server said no, in its own words (hostile text). Nothing of this update happened.
    Refused(String),
    /// The reply was lost and the ref could not be read again: it may have happened or may yet happen.
    Unknown(String),
}

/// Refuses what must not be tried: a ref twice, objects that are not here, a rewrite.
pub(crate) fn check(from: &Repository, updates: &[RefUpdate]) -> Result<(), Error> {
    let mut seen = HashSet::new();
    for update in updates {
        if !seen.insert(&update.name) {
            return Err(Error::Twice {
                name: update.name.clone(),
            });
        }
        from.find_commit(&update.new)?;
        if let Some(expected) = &update.expected
            && !from.is_ancestor(expected, &update.new)?
        {
            return Err(Error::NotFastForward {
                name: update.name.clone(),
                expected: expected.clone(),
                new: update.new.clone(),
            });
        }
    }
    Ok(())
}

/// How often a push is sent again when its reply was lost and the refs show that nothing happened.
const TRIES: usize = 3;

/// One push over a network, until every update has its result.
pub(crate) struct Push<'a> {
    remote: &'a Remote,
    server: &'a Server,
    from: &'a Repository,
    updates: &'a [RefUpdate],
    results: Vec<Option<UpdateResult>>,
}

/// What one exchange with the server gave.
enum Sent {
    /// The server has refs elsewhere than expected: its values are here, and nothing was sent.
    Differs(HashMap<String, Option<CommitId>>),
    /// The server's word per ref: `None` is yes.
    Told(HashMap<String, Option<String>>),
}

impl<'a> Push<'a> {
    pub(crate) fn new(
        remote: &'a Remote,
        server: &'a Server,
        from: &'a Repository,
        updates: &'a [RefUpdate],
    ) -> Self {
        Self {
            remote,
            server,
            from,
            updates,
            results: vec![None; updates.len()],
        }
    }

    pub(crate) fn run(mut self) -> Result<Vec<UpdateResult>, Error> {
        let end = Instant::now() + self.remote.limits().operation;
        let mut lost: Option<Error> = None;
        let mut tries = 0;
        while self.results.iter().any(Option::is_none) {
            let operation = Operation::start(self.server, end.saturating_duration_since(Instant::now()));
            match self.send(&operation) {
                Ok(Sent::Differs(actual)) => self.sort_out(&actual, lost.is_some())?,
                Ok(Sent::Told(words)) => self.hear(&words)?,
                Err(error) if !operation.told() => {
                    // This try changed nothing; an earlier one may have.
                    let Some(before) = &lost else { return Err(error) };
                    self.give_up(&format!("{before}; then {error}"));
                }
                Err(error) if is_answer(&error) => return Err(error),
                Err(error) => {
                    tries += 1;
                    self.settle(&error);
                    if tries >= TRIES {
                        self.give_up(&format!("the reply was lost {tries} times: {error}"));
                    }
                    lost = Some(error);
                }
            }
        }
        Ok(self.results.into_iter().flatten().collect())
    }

    /// Updates without a result yet.
    fn pending(&self) -> Vec<(usize, &'a RefUpdate)> {
        let open = |(index, _): &(usize, &RefUpdate)| self.results[*index].is_none();
        self.updates.iter().enumerate().filter(open).collect()
    }

    fn give_up(&mut self, why: &str) {
        for result in self.results.iter_mut().filter(|result| result.is_none()) {
            *result = Some(UpdateResult::Unknown(why.to_owned()));
        }
    }

    fn send(&self, operation: &Arc<Operation>) -> Result<Sent, Error> {
        let pending = self.pending();
        // Forced, because libgit2's own check would look at its own idea of the remote; ours was `check`, and the
        // server compares with the value that the negotiation below has seen.
        let refspecs: Vec<String> = pending
            .iter()
            .map(|(_, update)| format!("+{}:{}", update.new, update.name))
            .collect();
        let expected: HashMap<&str, &RefUpdate> = pending
            .iter()
            .map(|(_, update)| (update.name.as_str(), *update))
            .collect();
        let differs: RefCell<HashMap<String, Option<CommitId>>> = RefCell::default();
        let words: RefCell<HashMap<String, Option<String>>> = RefCell::default();

        let mut callbacks = git2::RemoteCallbacks::new();
        callbacks.push_negotiation(|proposed| {
            for update in proposed {
                let name = String::from_utf8_lossy(update.dst_refname_bytes()).into_owned();
                let actual = (!update.src().is_zero()).then(|| commit_id(update.src()));
                if expected
                    .get(name.as_str())
                    .is_none_or(|wanted| wanted.expected != actual)
                {
                    differs.borrow_mut().insert(name, actual);
                }
            }
            if differs.borrow().is_empty() {
                Ok(())
            } else {
                Err(git2::Error::from_str("a ref is elsewhere than expected"))
            }
        });
        callbacks.push_update_reference(|name, status| {
            words
                .borrow_mut()
                .insert(name.to_owned(), status.map(str::to_owned));
            Ok(())
        });
        callbacks.push_transfer_progress(|_, _, _| {});
        let mut options = git2::PushOptions::new();
        options.remote_callbacks(callbacks);
        let pushed = transport::over(operation, || {
            let mut remote = self.from.git.remote_anonymous(&operation.transport_url())?;
            remote.push(&refspecs, Some(&mut options))
        });
        drop(options);
        let differs = differs.into_inner();
        if !differs.is_empty() {
            return Ok(Sent::Differs(differs));
        }
        match pushed {
            Ok(()) => Ok(Sent::Told(words.into_inner())),
            Err(error) => Err(operation.failed("push", error)),
        }
    }

    /// Gives a result to every ref that the server has elsewhere.
    fn sort_out(
        &mut self,
        actual: &HashMap<String, Option<CommitId>>,
        after_loss: bool,
    ) -> Result<(), Error> {
        for (index, update) in self.pending() {
            if let Some(actual) = actual.get(update.name.as_str()) {
                self.results[index] = Some(self.judge(update, actual.as_ref(), after_loss)?);
            }
        }
        Ok(())
    }

    /// What it means that a ref is at `actual` and not where it was expected.
    fn judge(
        &self,
        update: &RefUpdate,
        actual: Option<&CommitId>,
        after_loss: bool,
    ) -> Result<UpdateResult, Error> {
        if actual == Some(&update.new) {
            return Ok(UpdateResult::Done);
        }
        // After a lost reply ours may have been applied, and somebody may have built on it already.
        if after_loss && let Some(actual) = actual {
            match self.builds_on(update, actual) {
                Ok(true) => return Ok(UpdateResult::Done),
                Ok(false) => {}
                Err(error) => {
                    return Ok(UpdateResult::Unknown(format!(
                        "the reply was lost and the ref went on to {}: {error}",
                        actual.short()
                    )));
                }
            }
        }
        Ok(UpdateResult::Moved {
            actual: actual.cloned(),
        })
    }

    fn builds_on(&self, update: &RefUpdate, actual: &CommitId) -> Result<bool, Error> {
        if !self.from.has_commit(actual) {
            let operation = Operation::start(self.server, self.remote.limits().silence);
            let pattern = RefPattern::exact(&update.name);
            fetch::download(&self.from.git, &operation, &[pattern])?;
        }
        self.from.is_ancestor(&update.new, actual)
    }

    /// Takes the server's words. A refusal may be the server's own comparison, which only the ref itself can tell.
    fn hear(&mut self, words: &HashMap<String, Option<String>>) -> Result<(), Error> {
        let mut unclear = Vec::new();
        for (index, update) in self.pending() {
            match words.get(update.name.as_str()) {
                Some(None) => self.results[index] = Some(UpdateResult::Done),
                Some(Some(text)) => unclear.push((index, update, text.clone())),
                None => unclear.push((
                    index,
                    update,
                    "the server did not say what became of it".to_owned(),
                )),
            }
        }
        if unclear.is_empty() {
            return Ok(());
        }
        let refs: Vec<&RefUpdate> = unclear.iter().map(|(_, update, _)| *update).collect();
        let listing = self.read(&refs);
        for (index, update, text) in unclear {
            self.results[index] = Some(match &listing {
                Ok(listing) if listing.get(&update.name) == update.expected.as_ref() => {
                    UpdateResult::Refused(text)
                }
                Ok(listing) => self.judge(update, listing.get(&update.name), false)?,
                Err(_) => UpdateResult::Refused(text),
            });
        }
        Ok(())
    }

    /// After a lost reply: reads the refs and gives a result to those that left the expected place. The others are
    /// tried again, which is safe because the server compares.
    fn settle(&mut self, error: &Error) {
        let pending = self.pending();
        let refs: Vec<&RefUpdate> = pending.iter().map(|(_, update)| *update).collect();
        match self.read(&refs) {
            Ok(listing) => {
                for (index, update) in pending {
                    let actual = listing.get(&update.name);
                    if actual != update.expected.as_ref()
                        && let Ok(result) = self.judge(update, actual, true)
                    {
                        self.results[index] = Some(result);
                    }
                }
            }
            Err(second) => self.give_up(&format!("{error}; reading the refs again: {second}")),
        }
    }

    fn read(&self, updates: &[&RefUpdate]) -> Result<Listing, Error> {
        let patterns: Vec<RefPattern> = updates
            .iter()
            .map(|update| RefPattern::exact(&update.name))
            .collect();
        self.remote.list_within(&patterns, self.remote.limits().silence)
    }
}

/// Whether the server has answered the push as a whole: then nothing of it happened and nothing is unclear.
fn is_answer(error: &Error) -> bool {
    match error {
        Error::Auth { .. } | Error::Denied { .. } | Error::NoRepository { .. } | Error::Refused { .. } => {
            true
        }
        Error::Status { status, .. } => *status < 500,
        _ => false,
    }
}
