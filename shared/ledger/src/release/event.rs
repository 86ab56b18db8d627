//! One event of a release chain, and its file `event.json` (`release-event/v1`).
//!
//! Reading is additive: unknown fields are skipped, unknown kinds are kept as they are. Another schema is another
//! matter and is refused, because what it means for a running release cannot be guessed.

use jiff::Timestamp;
use pilotage_name::{CommitId, ReleaseId, ServiceKey};
use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, SchemaGenerator};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::holder::Holder;
use crate::word::open_words;

/// The schema written into every event.
pub const SCHEMA: &str = "release-event/v1";

/// The largest `event.json` that is read, in bytes.
pub const LARGEST: usize = 1024 * 1024;

/// One event of a release chain.
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    /// The release it is about; the newest one (`qa.shop.0` before the first) where it is about none.
    pub release: ReleaseId,
    /// Wall time of the writer.
    pub at: Timestamp,
    /// What happened.
    pub what: What,
}

/// What happened.
#[derive(Clone, Debug, PartialEq)]
pub enum What {
    /// A release began and is held by someone.
    Begun(Box<Begun>),
    /// The release ended with an outcome.
    Finished(Box<Finished>),
    /// The release switched back to what ran before it.
    Undone(Undone),
    /// A person said that a version is not to run here.
    Rejected(Rejected),
    /// What runs was taken over as it is, without a release.
    Adopted(Box<Adopted>),
    /// The release was given up by somebody other than its holder; what it changed is not known.
    Abandoned(Abandoned),
    /// A person looked at events that are not believed, and lets the chain go on without them.
    Affirmed(Affirmed),
    /// A kind of a later version, as it was written.
    Unknown {
        /// Its kind.
        kind: String,
        /// The whole event.
        raw: Value,
    },
}

/// A release began: what was asked for, by whose decision, and who holds it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Begun {
    /// Project, environment and service.
    pub service: ServiceKey,
    /// Count of begins of this service, this one included.
    pub fence: u64,
    /// The commit of the environment branch that is released.
    pub commit: CommitId,
    /// The commit of the config branch that policy and targets were read from.
    pub config_commit: CommitId,
    /// Hash of that policy.
    pub policy: String,
    /// Digest of the resolved descriptor.
    pub descriptor: String,
    /// Hash of the descriptor's normalised intent, without secret values.
    pub config: String,
    /// Version the descriptor asks for.
    pub version: String,
    /// Digest of the plan, where it was known at begin.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plan: Option<String>,
    /// Why it began.
    pub trigger: Trigger,
    /// Where the accepted decision stands, such as a commit of the monitor chain.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decision: Option<String>,
    /// Who runs it.
    pub holder: Holder,
    /// After this time another one may take it over.
    #[schemars(with = "String", extend("format" = "date-time"))]
    pub expires: Timestamp,
    /// The descriptor says `state: retired`: success means that nothing runs any more.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub retires: bool,
}

/// Why a release began, and for whom.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Trigger {
    /// What set it off.
    pub kind: TriggerKind,
    /// Who brought the change, or asked by hand.
    pub by: String,
    /// The change, where it is known: what is released may have been decided at a later commit, which changed other
    /// things.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub change: Option<Brought>,
}

/// The newest commit that really brought something to a service.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Brought {
    /// The commit.
    pub commit: CommitId,
    /// The first line of its message.
    pub subject: String,
}

open_words! {
    /// What set a release off.
    TriggerKind {
        /// Git-monitor saw an accepted push.
        Monitor = "monitor",
        /// A person started it.
        Hand = "hand",
        /// A person rolled back.
        Rollback = "rollback",
        /// A Jenkins build.
        Jenkins = "jenkins",
    }
}

open_words! {
    /// How a release or a stage ended.
    EndWord {
        /// It did what was asked and proved it.
        Succeeded = "succeeded",
        /// It ran to its end and the answer is no.
        Failed = "failed",
        /// Descriptor, configuration or template is invalid.
        Invalid = "invalid",
        /// No answer could be had.
        Unavailable = "unavailable",
        /// The deadline cut it.
        Deadline = "deadline",
        /// A gate, a lease or a risk refused it.
        Refused = "refused",
        /// A newer accepted decision made it pointless.
        Superseded = "superseded",
        /// It was cancelled by a signal.
        Cancelled = "cancelled",
        /// A stage that was not run.
        Skipped = "skipped",
        /// A bug of Pilotage.
        Internal = "internal",
    }
}

open_words! {
    /// What a release changed.
    Effects {
        /// Nothing was changed.
        None = "none",
        /// Some of the plan was carried out.
        Partial = "partial",
        /// All of the plan was carried out.
        Complete = "complete",
    }
}

/// The release ended.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Finished {
    /// How it ended.
    pub outcome: EndWord,
    /// What it changed.
    pub effects: Effects,
    /// Its stages, in the order of the plan.
    #[serde(default)]
    pub stages: Vec<Stage>,
    /// Digest of the plan that was executed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plan: Option<String>,
    /// What runs, re-read from the target. Without it nothing counts as proved.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proof: Option<Proof>,
    /// Why, for people, line by line.
    #[serde(default)]
    pub reason: Vec<String>,
    /// It was switched back to what ran before.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub undone: bool,
}

/// One stage of a release.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Stage {
    /// Name of the step.
    pub step: String,
    /// How it ended.
    pub outcome: EndWord,
    /// Exit code of the step, where it ran.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exit: Option<i32>,
    /// How long it took, in milliseconds.
    pub milliseconds: u64,
}

/// What runs, re-read from the target after the switch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Proof {
    /// Digest of the running artifact or image.
    pub digest: String,
    /// Version the instance reports.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// Config hash the instance carries.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub config: Option<String>,
}

/// The release switched back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Undone {
    /// Version that runs again, where one does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
    /// Why.
    pub reason: String,
    /// What runs again, re-read from the target.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proof: Option<Proof>,
}

/// A person said that a version is not to run here.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Rejected {
    /// The commit that asked for it.
    pub commit: CommitId,
    /// Digest of the resolved descriptor.
    pub descriptor: String,
    /// The version.
    pub version: String,
    /// Why.
    pub reason: String,
    /// Who said so.
    pub by: String,
}

/// What runs was taken over as it is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Adopted {
    /// Project, environment and service.
    pub service: ServiceKey,
    /// The commit whose descriptor it was adopted for.
    pub commit: CommitId,
    /// The commit of the config branch.
    pub config_commit: CommitId,
    /// Digest of the resolved descriptor.
    pub descriptor: String,
    /// Hash of the descriptor's normalised intent.
    pub config: String,
    /// Version the descriptor asks for.
    pub version: String,
    /// What runs, where the target could tell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proof: Option<Proof>,
    /// Who adopted it.
    pub by: String,
    /// Why.
    pub reason: String,
}

/// The release was given up.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Abandoned {
    /// Who gave it up.
    pub by: String,
    /// Why.
    pub reason: String,
    /// A new release took over from a holder that was gone or late.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub takeover: bool,
}

/// The chain goes on over events that are not believed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Affirmed {
    /// Who looked.
    pub by: String,
    /// Why it may go on.
    pub reason: String,
}

/// Why a text is no event.
#[derive(Debug, thiserror::Error)]
pub enum EventError {
    /// Larger than [`LARGEST`].
    #[error("it has {bytes} bytes, at most {LARGEST} are read")]
    TooLarge {
        /// Its size.
        bytes: usize,
    },
    /// Not JSON, or a field is missing or of the wrong type.
    #[error("it is malformed")]
    Malformed(#[source] serde_json::Error),
    /// Written to another schema.
    #[error("its schema is `{found}`, this version reads {SCHEMA}")]
    Schema {
        /// The schema it names.
        found: String,
    },
}

#[derive(Serialize, Deserialize)]
struct EventFile {
    schema: String,
    kind: String,
    release: ReleaseId,
    at: Timestamp,
    data: Value,
}

#[derive(Deserialize)]
struct SchemaLine {
    #[serde(default)]
    schema: String,
}

impl Event {
    /// The event as `event.json`.
    ///
    /// # Errors
    /// It would be larger than any reader accepts.
    pub fn to_json(&self) -> Result<Vec<u8>, EventError> {
        let data = match &self.what {
            What::Begun(data) => serde_json::to_value(data),
            What::Finished(data) => serde_json::to_value(data),
            What::Undone(data) => serde_json::to_value(data),
            What::Rejected(data) => serde_json::to_value(data),
            What::Adopted(data) => serde_json::to_value(data),
            What::Abandoned(data) => serde_json::to_value(data),
            What::Affirmed(data) => serde_json::to_value(data),
            What::Unknown { raw, .. } => Ok(raw.get("data").cloned().unwrap_or(Value::Null)),
        };
        let file = EventFile {
            schema: SCHEMA.to_owned(),
            kind: self.what.kind().to_owned(),
            release: self.release.clone(),
            at: self.at,
            data: data.map_err(EventError::Malformed)?,
        };
        let mut bytes = serde_json::to_vec_pretty(&file).map_err(EventError::Malformed)?;
        bytes.push(b'\n');
        if bytes.len() > LARGEST {
            return Err(EventError::TooLarge { bytes: bytes.len() });
        }
        Ok(bytes)
    }

    /// Reads an `event.json`.
    ///
    /// # Errors
    /// It is too large, malformed or of another schema.
    pub fn from_json(bytes: &[u8]) -> Result<Self, EventError> {
        if bytes.len() > LARGEST {
            return Err(EventError::TooLarge { bytes: bytes.len() });
        }
        let raw: Value = serde_json::from_slice(bytes).map_err(EventError::Malformed)?;
        if !raw.is_object() {
            return Err(EventError::Malformed(serde::de::Error::custom(
                "it is no JSON object",
            )));
        }
        // The schema is asked first: a file of another one must not be judged by this one's fields.
        let line = SchemaLine::deserialize(&raw).map_err(EventError::Malformed)?;
        if line.schema != SCHEMA {
            return Err(EventError::Schema {
                found: crate::text::one_line(&line.schema),
            });
        }
        let file = EventFile::deserialize(&raw).map_err(EventError::Malformed)?;
        let what = match file.kind.as_str() {
            "begun" => What::Begun(data(file.data)?),
            "finished" => What::Finished(data(file.data)?),
            "undone" => What::Undone(data(file.data)?),
            "rejected" => What::Rejected(data(file.data)?),
            "adopted" => What::Adopted(data(file.data)?),
            "abandoned" => What::Abandoned(data(file.data)?),
            "affirmed" => What::Affirmed(data(file.data)?),
            _ => What::Unknown { kind: file.kind, raw },
        };
        Ok(Self {
            release: file.release,
            at: file.at,
            what,
        })
    }
}

fn data<T: DeserializeOwned>(value: Value) -> Result<T, EventError> {
    serde_json::from_value(value).map_err(EventError::Malformed)
}

impl What {
    /// The kind, as it is written.
    #[must_use]
    pub fn kind(&self) -> &str {
        match self {
            Self::Begun(_) => "begun",
            Self::Finished(_) => "finished",
            Self::Undone(_) => "undone",
            Self::Rejected(_) => "rejected",
            Self::Adopted(_) => "adopted",
            Self::Abandoned(_) => "abandoned",
            Self::Affirmed(_) => "affirmed",
            Self::Unknown { kind, .. } => kind,
        }
    }
}

/// The JSON Schema of `event.json`. Kinds it does not name are allowed, as they are when reading.
#[must_use]
pub fn schema() -> Value {
    let mut generator = SchemaSettings::draft2020_12().into_generator();
    let release = generator.subschema_for::<ReleaseId>();
    let kinds = [
        kind::<Begun>(&mut generator, "begun"),
        kind::<Finished>(&mut generator, "finished"),
        kind::<Undone>(&mut generator, "undone"),
        kind::<Rejected>(&mut generator, "rejected"),
        kind::<Adopted>(&mut generator, "adopted"),
        kind::<Abandoned>(&mut generator, "abandoned"),
        kind::<Affirmed>(&mut generator, "affirmed"),
    ];
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": SCHEMA,
        "description": "One event of a release chain: the file event.json of one commit of refs/pilotage/release/<environment>/<service>.",
        "type": "object",
        "required": ["schema", "kind", "release", "at", "data"],
        "properties": {
            "schema": {"const": SCHEMA},
            "kind": {"type": "string", "description": "A reader keeps kinds it does not know."},
            "release": release,
            "at": {"type": "string", "format": "date-time"},
            "data": {"type": "object"},
        },
        "allOf": kinds,
        "$defs": generator.take_definitions(true),
    })
}

fn kind<T: JsonSchema>(generator: &mut SchemaGenerator, name: &str) -> Value {
    json!({
        "if": {"properties": {"kind": {"const": name}}, "required": ["kind"]},
        "then": {"properties": {"data": generator.subschema_for::<T>()}},
    })
}
