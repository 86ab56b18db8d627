//! One monitor at work: look, decide, trigger, again and again. It remembers between two looks only what spares it work;
//! a monitor that starts anew comes to the same end.

use std::collections::BTreeSet;
use std::sync::Arc;

use pilotage_config::First;
use pilotage_decision::{Desk, fault};
use pilotage_gate::Decision;
use pilotage_gitrepo::Listing;
use pilotage_ledger::{Holder, LinuxMachine, Liveness, OutboxState, liveness};
use pilotage_name::EnvironmentName;
use pilotage_outcome::{ExitCode, Fault};

use crate::adapter::process::Processes;
use crate::adapter::voice::NotifyStep;
use crate::outbox::{Progress, Tries, orders, progress};
use crate::tick::Look;
use crate::trigger::{Order, Trigger};

/// A monitor of one repository.
pub(crate) struct Watch {
    pub(crate) desk: Desk,
    pub(crate) first: Option<First>,
    pub(crate) by: Holder,
    pub(crate) machine: LinuxMachine,
    pub(crate) trigger: Processes,
    pub(crate) voice: NotifyStep,
    tries: Tries,
    /// Intents whose release came to an end; they are not looked up again.
    closed: BTreeSet<String>,
    /// What the last look listed, when nothing was left to do after it.
    quiet: Option<Listing>,
}

/// What one look came to.
#[derive(Clone, Debug, Default)]
pub(crate) struct Looked {
    /// Nothing moved, so nothing but one listing was asked.
    pub(crate) idle: bool,
    pub(crate) decisions: Vec<Decision>,
    pub(crate) remarks: Vec<String>,
    pub(crate) started: Vec<Order>,
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
            first,
            by,
            machine,
            trigger,
            voice,
            tries: Tries::default(),
            closed: BTreeSet::new(),
            quiet: None,
        }
    }

    /// Looks once at all environments. One that cannot be decided does not stop the others; its trouble is a remark.
    ///
    /// # Errors
    /// The repository cannot be reached, or policy cannot be read.
    pub(crate) fn look(&mut self) -> Result<Looked, Fault> {
        self.reap();
        let listing = self.list()?;
        if self.quiet.is_some() && self.quiet == listing {
            return Ok(Looked {
                idle: true,
                ..Looked::default()
            });
        }
        self.desk.look().map_err(Fault::from)?;
        self.trigger.become_kind(&self.desk.sight().config.trigger);
        let mut looked = Looked::default();
        let mut pending = false;
        for environment in self.desk.sight().environments() {
            match self.look_at(&environment, &mut looked) {
                Ok(again) => pending |= again,
                Err(fault) => {
                    pending = true;
                    looked
                        .remarks
                        .push(format!("{environment} cannot be decided: {}", told(&fault)));
                }
            }
        }
        self.quiet = if pending || !looked.decisions.is_empty() {
            None
        } else {
            listing
        };
        Ok(looked)
    }

    /// The refs a look turns on, in one request; none where the ledger has a repository of its own, whose refs this
    /// listing cannot show.
    fn list(&self) -> Result<Option<Listing>, Fault> {
        if !self.desk.ledger_is_inside() {
            return Ok(None);
        }
        let mut patterns = self.desk.patterns();
        patterns.push("refs/pilotage/monitor/".to_owned());
        let patterns: Vec<&str> = patterns.iter().map(String::as_str).collect();
        self.desk
            .remote()
            .list(&patterns)
            .map(Some)
            .map_err(fault::of_git)
    }

    fn look_at(&mut self, environment: &EnvironmentName, looked: &mut Looked) -> Result<bool, Fault> {
        let mut look = Look {
            desk: &mut self.desk,
            first: self.first,
            by: self.by.clone(),
            voice: &mut self.voice,
        };
        let seen = look.at(environment)?;
        looked.decisions.extend(seen.decisions);
        looked.remarks.extend(seen.remarks);
        let open = self.release(environment, looked)?;
        Ok(seen.pending || open)
    }

    /// Triggers what is accepted and not released. Says whether anything is still on its way.
    fn release(&mut self, environment: &EnvironmentName, looked: &mut Looked) -> Result<bool, Fault> {
        let monitor = self
            .desk
            .ledger()
            .known_monitor(environment)
            .map_err(fault::of_ledger)?;
        let waiting: Vec<_> = monitor
            .services
            .iter()
            .filter_map(|(service, record)| Some((service, record.outbox.as_ref()?)))
            .filter(|(_, outbox)| outbox.state == OutboxState::Intended && !self.closed.contains(&outbox.key))
            .collect();
        if waiting.is_empty() || monitor.environment.frozen.is_some() {
            return Ok(false);
        }
        let chains = self
            .desk
            .ledger()
            .releases(environment)
            .map_err(fault::of_ledger)?;
        let cache = self.desk.cache();
        let is_ancestor = |a: &_, b: &_| a == b || cache.is_ancestor(a, b).unwrap_or(false);
        let is_gone = |holder: &Holder| matches!(liveness(holder, &self.machine), Liveness::Dead(_));
        let mut open = Vec::new();
        let mut closed = Vec::new();
        for (service, outbox) in &waiting {
            let chain = match chains.get(*service) {
                Some(Ok(chain)) => Some(Arc::clone(chain)),
                Some(Err(error)) => {
                    looked
                        .remarks
                        .push(format!("{service} in {environment} cannot be released: {error}"));
                    continue;
                }
                None => None,
            };
            match progress(
                &outbox.commit,
                chain.as_ref().map(|chain| chain.state()),
                &is_ancestor,
                &is_gone,
            ) {
                Progress::Open => open.push(((*service).clone(), outbox.commit.clone())),
                Progress::Running => {}
                Progress::Closed => closed.push(outbox.key.clone()),
            }
        }
        let pending = closed.len() < waiting.len();
        self.closed.extend(closed);
        self.tries.keep(environment, &open);
        let now = self.desk.now();
        open.retain(|(service, commit)| {
            !self.trigger.runs(environment, service) && self.tries.due(environment, service, commit, now)
        });
        for order in orders(environment, &open) {
            self.tries.note(&order, now);
            match self.trigger.start(&order) {
                Ok(()) => looked.started.push(order),
                Err(error) => {
                    let source = std::error::Error::source(&error)
                        .map(ToString::to_string)
                        .unwrap_or_default();
                    looked.remarks.push(format!("{error}: {source}"));
                }
            }
        }
        Ok(pending)
    }

    /// Notes which releases and messages ended.
    pub(crate) fn reap(&mut self) {
        for ended in self.trigger.ended() {
            let services = ended
                .order
                .services
                .iter()
                .map(ToString::to_string)
                .collect::<Vec<_>>()
                .join(", ");
            let environment = &ended.order.environment;
            match ended.code {
                Some(0) => tracing::info!("the release of {services} in {environment} ended well"),
                Some(code) => {
                    let meaning = u8::try_from(code)
                        .ok()
                        .and_then(ExitCode::from_code)
                        .map_or("", ExitCode::meaning);
                    tracing::warn!("the release of {services} in {environment} ended with {code}: {meaning}");
                }
                None => tracing::warn!("the release of {services} in {environment} was killed"),
            }
        }
        self.voice.reap();
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
