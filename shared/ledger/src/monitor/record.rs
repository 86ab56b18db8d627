//! The files of the monitor chain. Reading is additive: unknown fields are skipped.

use jiff::Timestamp;
use pilotage_name::{CommitId, ServiceName};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::error::{ChainProblem, LedgerError};
use crate::holder::Holder;
use crate::text::one_line;
use crate::word::open_words;

/// The largest record that is read, in bytes.
pub(crate) const LARGEST: u64 = 4 * 1024 * 1024;

/// `environment.json`: what the monitor knows of the environment as a whole.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct EnvironmentRecord {
    /// Tip of the environment branch when it was seen for the first time: where the range of a service that was never
    /// accepted starts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first: Option<CommitId>,
    /// Tip of the environment branch that was looked at last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seen: Option<CommitId>,
    /// Nothing is accepted until a person says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub frozen: Option<Frozen>,
    /// The newest forced push that a person accepted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub accepted_push: Option<AcceptedPush>,
    /// People are still to be told that it is frozen or, when it is not, that the newest forced push was accepted.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub untold: bool,
    /// The commit of the config branch that the last tick read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub config_commit: Option<CommitId>,
    /// Hash of its policy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policy: Option<String>,
}

/// Why an environment is frozen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Frozen {
    /// Why, for people.
    pub reason: String,
    /// Since when.
    pub since: Timestamp,
    /// Where the branch was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub was: Option<CommitId>,
    /// Where it is; nothing when it is gone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub now: Option<CommitId>,
}

/// A forced push, or the return of a deleted branch, that a person accepted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AcceptedPush {
    /// Where the branch was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub was: Option<CommitId>,
    /// Where it was accepted to be.
    pub now: CommitId,
    /// Who accepted it.
    pub by: String,
    /// Why.
    pub reason: String,
    /// When.
    pub at: Timestamp,
}

/// `services/<service>.json`: the last decision about one service, and what follows from it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ServiceRecord {
    /// The last decision, with its evidence as it was.
    #[serde(default)]
    pub decision: Value,
    /// What was accepted last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub accepted: Option<Accepted>,
    /// The release that was set off, or is to be.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outbox: Option<Outbox>,
}

/// What was accepted last: the next range starts here.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Accepted {
    /// The commit.
    pub commit: CommitId,
    /// Digest of its resolved descriptor.
    pub descriptor: String,
    /// Id of the descriptor file's blob: the same file in another environment carries its evidence along.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub blob: Option<String>,
    /// Version the descriptor asks for.
    pub version: String,
    /// Files of the branch that the descriptor takes content from.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub files: Vec<String>,
    /// The person who brought it, where that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
    /// How well it is known who brought it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub grade: Option<String>,
    /// The newest commit that brought something of it, where that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub brought: Option<CommitId>,
    /// Hash of the policy it was accepted under.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policy: Option<String>,
    /// When.
    pub at: Timestamp,
}

/// A release that was set off, or is to be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outbox {
    /// Names the intent: the same decision has the same key.
    pub key: String,
    /// The commit to release.
    pub commit: CommitId,
    /// How far it came.
    pub state: OutboxState,
    /// Since when.
    pub at: Timestamp,
}

open_words! {
    /// How far a trigger came.
    OutboxState {
        /// Written down; it may or may not have been sent.
        Intended = "intended",
        /// Sent.
        Triggered = "triggered",
        /// Its release has begun.
        Begun = "begun",
        /// Its release has ended.
        Done = "done",
    }
}

/// `tick.json`: what one tick decided.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Tick {
    /// When.
    pub at: Timestamp,
    /// Which monitor.
    pub by: Holder,
    /// The services whose record it changed.
    #[serde(default)]
    pub services: Vec<ServiceName>,
    /// More of the caller's, such as the trees it compared.
    #[serde(default)]
    pub data: Value,
}

/// A record with the schema line that stands in its file.
pub(crate) trait Record: Serialize + DeserializeOwned {
    const SCHEMA: &'static str;
}

impl Record for EnvironmentRecord {
    const SCHEMA: &'static str = "monitor-environment/v1";
}

impl Record for ServiceRecord {
    const SCHEMA: &'static str = "monitor-service/v1";
}

impl Record for Tick {
    const SCHEMA: &'static str = "monitor-tick/v1";
}

/// The file of a record. Equal records give equal bytes, so git stores them once.
pub(crate) fn to_json<R: Record>(record: &R) -> Result<Vec<u8>, LedgerError> {
    let mut file = serde_json::Map::new();
    file.insert("schema".to_owned(), R::SCHEMA.into());
    if let Value::Object(fields) = serde_json::to_value(record).map_err(LedgerError::Record)? {
        file.extend(fields);
    }
    let mut bytes = serde_json::to_vec_pretty(&file).map_err(LedgerError::Record)?;
    bytes.push(b'\n');
    Ok(bytes)
}

/// Reads the file of a record.
pub(crate) fn from_json<R: Record>(path: &str, bytes: &[u8]) -> Result<R, ChainProblem> {
    let malformed = |source| ChainProblem::Record {
        path: path.to_owned(),
        source,
    };
    let value: Value = serde_json::from_slice(bytes).map_err(malformed)?;
    let found = value.get("schema").and_then(Value::as_str).unwrap_or_default();
    if found != R::SCHEMA {
        return Err(ChainProblem::Schema {
            path: path.to_owned(),
            found: one_line(found),
            expected: R::SCHEMA,
        });
    }
    serde_json::from_value(value).map_err(malformed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_read_back_and_later_fields_are_skipped() {
        let at: Timestamp = "2026-01-02T03:04:05Z".parse().unwrap();
        let commit: CommitId = "a".repeat(40).parse().unwrap();
        let record = ServiceRecord {
            decision: serde_json::json!({"verdict": "accept"}),
            accepted: None,
            outbox: Some(Outbox {
                key: "k".into(),
                commit,
                state: OutboxState::Intended,
                at,
            }),
        };
        let bytes = to_json(&record).unwrap();
        assert_eq!(from_json::<ServiceRecord>("x", &bytes).unwrap(), record);

        let later = br#"{"schema":"monitor-environment/v1","weather":"fine"}"#;
        assert_eq!(
            from_json::<EnvironmentRecord>("x", later).unwrap(),
            EnvironmentRecord::default()
        );
    }

    #[test]
    fn hostile_records_are_typed_problems() {
        let read = |bytes: &[u8]| from_json::<EnvironmentRecord>("environment.json", bytes).unwrap_err();
        assert!(matches!(read(b"{"), ChainProblem::Record { .. }));
        assert!(matches!(read(b"[]"), ChainProblem::Schema { .. }));
        assert!(matches!(
            read(br#"{"schema":"monitor-environment/v2"}"#),
            ChainProblem::Schema { .. }
        ));
        assert!(matches!(
            read(br#"{"schema":"monitor-environment/v1","seen":7}"#),
            ChainProblem::Record { .. }
        ));
    }
}
