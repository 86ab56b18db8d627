//! Where decisions are made and recorded: the repository, its policy and its ledger, opened together.

use std::collections::BTreeMap;
use std::sync::Arc;

use pilotage_config::{First, Mode};
use pilotage_gate::{FirstSight, History, Verdict, brought_by};
use pilotage_gitrepo::{Cache, Remote, RemoteUrl, SigningKey, TrustedKeys};
use pilotage_ledger::{
    Accepted, AppendTick, EnvironmentRecord, Holder, Ledger, LinuxMachine, Monitor, NewTick, Outbox,
    OutboxState, ServiceRecord,
};
use pilotage_name::{CommitId, EnvironmentName, ServiceName};
use serde_json::Value;

use crate::access::Access;
use crate::collect::{Decided, Question};
use crate::descriptors::Resolved;
use crate::error::Error;
use crate::past::{self, EnvironmentPast};
use crate::sight::{Sight, look};

/// The repository, its policy and its ledger.
#[derive(Debug)]
pub struct Desk {
    access: Access,
    remote: Remote,
    cache: Cache,
    ledger: Ledger,
    sight: Sight,
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
        let remote = Remote::open(
            access.url.clone(),
            &access.http,
            access.credentials.clone(),
            access.limits,
        )?;
        let mut cache = Cache::open(&access.cache_dir, &remote)?;
        let sight = look(&remote, &mut cache, &access.config_branch, None)?;
        let ledger = open_ledger(&access, &remote, &cache, &sight)?;
        Ok(Self {
            access,
            remote,
            cache,
            ledger,
            sight,
        })
    }

    /// Looks again: one listing, and a fetch of what moved. The ledger is opened anew when policy moves it.
    ///
    /// # Errors
    /// As [`Desk::open`].
    pub fn look(&mut self) -> Result<&Sight, Error> {
        let sight = look(
            &self.remote,
            &mut self.cache,
            &self.access.config_branch,
            Some(&self.sight),
        )?;
        if sight.config.ledger != self.sight.config.ledger {
            self.ledger = open_ledger(&self.access, &self.remote, &self.cache, &sight)?;
        }
        self.sight = sight;
        Ok(&self.sight)
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

    /// The repository.
    #[must_use]
    pub fn remote(&self) -> &Remote {
        &self.remote
    }

    /// The record of decisions and releases.
    pub fn ledger(&mut self) -> &mut Ledger {
        &mut self.ledger
    }

    /// Whether the ledger lives in the environment repository itself, so that one listing can show both.
    #[must_use]
    pub fn ledger_is_inside(&self) -> bool {
        self.sight.config.ledger.repository.is_none()
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
        let monitor = self.ledger.monitor(environment)?;
        let below = self.below(environment)?;
        let states = self.ledger.releases(environment)?;
        let asked = first.or_else(|| {
            self.sight
                .config
                .environment(environment)
                .and_then(|known| known.first)
        });
        let first_sight = past::first_sight(&monitor.environment, asked);
        let history = match first_sight {
            FirstSight::Known => past::history(&self.cache, &monitor.environment, commit)?,
            FirstSight::Unanswered | FirstSight::Deploy | FirstSight::Adopt => History::Linear,
        };
        let mut known = BTreeMap::new();
        for service in services {
            if let Some(why) = monitor.unreadable.get(service) {
                return Err(Error::Unreadable {
                    service: service.clone(),
                    why: why.clone(),
                });
            }
            let record = monitor.services.get(service).map(AsRef::as_ref);
            let state = match states.get(service) {
                Some(Ok(chain)) => Some(chain.state()),
                Some(Err(error)) => {
                    return Err(Error::Unreadable {
                        service: service.clone(),
                        why: error.to_string(),
                    });
                }
                None => None,
            };
            let below = past::accepted_below(&below, service);
            known.insert(service.clone(), past::service(record, state, &below));
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

    /// The monitor chains of the environments that `environment` takes its changes from, nearest first.
    fn below(
        &mut self,
        environment: &EnvironmentName,
    ) -> Result<Vec<(EnvironmentName, Arc<Monitor>)>, Error> {
        let config = &self.sight.config;
        let mut names = Vec::new();
        let mut next = config
            .environment(environment)
            .and_then(|known| known.from.clone());
        while let Some(name) = next {
            // A circle is an error of pilotage.yaml; here it must only not hang.
            if names.contains(&name) || name == *environment {
                break;
            }
            next = config.environment(&name).and_then(|known| known.from.clone());
            names.push(name);
        }
        names
            .into_iter()
            .map(|name| Ok((name.clone(), self.ledger.monitor(&name)?)))
            .collect()
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
            now: self.access.clock.now(),
        };
        Ok((question.decide(services)?, monitor))
    }

    /// Records decisions on top of the record they rest on, with what follows from the accepted ones: the next range
    /// starts there, and a release is to be triggered. `environment` is the new record of the environment as a whole,
    /// where it changes.
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
        Ok(
            match self.ledger.append_tick(environment, on.tip.as_ref(), &tick)? {
                AppendTick::Done(commit) => Recorded::Done(commit),
                AppendTick::Moved => Recorded::Moved,
            },
        )
    }

    fn service_record(&self, one: &Decided, before: Option<&ServiceRecord>) -> Result<ServiceRecord, Error> {
        let decision = &one.decision;
        let before = before.cloned().unwrap_or_default();
        let accepts = matches!(decision.verdict, Verdict::Accept | Verdict::Adopt);
        let (accepted, outbox) = match (&one.resolved, accepts) {
            (Resolved::Valid(valid), true) => {
                let known = brought_by(&self.sight.config, &decision.evidence);
                let accepted = Accepted {
                    commit: decision.commit.clone(),
                    descriptor: valid.digest.clone(),
                    blob: Some(valid.blob.clone()),
                    version: valid.descriptor.version.to_string(),
                    files: valid.files.iter().cloned().collect(),
                    by: known.as_ref().map(|(person, _)| person.clone()),
                    grade: known.as_ref().map(|(_, proof)| proof.to_string()),
                    at: decision.at,
                };
                let mode = self
                    .sight
                    .config
                    .mode_of(&decision.environment, &decision.service);
                // Where nothing may be touched there is nothing to trigger.
                let releases = decision.verdict == Verdict::Accept && mode != Mode::Observe;
                (Some(accepted), releases.then(|| intent(decision)))
            }
            _ => (before.accepted, before.outbox),
        };
        Ok(ServiceRecord {
            decision: serde_json::to_value(decision)?,
            accepted,
            outbox,
        })
    }

    /// Whether exactly this commit of a service is what was accepted last, and if not, what is.
    ///
    /// # Errors
    /// The ledger cannot be read.
    pub fn accepted(
        &mut self,
        environment: &EnvironmentName,
        service: &ServiceName,
    ) -> Result<Option<Accepted>, Error> {
        Ok(self
            .ledger
            .monitor(environment)?
            .services
            .get(service)
            .and_then(|record| record.accepted.clone()))
    }
}

/// The same decision has the same intent, whoever records it and however often.
fn intent(decision: &pilotage_gate::Decision) -> Outbox {
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

fn open_ledger(access: &Access, remote: &Remote, cache: &Cache, sight: &Sight) -> Result<Ledger, Error> {
    let place = &sight.config.ledger;
    let (remote, cache) = match &place.repository {
        None => (remote.clone(), cache.reopen()?),
        Some(url) => {
            let url: RemoteUrl = url.parse().map_err(Error::LedgerUrl)?;
            // Credentials belong to the host they were given for.
            let same_host = access.url.http().map(|url| url.origin()) == url.http().map(|url| url.origin());
            let credentials = access.credentials.clone().filter(|_| same_host);
            let remote = Remote::open(url, &access.http, credentials, access.limits)?;
            let cache = Cache::open(&access.cache_dir, &remote)?;
            (remote, cache)
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
    Ok(ledger)
}
