//! Reading a release chain.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use pilotage_gitrepo::{CommitInfo, File, RefName};
use pilotage_name::{CommitId, EnvironmentName, ServiceName};

use super::event::{Event, LARGEST};
use super::kept::{Kept, KeptEvents, WORTH};
use super::state::ReleaseState;
use crate::error::{ChainError, ChainProblem, LedgerError};
use crate::ledger::Ledger;
use crate::place;

/// The file an event stands in.
pub(crate) const EVENT: &str = "event.json";

/// The most commits of a chain that are read; a hostile repository could go on for ever.
const LONGEST: usize = 1_000_000;

/// One release chain, read to its tip.
#[derive(Clone, Debug, PartialEq)]
pub struct ReleaseChain {
    /// The newest commit; nothing while the chain is empty.
    pub tip: Option<CommitId>,
    /// All commits, oldest first.
    pub entries: Vec<Entry>,
    state: ReleaseState,
}

/// One commit of a release chain.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// The commit.
    pub commit: CommitId,
    /// Its event; absent only where a commit that is not believed holds none.
    pub event: Option<Event>,
    /// Why it is not believed; such an event counts for nothing but the fence.
    pub doubt: Option<String>,
}

impl ReleaseChain {
    fn new(environment: &EnvironmentName, service: &ServiceName) -> Self {
        Self {
            tip: None,
            entries: Vec::new(),
            state: ReleaseState::new(environment.clone(), service.clone()),
        }
    }

    /// What the chain says now.
    #[must_use]
    pub fn state(&self) -> &ReleaseState {
        &self.state
    }

    /// What the chain said at a moment, by the clocks of its writers.
    #[must_use]
    pub fn state_at(&self, at: Timestamp) -> ReleaseState {
        let mut state = ReleaseState::new(self.state.environment.clone(), self.state.service.clone());
        let events = self
            .entries
            .iter()
            .filter_map(|entry| Some((entry, entry.event.as_ref()?)));
        for (entry, event) in events.take_while(|(_, event)| event.at <= at) {
            state.apply(&entry.commit, event, entry.doubt.is_none());
        }
        state
    }

    /// The events that are believed, oldest first.
    pub fn events(&self) -> impl DoubleEndedIterator<Item = (&CommitId, &Event)> {
        self.entries
            .iter()
            .filter(|entry| entry.doubt.is_none())
            .filter_map(|entry| Some((&entry.commit, entry.event.as_ref()?)))
    }

    /// The commits that are not believed, with the reason, oldest first.
    pub fn unbelieved(&self) -> impl DoubleEndedIterator<Item = (&CommitId, &str)> {
        self.entries
            .iter()
            .filter_map(|entry| Some((&entry.commit, entry.doubt.as_deref()?)))
    }

    fn push(&mut self, entry: Entry) {
        if let Some(event) = &entry.event {
            self.state.apply(&entry.commit, event, entry.doubt.is_none());
        }
        self.tip = Some(entry.commit.clone());
        self.entries.push(entry);
    }
}

impl Ledger {
    /// The chain of one service as it is now: one listing, and a fetch when it moved.
    ///
    /// # Errors
    /// The repository could not be asked, or the chain holds what no Pilotage writes.
    pub fn release(
        &mut self,
        environment: &EnvironmentName,
        service: &ServiceName,
    ) -> Result<Arc<ReleaseChain>, LedgerError> {
        let name = place::release(environment, service)?;
        self.refresh_names(&[&name])?;
        self.known_release(environment, service)
    }

    /// The chains of all services of an environment as they are now: one listing, at most one fetch. A chain that
    /// cannot be read does not stop the others.
    ///
    /// # Errors
    /// The repository could not be asked.
    pub fn releases(
        &mut self,
        environment: &EnvironmentName,
    ) -> Result<BTreeMap<ServiceName, Result<Arc<ReleaseChain>, LedgerError>>, LedgerError> {
        self.refresh_patterns(&[place::releases(environment)])?;
        self.known_releases(environment)
    }

    /// The chain of one service as of the last refresh or write; asks nobody.
    ///
    /// # Errors
    /// The chain holds what no Pilotage writes.
    pub fn known_release(
        &mut self,
        environment: &EnvironmentName,
        service: &ServiceName,
    ) -> Result<Arc<ReleaseChain>, LedgerError> {
        let name = place::release(environment, service)?;
        let Some(tip) = self.tip(&name)? else {
            self.chains.remove(&name);
            return Ok(Arc::new(ReleaseChain::new(environment, service)));
        };
        let known = self.chains.remove(&name);
        let chain = match known {
            Some(known) if known.tip.as_ref() == Some(&tip) => known,
            known => Arc::new(self.read_chain(&name, environment, service, &tip, known)?),
        };
        self.chains.insert(name, chain.clone());
        Ok(chain)
    }

    /// The chains of all services of an environment as of the last refresh; asks nobody.
    ///
    /// # Errors
    /// The cache could not be read.
    pub fn known_releases(
        &mut self,
        environment: &EnvironmentName,
    ) -> Result<BTreeMap<ServiceName, Result<Arc<ReleaseChain>, LedgerError>>, LedgerError> {
        let mut chains = BTreeMap::new();
        for (name, _) in self.tips(&place::releases(environment))? {
            if let Some(service) = place::service_of(&name, environment) {
                let chain = self.known_release(environment, &service);
                chains.insert(service, chain);
            }
        }
        Ok(chains)
    }

    /// Walks from the tip to what is known already, or to the root, and reads that forwards.
    fn read_chain(
        &self,
        name: &RefName,
        environment: &EnvironmentName,
        service: &ServiceName,
        tip: &CommitId,
        known: Option<Arc<ReleaseChain>>,
    ) -> Result<ReleaseChain, ChainError> {
        let problem = |commit: &CommitId, problem| ChainError {
            name: name.clone(),
            commit: commit.clone(),
            problem,
        };
        let believed = self.believed();
        let file = KeptEvents::of(self.cache.directory(), environment, service, believed);
        let mut kept = match &known {
            // What this process knows already it does not read again.
            Some(_) => None,
            None => Some(file.read().unwrap_or_default()),
        };
        let kept_tip = kept.as_ref().and_then(|kept| kept.tip.clone());
        let mut chain = ReleaseChain::new(environment, service);
        let mut unread: Vec<CommitInfo> = Vec::new();
        let mut next = Some(tip.clone());
        while let Some(commit) = next {
            if let Some(known) = known.as_ref().filter(|known| known.tip.as_ref() == Some(&commit)) {
                chain = (**known).clone();
                break;
            }
            if kept_tip.as_ref() == Some(&commit) {
                break;
            }
            if unread.len() == LONGEST {
                return Err(problem(&commit, ChainProblem::TooLong { most: LONGEST }));
            }
            let info = self
                .cache
                .commit(&commit)
                .map_err(|error| problem(&commit, ChainProblem::Damaged(error)))?;
            next = info.parents.first().cloned();
            unread.push(info);
        }
        // A chain that does not come to what was kept is another one.
        let meets = unread
            .last()
            .is_none_or(|oldest| oldest.parents.first() == kept_tip.as_ref());
        if let Some(kept) = &mut kept {
            match meets {
                true => std::mem::take(&mut kept.entries)
                    .into_iter()
                    .for_each(|entry| chain.push(entry)),
                false => *kept = Kept::default(),
            }
        }
        for info in unread.iter().rev() {
            let (entry, event) = self.read_entry(info).map_err(|what| problem(&info.id, what))?;
            if let Some(kept) = &mut kept {
                kept.push(&entry, event.as_deref());
            }
            chain.push(entry);
        }
        if let Some(kept) = kept.filter(|_| unread.len() >= WORTH) {
            file.write(&kept);
        }
        Ok(chain)
    }

    /// A commit of a chain, and the bytes of its event.
    fn read_entry(&self, info: &CommitInfo) -> Result<(Entry, Option<Vec<u8>>), ChainProblem> {
        let doubt = self.doubt(info).map_err(ChainProblem::Damaged)?;
        let (event, bytes) = match self.read_event(info) {
            Ok((event, bytes)) => (Some(event), Some(bytes)),
            // Whatever an outsider put there must not stop those who can sign.
            Err(_) if doubt.is_some() => (None, None),
            Err(problem) => return Err(problem),
        };
        let entry = Entry {
            commit: info.id.clone(),
            event,
            doubt,
        };
        Ok((entry, bytes))
    }

    fn read_event(&self, info: &CommitInfo) -> Result<(Event, Vec<u8>), ChainProblem> {
        if info.parents.len() > 1 {
            return Err(ChainProblem::Merge);
        }
        let bytes = self.read_file(&info.id, EVENT, LARGEST as u64)?;
        let event = Event::from_json(&bytes).map_err(ChainProblem::Event)?;
        Ok((event, bytes))
    }

    /// A regular file of a commit that must be there.
    pub(crate) fn read_file(
        &self,
        commit: &CommitId,
        path: &str,
        most: u64,
    ) -> Result<Vec<u8>, ChainProblem> {
        let path = || path.to_owned();
        match self
            .cache
            .blob(commit, &path(), most)
            .map_err(ChainProblem::Damaged)?
        {
            File::Blob(blob) => Ok(blob.bytes),
            File::Missing => Err(ChainProblem::Missing { path: path() }),
            File::NotRegular(_) => Err(ChainProblem::NotRegular { path: path() }),
            File::TooLarge { size, most } => Err(ChainProblem::TooLarge {
                path: path(),
                size,
                most,
            }),
        }
    }
}
