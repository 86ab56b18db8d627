//! Reading and writing the monitor chain.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use pilotage_gitrepo::{Edit, ObjectId, RefName, RefUpdate};
use pilotage_name::{CommitId, EnvironmentName, ServiceName};
use serde_json::Value;

use super::record::{EnvironmentRecord, LARGEST, Record, ServiceRecord, Tick, from_json, to_json};
use crate::error::{ChainError, ChainProblem, LedgerError};
use crate::holder::Holder;
use crate::ledger::Ledger;
use crate::place;
use crate::text::one_line;

const ENVIRONMENT: &str = "environment.json";
const SERVICES: &str = "services";
const TICK: &str = "tick.json";

/// The most commits that are passed over in search of a believed one.
const FARTHEST: usize = 100_000;

/// Everything a monitor needs to go on, from the tree of one commit.
#[derive(Clone, Debug, Default)]
pub struct Monitor {
    /// The newest commit of the chain, believed or not; nothing while it is empty. The next tick is built on it.
    pub tip: Option<CommitId>,
    /// The commit this was read from: the newest one that is believed.
    pub read: Option<CommitId>,
    /// The environment as a whole.
    pub environment: EnvironmentRecord,
    /// The services.
    pub services: BTreeMap<ServiceName, Arc<ServiceRecord>>,
    /// Services whose record cannot be read. Nothing may be concluded about them.
    pub unreadable: BTreeMap<ServiceName, String>,
    /// The tick that wrote it.
    pub tick: Option<Tick>,
    /// Commits after it that are not believed, newest first, with the reason.
    pub unbelieved: Vec<(CommitId, String)>,
    files: BTreeMap<ServiceName, ObjectId>,
}

/// What one tick writes.
#[derive(Clone, Debug, PartialEq)]
pub struct NewTick {
    /// Which monitor.
    pub by: Holder,
    /// The environment as a whole, when it changed.
    pub environment: Option<EnvironmentRecord>,
    /// The services that changed; `None` removes one.
    pub services: BTreeMap<ServiceName, Option<ServiceRecord>>,
    /// More of the caller's for `tick.json`.
    pub data: Value,
    /// One line for people: the subject of the commit.
    pub summary: String,
    /// Go on over commits that are not believed, from the newest believed one: what a person decides, and only with a
    /// key of the ledger.
    pub over_unbelieved: bool,
}

/// The answer to [`Ledger::append_tick`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AppendTick {
    /// It is written; the chain's tip is this commit now.
    Done(CommitId),
    /// Another monitor was first; read again and decide again.
    Moved,
}

/// One state of a service's record, from the history.
#[derive(Clone, Debug)]
pub struct PastRecord {
    /// The commit that brought it.
    pub commit: CommitId,
    /// When.
    pub at: Timestamp,
    /// The record.
    pub record: ServiceRecord,
}

impl Ledger {
    /// The monitor chain of an environment as it is now: one listing, and a fetch when it moved.
    ///
    /// # Errors
    /// The repository could not be asked, or the chain holds what no Pilotage writes.
    pub fn monitor(&mut self, environment: &EnvironmentName) -> Result<Arc<Monitor>, LedgerError> {
        let name = place::monitor(environment)?;
        self.refresh_names(&[&name])?;
        self.known_monitor(environment)
    }

    /// The monitor chain as of the last refresh or write; asks nobody.
    ///
    /// # Errors
    /// The chain holds what no Pilotage writes.
    pub fn known_monitor(&mut self, environment: &EnvironmentName) -> Result<Arc<Monitor>, LedgerError> {
        let name = place::monitor(environment)?;
        let Some(tip) = self.tip(&name)? else {
            self.monitors.remove(&name);
            return Ok(Arc::new(Monitor::default()));
        };
        let known = self.monitors.remove(&name);
        let monitor = match known {
            Some(known) if known.tip.as_ref() == Some(&tip) => known,
            known => Arc::new(self.read_monitor(&name, &tip, known.as_deref())?),
        };
        self.monitors.insert(name, monitor.clone());
        Ok(monitor)
    }

    /// The monitor chain as it was at a moment, by the clocks of its writers, as of the last refresh.
    ///
    /// # Errors
    /// The chain holds what no Pilotage writes.
    pub fn monitor_at(&self, environment: &EnvironmentName, at: Timestamp) -> Result<Monitor, LedgerError> {
        let name = place::monitor(environment)?;
        let mut next = self.tip(&name)?;
        while let Some(commit) = next {
            let info = self
                .cache
                .commit(&commit)
                .map_err(|error| chain(&name, &commit, ChainProblem::Damaged(error)))?;
            // Commit times have whole seconds; the tick's own time is exact but costs a blob for each commit.
            if info.committer.when <= at && self.doubt(&info)?.is_none() {
                return Ok(self.read_monitor(&name, &commit, None)?);
            }
            next = info.parents.into_iter().next();
        }
        Ok(Monitor::default())
    }

    /// The states of one service's record, newest first, at most `most`, as of the last refresh.
    ///
    /// # Errors
    /// The chain holds what no Pilotage writes.
    pub fn service_history(
        &self,
        environment: &EnvironmentName,
        service: &ServiceName,
        most: usize,
    ) -> Result<Vec<PastRecord>, LedgerError> {
        let name = place::monitor(environment)?;
        let path = service_path(service);
        let mut past = Vec::new();
        // The newest commit seen that held the current file; the one before it tells whether it brought it.
        let mut later: Option<(CommitId, Timestamp, ObjectId)> = None;
        let mut next = self.tip(&name)?;
        while let Some(commit) = next {
            if past.len() >= most {
                return Ok(past);
            }
            let damaged = |error| chain(&name, &commit, ChainProblem::Damaged(error));
            let info = self.cache.commit(&commit).map_err(damaged)?;
            next = info.parents.first().cloned();
            if self.doubt(&info).map_err(damaged)?.is_some() {
                continue;
            }
            let file = self
                .cache
                .entry(&commit, &path)
                .map_err(damaged)?
                .map(|(_, id)| id);
            if let Some((brought, at, _)) = later.take_if(|(_, _, id)| file.as_ref() != Some(id)) {
                past.push(self.past_record(&name, brought, at, &path)?);
            }
            later = file.map(|id| (commit, info.committer.when, id));
        }
        if let Some((brought, at, _)) = later.filter(|_| past.len() < most) {
            past.push(self.past_record(&name, brought, at, &path)?);
        }
        Ok(past)
    }

    fn past_record(
        &self,
        name: &RefName,
        commit: CommitId,
        at: Timestamp,
        path: &str,
    ) -> Result<PastRecord, LedgerError> {
        let record = self
            .read_record(&commit, path)
            .map_err(|problem| chain(name, &commit, problem))?;
        Ok(PastRecord { commit, at, record })
    }

    /// Writes one tick on top of what [`Monitor::tip`] said when it was read.
    ///
    /// # Errors
    /// The repository could not be told, or the chain's tip is not believed.
    pub fn append_tick(
        &mut self,
        environment: &EnvironmentName,
        on: Option<&CommitId>,
        tick: &NewTick,
    ) -> Result<AppendTick, LedgerError> {
        let name = place::monitor(environment)?;
        let mut monitor = self.known_monitor(environment)?;
        if monitor.tip.as_ref() != on {
            monitor = self.monitor(environment)?;
        }
        if monitor.tip.as_ref() != on {
            return Ok(AppendTick::Moved);
        }
        if let Some((commit, why)) = monitor.unbelieved.first().filter(|_| !tick.over_unbelieved) {
            return Err(LedgerError::Unbelieved {
                name,
                commit: commit.clone(),
                why: why.clone(),
            });
        }
        let at = self.clock.now();
        let edits = edits(&monitor, tick, at)?;
        let new = self.write_on(monitor.read.as_ref(), on, &edits, &one_line(&tick.summary), at)?;
        let update = RefUpdate {
            name,
            expected: on.cloned(),
            new: new.clone(),
        };
        Ok(if self.swap_one(update)? {
            AppendTick::Done(new)
        } else {
            AppendTick::Moved
        })
    }

    fn read_monitor(
        &self,
        name: &RefName,
        tip: &CommitId,
        known: Option<&Monitor>,
    ) -> Result<Monitor, ChainError> {
        let mut unbelieved = Vec::new();
        let mut next = Some(tip.clone());
        while let Some(commit) = next {
            let damaged = |error| chain(name, &commit, ChainProblem::Damaged(error));
            let info = self.cache.commit(&commit).map_err(damaged)?;
            match self.doubt(&info).map_err(damaged)? {
                None if info.parents.len() > 1 => return Err(chain(name, &commit, ChainProblem::Merge)),
                None => {
                    let monitor = self
                        .read_tree(&commit, known)
                        .map_err(|problem| chain(name, &commit, problem))?;
                    return Ok(Monitor {
                        tip: Some(tip.clone()),
                        unbelieved,
                        ..monitor
                    });
                }
                Some(why) => unbelieved.push((commit.clone(), why)),
            }
            if unbelieved.len() == FARTHEST {
                return Err(chain(name, &commit, ChainProblem::TooLong { most: FARTHEST }));
            }
            next = info.parents.into_iter().next();
        }
        Ok(Monitor {
            tip: Some(tip.clone()),
            unbelieved,
            ..Monitor::default()
        })
    }

    fn read_tree(&self, commit: &CommitId, known: Option<&Monitor>) -> Result<Monitor, ChainProblem> {
        let mut monitor = Monitor {
            read: Some(commit.clone()),
            environment: self.read_record(commit, ENVIRONMENT)?,
            tick: Some(self.read_record(commit, TICK)?),
            ..Monitor::default()
        };
        let files = self
            .cache
            .list_dir(commit, SERVICES)
            .map_err(ChainProblem::Damaged)?;
        for file in files.unwrap_or_default() {
            let Some(service) = file
                .name
                .strip_suffix(".json")
                .and_then(|name| name.parse::<ServiceName>().ok())
            else {
                continue;
            };
            let same = known.filter(|known| known.files.get(&service) == Some(&file.id));
            let record = match same.and_then(|known| known.services.get(&service)) {
                Some(record) => Ok(record.clone()),
                None => self.read_record(commit, &service_path(&service)).map(Arc::new),
            };
            match record {
                Ok(record) => {
                    monitor.services.insert(service.clone(), record);
                    monitor.files.insert(service, file.id);
                }
                Err(problem) => {
                    monitor.unreadable.insert(service, problem.to_string());
                }
            }
        }
        Ok(monitor)
    }

    fn read_record<R: Record>(&self, commit: &CommitId, path: &str) -> Result<R, ChainProblem> {
        from_json(path, &self.read_file(commit, path, LARGEST)?)
    }
}

fn service_path(service: &ServiceName) -> String {
    format!("{SERVICES}/{service}.json")
}

fn chain(name: &RefName, commit: &CommitId, problem: ChainProblem) -> ChainError {
    ChainError {
        name: name.clone(),
        commit: commit.clone(),
        problem,
    }
}

/// The files a tick changes. The first one writes the environment's record in any case, so that a reader finds it.
fn edits(monitor: &Monitor, tick: &NewTick, at: Timestamp) -> Result<Vec<Edit>, LedgerError> {
    let mut edits = Vec::new();
    match &tick.environment {
        Some(environment) => edits.push(Edit::write(ENVIRONMENT, to_json(environment)?)),
        None if monitor.read.is_none() => {
            edits.push(Edit::write(ENVIRONMENT, to_json(&monitor.environment)?))
        }
        None => {}
    }
    for (service, record) in &tick.services {
        edits.push(match record {
            Some(record) => Edit::write(service_path(service), to_json(record)?),
            None => Edit::remove(service_path(service)),
        });
    }
    let file = Tick {
        at,
        by: tick.by.clone(),
        services: tick.services.keys().cloned().collect(),
        data: tick.data.clone(),
    };
    edits.push(Edit::write(TICK, to_json(&file)?));
    Ok(edits)
}
