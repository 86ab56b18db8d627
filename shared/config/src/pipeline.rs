use pilotage_name::EnvironmentName;
use pilotage_quantity::Duration;
use pilotage_yaml::{Decode, Decoder, Node, record, words};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Serialize, Serializer};

/// One stage of a release.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stage {
    /// The step that runs.
    pub step: StepName,
    /// When it runs.
    pub when: When,
    /// What its failure means.
    pub on_failure: OnFailure,
    /// The hard end of the step.
    pub deadline: Duration,
}

words! {
    /// A step that can stand in a pipeline.
    pub enum StepName {
        /// Makes the target equal to the descriptor.
        Deploy = "deploy",
        /// Asks through the front door, as a user would.
        Healthcheck = "healthcheck",
        /// Runs the descriptor's smoke requests.
        Smoke = "smoke",
        /// Runs the descriptor's test suite.
        Regression = "regression",
        /// Tells people.
        Notify = "notify",
    }
}

words! {
    /// When a stage runs.
    pub enum When {
        /// Whatever came before.
        Always = "always",
        /// When nothing failed before.
        Ok = "ok",
        /// When something failed before.
        Failed = "failed",
    }
}

words! {
    /// What a stage's failure means.
    pub enum OnFailure {
        /// The release has failed; only `always` and `failed` stages still run.
        Stop = "stop",
        /// The release goes on.
        Continue = "continue",
        /// The release has failed, and the instance before it is switched back to.
        Undo = "undo",
    }
}

/// A stage as it was written: `healthcheck`, or `{step: healthcheck, on_failure: undo}`.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct StageEntry {
    pub(crate) long: LongStage,
}

record! {
    /// A stage of a release.
    pub(crate) struct LongStage {
        /// The step that runs.
        pub(crate) step: StepName,
        /// When it runs: `always` for notify, else `ok`.
        pub(crate) when: Option<When>,
        /// What its failure means. Without it: `continue` for notify, `undo` for healthcheck and smoke in an
        /// environment with `from`, else `stop`.
        pub(crate) on_failure: Option<OnFailure>,
        /// The hard end of the step: 10m for deploy, 30m for regression, 1m for notify, else 5m.
        pub(crate) deadline: Option<Duration>,
    }
}

impl Stage {
    /// A stage with the defaults of its step; `follows` says whether the environment has `from`.
    #[must_use]
    pub fn of(step: StepName, follows: bool) -> Self {
        Self {
            step,
            when: if step == StepName::Notify {
                When::Always
            } else {
                When::Ok
            },
            on_failure: match step {
                StepName::Notify => OnFailure::Continue,
                StepName::Healthcheck | StepName::Smoke if follows => OnFailure::Undo,
                StepName::Deploy | StepName::Regression | StepName::Healthcheck | StepName::Smoke => {
                    OnFailure::Stop
                }
            },
            deadline: Duration::from_secs(
                60 * match step {
                    StepName::Deploy => 10,
                    StepName::Healthcheck | StepName::Smoke => 5,
                    StepName::Regression => 30,
                    StepName::Notify => 1,
                },
            ),
        }
    }

    /// The pipeline of an environment that has none: deploy and healthcheck; for `stage` also regression; for `prod`,
    /// and any other environment that follows one, also smoke.
    #[must_use]
    pub fn default_pipeline(environment: &EnvironmentName, follows: bool) -> Vec<Self> {
        let last = match environment.as_str() {
            "qa" => None,
            "stage" => Some(StepName::Regression),
            "prod" => Some(StepName::Smoke),
            _ => follows.then_some(StepName::Smoke),
        };
        let steps = [Some(StepName::Deploy), Some(StepName::Healthcheck), last];
        steps
            .into_iter()
            .flatten()
            .map(|step| Self::of(step, follows))
            .collect()
    }
}

impl StageEntry {
    pub(crate) fn resolve(&self, follows: bool) -> Stage {
        let stage = Stage::of(self.long.step, follows);
        Stage {
            step: stage.step,
            when: self.long.when.unwrap_or(stage.when),
            on_failure: self.long.on_failure.unwrap_or(stage.on_failure),
            deadline: self.long.deadline.unwrap_or(stage.deadline),
        }
    }
}

impl Decode for StageEntry {
    fn decode(node: &Node, cx: &mut Decoder) -> Option<Self> {
        let long = if node.scalar().is_some() {
            LongStage {
                step: StepName::decode(node, cx)?,
                when: None,
                on_failure: None,
                deadline: None,
            }
        } else {
            LongStage::decode(node, cx)?
        };
        Some(Self { long })
    }
}

impl Serialize for StageEntry {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.long.serialize(serializer)
    }
}

impl JsonSchema for StageEntry {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Stage".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "A stage of a release: a step, alone or with what differs from its defaults.",
            "anyOf": [generator.subschema_for::<StepName>(), generator.subschema_for::<LongStage>()],
        })
    }
}
