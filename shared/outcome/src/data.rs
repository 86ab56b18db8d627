//! The report as it is written: `step-report/v1`. Additive within v1, so readers ignore keys they do not know and
//! writers never take one away.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use pilotage_diagnostic::{DiagnosticData, PlaceData};
use pilotage_name::{CommitId, EnvironmentName, ProjectName, ReleaseId, ServiceName};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{Attempt, Change, CheckOutcome, CheckResult, Effects, Outcome, Signal, StepReport, to_outputs};

/// The name of the format.
pub const SCHEMA: &str = "step-report/v1";

/// Who ran when: what the frame knows and the step need not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Invocation {
    /// The step, without the product's prefix: `healthcheck`.
    pub step: String,
    /// Its subcommand, where it has one: `plan`.
    pub command: Option<String>,
    /// The version of the binary.
    pub version: String,
    /// When it began, by the wall clock.
    pub started: Timestamp,
    /// How long it took, by a clock that only goes forward.
    pub elapsed: Duration,
    /// Whether it was told to change nothing.
    pub dry_run: bool,
}

/// The report of one run of one step.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct StepReportData {
    /// Always `step-report/v1`.
    #[schemars(extend("const" = SCHEMA))]
    pub schema: String,
    /// The step, without the product's prefix.
    pub step: String,
    /// The step's subcommand.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub command: Option<String>,
    /// The version of the binary.
    pub version: String,
    /// How the step ended.
    pub outcome: OutcomeWord,
    /// For `refused`: true where the answer may still become yes without a change of what was asked for.
    #[serde(default, skip_serializing_if = "is_false")]
    pub waiting: bool,
    /// For `cancelled`: the signal that came.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signal: Option<Signal>,
    /// The number the process ended with.
    pub exit_code: u8,
    /// How much was changed.
    pub effects: Effects,
    /// Whether the step was told to change nothing; `changes` then says what it would have changed.
    #[serde(default, skip_serializing_if = "is_false")]
    pub dry_run: bool,
    /// When the step began, in UTC.
    #[schemars(with = "String", extend("format" = "date-time"))]
    pub started: Timestamp,
    /// How long it took, in milliseconds.
    pub duration_ms: u64,
    /// The result in one sentence.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub summary: String,
    /// What lies behind the summary, from near to far.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub causes: Vec<String>,
    /// What to do next.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub help: Vec<String>,
    /// Whose environment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub project: Option<ProjectName>,
    /// Where.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub environment: Option<EnvironmentName>,
    /// What.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service: Option<ServiceName>,
    /// The commit of the environment repository that asked for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub commit: Option<CommitId>,
    /// The release this was a part of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub release: Option<ReleaseId>,
    /// The fence the step worked under.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fence: Option<u64>,
    /// The digest of the plan that was made or applied.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plan_digest: Option<String>,
    /// Values for later stages.
    #[serde(default)]
    pub outputs: BTreeMap<String, String>,
    /// The questions asked, with their answers.
    #[serde(default)]
    pub checks: Vec<CheckData>,
    /// What was changed, or would have been.
    #[serde(default)]
    pub changes: Vec<ChangeData>,
    /// Problems with their places.
    #[serde(default)]
    pub diagnostics: Vec<DiagnosticData>,
    /// The step's own data; its shape is the step's.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub result: Value,
}

/// How a step ended, in one word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum OutcomeWord {
    /// Yes, or there was nothing to do: exit 0.
    Passed,
    /// The answer is no: exit 1.
    Failed,
    /// Flags or environment cannot be used: exit 2.
    Usage,
    /// A descriptor, configuration or template is invalid: exit 3.
    Invalid,
    /// No answer could be had: exit 4.
    Unavailable,
    /// The deadline cut work whose answer is unknown: exit 5.
    Deadline,
    /// Refused, or waiting: exit 6.
    Refused,
    /// A newer accepted decision makes this one pointless: exit 7.
    Superseded,
    /// A bug in the step: exit 70, or 101 where it was a panic.
    Internal,
    /// Someone ended the step: exit 130 or 143.
    Cancelled,
}

/// One check.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct CheckData {
    /// What was asked.
    pub name: String,
    /// How it ended.
    pub outcome: CheckOutcome,
    /// Why it ended so.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reason: String,
    /// How long it took as a whole, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub duration_ms: Option<f64>,
    /// How long the answer that decided took, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub latency_ms: Option<f64>,
    /// How many tries there were.
    #[serde(default)]
    pub tries: u32,
    /// The tries that were kept, in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub attempts: Vec<AttemptData>,
    /// The tries counted by answer.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub histogram: String,
    /// Anything longer.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub detail: String,
}

/// One try of a check.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct AttemptData {
    /// When it began, in milliseconds since the check began.
    pub at_ms: f64,
    /// How long the answer took, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub latency_ms: Option<f64>,
    /// Whether the answer was the one hoped for.
    pub good: bool,
    /// The answer in a few words.
    pub text: String,
}

/// One change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ChangeData {
    /// What was done.
    pub action: String,
    /// What it was done to.
    pub subject: String,
    /// Anything a person should know besides.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub detail: String,
}

/// Why a text is no report.
#[derive(Debug, thiserror::Error)]
pub enum ReadReportError {
    /// Not JSON, or JSON of another shape.
    #[error("it is no {SCHEMA}: {0}")]
    Shape(#[from] serde_json::Error),
    /// A report of another format.
    #[error("its schema is `{0}`, expected `{SCHEMA}`")]
    Schema(String),
}

/// The JSON Schema of `step-report/v1`, committed as `shared/outcome/step-report.schema.json`.
#[must_use]
pub fn schema() -> Value {
    schemars::schema_for!(StepReportData).to_value()
}

impl StepReportData {
    /// The report as it is written.
    #[must_use]
    pub fn new(report: &StepReport, invocation: &Invocation) -> Self {
        let (waiting, signal) = match report.outcome {
            Outcome::Refused { waiting } => (waiting, None),
            Outcome::Cancelled(signal) => (false, Some(signal)),
            _ => (false, None),
        };
        Self {
            schema: SCHEMA.to_owned(),
            step: invocation.step.clone(),
            command: invocation.command.clone(),
            version: invocation.version.clone(),
            outcome: report.outcome.into(),
            waiting,
            signal,
            exit_code: report.exit_code().code(),
            effects: report.effects,
            dry_run: invocation.dry_run,
            started: invocation.started,
            duration_ms: u64::try_from(invocation.elapsed.as_millis()).unwrap_or(u64::MAX),
            summary: report.summary.clone(),
            causes: report.causes.clone(),
            help: report.help.clone(),
            project: report.project.clone(),
            environment: report.environment.clone(),
            service: report.service.clone(),
            commit: report.commit.clone(),
            release: report.release.clone(),
            fence: report.fence,
            plan_digest: report.plan_digest.clone(),
            outputs: report
                .outputs
                .iter()
                .map(|(key, value)| (key.to_string(), value.clone()))
                .collect(),
            checks: report.checks.iter().map(CheckData::from).collect(),
            changes: report.changes.iter().map(ChangeData::from).collect(),
            diagnostics: report.diagnostics.iter().map(DiagnosticData::from).collect(),
            result: report.result.clone(),
        }
    }

    /// Reads a report that some step of any v1 wrote; keys it does not know are passed over.
    ///
    /// # Errors
    ///
    /// The text is not JSON, or not a report of this format.
    pub fn read(text: &str) -> Result<Self, ReadReportError> {
        #[derive(Deserialize)]
        struct Head {
            schema: String,
        }
        let head: Head = serde_json::from_str(text)?;
        if head.schema != SCHEMA {
            return Err(ReadReportError::Schema(head.schema));
        }
        Ok(serde_json::from_str(text)?)
    }

    /// How the step ended.
    #[must_use]
    pub const fn outcome(&self) -> Outcome {
        match self.outcome {
            OutcomeWord::Passed => Outcome::Passed,
            OutcomeWord::Failed => Outcome::Failed,
            OutcomeWord::Usage => Outcome::Usage,
            OutcomeWord::Invalid => Outcome::Invalid,
            OutcomeWord::Unavailable => Outcome::Unavailable,
            OutcomeWord::Deadline => Outcome::Deadline,
            OutcomeWord::Refused => Outcome::Refused {
                waiting: self.waiting,
            },
            OutcomeWord::Superseded => Outcome::Superseded,
            OutcomeWord::Internal => Outcome::Internal,
            OutcomeWord::Cancelled => Outcome::Cancelled(match self.signal {
                Some(signal) => signal,
                None => Signal::Terminate,
            }),
        }
    }

    /// The report as JSON text, indented, with a newline at its end.
    #[must_use]
    pub fn to_json(&self) -> String {
        // Nothing in the type can fail to serialise: no map has keys that are not strings, and numbers that JSON does
        // not know become null.
        let mut text = serde_json::to_string_pretty(self).unwrap_or_default();
        text.push('\n');
        text
    }

    /// The output lines: the step's own, and `outcome`, `effects` and `exit_code` where the step has none of the name.
    #[must_use]
    pub fn to_outputs(&self) -> String {
        let code = self.exit_code.to_string();
        let mut lines: BTreeMap<&str, &str> = BTreeMap::from([
            ("outcome", self.outcome().word()),
            ("effects", self.effects.word()),
            ("exit_code", code.as_str()),
        ]);
        lines.extend(
            self.outputs
                .iter()
                .map(|(key, value)| (key.as_str(), value.as_str())),
        );
        to_outputs(lines)
    }

    /// Passes every text that came from outside through `change`; what the format itself says (keys, words, names
    /// that obey a grammar) stays. This is where secrets are taken out.
    pub fn map_texts(&mut self, change: &dyn for<'a> Fn(&'a str) -> Cow<'a, str>) {
        let text = |text: &mut String| {
            if let Cow::Owned(new) = change(text) {
                *text = new;
            }
        };
        text(&mut self.summary);
        self.causes.iter_mut().for_each(text);
        self.help.iter_mut().for_each(text);
        self.plan_digest.iter_mut().for_each(text);
        self.outputs.values_mut().for_each(text);
        for check in &mut self.checks {
            text(&mut check.name);
            text(&mut check.reason);
            text(&mut check.histogram);
            text(&mut check.detail);
            check
                .attempts
                .iter_mut()
                .for_each(|attempt| text(&mut attempt.text));
        }
        for done in &mut self.changes {
            text(&mut done.action);
            text(&mut done.subject);
            text(&mut done.detail);
        }
        for diagnostic in &mut self.diagnostics {
            text(&mut diagnostic.message);
            diagnostic.help.iter_mut().for_each(text);
            let place = |place: &mut PlaceData| {
                text(&mut place.file);
                text(&mut place.label);
            };
            diagnostic.place.iter_mut().for_each(place);
            diagnostic.related.iter_mut().for_each(place);
        }
        map_value(&mut self.result, change);
    }
}

fn map_value(value: &mut Value, change: &dyn for<'a> Fn(&'a str) -> Cow<'a, str>) {
    match value {
        Value::String(text) => {
            if let Cow::Owned(new) = change(text) {
                *text = new;
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| map_value(item, change)),
        Value::Object(entries) => {
            *entries = std::mem::take(entries)
                .into_iter()
                .map(|(key, mut value)| {
                    map_value(&mut value, change);
                    (change(&key).into_owned(), value)
                })
                .collect();
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

impl From<Outcome> for OutcomeWord {
    fn from(outcome: Outcome) -> Self {
        match outcome {
            Outcome::Passed => Self::Passed,
            Outcome::Failed => Self::Failed,
            Outcome::Usage => Self::Usage,
            Outcome::Invalid => Self::Invalid,
            Outcome::Unavailable => Self::Unavailable,
            Outcome::Deadline => Self::Deadline,
            Outcome::Refused { .. } => Self::Refused,
            Outcome::Superseded => Self::Superseded,
            Outcome::Internal => Self::Internal,
            Outcome::Cancelled(_) => Self::Cancelled,
        }
    }
}

impl From<&CheckResult> for CheckData {
    fn from(check: &CheckResult) -> Self {
        Self {
            name: check.name.clone(),
            outcome: check.outcome,
            reason: check.reason.clone(),
            duration_ms: check.took.map(millis),
            latency_ms: check.latency.map(millis),
            tries: check.tries,
            attempts: check.attempts.iter().map(AttemptData::from).collect(),
            histogram: check.histogram.clone(),
            detail: check.detail.clone(),
        }
    }
}

impl From<&Attempt> for AttemptData {
    fn from(attempt: &Attempt) -> Self {
        Self {
            at_ms: millis(attempt.at),
            latency_ms: attempt.latency.map(millis),
            good: attempt.good,
            text: attempt.text.clone(),
        }
    }
}

impl From<&Change> for ChangeData {
    fn from(change: &Change) -> Self {
        Self {
            action: change.action.clone(),
            subject: change.subject.clone(),
            detail: change.detail.clone(),
        }
    }
}

/// Milliseconds with microseconds behind the point; what is finer is noise.
fn millis(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 1e6).round() / 1e3
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature is serde's")]
fn is_false(flag: &bool) -> bool {
    !flag
}
