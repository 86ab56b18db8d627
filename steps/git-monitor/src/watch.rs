//! One monitor at work: look, decide, trigger, again and again. It remembers between two looks only what spares it work;
//! a monitor that starts anew comes to the same end.

use std::collections::BTreeSet;
use std::sync::Arc;

use jiff::Timestamp;
use pilotage_config::First;
use pilotage_decision::{Desk, Listed, fault};
use pilotage_diagnostic::Diagnostics;
use pilotage_gate::Decision;
use pilotage_ledger::{
    Begun, Holder, LinuxMachine, Liveness, Monitor, Outbox, OutboxState, ServiceRecord, liveness,
};
use pilotage_name::{CommitId, EnvironmentName, ServiceName};
use pilotage_outcome::Fault;

use crate::adapter::process::Processes;
use crate::adapter::voice::NotifyStep;
use crate::ending::line;
use crate::outbox::{Progress, Tries, Unanswered, is_anothers, orders, progress};
use crate::tick::Look;
use crate::trigger::{Ended, Order, Trigger};
use crate::voice::Telling;

mod tell;

/// A monitor of one repository.
pub(crate) struct Watch {
    pub(crate) desk: Desk,
    pub(crate) trigger: Processes,
    pub(crate) voice: NotifyStep,
    first: Option<First>,
    /// The one environment that is watched; all of them when none was named.
    only: Option<EnvironmentName>,
    by: Holder,
    machine: LinuxMachine,
    tries: Tries,
    /// What this monitor recorded of late: it is ours to trigger and to tell.
    recorded: BTreeSet<Telling>,
    /// Intents whose release came to an end; they are not looked up again.
    closed: BTreeSet<String>,
    /// What the last look listed, when nothing was left to do after it.
    quiet: Option<Listed>,
}

/// What one look came to.
#[derive(Debug, Default)]
pub(crate) struct Looked {
    /// Nothing moved, so nothing but one listing was asked.
    pub(crate) idle: bool,
    pub(crate) decisions: Vec<Decision>,
    pub(crate) diagnostics: Diagnostics,
    pub(crate) remarks: Vec<String>,
    pub(crate) started: Vec<Order>,
    /// Releases that could not be started, and why.
    pub(crate) unstarted: Vec<(Order, String)>,
    /// Environments that are frozen, so that nothing is decided there.
    pub(crate) frozen: Vec<EnvironmentName>,
    /// Environments that could not be decided; the others were.
    pub(crate) undecided: Vec<(EnvironmentName, Fault)>,
}

impl Watch {
    pub(crate) fn new(
        desk: Desk,
        first: Option<First>,
        by: Holder,
        machine: LinuxMachine,
        trigger: Processes,
        voice: NotifyStep,
    ) -> Self {
        Self {
            desk,
            trigger,
            voice,
            first,
            only: None,
            by,
            machine,
            tries: Tries::default(),
            recorded: BTreeSet::new(),
            closed: BTreeSet::new(),
            quiet: None,
        }
    }

    /// Watches one environment only.
    pub(crate) fn only(mut self, environment: Option<EnvironmentName>) -> Self {
        self.only = environment;
        self
    }

    /// The environments that are watched.
    pub(crate) fn environments(&self) -> Vec<EnvironmentName> {
        let mut environments = self.desk.sight().environments();
        if let Some(only) = &self.only {
            environments.retain(|environment| environment == only);
        }
        environments
    }

    /// Looks once at all environments. One that cannot be decided does not stop the others.
    ///
    /// # Errors
    /// The repository cannot be reached, or policy cannot be read; then nothing is decided.
    pub(crate) fn look(&mut self) -> Result<Looked, Fault> {
        self.reap();
        let listed = self.desk.list().map_err(Fault::from)?;
        if self.quiet.as_ref() == Some(&listed) {
            return Ok(Looked {
                idle: true,
                ..Looked::default()
            });
        }
        self.quiet = None;
        let policy = self.desk.sight().config_commit.clone();
        self.desk.look_at(&listed).map_err(Fault::from)?;
        if self.desk.sight().config_commit != policy {
            self.tries.hope();
        }
        self.trigger.become_kind(&self.desk.sight().config.trigger);
        let mut looked = Looked::default();
        let mut pending = false;
        for environment in self.environments() {
            match self.look_at(&environment, &mut looked) {
                Ok(again) => pending |= again,
                Err(fault) => looked.undecided.push((environment, fault)),
            }
        }
        if !pending && looked.decisions.is_empty() && looked.undecided.is_empty() {
            self.quiet = Some(listed);
        }
        Ok(looked)
    }

    fn look_at(&mut self, environment: &EnvironmentName, looked: &mut Looked) -> Result<bool, Fault> {
        let mut look = Look {
            desk: &mut self.desk,
            first: self.first,
            by: self.by.clone(),
        };
        let seen = look.at(environment)?;
        self.recorded.extend(seen.decisions.iter().map(Telling::of));
        self.recorded.extend(seen.of_all.map(|at| Telling {
            environment: environment.clone(),
            service: None,
            at,
        }));
        looked.decisions.extend(seen.decisions);
        looked.diagnostics.extend(seen.diagnostics);
        looked.remarks.extend(seen.remarks);
        if self.known(environment)?.environment.frozen.is_some() {
            looked.frozen.push(environment.clone());
        }
        let open = self.release(environment, looked)?;
        let untold = self.tell(environment, looked)?;
        Ok(seen.pending || open || untold)
    }

    /// Triggers what is accepted and not released. Says whether anything is still on its way.
    fn release(&mut self, environment: &EnvironmentName, looked: &mut Looked) -> Result<bool, Fault> {
        let monitor = self.known(environment)?;
        let intended = |record: &ServiceRecord| {
            let outbox = record.outbox.clone();
            outbox.filter(|outbox| outbox.state == OutboxState::Intended)
        };
        let open: Vec<(ServiceName, Outbox)> = monitor
            .services
            .iter()
            .filter_map(|(service, record)| Some((service.clone(), intended(record)?)))
            .collect();
        let here = format!("{environment}/");
        self.closed
            .retain(|key| !key.starts_with(&here) || open.iter().any(|(_, outbox)| outbox.key == *key));
        let (hopeless, open): (Vec<_>, Vec<_>) = open
            .into_iter()
            .filter(|(_, outbox)| !self.closed.contains(&outbox.key))
            .partition(|(service, outbox)| self.tries.is_hopeless(environment, service, &outbox.commit));
        if open.is_empty() || monitor.environment.frozen.is_some() {
            return Ok(false);
        }
        let chains = self
            .desk
            .ledger()
            .releases(environment)
            .map_err(fault::of_ledger)?;
        let now = self.desk.now();
        let cache = self.desk.cache();
        let is_ancestor = |a: &_, b: &_| a == b || cache.is_ancestor(a, b).unwrap_or(false);
        let is_over = |begun: &Begun| {
            begun.expires <= now || matches!(liveness(&begun.holder, &self.machine), Liveness::Dead(_))
        };
        let mut due = Vec::new();
        let mut pending = false;
        for (service, outbox) in open {
            let chain = match chains.get(&service) {
                Some(Ok(chain)) => Some(Arc::clone(chain)),
                Some(Err(error)) => {
                    let remark = format!("{service} in {environment} cannot be released: {error}");
                    looked.remarks.push(remark);
                    pending = true;
                    continue;
                }
                None => None,
            };
            let state = chain.as_ref().map(|chain| chain.state());
            match progress(&outbox.commit, state, &is_ancestor, &is_over) {
                Progress::Closed => drop(self.closed.insert(outbox.key)),
                Progress::Running => pending = true,
                Progress::Open => {
                    pending = true;
                    let config_commit = &self.desk.sight().config_commit;
                    let unanswered =
                        state.and_then(|state| Unanswered::of(state, &outbox.commit, config_commit));
                    if let Some(unanswered) = unanswered
                        && let Some(next) = unanswered.next(now)
                    {
                        looked.remarks.push(format!(
                            "{}; it is tried again at {}",
                            unanswered.told(),
                            next.strftime("%Y-%m-%d %H:%M:%S UTC")
                        ));
                        continue;
                    }
                    due.push((service, outbox));
                }
            }
        }
        let tried: Vec<(ServiceName, CommitId)> = due
            .iter()
            .chain(&hopeless)
            .map(|(service, outbox)| (service.clone(), outbox.commit.clone()))
            .collect();
        self.tries.keep(environment, &tried);
        due.retain(|(service, outbox)| {
            let telling = self.telling(environment, service, outbox.at);
            !self.trigger.runs(environment, service, &outbox.commit)
                && self.tries.due(environment, service, &outbox.commit, now)
                && !self.is_anothers(&monitor, &telling, now)
        });
        let due: Vec<(ServiceName, CommitId)> = due
            .into_iter()
            .map(|(service, outbox)| (service, outbox.commit))
            .collect();
        for order in orders(environment, &due) {
            self.tries.note(&order, now);
            match self.trigger.start(&order) {
                Ok(()) => looked.started.push(order),
                Err(error) => {
                    looked.remarks.push(error.to_string());
                    looked.unstarted.push((order, error.to_string()));
                }
            }
        }
        Ok(pending)
    }

    fn known(&mut self, environment: &EnvironmentName) -> Result<Arc<Monitor>, Fault> {
        self.desk
            .ledger()
            .known_monitor(environment)
            .map_err(fault::of_ledger)
    }

    fn telling(&self, environment: &EnvironmentName, service: &ServiceName, at: Timestamp) -> Telling {
        Telling {
            environment: environment.clone(),
            service: Some(service.clone()),
            at,
        }
    }

    /// Whether what follows from a decision is for now left to the monitor that recorded it.
    fn is_anothers(&self, monitor: &Monitor, telling: &Telling, now: Timestamp) -> bool {
        let ours = self.recorded.contains(telling);
        let over = monitor.tick.as_ref().is_some_and(|tick| {
            let by_it = match &telling.service {
                Some(service) => tick.services.contains(service),
                None => ["frozen", "accepted", "goes_on"]
                    .iter()
                    .any(|what| tick.data.get(what).is_some()),
            };
            by_it && matches!(liveness(&tick.by, &self.machine), Liveness::Dead(_))
        });
        is_anothers(ours, over, telling.at, now)
    }

    /// Notes which releases and messages ended, and says which releases.
    pub(crate) fn reap(&mut self) -> Vec<Ended> {
        let local = self.trigger.is_local();
        let ended = self.trigger.ended();
        for Ended { order, code } in &ended {
            self.tries.ended(order, *code, local);
            let line = line(order, *code, local);
            match code {
                Some(0) => tracing::info!("{line}"),
                _ => tracing::warn!("{line}"),
            }
        }
        self.voice.reap(self.desk.now());
        ended
    }
}

/// A fault in one line.
pub(crate) fn told(fault: &Fault) -> String {
    let causes = fault.causes();
    if causes.is_empty() {
        fault.message.clone()
    } else {
        format!("{}: {}", fault.message, causes.join(": "))
    }
}
