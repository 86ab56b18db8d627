//! Telling people how a release goes on, by its notification stages.

use std::collections::BTreeMap;
use std::time::Duration;

use pilotage_config::StepName;
use pilotage_message::Event;
use pilotage_outcome::Outcome;
use pilotage_step::{Cancel, StepCli as _};
use tokio::time::Instant;

use crate::args::Args;
use crate::error::DirectoryError;
use crate::judge::{Judgement, judge};
use crate::message::{ended, started};
use crate::port::{Launcher, Needs};
use crate::record::{Ran, StageRecord};
use crate::release::ReleaseRun;
use crate::stage::StagePlan;
use crate::written::Written;

/// The most that a release which was asked to stop spends on telling people.
const LATE: Duration = Duration::from_secs(4);
/// What is left of the clean-up for the reports of this step.
const REPORTS: Duration = Duration::from_secs(1);
/// Less time than this is not worth a process.
const SHORTEST: Duration = Duration::from_millis(500);

impl<L: Launcher> ReleaseRun<'_, L> {
    /// What a notification of the plan tells: the first one that it starts, any other how it ends.
    pub(crate) fn announcement(&self, stage: &StagePlan) -> Result<BTreeMap<String, String>, DirectoryError> {
        if self.is_first(stage) {
            self.directory
                .tell(&started(&self.plan, self.plan.lease.as_ref()))?;
            return self.directory.announce(&self.plan, stage, Event::Started);
        }
        self.announce_end(stage, &judge(&self.plan, &self.records, None))
    }

    fn announce_end(
        &self,
        stage: &StagePlan,
        judgement: &Judgement,
    ) -> Result<BTreeMap<String, String>, DirectoryError> {
        let lease = self.plan.lease.as_ref();
        self.directory
            .tell(&ended(&self.plan, lease, &self.records, judgement))?;
        self.directory.announce(&self.plan, stage, judgement.event())
    }

    /// Whoever read that a release started reads how it ended, also when its pipeline broke off before its last
    /// notification. What is no longer ours, or may not be, is left to whoever took it over. `asked` is when this was
    /// asked to stop: then it is a matter of seconds, within the clean-up.
    pub(crate) async fn announce_late(
        &mut self,
        judgement: &Judgement,
        written: &Written,
        asked: Option<Instant>,
    ) {
        let ours = match written {
            Written::Yes | Written::Already => true,
            // That it was asked to stop is so, whatever the ledger would say.
            Written::No(_) => asked.is_some(),
            Written::Lost(_) | Written::Observed => false,
        };
        let Some(stage) = self.owed().filter(|_| ours) else {
            return;
        };
        let within = asked.map(|asked| {
            let end = asked + Args::CLEANUP.saturating_sub(REPORTS);
            end.saturating_duration_since(Instant::now()).min(LATE)
        });
        let what = Ran::Stage(stage.clone());
        let record = match (self.announce_end(&stage, judgement), within) {
            (Err(error), _) => self.broken(what, &error),
            (Ok(_), Some(within)) if within < SHORTEST => out_of_time(what, None),
            (Ok(mut environment), within) => {
                // Its own deadline comes first, so that it still reports.
                let deadline = within.map_or(stage.deadline.as_std(), |within| within.mul_f64(0.75));
                let millis = u64::try_from(deadline.as_millis()).unwrap_or(u64::MAX);
                environment.insert(
                    "PILOTAGE_DEADLINE".to_owned(),
                    pilotage_quantity::Duration::from_millis(millis).to_string(),
                );
                let (step, needs) = (StepName::Notify, Needs::Channels);
                let call = self.call(&stage.stem(), step, Vec::new(), environment, needs, deadline);
                match within {
                    None => self.execute(what, &call, self.cancel).await,
                    Some(within) => {
                        // All else was asked to stop; this is what is left to do.
                        let go_on = Cancel::never();
                        let telling = self.execute(what.clone(), &call, &go_on);
                        match tokio::time::timeout(within, telling).await {
                            Ok(record) => record,
                            Err(_) => out_of_time(what, Some(within)),
                        }
                    }
                }
            }
        };
        self.records
            .retain(|record| record.what != Ran::Stage(stage.clone()));
        self.records.push(record);
    }

    /// The last notification, when people were told of the start and not of the end.
    fn owed(&self) -> Option<StagePlan> {
        let ran = |stage: &StagePlan| {
            self.records
                .iter()
                .any(|record| record.what == Ran::Stage(stage.clone()) && record.took.is_some())
        };
        let mut told = self.plan.due().filter(|stage| stage.step == StepName::Notify);
        let first = told.next().filter(|stage| self.is_first(stage) && ran(stage))?;
        told.last()
            .filter(|last| last.index != first.index && !ran(last))
            .cloned()
    }
}

fn out_of_time(what: Ran, took: Option<Duration>) -> StageRecord {
    StageRecord {
        what,
        outcome: Some(Outcome::Deadline),
        exit: None,
        took,
        summary: "there was no time left to tell people".to_owned(),
        report: None,
    }
}
