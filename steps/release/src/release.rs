//! One release from its lease to its end: stage after stage, the lease looked at before each effect, the way back where the
//! plan asks for it, and the end written down.

use std::collections::BTreeMap;
use std::pin::pin;

use pilotage_config::StepName;
use pilotage_descriptor::SecretSource;
use pilotage_ledger::{Append, Undone};
use pilotage_message::Event;
use pilotage_step::Cancel;
use tokio::time::Instant;

use crate::directory::PlanDirectory;
use crate::error::DirectoryError;
use crate::instance;
use crate::judge::{Judgement, judge, proof_of_undo};
use crate::pipeline::{Next, Pipeline, StageEnd};
use crate::plan::ReleasePlan;
use crate::port::{Launcher, Needs};
use crate::record::{Ran, StageRecord};
use crate::records::Records;
use crate::stage::StagePlan;
use crate::stop::Stop;
use crate::written::Written;

/// How a release ended.
#[derive(Clone, Debug, PartialEq)]
pub struct ReleaseEnd {
    /// The plan, with its lease.
    pub plan: ReleasePlan,
    /// The stages, in the order in which they ended.
    pub records: Vec<StageRecord>,
    /// What it came to.
    pub judgement: Judgement,
    /// What stands in the ledger now.
    pub written: Written,
}

/// A release that goes on.
pub struct ReleaseRun<'a, L> {
    /// Runs the stages.
    pub launcher: &'a L,
    /// The ledger; none where the environment is observed and nothing is touched.
    pub ledger: Option<&'a Records>,
    /// Says when to stop.
    pub cancel: &'a Cancel,
    /// The plan's directory.
    pub directory: &'a PlanDirectory,
    /// The plan, with its lease.
    pub plan: ReleasePlan,
    pub(crate) records: Vec<StageRecord>,
}

impl<'a, L: Launcher> ReleaseRun<'a, L> {
    /// Before the first stage.
    pub fn new(
        launcher: &'a L,
        ledger: Option<&'a Records>,
        cancel: &'a Cancel,
        directory: &'a PlanDirectory,
        plan: ReleasePlan,
    ) -> Self {
        Self {
            launcher,
            ledger,
            cancel,
            directory,
            plan,
            records: Vec::new(),
        }
    }

    /// Runs every stage whose time comes and ends the release.
    pub async fn run(mut self) -> ReleaseEnd {
        let stages = self
            .plan
            .stages
            .iter()
            .map(|planned| planned.stage.clone())
            .collect();
        let mut pipeline = Pipeline::new(stages);
        let cancel = self.cancel;
        let (stopped, asked) = {
            let mut stages = pin!(self.stages(&mut pipeline));
            tokio::select! {
                biased;
                stopped = &mut stages => (stopped, None),
                _ = cancel.cancelled() => {
                    let asked = Instant::now();
                    (stages.await, Some(asked))
                }
            }
        };
        let judgement = judge(
            &self.plan,
            &self.records,
            stopped.as_ref().map(|stop| (stop.outcome(), stop.why())),
        );
        let written = match stopped {
            // What somebody else holds is theirs to end.
            Some(Stop::Lost { by, .. }) => Written::Lost(by),
            Some(Stop::Asked(_) | Stop::Blind(_)) | None => self.finish(&judgement).await,
        };
        let asked = asked.or_else(|| cancel.is_cancelled().then(Instant::now));
        self.announce_late(&judgement, &written, asked).await;
        ReleaseEnd {
            plan: self.plan,
            records: self.records,
            judgement,
            written,
        }
    }

    /// Runs the stages. What it gives back ended the release before its plan did.
    async fn stages(&mut self, pipeline: &mut Pipeline) -> Option<Stop> {
        loop {
            if let Some(reason) = self.cancel.reason() {
                return Some(Stop::Asked(reason));
            }
            let told = pipeline.ends().len();
            let next = pipeline.go_on();
            for (stage, end) in &pipeline.ends()[told..] {
                if *end == StageEnd::Skipped {
                    self.records
                        .push(StageRecord::skipped(stage.clone(), "its time did not come"));
                }
            }
            match next {
                Next::End => return None,
                Next::Run(stage) => {
                    let record = match self.stage(&stage).await {
                        Ok(record) => record,
                        Err(stop) => return Some(stop),
                    };
                    let end = match record.outcome {
                        None => StageEnd::Skipped,
                        Some(outcome) if outcome.is_passed() => StageEnd::Passed,
                        Some(_) => StageEnd::Failed,
                    };
                    pipeline.ended(stage, end);
                    self.records.push(record);
                }
                Next::Undo { because } => {
                    let record = match self.undo(&because).await {
                        Ok(record) => record,
                        Err(stop) => return Some(stop),
                    };
                    pipeline.undone(record.passed());
                    self.records.push(record);
                }
            }
        }
    }

    async fn stage(&self, stage: &StagePlan) -> Result<StageRecord, Stop> {
        if let Some(why) = self.plan.skip(stage) {
            return Ok(StageRecord::skipped(stage.clone(), why));
        }
        // Observed: that it would start is told, and there is no end to tell.
        if self.plan.observe && (stage.step != StepName::Notify || !self.is_first(stage)) {
            return Ok(StageRecord::skipped(stage.clone(), "the environment is observed"));
        }
        if stage.step == StepName::Notify && !self.is_first(stage) {
            match self.verify().await {
                // What somebody else has taken over is theirs to tell of.
                Err(Stop::Blind(why)) => {
                    let why = format!("whether the release is still ours cannot be asked: {why}");
                    return Ok(StageRecord::skipped(stage.clone(), why));
                }
                standing => standing?,
            }
        }
        let environment = match stage.step {
            StepName::Notify => self.announcement(stage),
            StepName::Deploy => Ok(self.directory.environment(&self.plan, stage, Event::Started)),
            StepName::Healthcheck | StepName::Smoke | StepName::Regression => self.asking(stage),
        };
        let environment = match environment {
            Ok(environment) => environment,
            Err(error) => return Ok(self.broken(Ran::Stage(stage.clone()), &error)),
        };
        if stage.step == StepName::Deploy {
            self.verify().await?;
        }
        let needs = match stage.step {
            StepName::Notify => Needs::Channels,
            StepName::Deploy => Needs::Secrets(SecretSource::env_prefix(&self.plan.service.service)),
            // Its command was granted, and logs in where the service does.
            StepName::Regression => Needs::Secrets(SecretSource::env_prefix(&self.plan.service.service)),
            StepName::Healthcheck | StepName::Smoke => Needs::Nothing,
        };
        let call = self.call(
            &stage.stem(),
            stage.step,
            Vec::new(),
            environment,
            needs,
            stage.deadline.as_std(),
        );
        Ok(self.execute(Ran::Stage(stage.clone()), &call, self.cancel).await)
    }

    /// The environment of a stage that asks the service.
    fn asking(&self, stage: &StagePlan) -> Result<BTreeMap<String, String>, DirectoryError> {
        let mut environment = self.directory.environment(&self.plan, stage, Event::Started);
        let deployed = |record: &&StageRecord| record.name() == StepName::Deploy.as_str() && record.passed();
        if let Some(report) = self
            .records
            .iter()
            .rfind(deployed)
            .and_then(|record| record.report.as_ref())
            && let Some(addresses) = instance::addresses(&self.directory.descriptor()?, &report.outputs)
        {
            environment.insert("PILOTAGE_ADDRESS".to_owned(), addresses);
        }
        Ok(environment)
    }

    pub(crate) fn is_first(&self, stage: &StagePlan) -> bool {
        self.plan
            .due()
            .next()
            .is_some_and(|first| first.index == stage.index)
    }

    async fn undo(&mut self, because: &StagePlan) -> Result<StageRecord, Stop> {
        self.verify().await?;
        let environment = self.directory.undo_environment(&self.plan);
        let deploy = self.plan.due().find(|stage| stage.step == StepName::Deploy);
        let deadline = deploy.map_or(because.deadline, |stage| stage.deadline).as_std();
        let arguments = vec!["undo".to_owned()];
        let call = self.call(
            "undo",
            StepName::Deploy,
            arguments,
            environment,
            Needs::Nothing,
            deadline,
        );
        let record = self.execute(Ran::Undo(because.clone()), &call, self.cancel).await;
        if record.passed()
            && let (Some(ledger), Some(lease)) = (self.ledger, self.plan.lease.clone())
        {
            let proof = proof_of_undo(&record);
            let undone = Undone {
                to: proof
                    .as_ref()
                    .and_then(|proof| proof.version.clone())
                    .or_else(|| self.plan.from_version.clone()),
                reason: self.why(because),
                proof,
            };
            match ledger.undone(&lease, undone, self.cancel).await {
                Ok(Append::Done(lease)) => self.plan.lease = Some(lease),
                Ok(Append::Already(_)) => {}
                Ok(Append::Lost { by }) => return Err(Stop::Lost { by, newer: false }),
                // It is still said by the end of the release.
                Err(fault) => tracing::error!(
                    "{}: that it switched back could not be recorded: {fault}",
                    self.name()
                ),
            }
        }
        Ok(record)
    }

    fn why(&self, because: &StagePlan) -> String {
        let is_it = |record: &&StageRecord| record.what == Ran::Stage(because.clone());
        match self.records.iter().rfind(is_it) {
            Some(record) if !record.summary.is_empty() => format!("{}: {}", record.name(), record.summary),
            _ => format!("{} failed", because.step),
        }
    }

    pub(crate) fn name(&self) -> String {
        match &self.plan.lease {
            Some(lease) => lease.release.to_string(),
            None => self.plan.service.to_string(),
        }
    }
}
