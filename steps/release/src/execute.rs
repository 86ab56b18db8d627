//! One stage as a process of its own.

use std::collections::BTreeMap;

use pilotage_config::StepName;
use pilotage_outcome::Outcome;
use pilotage_step::Cancel;

use crate::error::DirectoryError;
use crate::port::{Call, Launcher, Needs};
use crate::record::{Ran, StageRecord};
use crate::release::ReleaseRun;
use crate::result::record_of;

impl<L: Launcher> ReleaseRun<'_, L> {
    pub(crate) fn call(
        &self,
        stem: &str,
        step: StepName,
        arguments: Vec<String>,
        environment: BTreeMap<String, String>,
        needs: Needs,
        deadline: std::time::Duration,
    ) -> Call {
        let what = if stem == "undo" { "undo" } else { step.as_str() };
        Call {
            program: format!("pilotage-{step}"),
            arguments,
            environment,
            needs,
            label: format!(
                "{}/{} {what}",
                self.plan.service.environment, self.plan.service.service
            ),
            log: self.directory.file(&format!("reports/{stem}.log")),
            deadline,
        }
    }

    pub(crate) async fn execute(&self, what: Ran, call: &Call, cancel: &Cancel) -> StageRecord {
        let stem = match &what {
            Ran::Stage(stage) => stage.stem(),
            Ran::Undo(_) => "undo".to_owned(),
        };
        if let Err(error) = self.directory.clear(&stem) {
            return self.broken(what, &error);
        }
        tracing::debug!("{}: {}", self.name(), call.label);
        let ended = self.launcher.run(call, cancel).await;
        let record = record_of(what, &ended, self.directory);
        let took = pilotage_quantity::Duration::from_millis(record.milliseconds());
        match record.passed() {
            true => tracing::info!("{}: {} passed in {took}", self.name(), record.name()),
            false => tracing::warn!(
                "{}: {} {} after {took}: {}",
                self.name(),
                record.name(),
                record.word(),
                record.summary
            ),
        }
        record
    }

    /// The plan's directory is not what it was: no fault of the version.
    pub(crate) fn broken(&self, what: Ran, error: &DirectoryError) -> StageRecord {
        let detail = std::error::Error::source(error)
            .map(|source| format!(": {source}"))
            .unwrap_or_default();
        StageRecord {
            what,
            outcome: Some(Outcome::Unavailable),
            exit: None,
            took: None,
            summary: format!("{error}{detail}"),
            report: None,
        }
    }
}
