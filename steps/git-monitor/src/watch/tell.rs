//! Telling people what is recorded and was not told, once.

use std::collections::BTreeMap;

use jiff::Timestamp;
use pilotage_decision::{Recorded, templates};
use pilotage_gate::{Decision, Verdict};
use pilotage_ledger::{EnvironmentRecord, Monitor, ServiceRecord};
use pilotage_name::{EnvironmentName, ServiceName};
use pilotage_outcome::Fault;
use serde_json::json;

use super::{Looked, Watch};
use crate::frozen;
use crate::voice::{Saying, Telling, Texts, Voice, event};

impl Watch {
    /// Tells people of decisions that object and of an environment that froze, once each. Says whether anything is still
    /// to be told.
    pub(super) fn tell(&mut self, environment: &EnvironmentName, looked: &mut Looked) -> Result<bool, Fault> {
        self.note_told(environment)?;
        let monitor = self.known(environment)?;
        let now = self.desk.now();
        let project = &self.desk.sight().config.project;
        let decisions = monitor.services.values().filter_map(|record| untold(record));
        let untold: Vec<Saying> = self
            .untold_of_all(environment, &monitor)
            .into_iter()
            .chain(decisions.filter_map(|decision| Saying::of(project, &decision)))
            .collect();
        if untold.is_empty() {
            return Ok(false);
        }
        let templates = templates(self.desk.cache(), self.desk.sight()).unwrap_or_else(|error| {
            looked
                .remarks
                .push(format!("{error}; messages are worded as without it"));
            BTreeMap::new()
        });
        let texts = Texts {
            config: self.desk.sight().config_source.text().to_owned(),
            templates,
        };
        let mut pending = false;
        for saying in untold {
            if self.voice.gave_up(&saying.telling) {
                continue;
            }
            pending = true;
            if !self.is_anothers(&monitor, &saying.telling, now) {
                self.voice.tell(saying, &texts, now);
            }
        }
        Ok(pending)
    }

    fn untold_of_all(&self, environment: &EnvironmentName, monitor: &Monitor) -> Option<Saying> {
        let (config, commands) = (&self.desk.sight().config, self.desk.command_lines());
        frozen::untold(config, &commands, environment, &monitor.environment)
    }

    /// Records what people were told, so that nobody tells it again. What cannot be recorded now is kept.
    fn note_told(&mut self, environment: &EnvironmentName) -> Result<(), Fault> {
        let (here, elsewhere): (Vec<Telling>, Vec<Telling>) = self
            .voice
            .told()
            .into_iter()
            .partition(|telling| telling.environment == *environment);
        self.voice.keep_told(elsewhere);
        let recorded = self.record_told(environment, &here);
        if !matches!(recorded, Ok(true)) {
            self.voice.keep_told(here);
        }
        recorded.map(drop)
    }

    /// Whether everything that was told is recorded now. What is recorded already is passed over.
    fn record_told(&mut self, environment: &EnvironmentName, told: &[Telling]) -> Result<bool, Fault> {
        if told.is_empty() {
            return Ok(true);
        }
        let monitor = self.known(environment)?;
        let is_there = |service: &ServiceName, at: Timestamp| {
            let record = monitor.services.get(service);
            record
                .and_then(|record| untold(record))
                .is_some_and(|decision| decision.at == at)
        };
        let services: Vec<ServiceName> = told
            .iter()
            .filter_map(|telling| Some((telling.service.clone()?, telling.at)))
            .filter(|(service, at)| is_there(service, *at))
            .map(|(service, _)| service)
            .collect();
        if !services.is_empty() {
            let by = self.by.clone();
            let recorded = self.desk.record_told(environment, &monitor, &services, by);
            if recorded.map_err(Fault::from)? == Recorded::Moved {
                return Ok(false);
            }
        }
        let monitor = self.known(environment)?;
        let whole = self.untold_of_all(environment, &monitor);
        if whole.is_none_or(|saying| !told.contains(&saying.telling)) {
            return Ok(true);
        }
        let record = EnvironmentRecord {
            untold: false,
            ..monitor.environment.clone()
        };
        let (by, data) = (self.by.clone(), json!({"told": true}));
        let recorded = self
            .desk
            .record(environment, &monitor, &[], Some(record), by, data);
        Ok(recorded.map_err(Fault::from)? != Recorded::Moved)
    }

    /// As [`Watch::note_told`], for all environments; for a monitor that is about to end.
    ///
    /// # Errors
    /// The ledger cannot be written.
    pub(crate) fn note_all_told(&mut self) -> Result<(), Fault> {
        for environment in self.environments() {
            self.note_told(&environment)?;
        }
        Ok(())
    }
}

/// The decision of a record, when people are to be told of it and were not.
fn untold(record: &ServiceRecord) -> Option<Decision> {
    let verdict = crate::touched::verdict(record)?;
    if matches!(verdict, Verdict::Accept | Verdict::Adopt | Verdict::Skip)
        || record.decision.get("told").is_some()
    {
        return None;
    }
    let decision: Decision = serde_json::from_value(record.decision.clone()).ok()?;
    event(&decision).map(|_| decision)
}
