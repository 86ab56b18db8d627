//! One release from its lease to its end: stage after stage, the lease looked at before each effect, the way back where the
//! plan asks for it, and the end written down.

use std::collections::BTreeMap;

use pilotage_config::StepName;
use pilotage_descriptor::SecretSource;
use pilotage_ledger::{Append, Standing, Undone};
use pilotage_message::Event;
use pilotage_outcome::{ExitCode, Outcome, Signal};
use pilotage_step::{Cancel, CancelReason};

use crate::conduct::{Conduct, Next, StageEnd};
use crate::directory::PlanDirectory;
use crate::error::DirectoryError;
use crate::judge::{Judgement, judge, proof_of_undo};
use crate::message::{ended, started};
use crate::plan::ReleasePlan;
use crate::port::{Call, Ended, Exit, Launcher, Needs};
use crate::record::{Ran, StageRecord};
use crate::records::Records;
use crate::stage::StagePlan;

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

/// Whether the end of a release stands in the ledger.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Written {
    /// It does.
    Yes,
    /// An earlier try had written it already.
    Already,
    /// Somebody else has taken the release over; it says whom.
    Lost(String),
    /// It could not be written; it says why.
    No(String),
    /// There was no release to end: the environment is observed.
    Observed,
}

/// A release that goes on.
pub struct Voyage<'a, L> {
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
    records: Vec<StageRecord>,
}

impl<'a, L: Launcher> Voyage<'a, L> {
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
    pub async fn sail(mut self) -> ReleaseEnd {
        let stages = self
            .plan
            .stages
            .iter()
            .map(|planned| planned.stage.clone())
            .collect();
        let mut conduct = Conduct::new(stages);
        let stopped = self.stages(&mut conduct).await;
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
        ReleaseEnd {
            plan: self.plan,
            records: self.records,
            judgement,
            written,
        }
    }

    /// Runs the stages. What it gives back ended the release before its plan did.
    async fn stages(&mut self, conduct: &mut Conduct) -> Option<Stop> {
        loop {
            if let Some(reason) = self.cancel.reason() {
                return Some(Stop::Asked(reason));
            }
            let told = conduct.ends().len();
            let next = conduct.go_on();
            for (stage, end) in &conduct.ends()[told..] {
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
                    conduct.ended(stage, end);
                    self.records.push(record);
                }
                Next::Undo { because } => {
                    let record = match self.undo(&because).await {
                        Ok(record) => record,
                        Err(stop) => return Some(stop),
                    };
                    conduct.undone(record.passed());
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
        let environment = match stage.step {
            StepName::Notify => match self.announce(stage) {
                Ok(environment) => environment,
                Err(error) => return Ok(self.broken(Ran::Stage(stage.clone()), &error)),
            },
            _ => self.directory.environment(&self.plan, stage, Event::Started),
        };
        if stage.step == StepName::Deploy {
            self.verify().await?;
        }
        let needs = match stage.step {
            StepName::Notify => Needs::Channels,
            StepName::Deploy => Needs::Secrets(SecretSource::env_prefix(&self.plan.service.service)),
            StepName::Healthcheck | StepName::Smoke | StepName::Regression => Needs::Nothing,
        };
        let call = self.call(
            &stage.stem(),
            stage.step,
            Vec::new(),
            environment,
            needs,
            stage.deadline.as_std(),
        );
        Ok(self.run(Ran::Stage(stage.clone()), &call).await)
    }

    fn is_first(&self, stage: &StagePlan) -> bool {
        self.plan
            .due()
            .next()
            .is_some_and(|first| first.index == stage.index)
    }

    /// What a notification tells now: that it starts, as long as nothing ran, else how it ends.
    fn announce(&self, stage: &StagePlan) -> Result<BTreeMap<String, String>, DirectoryError> {
        let lease = self.plan.lease.as_ref();
        if self.is_first(stage) {
            self.directory.tell(&started(&self.plan, lease))?;
            return self.directory.announce(&self.plan, stage, Event::Started);
        }
        let judgement = judge(&self.plan, &self.records, None);
        self.directory
            .tell(&ended(&self.plan, lease, &self.records, &judgement))?;
        self.directory.announce(&self.plan, stage, judgement.event())
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
        let record = self.run(Ran::Undo(because.clone()), &call).await;
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

    /// Looks whether the release is still ours. Nothing may follow when it is not, or when nobody can say.
    async fn verify(&self) -> Result<(), Stop> {
        let (Some(ledger), Some(lease)) = (self.ledger, &self.plan.lease) else {
            return Ok(());
        };
        match ledger.verify(lease, self.cancel).await {
            Ok(Standing::Holds) => Ok(()),
            Ok(Standing::Lost { by }) => Err(Stop::Lost {
                by,
                newer: ledger.overtaken(lease, &self.plan.commit).await,
            }),
            Err(fault) => Err(match self.cancel.reason() {
                Some(reason) => Stop::Asked(reason),
                None => Stop::Blind(fault.to_string()),
            }),
        }
    }

    fn call(
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
            label: format!("{} {what}", self.plan.service.service),
            log: self.directory.file(&format!("reports/{stem}.log")),
            deadline,
        }
    }

    async fn run(&self, what: Ran, call: &Call) -> StageRecord {
        let stem = match &what {
            Ran::Stage(stage) => stage.stem(),
            Ran::Undo(_) => "undo".to_owned(),
        };
        if let Err(error) = self.directory.clear(&stem) {
            return self.broken(what, &error);
        }
        tracing::debug!("{}: {}", self.name(), call.label);
        let ended = self.launcher.run(call, self.cancel).await;
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
    fn broken(&self, what: Ran, error: &DirectoryError) -> StageRecord {
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

    async fn finish(&mut self, judgement: &Judgement) -> Written {
        let (Some(ledger), Some(lease)) = (self.ledger, &self.plan.lease) else {
            return Written::Observed;
        };
        let finished = judgement.finished(&self.plan, &self.records);
        match ledger.finish(lease, finished, self.cancel).await {
            Ok(Append::Done(lease)) => {
                self.plan.lease = Some(lease);
                Written::Yes
            }
            Ok(Append::Already(_)) => Written::Already,
            Ok(Append::Lost { by }) => Written::Lost(by),
            Err(fault) => {
                let causes = fault.causes();
                Written::No(
                    std::iter::once(fault.message)
                        .chain(causes)
                        .collect::<Vec<_>>()
                        .join(": "),
                )
            }
        }
    }

    fn name(&self) -> String {
        match &self.plan.lease {
            Some(lease) => lease.release.to_string(),
            None => self.plan.service.to_string(),
        }
    }
}

/// Why a release ends before its plan does.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Stop {
    /// It was asked to.
    Asked(CancelReason),
    /// Somebody else has taken it over.
    Lost { by: String, newer: bool },
    /// Nobody can say whether it is still ours, and why not.
    Blind(String),
}

impl Stop {
    fn outcome(&self) -> Outcome {
        match self {
            Self::Asked(CancelReason::Signal(signal)) => Outcome::Cancelled(*signal),
            Self::Asked(CancelReason::Deadline) => Outcome::Deadline,
            Self::Lost { newer: true, .. } => Outcome::Superseded,
            Self::Lost { newer: false, .. } => Outcome::Refused { waiting: false },
            Self::Blind(_) => Outcome::Unavailable,
        }
    }

    fn why(&self) -> String {
        match self {
            Self::Asked(CancelReason::Signal(signal)) => format!("cancelled by {signal}"),
            Self::Asked(CancelReason::Deadline) => {
                "the deadline of the release came before its end".to_owned()
            }
            Self::Lost { by, .. } => format!("the release is no longer ours: {by}"),
            Self::Blind(why) => {
                format!(
                    "whether the release is still ours cannot be asked, so nothing more is changed: {why}"
                )
            }
        }
    }
}

/// What became of a stage, from its exit and its report held against each other.
#[must_use]
pub fn record_of(what: Ran, ended: &Ended, directory: &PlanDirectory) -> StageRecord {
    let stem = match &what {
        Ran::Stage(stage) => stage.stem(),
        Ran::Undo(_) => "undo".to_owned(),
    };
    let report = directory.report(&stem);
    let mut record = StageRecord {
        what,
        outcome: None,
        exit: None,
        took: Some(ended.took),
        summary: String::new(),
        report: None,
    };
    let (outcome, summary) = match (&ended.exit, &report) {
        (Exit::NotStarted(why), _) => {
            record.took = None;
            (Outcome::Unavailable, why.clone())
        }
        (Exit::Overdue, _) => (
            Outcome::Deadline,
            "it did not end at its deadline and was killed".to_owned(),
        ),
        (Exit::Stopped, _) => (
            Outcome::Cancelled(Signal::Terminate),
            "it did not stop when it was asked to and was killed".to_owned(),
        ),
        (Exit::Signal(signal), _) => (Outcome::Internal, format!("it was ended by signal {signal}")),
        (Exit::Code(code), Ok(report)) if report.exit_code == *code => {
            let outcome = ExitCode::from_code(*code).map_or(Outcome::Internal, Outcome::of_exit_code);
            let outcome = match outcome {
                Outcome::Refused { .. } => Outcome::Refused {
                    waiting: report.waiting,
                },
                other => other,
            };
            (outcome, report.summary.clone())
        }
        (Exit::Code(code), Ok(report)) => (
            Outcome::Internal,
            format!("it ended with {code}, and its report says {}", report.exit_code),
        ),
        // A step that cannot even be called as planned has no report by contract.
        (Exit::Code(2), Err(_)) => (
            Outcome::Internal,
            "it does not understand how it was called (exit 2)".to_owned(),
        ),
        (Exit::Code(code), Err(problem)) => {
            (Outcome::Internal, format!("it ended with {code}, and {problem}"))
        }
    };
    if let Exit::Code(code) = &ended.exit {
        record.exit = Some(*code);
    }
    record.outcome = Some(outcome);
    record.summary = summary;
    record.report = report.ok();
    record
}

/// What the stages of a plan left behind that somebody else ran, in order. A stage whose time came and that left no report
/// broke off.
#[must_use]
pub fn left_behind(plan: &ReleasePlan, directory: &PlanDirectory) -> Vec<StageRecord> {
    let mut conduct = Conduct::new(plan.stages.iter().map(|planned| planned.stage.clone()).collect());
    let mut records = Vec::new();
    loop {
        let told = conduct.ends().len();
        let next = conduct.go_on();
        for (stage, end) in &conduct.ends()[told..] {
            if *end == StageEnd::Skipped {
                records.push(StageRecord::skipped(stage.clone(), "its time did not come"));
            }
        }
        let record = match next {
            Next::End => return records,
            Next::Run(stage) => match plan.skip(&stage) {
                Some(why) => StageRecord::skipped(stage, why),
                // People are told of the end before it is written, or after.
                None if stage.step == StepName::Notify && directory.report(&stage.stem()).is_err() => {
                    StageRecord::skipped(stage, "it left no report")
                }
                None => reported(Ran::Stage(stage), directory),
            },
            Next::Undo { because } => {
                let record = reported(Ran::Undo(because), directory);
                conduct.undone(record.passed());
                records.push(record);
                continue;
            }
        };
        if let Ran::Stage(stage) = &record.what {
            let end = match record.outcome {
                None => StageEnd::Skipped,
                Some(outcome) if outcome.is_passed() => StageEnd::Passed,
                Some(_) => StageEnd::Failed,
            };
            conduct.ended(stage.clone(), end);
        }
        records.push(record);
    }
}

/// A record from nothing but the report.
fn reported(what: Ran, directory: &PlanDirectory) -> StageRecord {
    let stem = match &what {
        Ran::Stage(stage) => stage.stem(),
        Ran::Undo(_) => "undo".to_owned(),
    };
    let exit = match directory.report(&stem) {
        Ok(report) => Ended {
            exit: Exit::Code(report.exit_code),
            took: std::time::Duration::from_millis(report.duration_ms),
        },
        Err(problem) => {
            return StageRecord {
                what,
                outcome: Some(Outcome::Internal),
                exit: None,
                took: Some(std::time::Duration::ZERO),
                summary: problem.to_string(),
                report: None,
            };
        }
    };
    record_of(what, &exit, directory)
}
