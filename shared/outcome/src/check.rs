use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::Outcome;

/// How one check of a step ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum CheckOutcome {
    /// The answer is yes.
    Passed,
    /// The answer is no.
    Failed,
    /// The check could not be asked, because what describes it is invalid.
    Invalid,
    /// No answer could be had.
    Unavailable,
    /// The deadline came before the answer.
    Deadline,
    /// Someone with the right to say no said no.
    Refused,
    /// As refused, but the answer may still become yes without a change of what was asked for.
    Waiting,
    /// Not asked, for a reason that is no fault.
    Skipped,
}

impl CheckOutcome {
    /// The word in reports.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Passed => "passed",
            Self::Failed => "failed",
            Self::Invalid => "invalid",
            Self::Unavailable => "unavailable",
            Self::Deadline => "deadline",
            Self::Refused => "refused",
            Self::Waiting => "waiting",
            Self::Skipped => "skipped",
        }
    }

    /// The word in a list of answers for people.
    #[must_use]
    pub const fn answer(self) -> &'static str {
        match self {
            Self::Passed => "ok",
            Self::Skipped => "skipped",
            Self::Deadline => "cut",
            Self::Unavailable => "no answer",
            Self::Failed | Self::Invalid | Self::Refused | Self::Waiting => "failed",
        }
    }

    /// The outcome of a step whose only check ended so.
    #[must_use]
    pub const fn outcome(self) -> Outcome {
        match self {
            Self::Passed | Self::Skipped => Outcome::Passed,
            Self::Failed => Outcome::Failed,
            Self::Invalid => Outcome::Invalid,
            Self::Unavailable => Outcome::Unavailable,
            Self::Deadline => Outcome::Deadline,
            Self::Refused => Outcome::Refused { waiting: false },
            Self::Waiting => Outcome::Refused { waiting: true },
        }
    }

    /// Of several checks the one with the highest rank decides.
    pub(crate) const fn rank(self) -> u8 {
        match self {
            Self::Skipped => 0,
            Self::Passed => 1,
            Self::Waiting => 2,
            Self::Refused => 3,
            Self::Unavailable => 4,
            Self::Deadline => 5,
            Self::Failed => 6,
            Self::Invalid => 7,
        }
    }
}

/// One try of a check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attempt {
    /// When it began, since the check began.
    pub at: Duration,
    /// How long the answer took, where there was one.
    pub latency: Option<Duration>,
    /// Whether the answer was the one hoped for.
    pub good: bool,
    /// The answer in a few words: `200`, `503`, `refused`, `version 1.0.0, expected 1.1.0`.
    pub text: String,
}

impl Attempt {
    /// A try that began `at` after its check and was answered by `text`.
    pub fn new(at: Duration, good: bool, text: impl Into<String>) -> Self {
        Self {
            at,
            latency: None,
            good,
            text: text.into(),
        }
    }

    /// Adds how long the answer took.
    #[must_use]
    pub fn latency(mut self, latency: Duration) -> Self {
        self.latency = Some(latency);
        self
    }
}

/// One check of a step, with how it came to its answer. In a JUnit report it is one test case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckResult {
    /// What was asked, unique within the step: `http /health on shop:8080`.
    pub name: String,
    /// How it ended.
    pub outcome: CheckOutcome,
    /// Why it ended so, in one sentence; empty where there is nothing to say.
    pub reason: String,
    /// How long it took as a whole, where that was measured.
    pub took: Option<Duration>,
    /// How long the answer that decided took.
    pub latency: Option<Duration>,
    /// How many tries there were; it may be more than are kept in `attempts`.
    pub tries: u32,
    /// The tries that were kept, in order.
    pub attempts: Vec<Attempt>,
    /// The tries counted by answer: `503 (13×), refused (1×)`.
    pub histogram: String,
    /// Anything longer: a body, a difference, evidence. Lines of text.
    pub detail: String,
}

impl CheckResult {
    /// A check that ended so.
    pub fn new(name: impl Into<String>, outcome: CheckOutcome) -> Self {
        Self {
            name: name.into(),
            outcome,
            reason: String::new(),
            took: None,
            latency: None,
            tries: 0,
            attempts: Vec::new(),
            histogram: String::new(),
            detail: String::new(),
        }
    }

    /// Sets why it ended so.
    #[must_use]
    pub fn reason(mut self, reason: impl Into<String>) -> Self {
        self.reason = reason.into();
        self
    }

    /// Sets how long it took as a whole.
    #[must_use]
    pub fn took(mut self, took: Duration) -> Self {
        self.took = Some(took);
        self
    }

    /// Sets how long the answer that decided took.
    #[must_use]
    pub fn latency(mut self, latency: Duration) -> Self {
        self.latency = Some(latency);
        self
    }

    /// Adds a try that is kept, and counts it.
    #[must_use]
    pub fn attempt(mut self, attempt: Attempt) -> Self {
        self.attempts.push(attempt);
        self.tries = self.tries.saturating_add(1);
        self
    }

    /// Sets how many tries there were, where not all are kept.
    #[must_use]
    pub fn tries(mut self, tries: u32) -> Self {
        self.tries = tries;
        self
    }

    /// Sets the tries counted by answer.
    #[must_use]
    pub fn histogram(mut self, histogram: impl Into<String>) -> Self {
        self.histogram = histogram.into();
        self
    }

    /// Sets the longer text.
    #[must_use]
    pub fn detail(mut self, detail: impl Into<String>) -> Self {
        self.detail = detail.into();
        self
    }
}
