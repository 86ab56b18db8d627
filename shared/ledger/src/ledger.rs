//! The ledger as a whole: where it is, whose signatures count, and what of it is known here.

use std::collections::HashMap;
use std::sync::Arc;

use jiff::Timestamp;
use pilotage_clock::Clock;
use pilotage_gitrepo::{
    Cache, CommitInfo, Edit, Listing, NewCommit, Person, RefName, RefUpdate, Remote, SignatureVerdict,
    SigningKey, TrustedKeys, UpdateResult,
};
use pilotage_name::{CommitId, EnvironmentName};

use crate::error::LedgerError;
use crate::holder::Machine;
use crate::monitor::chain::Monitor;
use crate::place;
use crate::release::chain::ReleaseChain;
use crate::text::one_line;

/// How often a write is tried again when others were first.
pub(crate) const TRIES: u32 = 8;

/// How many refs are moved in one push. A first event takes about a kilobyte, and many front ends of git servers refuse
/// a request of more than a megabyte (nginx does by default).
const MOST_AT_ONCE: usize = 500;

/// The record of decisions and releases of one project, in the environment repository or in one of its own.
///
/// All calls block on disk and network. Reading starts with one listing; what is known already is not fetched again.
pub struct Ledger {
    pub(crate) remote: Remote,
    pub(crate) cache: Cache,
    pub(crate) clock: Clock,
    pub(crate) machine: Arc<dyn Machine>,
    writer: Writer,
    sign: Option<SigningKey>,
    believe: Option<TrustedKeys>,
    /// Where the refs stand, as far as this process has seen; `None`: there is no such ref.
    tips: HashMap<RefName, Option<CommitId>>,
    pub(crate) chains: HashMap<RefName, Arc<ReleaseChain>>,
    pub(crate) monitors: HashMap<RefName, Arc<Monitor>>,
}

/// Who stands in the commits of the ledger as author and committer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Writer {
    /// The name.
    pub name: String,
    /// The e-mail address.
    pub email: String,
}

impl Default for Writer {
    fn default() -> Self {
        Self {
            name: "Pilotage".to_owned(),
            email: "pilotage@localhost".to_owned(),
        }
    }
}

impl std::fmt::Debug for Ledger {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Ledger")
            .field("remote", self.remote.url())
            .finish_non_exhaustive()
    }
}

/// What became of a compare-and-swap.
pub(crate) enum Swap {
    Done,
    Moved,
    Failed(LedgerError),
    Unsettled(LedgerError),
}

impl Ledger {
    /// The ledger kept in `remote`, read through `cache`.
    #[must_use]
    pub fn open(remote: Remote, cache: Cache, clock: Clock, machine: Arc<dyn Machine>) -> Self {
        Self {
            remote,
            cache,
            clock,
            machine,
            writer: Writer::default(),
            sign: None,
            believe: None,
            tips: HashMap::new(),
            chains: HashMap::new(),
            monitors: HashMap::new(),
        }
    }

    /// Names another author for what is written from now on.
    #[must_use]
    pub fn writing_as(mut self, writer: Writer) -> Self {
        self.writer = writer;
        self
    }

    /// Signs what is written from now on.
    #[must_use]
    pub fn signing_with(mut self, key: SigningKey) -> Self {
        self.sign = Some(key);
        self
    }

    /// Believes only what one of these keys has signed. A key must stay listed as long as what it signed is to count.
    #[must_use]
    pub fn believing(mut self, keys: TrustedKeys) -> Self {
        self.believe = Some(keys);
        self.chains.clear();
        self.monitors.clear();
        self
    }

    /// The patterns of everything the ledger holds of these environments, for a listing that asks for more than that.
    #[must_use]
    pub fn patterns(environments: &[EnvironmentName]) -> Vec<String> {
        environments
            .iter()
            .flat_map(|environment| {
                [
                    place::releases(environment),
                    format!("refs/pilotage/monitor/{environment}"),
                ]
            })
            .collect()
    }

    /// Asks where everything of these environments stands and fetches what is new: one listing, at most one fetch.
    ///
    /// # Errors
    /// The repository could not be asked.
    pub fn refresh(&mut self, environments: &[EnvironmentName]) -> Result<(), LedgerError> {
        self.refresh_patterns(&Self::patterns(environments))
    }

    /// The same for a listing made before, which asked at least for [`Ledger::patterns`]; no request when nothing moved.
    ///
    /// # Errors
    /// What moved could not be fetched.
    pub fn refresh_listed(&mut self, listing: &Listing) -> Result<(), LedgerError> {
        let fetched = self.cache.fetch_listed(&self.remote, listing)?;
        // The listing may hold branches too, whose history is another one's concern.
        for moved in fetched.moved.iter().filter(|moved| place::is_chain(&moved.name)) {
            if let Some(old) = &moved.old
                && matches!(self.cache.is_ancestor(old, &moved.new), Ok(false))
            {
                tracing::warn!(name = %moved.name, old = %old, new = %moved.new, "a chain of the ledger was rewritten");
            }
        }
        for vanished in fetched
            .vanished
            .iter()
            .filter(|vanished| place::is_chain(&vanished.name))
        {
            tracing::warn!(name = %vanished.name, old = %vanished.old, "a chain of the ledger was deleted");
        }
        // What had to be fetched may have moved on since it was listed.
        let listing = fetched.listing;
        for (name, tip) in &mut self.tips {
            if listing
                .patterns
                .iter()
                .any(|pattern| pattern.matches(name.as_str()))
            {
                *tip = None;
            }
        }
        self.tips
            .extend(listing.refs.into_iter().map(|(name, tip)| (name, Some(tip))));
        Ok(())
    }

    pub(crate) fn refresh_patterns(&mut self, patterns: &[String]) -> Result<(), LedgerError> {
        let patterns: Vec<&str> = patterns.iter().map(String::as_str).collect();
        let listing = self.remote.list_or_empty(&patterns)?;
        self.refresh_listed(&listing)
    }

    pub(crate) fn refresh_names(&mut self, names: &[&RefName]) -> Result<(), LedgerError> {
        let patterns: Vec<String> = names.iter().map(|name| name.as_str().to_owned()).collect();
        self.refresh_patterns(&patterns)
    }

    /// Where a ref stands, as far as it is known here.
    pub(crate) fn tip(&self, name: &RefName) -> Result<Option<CommitId>, LedgerError> {
        match self.tips.get(name) {
            Some(tip) => Ok(tip.clone()),
            None => Ok(self.cache.tip(name)?),
        }
    }

    /// Where the refs that the pattern means stand, as far as it is known here.
    pub(crate) fn tips(&self, pattern: &str) -> Result<Vec<(RefName, CommitId)>, LedgerError> {
        let mut known = self.cache.refs(&[pattern])?.refs;
        for (name, tip) in self
            .tips
            .iter()
            .filter(|(name, _)| name.as_str().starts_with(pattern))
        {
            match tip {
                Some(tip) => known.insert(name.clone(), tip.clone()),
                None => known.remove(name),
            };
        }
        Ok(known.into_iter().collect())
    }

    /// The keys whose signatures count, as they were given; none where none are asked for.
    pub(crate) fn believed(&self) -> Option<&[String]> {
        self.believe.as_ref().map(TrustedKeys::texts)
    }

    /// Why a commit is not believed; `None`: it is.
    pub(crate) fn doubt(&self, commit: &CommitInfo) -> Result<Option<String>, pilotage_gitrepo::Error> {
        let Some(keys) = &self.believe else {
            return Ok(None);
        };
        // The record must stay readable when a key has run out since, so the time of writing counts.
        Ok(
            match self
                .cache
                .verify_signature(&commit.id, keys, commit.committer.when)?
            {
                SignatureVerdict::Good { .. } => None,
                SignatureVerdict::UnknownKey { fingerprint } => Some(format!(
                    "it is signed by {}, which is no key of the ledger",
                    one_line(&fingerprint)
                )),
                SignatureVerdict::Bad(why) => {
                    Some(format!("its signature proves nothing: {}", one_line(&why)))
                }
                SignatureVerdict::None => Some("it is not signed".to_owned()),
            },
        )
    }

    /// Writes one commit of a chain into the cache, with the files of `base` and the edits; nothing moves yet.
    pub(crate) fn write_on(
        &self,
        base: Option<&CommitId>,
        parent: Option<&CommitId>,
        edits: &[Edit],
        message: &str,
        when: Timestamp,
    ) -> Result<CommitId, LedgerError> {
        let person = Person {
            name: self.writer.name.clone(),
            email: self.writer.email.clone(),
            when,
            offset_minutes: 0,
        };
        let parents: Vec<CommitId> = parent.into_iter().cloned().collect();
        Ok(self.cache.write_commit(&NewCommit {
            base,
            edits,
            parents: &parents,
            author: &person,
            committer: &person,
            message,
            sign: self.sign.as_ref(),
        })?)
    }

    /// Moves refs, each by compare-and-swap, in one push, or in several where they are very many.
    ///
    /// # Errors
    /// None of them was moved.
    pub(crate) fn swap(&mut self, updates: &[RefUpdate]) -> Result<Vec<Swap>, LedgerError> {
        let mut swaps = Vec::with_capacity(updates.len());
        for some in updates.chunks(MOST_AT_ONCE) {
            match self.remote.push(&self.cache, some) {
                Ok(results) => {
                    let pairs = some.iter().zip(results);
                    swaps.extend(pairs.map(|(update, result)| self.swapped(update, result)));
                }
                Err(error) if swaps.is_empty() => return Err(error.into()),
                // Others were moved, and that must be told; nothing more is sent to where nothing arrives.
                Err(error) => {
                    let text = one_line(&error.to_string());
                    let rest = updates[swaps.len()..].iter();
                    swaps.extend(rest.map(|update| {
                        Swap::Unsettled(LedgerError::Unsettled {
                            name: update.name.clone(),
                            text: text.clone(),
                        })
                    }));
                    break;
                }
            }
        }
        Ok(swaps)
    }

    fn swapped(&mut self, update: &RefUpdate, result: UpdateResult) -> Swap {
        match result {
            UpdateResult::Done => {
                self.tips.insert(update.name.clone(), Some(update.new.clone()));
                Swap::Done
            }
            UpdateResult::Moved { .. } => Swap::Moved,
            UpdateResult::Refused(text) => Swap::Failed(LedgerError::Refused {
                name: update.name.clone(),
                text: one_line(&text),
            }),
            UpdateResult::Unknown(text) => Swap::Unsettled(LedgerError::Unsettled {
                name: update.name.clone(),
                text: one_line(&text),
            }),
        }
    }

    /// The same for one ref: whether it moved. `false`: somebody else was first.
    pub(crate) fn swap_one(&mut self, update: RefUpdate) -> Result<bool, LedgerError> {
        match self.swap(&[update])?.into_iter().next() {
            Some(Swap::Done) => Ok(true),
            Some(Swap::Moved) | None => Ok(false),
            Some(Swap::Failed(error) | Swap::Unsettled(error)) => Err(error),
        }
    }
}
