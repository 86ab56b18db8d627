//! What there is to tell people about a release, as the notify step reads it (`notify-message/v1`). The format is that
//! step's; `tests/message.rs` holds what is written here against its published schema.

use pilotage_ledger::Lease;
use pilotage_name::{CommitId, EnvironmentName, ProjectName, ReleaseId, ServiceName};
use pilotage_quantity::Duration;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::judge::Judgement;
use crate::plan::ReleasePlan;
use crate::record::StageRecord;

/// The name of the format.
pub const SCHEMA: &str = "notify-message/v1";

/// The facts of one event of one release.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Message {
    schema: String,
    project: ProjectName,
    environment: EnvironmentName,
    service: ServiceName,
    version: VersionChange,
    commit: CommitId,
    subject: Option<String>,
    author: Option<Who>,
    committer: Option<Who>,
    release: Option<ReleaseId>,
    observe: bool,
    outcome: Option<String>,
    reasons: Vec<String>,
    satisfy: Vec<String>,
    stages: Vec<StageResult>,
    duration: Option<Duration>,
    held: Option<HeldBack>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct VersionChange {
    from: Option<String>,
    to: Option<String>,
}

/// A person as a commit names them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Who {
    /// The name.
    pub name: String,
    /// The mail address.
    #[serde(default)]
    pub email: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct StageResult {
    name: String,
    outcome: String,
    duration: Option<Duration>,
    detail: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct HeldBack {
    running: Option<String>,
    rejected: String,
    until: Option<String>,
}

impl Message {
    /// The message of a release that starts.
    #[must_use]
    pub fn started(plan: &ReleasePlan, lease: Option<&Lease>) -> Self {
        let key = &plan.service;
        Self {
            schema: SCHEMA.to_owned(),
            project: key.project.clone(),
            environment: key.environment.clone(),
            service: key.service.clone(),
            version: VersionChange {
                from: plan.from_version.clone(),
                to: (!plan.retires).then(|| plan.version.clone()),
            },
            commit: plan.commit.clone(),
            subject: plan.subject.clone(),
            author: plan.author.clone(),
            committer: plan.committer.clone(),
            release: lease.map(|lease| lease.release.clone()),
            observe: plan.observe,
            outcome: None,
            reasons: plan.takeover.iter().chain(&plan.notes).cloned().collect(),
            satisfy: Vec::new(),
            stages: Vec::new(),
            duration: None,
            held: None,
        }
    }

    /// The message of a release as far as it came; with a judgement, of its end.
    #[must_use]
    pub fn so_far(
        plan: &ReleasePlan,
        lease: Option<&Lease>,
        records: &[StageRecord],
        judgement: Option<&Judgement>,
    ) -> Self {
        let mut message = Self::started(plan, lease);
        message.stages = records.iter().map(stage_result).collect();
        let millis = records
            .iter()
            .fold(0_u64, |sum, record| sum.saturating_add(record.milliseconds()));
        message.duration = Some(Duration::from_millis(millis));
        if let Some(judgement) = judgement {
            message.outcome = Some(judgement.outcome.word().to_owned());
            let mut reasons = judgement.reason.clone();
            reasons.append(&mut message.reasons);
            message.reasons = reasons;
            message.held = judgement.rejects().then(|| HeldBack {
                running: plan.from_version.clone(),
                rejected: plan.version.clone(),
                until: Some("a new commit: a corrected version, or a `git revert`".to_owned()),
            });
        }
        message
    }
}

fn stage_result(record: &StageRecord) -> StageResult {
    StageResult {
        name: record.name().to_owned(),
        outcome: record.word().to_owned(),
        duration: record
            .took
            .map(|took| Duration::from_millis(u64::try_from(took.as_millis()).unwrap_or(u64::MAX))),
        detail: Some(record.summary.clone()).filter(|text| !text.is_empty()),
    }
}
