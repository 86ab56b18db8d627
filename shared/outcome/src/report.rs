use std::collections::BTreeMap;

use pilotage_diagnostic::{Diagnostic, Diagnostics};
use pilotage_name::{CommitId, EnvironmentName, ProjectName, ReleaseId, ServiceKey, ServiceName};
use serde_json::Value;

use crate::{Change, CheckResult, Effects, ExitCode, Outcome, OutputKey};

/// What a step has to say at its end. It is plain data; the frame adds who ran when (`Invocation`) and writes it.
#[derive(Clone, Debug)]
pub struct StepReport {
    /// How it ended.
    pub outcome: Outcome,
    /// Ends the process with another code of the same outcome: [`ExitCode::Changes`] for a plan that passed.
    /// A code of another outcome is ignored.
    pub exit_as: Option<ExitCode>,
    /// How much was changed.
    pub effects: Effects,
    /// The result in one sentence; for a [`crate::Fault`] its message.
    pub summary: String,
    /// What lies behind the summary, from near to far.
    pub causes: Vec<String>,
    /// What to do next, one sentence each.
    pub help: Vec<String>,
    /// Whose environment.
    pub project: Option<ProjectName>,
    /// Where.
    pub environment: Option<EnvironmentName>,
    /// What.
    pub service: Option<ServiceName>,
    /// The commit of the environment repository that asked for it.
    pub commit: Option<CommitId>,
    /// The release this was a part of.
    pub release: Option<ReleaseId>,
    /// The fence the step worked under.
    pub fence: Option<u64>,
    /// The digest of the plan that was made or applied.
    pub plan_digest: Option<String>,
    /// Values for later stages.
    pub outputs: BTreeMap<OutputKey, String>,
    /// The questions asked, with their answers.
    pub checks: Vec<CheckResult>,
    /// What was changed; under `--dry-run`, what would be.
    pub changes: Vec<Change>,
    /// Problems found in descriptors, configuration and templates.
    pub diagnostics: Vec<Diagnostic>,
    /// The step's own data, for programs.
    pub result: Value,
    /// The step's own text, for people: what goes to stdout under `--output human`.
    pub text: String,
    /// Whether `text` is itself a document (a schema, a rendered file) that is printed under every `--output`.
    pub raw: bool,
}

impl StepReport {
    /// A report that ended so and says nothing more yet.
    #[must_use]
    pub fn new(outcome: Outcome) -> Self {
        Self {
            outcome,
            exit_as: None,
            effects: Effects::None,
            summary: String::new(),
            causes: Vec::new(),
            help: Vec::new(),
            project: None,
            environment: None,
            service: None,
            commit: None,
            release: None,
            fence: None,
            plan_digest: None,
            outputs: BTreeMap::new(),
            checks: Vec::new(),
            changes: Vec::new(),
            diagnostics: Vec::new(),
            result: Value::Null,
            text: String::new(),
            raw: false,
        }
    }

    /// A report of success.
    #[must_use]
    pub fn passed() -> Self {
        Self::new(Outcome::Passed)
    }

    /// A report whose answer is no.
    #[must_use]
    pub fn failed() -> Self {
        Self::new(Outcome::Failed)
    }

    /// A report whose outcome is the worst of its checks.
    #[must_use]
    pub fn of_checks(checks: Vec<CheckResult>) -> Self {
        let mut report = Self::new(Outcome::worst(checks.iter().map(|check| check.outcome)));
        report.checks = checks;
        report
    }

    /// A document for stdout (a schema, a rendered file), printed as it is under every `--output`.
    #[must_use]
    pub fn document(text: impl Into<String>) -> Self {
        let mut report = Self::passed().text(text);
        report.raw = true;
        report
    }

    /// The code the process ends with.
    #[must_use]
    pub fn exit_code(&self) -> ExitCode {
        let own = self.outcome.exit_code();
        self.exit_as
            .filter(|wanted| wanted.word() == own.word())
            .unwrap_or(own)
    }

    /// Sets the outcome.
    #[must_use]
    pub fn outcome(mut self, outcome: Outcome) -> Self {
        self.outcome = outcome;
        self
    }

    /// Ends with another code of the same outcome.
    #[must_use]
    pub fn exit_as(mut self, code: ExitCode) -> Self {
        self.exit_as = Some(code);
        self
    }

    /// Sets how much was changed.
    #[must_use]
    pub fn effects(mut self, effects: Effects) -> Self {
        self.effects = effects;
        self
    }

    /// Sets the one sentence.
    #[must_use]
    pub fn summary(mut self, summary: impl Into<String>) -> Self {
        self.summary = summary.into();
        self
    }

    /// Adds a sentence that says what to do next.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help.push(help.into());
        self
    }

    /// Sets project, environment and service at once.
    #[must_use]
    pub fn key(mut self, key: &ServiceKey) -> Self {
        self.project = Some(key.project.clone());
        self.environment = Some(key.environment.clone());
        self.service = Some(key.service.clone());
        self
    }

    /// Sets the project.
    #[must_use]
    pub fn project(mut self, project: ProjectName) -> Self {
        self.project = Some(project);
        self
    }

    /// Sets the environment.
    #[must_use]
    pub fn environment(mut self, environment: EnvironmentName) -> Self {
        self.environment = Some(environment);
        self
    }

    /// Sets the service.
    #[must_use]
    pub fn service(mut self, service: ServiceName) -> Self {
        self.service = Some(service);
        self
    }

    /// Sets the commit of the environment repository.
    #[must_use]
    pub fn commit(mut self, commit: CommitId) -> Self {
        self.commit = Some(commit);
        self
    }

    /// Sets the release, and with it environment, service and fence.
    #[must_use]
    pub fn release(mut self, release: ReleaseId) -> Self {
        self.environment = Some(release.environment.clone());
        self.service = Some(release.service.clone());
        self.fence = Some(release.fence);
        self.release = Some(release);
        self
    }

    /// Sets the fence.
    #[must_use]
    pub fn fence(mut self, fence: u64) -> Self {
        self.fence = Some(fence);
        self
    }

    /// Sets the digest of the plan.
    #[must_use]
    pub fn plan_digest(mut self, digest: impl Into<String>) -> Self {
        self.plan_digest = Some(digest.into());
        self
    }

    /// Sets one value for later stages. The key is brought into the grammar of keys: see [`OutputKey::new`].
    #[must_use]
    pub fn output(mut self, key: impl AsRef<str>, value: impl Into<String>) -> Self {
        self.outputs.insert(OutputKey::new(key.as_ref()), value.into());
        self
    }

    /// Adds a check; the outcome stays as it is.
    #[must_use]
    pub fn check(mut self, check: CheckResult) -> Self {
        self.checks.push(check);
        self
    }

    /// Adds a change.
    #[must_use]
    pub fn change(mut self, change: Change) -> Self {
        self.changes.push(change);
        self
    }

    /// Adds diagnostics; the outcome stays as it is.
    #[must_use]
    pub fn diagnostics(mut self, diagnostics: Diagnostics) -> Self {
        self.diagnostics.extend(diagnostics.into_vec());
        self
    }

    /// Sets the step's own data for programs.
    #[must_use]
    pub fn result(mut self, result: Value) -> Self {
        self.result = result;
        self
    }

    /// Sets the step's own text for people.
    #[must_use]
    pub fn text(mut self, text: impl Into<String>) -> Self {
        self.text = text.into();
        self
    }
}
