//! Where decisions are made and recorded: the repository, its policy and its ledger, opened together.

use std::collections::BTreeMap;
use std::sync::Arc;

use pilotage_command_line::CommandLines;
use pilotage_config::{First, Mode};
use pilotage_gate::{Decision, FirstSight, History, Verdict, brought_by};
use pilotage_gitrepo::{Cache, Listing, Remote, RemoteUrl, SigningKey, TrustedKeys};
use pilotage_ledger::{
    Accepted, AppendTick, EnvironmentRecord, Holder, Ledger, LinuxMachine, Liveness, Monitor, NewTick,
    Outbox, OutboxState, ServiceRecord,
};
use pilotage_name::{CommitId, CommitPrefix, EnvironmentName, ServiceName};
use serde_json::Value;

use crate::access::Access;
use crate::collect::{Decided, Question};
use crate::descriptors::{Resolved, Valid};
use crate::error::Error;
use crate::holder::holder;
use crate::past::{self, EnvironmentPast, ServicePast};
use crate::sight::{Sight, look, look_listed, look_past};

/// The repository, its policy and its ledger.
#[derive(Debug)]
pub struct Desk {
    access: Access,
    remote: Remote,
    cache: Cache,
    ledger: Ledger,
    /// Where the ledger is, when it has a repository of its own.
    ledger_remote: Option<Remote>,
    sight: Sight,
}

/// All chains of decisions, as a ref pattern.
const MONITORS: &str = "refs/pilotage/monitor/";

/// Where everything stood that a look turns on. Equal listings lead to equal looks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    repository: Listing,
    ledger: Option<Listing>,
}

/// The answer to [`Desk::record`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Recorded {
    /// It is written, in this commit of the monitor chain.
    Done(CommitId),
    /// Another monitor was faster; decide again.
    Moved,
}

impl Desk {
    /// Opens the repository, looks at it, and opens the ledger that its policy names. Blocks on disk and network.
    ///
    /// # Errors
    /// The repository or ledger cannot be reached, or pilotage.yaml is missing or has errors.
    pub fn open(access: Access) -> Result<Self, Error> {
        let remote = access.remote()?;
        let mut cache = Cache::open(&access.cache_dir, &remote)?;
        let sight = look(&remote, &mut cache, &access.config_branch, None)?;
        let (ledger, ledger_remote) = open_ledger(&access, &remote, &cache, &sight)?;
        Ok(Self {
            access,
            remote,
            cache,
            ledger,
            ledger_remote,
            sight,
        })
    }

    /// As [`Desk::open`], for somebody who only wants to know how things stand: while pilotage.yaml cannot be read, the newest
    /// one that can is taken, and what is wrong with that of today is said beside it. Nothing may be decided by it then.
    ///
    /// # Errors
    /// The repository or ledger cannot be reached, or there never was a pilotage.yaml that can be read.
    pub fn open_past(access: Access) -> Result<(Self, Option<Error>), Error> {
        let remote = access.remote()?;
        let mut cache = Cache::open(&access.cache_dir, &remote)?;
        let (sight, wrong) = look_past(&remote, &mut cache, &access.config_branch)?;
        let (ledger, ledger_remote) = open_ledger(&access, &remote, &cache, &sight)?;
        let desk = Self {
            access,
            remote,
            cache,
            ledger,
            ledger_remote,
            sight,
        };
        Ok((desk, wrong))
    }

    /// Looks again: one listing, and a fetch of what moved. The ledger is opened anew when policy moves it.
    ///
    /// # Errors
    /// As [`Desk::open`].
    pub fn look(&mut self) -> Result<&Sight, Error> {
        let patterns = self.patterns();
        let patterns: Vec<&str> = patterns.iter().map(String::as_str).collect();
        let listing = self.remote.list(&patterns)?;
        self.see(&listing)?;
        Ok(&self.sight)
    }

    /// Where everything stands that a decision may turn on, as far as it moves by itself: the config branch, the
    /// environments, and what was decided. One request, and one more where the ledger has a repository of its own.
    ///
    /// # Errors
    /// A repository cannot be reached.
    pub fn list(&self) -> Result<Listed, Error> {
        let mut patterns = self.patterns();
        if self.ledger_remote.is_none() {
            patterns.push(MONITORS.to_owned());
        }
        let patterns: Vec<&str> = patterns.iter().map(String::as_str).collect();
        // The ledger first: what it tells of a branch is then never newer than what is listed of it.
        let ledger = match &self.ledger_remote {
            Some(ledger) => Some(ledger.list_or_empty(&[MONITORS])?),
            None => None,
        };
        Ok(Listed {
            repository: self.remote.list(&patterns)?,
            ledger,
        })
    }

    /// Looks at what was listed before: no request where nothing moved. After that the monitor chains are known.
    ///
    /// # Errors
    /// As [`Desk::open`].
    pub fn look_at(&mut self, listed: &Listed) -> Result<&Sight, Error> {
        let reopened = self.see(&listed.repository)?;
        match (&listed.ledger, &self.ledger_remote) {
            (Some(listing), Some(_)) if !reopened => self.ledger.refresh_listed(listing)?,
            (None, None) if !reopened => self.ledger.refresh_listed(&listed.repository)?,
            // The listing does not show the ledger that policy names now.
            _ => self.ledger.refresh(&self.sight.environments())?,
        }
        Ok(&self.sight)
    }

    /// Takes in a listing; says whether the ledger was opened anew.
    fn see(&mut self, listing: &Listing) -> Result<bool, Error> {
        let sight = look_listed(&self.remote, &mut self.cache, &self.access.config_branch, listing)?;
        let reopened = sight.config.ledger != self.sight.config.ledger;
        if reopened {
            (self.ledger, self.ledger_remote) = open_ledger(&self.access, &self.remote, &self.cache, &sight)?;
        }
        self.sight = sight;
        Ok(reopened)
    }

    /// What the last look saw.
    #[must_use]
    pub fn sight(&self) -> &Sight {
        &self.sight
    }

    /// The copy of the repository on this machine.
    #[must_use]
    pub fn cache(&self) -> &Cache {
        &self.cache
    }

    /// The commit that somebody asked for, where they did.
    ///
    /// # Errors
    /// The digits that were given mean no commit here, or several.
    pub fn asked(&self, commit: Option<&CommitPrefix>) -> Result<Option<CommitId>, Error> {
        Ok(commit.map(|commit| self.cache.resolve(commit)).transpose()?)
    }

    /// The ref patterns that show whether policy or an environment's tip moved.
    #[must_use]
    pub fn patterns(&self) -> Vec<String> {
        self.sight.patterns(&self.access.config_branch)
    }

    /// The wall time, by the clock this was opened with.
    #[must_use]
    pub fn now(&self) -> jiff::Timestamp {
        self.access.clock.now()
    }

    /// The commands about this repository that messages tell people to type.
    #[must_use]
    pub fn command_lines(&self) -> CommandLines {
        self.access.command_lines()
    }

    /// The repository.
    #[must_use]
    pub fn remote(&self) -> &Remote {
        &self.remote
    }

    /// The record of decisions and releases.
    pub fn ledger(&mut self) -> &mut Ledger {
        &mut self.ledger
    }

    /// What is known of an environment and some of its services, with the record it was read from. `first` answers for
    /// an environment that was never seen, over what pilotage.yaml says.
    ///
    /// # Errors
    /// The ledger or the repository cannot be read.
    pub fn past(
        &mut self,
        environment: &EnvironmentName,
        services: &[ServiceName],
        commit: &CommitId,
        first: Option<First>,
    ) -> Result<(EnvironmentPast, Arc<Monitor>), Error> {
        let mut asked = self.below(environment);
        asked.push(environment.clone());
        self.ledger.refresh(&asked)?;
        asked.pop();
        let monitor = self.ledger.known_monitor(environment)?;
        let below: Vec<_> = asked
            .into_iter()
            .map(|name| Ok((name.clone(), self.ledger.known_monitor(&name)?)))
            .collect::<Result<_, Error>>()?;
        let states = self.ledger.known_releases(environment)?;
        let asked = first.or_else(|| {
            self.sight
                .config
                .environment(environment)
                .and_then(|known| known.first)
        });
        let first_sight = past::first_sight(&monitor.environment, asked);
        let history = match first_sight {
            // How the branch moved is asked of its tip, whichever commit of it the decision is about.
            FirstSight::Known => {
                let tip = self.sight.tips.get(environment).unwrap_or(commit);
                past::history(&self.cache, &monitor.environment, tip)?
            }
            FirstSight::Unanswered | FirstSight::Deploy | FirstSight::Adopt => History::Linear,
        };
        let policy = self.sight.config.policy_hash();
        let mut known = BTreeMap::new();
        for service in services {
            let record = monitor.services.get(service).map(AsRef::as_ref);
            let mut unreadable = monitor.unreadable.get(service).cloned();
            let state = match states.get(service) {
                Some(Ok(chain)) => Some(chain.state()),
                Some(Err(error)) => {
                    unreadable.get_or_insert_with(|| error.to_string());
                    None
                }
                None => None,
            };
            let below = past::accepted_below(&below, service);
            let holder = state.map_or(Liveness::Unknown, holder);
            let past = ServicePast {
                unreadable,
                ..past::service(record, state, &below, &policy, &holder)
            };
            known.insert(service.clone(), past);
        }
        let base = monitor.environment.first.clone();
        Ok((
            EnvironmentPast {
                first_sight,
                history,
                base,
                services: known,
            },
            monitor,
        ))
    }

    /// The environments that `environment` takes its changes from, nearest first.
    fn below(&self, environment: &EnvironmentName) -> Vec<EnvironmentName> {
        let config = &self.sight.config;
        let from = |name: &EnvironmentName| config.environment(name).and_then(|known| known.from.clone());
        let mut names = Vec::new();
        let mut next = from(environment);
        while let Some(name) = next {
            // A circle is an error of pilotage.yaml; here it must only not hang.
            if names.contains(&name) || name == *environment {
                break;
            }
            next = from(&name);
            names.push(name);
        }
        names
    }

    /// Decides services of an environment at a commit, and says which record the decisions rest on.
    ///
    /// # Errors
    /// The ledger or the repository cannot be read.
    pub fn decide(
        &mut self,
        environment: &EnvironmentName,
        services: &[ServiceName],
        commit: &CommitId,
        first: Option<First>,
    ) -> Result<(Vec<Decided>, Arc<Monitor>), Error> {
        let (past, monitor) = self.past(environment, services, commit, first)?;
        let question = Question {
            repository: &self.cache,
            sight: &self.sight,
            environment,
            commit,
            past: &past,
            commands: &self.command_lines(),
            now: self.access.clock.now(),
        };
        Ok((question.decide(services)?, monitor))
    }

    /// Records decisions on top of the record they rest on, with what follows from the accepted ones: the next range
    /// starts there, and a release is to be triggered. `environment` is the new record of the environment as a whole,
    /// where it changes. A service whose record cannot be read keeps it as it is.
    ///
    /// # Errors
    /// The ledger cannot be written.
    pub fn record(
        &mut self,
        environment: &EnvironmentName,
        on: &Monitor,
        decided: &[Decided],
        changed: Option<EnvironmentRecord>,
        by: Holder,
        data: Value,
    ) -> Result<Recorded, Error> {
        let mut services = BTreeMap::new();
        for one in decided {
            if one.decision.evidence.unreadable.is_some() {
                continue;
            }
            let before = on.services.get(&one.decision.service).map(AsRef::as_ref);
            services.insert(
                one.decision.service.clone(),
                Some(self.service_record(one, before)?),
            );
        }
        let summary = summary(environment, decided);
        let tick = NewTick {
            by,
            environment: changed,
            services,
            data,
            summary,
            over_unbelieved: false,
        };
        self.append(environment, on, &tick)
    }

    fn service_record(&self, one: &Decided, before: Option<&ServiceRecord>) -> Result<ServiceRecord, Error> {
        let decision = &one.decision;
        let before = before.cloned().unwrap_or_default();
        let accepts = matches!(decision.verdict, Verdict::Accept | Verdict::Adopt);
        let (accepted, outbox) = match (&one.resolved, accepts) {
            (Resolved::Valid(valid), true) => {
                let mode = self
                    .sight
                    .config
                    .mode_of(&decision.environment, &decision.service);
                if mode == Mode::Observe {
                    // Where nothing is touched nothing is accepted for good: once it is enforced, everybody of the range
                    // answers under the policy of then. Nor is there anything to trigger.
                    (before.accepted, None)
                } else {
                    let releases = decision.verdict == Verdict::Accept;
                    (
                        Some(self.accepted_now(decision, valid, before.accepted.as_ref())),
                        releases.then(|| intent(decision)),
                    )
                }
            }
            (Resolved::Valid(_), false) if is_back(decision) => {
                // What was taken back in between has been answered for: the next range starts here.
                let accepted = before.accepted.map(|accepted| Accepted {
                    commit: decision.commit.clone(),
                    ..accepted
                });
                (accepted, before.outbox)
            }
            // What another policy let through is not set off under one that does not.
            _ if decision.evidence.outdated.is_some() => (before.accepted, None),
            _ => (before.accepted, before.outbox),
        };
        Ok(ServiceRecord {
            decision: serde_json::to_value(decision)?,
            accepted,
            outbox,
        })
    }

    fn accepted_now(&self, decision: &Decision, valid: &Valid, before: Option<&Accepted>) -> Accepted {
        let known = brought_by(&self.sight.config, &decision.evidence);
        let newest = decision.evidence.newest().map(|change| change.commit.clone());
        // Asked for again, it is still what somebody brought before.
        let before = before.filter(|before| before.descriptor == valid.digest);
        Accepted {
            commit: decision.commit.clone(),
            descriptor: valid.digest.clone(),
            blob: Some(valid.content.clone()),
            version: valid.descriptor.version.to_string(),
            files: valid.files.iter().cloned().collect(),
            by: known.as_ref().map(|(person, _)| person.clone()),
            grade: known.as_ref().map(|(_, proof)| proof.to_string()),
            brought: newest.or_else(|| before?.brought.clone()),
            policy: Some(decision.policy_hash.clone()),
            at: decision.at,
        }
    }

    /// Notes that people were told of what was decided about these services. Whoever records first wins; the loser's
    /// note is worth another try.
    ///
    /// # Errors
    /// The ledger cannot be written.
    pub fn record_told(
        &mut self,
        environment: &EnvironmentName,
        on: &Monitor,
        told: &[ServiceName],
        by: Holder,
    ) -> Result<Recorded, Error> {
        let at = serde_json::to_value(self.access.clock.now())?;
        let mut services = BTreeMap::new();
        for service in told {
            let Some(record) = on.services.get(service) else {
                continue;
            };
            let mut record = ServiceRecord::clone(record);
            if let Some(decision) = record.decision.as_object_mut() {
                decision.insert("told".to_owned(), at.clone());
            }
            services.insert(service.clone(), Some(record));
        }
        let tick = NewTick {
            by,
            environment: None,
            summary: format!("{environment}: people were told of {}", names(told)),
            services,
            data: Value::Null,
            over_unbelieved: false,
        };
        self.append(environment, on, &tick)
    }

    fn append(
        &mut self,
        environment: &EnvironmentName,
        on: &Monitor,
        tick: &NewTick,
    ) -> Result<Recorded, Error> {
        let appended = self.ledger.append_tick(environment, on.tip.as_ref(), tick)?;
        Ok(match appended {
            AppendTick::Done(commit) => Recorded::Done(commit),
            AppendTick::Moved => Recorded::Moved,
        })
    }
}

fn names(services: &[ServiceName]) -> String {
    match services {
        [one] => one.to_string(),
        many => format!("{} services", many.len()),
    }
}

/// Whether the branch asks again for exactly what was accepted and runs, with nothing on its way.
fn is_back(decision: &Decision) -> bool {
    let evidence = &decision.evidence;
    let runs = evidence.running.as_ref().map(|running| running.digest.as_str());
    decision.verdict == Verdict::Nothing
        && evidence
            .accepted_again()
            .is_some_and(|accepted| runs == Some(accepted.digest.as_str()))
        && evidence.under_way.is_none()
        && evidence.unsettled.is_none()
        && evidence.outdated.is_none()
}

/// The same decision has the same intent, whoever records it and however often.
fn intent(decision: &Decision) -> Outbox {
    let digest = decision.digest.as_deref().unwrap_or_default();
    Outbox {
        key: format!(
            "{}/{}/{}/{digest}",
            decision.environment, decision.service, decision.commit
        ),
        commit: decision.commit.clone(),
        state: OutboxState::Intended,
        at: decision.at,
    }
}

fn summary(environment: &EnvironmentName, decided: &[Decided]) -> String {
    match decided {
        [] => format!("{environment}: seen"),
        [one] => one.decision.headline(),
        many => {
            let accepted = many
                .iter()
                .filter(|one| one.decision.verdict == Verdict::Accept)
                .count();
            format!(
                "{environment}: {} services decided, {accepted} accepted",
                many.len()
            )
        }
    }
}

/// The ledger, and where it is when it has a repository of its own.
fn open_ledger(
    access: &Access,
    remote: &Remote,
    cache: &Cache,
    sight: &Sight,
) -> Result<(Ledger, Option<Remote>), Error> {
    let place = &sight.config.ledger;
    let (remote, cache, own) = match &place.repository {
        None => (remote.clone(), cache.reopen()?, None),
        Some(url) => {
            let url: RemoteUrl = url.parse().map_err(Error::LedgerUrl)?;
            let remote = access.remote_at(url)?;
            let cache = Cache::open(&access.cache_dir, &remote)?;
            (remote.clone(), cache, Some(remote))
        }
    };
    let machine = LinuxMachine::read().map_err(Error::Machine)?;
    let mut ledger = Ledger::open(remote, cache, access.clock.clone(), Arc::new(machine));
    if let Some(key) = &access.ledger_key {
        ledger = ledger.signing_with(SigningKey::from_openssh(key.expose()).map_err(Error::LedgerKey)?);
    }
    if !place.keys.is_empty() {
        ledger = ledger.believing(TrustedKeys::parse(&place.keys).map_err(Error::LedgerKey)?);
    }
    Ok((ledger, own))
}
