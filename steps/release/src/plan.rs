//! What a release is going to do, as data: from policy, a resolved descriptor and an accepted decision. Pure.

use pilotage_config::{Config, Mode, OnFailure, StepName, When};
use pilotage_descriptor::{Descriptor, State, canonical_hash};
use pilotage_ledger::{BeginRequest, Holder, Lease, Trigger};
use pilotage_message::Who;
use pilotage_name::{CommitId, ReleaseId, ServiceKey, ServiceName};
use pilotage_quantity::Duration;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::stage::StagePlan;

/// The name of the format of `release.json`.
pub const SCHEMA: &str = "release-plan/v1";

/// How long a lease outlives the deadlines of its stages.
const SLACK: Duration = Duration::from_secs(5 * 60);

/// The time a notification may take.
const NOTIFY_DEADLINE: Duration = Duration::from_secs(60);

/// Everything that is known of a release before its first effect; after begin, who holds it too.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ReleasePlan {
    /// Always `release-plan/v1`.
    #[schemars(extend("const" = SCHEMA))]
    pub schema: String,
    /// Project, environment and service.
    pub service: ServiceKey,
    /// The commit of the environment branch that is released.
    pub commit: CommitId,
    /// The commit of the config branch that policy was read from.
    pub config_commit: CommitId,
    /// The hash of that policy.
    pub policy: String,
    /// The version that is asked for.
    pub version: String,
    /// The version that was proved to run before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from_version: Option<String>,
    /// The digest of the resolved descriptor.
    pub descriptor: String,
    /// The hash of the descriptor's normalised intent, which the target has to show after the switch.
    pub config: String,
    /// Where the accepted decision stands: a commit of the monitor chain.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decision: Option<String>,
    /// What set it off, and for whom.
    pub trigger: Trigger,
    /// The environment is observed: the plan is made and told, and nothing is touched.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub observe: bool,
    /// The descriptor says `state: retired`: success means that nothing runs any more.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub retires: bool,
    /// Services that are released first when the same push brings them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub after: Vec<ServiceName>,
    /// The stages, in order.
    pub stages: Vec<PlannedStage>,
    /// What people should know: a downgrade, a revert, a version once rejected, a stage that is passed over.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
    /// The first line of the commit's message.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
    /// Who wrote the change.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub author: Option<Who>,
    /// Who brought it to the branch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub committer: Option<Who>,
    /// Whom the descriptor names to ask.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub maintainer: Option<Who>,
    /// The digest of all of the above.
    pub digest: String,
    /// The lease, once the release has begun.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lease: Option<Lease>,
    /// What became of the release before, when this one took over from it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub takeover: Option<String>,
    /// The release that this one repeats, when people were told by that one that it started.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub repeats: Option<ReleaseId>,
}

/// One stage of a plan.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PlannedStage {
    /// The stage, as its line in `stages`.
    #[serde(flatten)]
    pub stage: StagePlan,
    /// Why it is passed over, when it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub skip: Option<String>,
}

/// What a plan is made from.
#[derive(Clone, Debug)]
pub struct PlanInputs<'a> {
    /// Policy.
    pub config: &'a Config,
    /// The commit it was read from.
    pub config_commit: &'a CommitId,
    /// Project, environment and service.
    pub service: ServiceKey,
    /// The commit to release.
    pub commit: &'a CommitId,
    /// The resolved descriptor, its files inlined.
    pub resolved: &'a Descriptor,
    /// Its digest.
    pub digest: &'a str,
    /// Where the accepted decision stands.
    pub decision: Option<String>,
    /// What the decision noted.
    pub notes: Vec<String>,
    /// What sets it off, and for whom.
    pub trigger: Trigger,
    /// The version that is proved to run.
    pub from_version: Option<String>,
    /// The commit's first line, author and committer.
    pub change: Option<(String, Who, Who)>,
    /// The version of Pilotage, which is the tag of its images.
    pub pilotage: &'a str,
}

impl ReleasePlan {
    /// Makes the plan.
    #[must_use]
    pub fn make(from: PlanInputs<'_>) -> Self {
        let ServiceKey {
            environment, service, ..
        } = &from.service;
        let observe = from.config.mode_of(environment, service) == Mode::Observe;
        let stages = stages(from.config, from.resolved, &from.service, from.pilotage);
        let mut notes = from.notes;
        notes.extend(stages.iter().filter_map(|planned| {
            planned
                .skip
                .as_ref()
                .map(|why| format!("{} is skipped: {why}", planned.stage.step))
        }));
        let (subject, author, committer) = match from.change {
            Some((subject, author, committer)) => (Some(subject), Some(author), Some(committer)),
            None => (None, None, None),
        };
        let mut plan = Self {
            schema: SCHEMA.to_owned(),
            commit: from.commit.clone(),
            config_commit: from.config_commit.clone(),
            policy: from.config.policy_hash(),
            version: from.resolved.version.to_string(),
            from_version: from.from_version,
            descriptor: from.digest.to_owned(),
            config: from.resolved.config_hash(),
            decision: from.decision,
            trigger: from.trigger,
            observe,
            retires: from.resolved.state == State::Retired,
            after: from.resolved.after.clone(),
            stages,
            notes,
            subject,
            author,
            committer,
            maintainer: from.resolved.maintainer.as_ref().map(|maintainer| Who {
                name: maintainer.name.clone(),
                email: Some(maintainer.email.clone()),
            }),
            digest: String::new(),
            lease: None,
            takeover: None,
            repeats: None,
            service: from.service,
        };
        plan.digest = plan.computed_digest();
        plan
    }

    /// The digest over everything but itself and what comes with the lease.
    #[must_use]
    pub fn computed_digest(&self) -> String {
        canonical_hash(&Self {
            digest: String::new(),
            lease: None,
            takeover: None,
            repeats: None,
            ..self.clone()
        })
    }

    /// The stages that run.
    pub fn due(&self) -> impl Iterator<Item = &StagePlan> {
        self.stages
            .iter()
            .filter(|planned| planned.skip.is_none())
            .map(|planned| &planned.stage)
    }

    /// Why a stage is passed over, when it is.
    #[must_use]
    pub fn skip(&self, stage: &StagePlan) -> Option<&str> {
        self.stages
            .iter()
            .find(|planned| planned.stage.index == stage.index)?
            .skip
            .as_deref()
    }

    /// How long the whole may take before another one may take it over.
    #[must_use]
    pub fn lasts(&self) -> Duration {
        self.due()
            .fold(SLACK, |sum, stage| sum.saturating_add(stage.deadline))
    }

    /// What the ledger is asked.
    #[must_use]
    pub fn begin_request(&self, holder: Holder) -> BeginRequest {
        BeginRequest {
            service: self.service.clone(),
            commit: self.commit.clone(),
            config_commit: self.config_commit.clone(),
            policy: self.policy.clone(),
            descriptor: self.descriptor.clone(),
            config: self.config.clone(),
            version: self.version.clone(),
            plan: Some(self.digest.clone()),
            trigger: self.trigger.clone(),
            decision: self.decision.clone(),
            holder,
            lasts: self.lasts().as_std(),
            retires: self.retires,
        }
    }

    /// The commit that people know the change by: the newest that really brought something of it.
    #[must_use]
    pub fn changed_at(&self) -> &CommitId {
        let change = self.trigger.change.as_ref();
        change.map_or(&self.commit, |change| &change.commit)
    }

    /// `shop 1.1.0 in qa`.
    #[must_use]
    pub fn what(&self) -> String {
        format!(
            "{} {} in {}",
            self.service.service, self.version, self.service.environment
        )
    }

    /// The plan for people.
    #[must_use]
    pub fn text(&self) -> String {
        let mut text = format!("{}: ", self.service);
        text.push_str(&match (&self.from_version, self.retires) {
            (Some(from), true) => format!("{from} is retired"),
            (None, true) => "is retired".to_owned(),
            (Some(from), false) if *from == self.version => format!("{from} with other settings"),
            (Some(from), false) => format!("{from} → {}", self.version),
            (None, false) => format!("{}, for the first time", self.version),
        });
        text.push_str(&format!(
            ", commit {}, plan {}\n",
            self.commit.short(),
            self.digest
        ));
        if self.observe {
            text.push_str("  observed only: nothing is touched\n");
        }
        for planned in &self.stages {
            let StagePlan {
                index,
                step,
                when,
                on_failure,
                deadline,
                ..
            } = &planned.stage;
            text.push_str(&match &planned.skip {
                None => format!(
                    "  {index} {step}, {}, {}, at most {deadline}\n",
                    in_words(*when),
                    failing(*on_failure)
                ),
                Some(why) => format!("  {index} {step}: skipped, {why}\n"),
            });
        }
        for note in &self.notes {
            text.push_str(&format!("  note: {note}\n"));
        }
        text
    }
}

fn in_words(when: When) -> &'static str {
    match when {
        When::Always => "always",
        When::Ok => "when all is well so far",
        When::Failed => "when something failed",
    }
}

fn failing(on_failure: OnFailure) -> &'static str {
    match on_failure {
        OnFailure::Stop => "a failure ends the release",
        OnFailure::Continue => "a failure is only told",
        OnFailure::Undo => "a failure switches back",
    }
}

/// The notifications around the environment's pipeline.
fn stages(config: &Config, resolved: &Descriptor, key: &ServiceKey, pilotage: &str) -> Vec<PlannedStage> {
    let notify = pilotage_config::Stage {
        step: StepName::Notify,
        when: When::Always,
        on_failure: OnFailure::Continue,
        deadline: NOTIFY_DEADLINE,
    };
    let pipeline = config.stages(&key.environment);
    std::iter::once(notify.clone())
        .chain(pipeline)
        .chain(std::iter::once(notify))
        .zip(1..)
        .map(|(stage, index)| PlannedStage {
            skip: nothing_to_do(stage.step, resolved).map(str::to_owned),
            stage: StagePlan {
                index,
                step: stage.step,
                image: format!("pilotage/{}:{pilotage}", stage.step),
                when: stage.when,
                on_failure: stage.on_failure,
                deadline: stage.deadline,
            },
        })
        .collect()
}

/// Why a stage has nothing to do for this service.
fn nothing_to_do(step: StepName, resolved: &Descriptor) -> Option<&'static str> {
    match step {
        StepName::Smoke if resolved.smoke.is_empty() => Some("the descriptor has no smoke requests"),
        StepName::Regression if resolved.regression.is_none() => {
            Some("the descriptor has no regression suite")
        }
        StepName::Deploy
        | StepName::Healthcheck
        | StepName::Notify
        | StepName::Smoke
        | StepName::Regression => None,
    }
}
