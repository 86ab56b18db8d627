//! What the stages of a release came to: the exit of each and its report, held against each other.

use pilotage_config::StepName;
use pilotage_outcome::{ExitCode, Outcome, Signal};

use crate::directory::PlanDirectory;
use crate::pipeline::{Next, Pipeline, StageEnd};
use crate::plan::ReleasePlan;
use crate::port::{Ended, Exit};
use crate::record::{Ran, StageRecord};

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
        // A kill comes from outside: from the kernel when memory is short, or from somebody. What a program does to itself
        // is a bug.
        (Exit::Signal(9), _) => (
            Outcome::Unavailable,
            "it was ended by signal 9 (KILL): memory was short, or somebody killed it".to_owned(),
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
    let mut pipeline = Pipeline::new(plan.stages.iter().map(|planned| planned.stage.clone()).collect());
    let mut records = Vec::new();
    loop {
        let told = pipeline.ends().len();
        let next = pipeline.go_on();
        for (stage, end) in &pipeline.ends()[told..] {
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
                pipeline.undone(record.passed());
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
            pipeline.ended(stage.clone(), end);
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
