//! What a message is made of.

use std::fmt;

use pilotage_name::{ReleaseId, ServiceName};
use pilotage_quantity::Duration;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The versions before and after.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct VersionChange {
    /// What ran before; none for the first release.
    #[serde(default)]
    pub from: Option<String>,
    /// What is asked for.
    #[serde(default)]
    pub to: Option<String>,
}

/// A person as a commit or a descriptor names them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Who {
    /// The name.
    pub name: String,
    /// The mail address.
    #[serde(default)]
    pub email: Option<String>,
}

/// As people write one: `Name <email>`.
impl fmt::Display for Who {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.email {
            Some(email) => write!(f, "{} <{email}>", self.name),
            None => f.write_str(&self.name),
        }
    }
}

/// One service of several that a message is about.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ServicePart {
    /// The service.
    pub service: ServiceName,
    /// The versions before and after.
    #[serde(default)]
    pub version: VersionChange,
    /// Its release; none where no release began.
    #[serde(default)]
    pub release: Option<ReleaseId>,
    /// The outcome in one word.
    #[serde(default)]
    pub outcome: Option<String>,
    /// One line about it.
    #[serde(default)]
    pub detail: Option<String>,
}

/// How one stage ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct StageResult {
    /// The step: `deploy`, `healthcheck`.
    pub name: String,
    /// The outcome in one word, as in the step's report, or `skipped`.
    pub outcome: String,
    /// How long it took.
    #[serde(default)]
    pub duration: Option<Duration>,
    /// One line about it.
    #[serde(default)]
    pub detail: Option<String>,
}

/// The environment keeps running one version while git asks for another.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Held {
    /// What runs.
    #[serde(default)]
    pub running: Option<String>,
    /// What was rejected.
    pub rejected: String,
    /// What ends the hold.
    #[serde(default)]
    pub until: Option<String>,
}

/// Where to read on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Link {
    /// What is there.
    pub label: String,
    /// An http or https URL; anything else is shown as its label only.
    pub url: String,
}
