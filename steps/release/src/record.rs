//! How one stage of a release ended.

use std::time::Duration;

use pilotage_ledger::{EndWord, Stage};
use pilotage_outcome::{Effects, Outcome, StepReportData};

use crate::stage::StagePlan;

/// One stage that ended, or was passed over.
#[derive(Clone, Debug, PartialEq)]
pub struct StageRecord {
    /// What ran.
    pub what: Ran,
    /// How it ended; nothing when it was passed over.
    pub outcome: Option<Outcome>,
    /// The number its process ended with, where there was one.
    pub exit: Option<u8>,
    /// How long it took, where it ran.
    pub took: Option<Duration>,
    /// One line about it.
    pub summary: String,
    /// What it reported, where it could.
    pub report: Option<StepReportData>,
}

/// What a record is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ran {
    /// A stage of the plan.
    Stage(StagePlan),
    /// The way back after the failure of that stage.
    Undo(StagePlan),
}

impl StageRecord {
    /// A stage that was passed over.
    #[must_use]
    pub fn skipped(stage: StagePlan, why: impl Into<String>) -> Self {
        Self {
            what: Ran::Stage(stage),
            outcome: None,
            exit: None,
            took: None,
            summary: why.into(),
            report: None,
        }
    }

    /// The step, or `undo`.
    #[must_use]
    pub fn name(&self) -> &str {
        match &self.what {
            Ran::Stage(stage) => stage.step.as_str(),
            Ran::Undo(_) => "undo",
        }
    }

    /// The stem of its files in the plan directory.
    #[must_use]
    pub fn stem(&self) -> String {
        match &self.what {
            Ran::Stage(stage) => stage.stem(),
            Ran::Undo(_) => "undo".to_owned(),
        }
    }

    /// How it ended, in one word.
    #[must_use]
    pub fn word(&self) -> &'static str {
        self.outcome.map_or("skipped", Outcome::word)
    }

    /// Whether it passed.
    #[must_use]
    pub fn passed(&self) -> bool {
        self.outcome.is_some_and(Outcome::is_passed)
    }

    /// Whether it ran and did not pass.
    #[must_use]
    pub fn failed(&self) -> bool {
        self.outcome.is_some_and(|outcome| !outcome.is_passed())
    }

    /// What it changed. A step that left no report may have changed anything.
    #[must_use]
    pub fn effects(&self) -> Effects {
        match (&self.report, self.outcome) {
            (Some(report), _) => report.effects,
            (None, None | Some(Outcome::Usage)) => Effects::None,
            (None, Some(_)) if self.exit.is_none() && self.took.is_none() => Effects::None,
            (None, Some(_)) => Effects::Partial,
        }
    }

    /// How long it took, in milliseconds; nothing where it did not run.
    #[must_use]
    pub fn milliseconds(&self) -> u64 {
        self.took
            .map_or(0, |took| u64::try_from(took.as_millis()).unwrap_or(u64::MAX))
    }

    /// As it stands in the ledger.
    #[must_use]
    pub fn in_ledger(&self) -> Stage {
        Stage {
            step: self.name().to_owned(),
            outcome: self.outcome.map_or(EndWord::Skipped, end_word),
            exit: self.exit.map(i32::from),
            milliseconds: self.milliseconds(),
        }
    }
}

/// The ledger's word for an outcome.
#[must_use]
pub fn end_word(outcome: Outcome) -> EndWord {
    match outcome {
        Outcome::Passed => EndWord::Succeeded,
        Outcome::Failed => EndWord::Failed,
        Outcome::Invalid => EndWord::Invalid,
        Outcome::Unavailable => EndWord::Unavailable,
        Outcome::Deadline => EndWord::Deadline,
        Outcome::Refused { .. } => EndWord::Refused,
        Outcome::Superseded => EndWord::Superseded,
        Outcome::Cancelled(_) => EndWord::Cancelled,
        // A plan that a step cannot be called with is our own slip.
        Outcome::Usage | Outcome::Internal => EndWord::Internal,
    }
}
