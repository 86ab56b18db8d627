use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Event {
    /// A release began.
    Started,
    /// A release ended well.
    Succeeded,
    /// A release failed.
    Failed,
    /// A release was ended from outside, which says nothing about the version.
    Cancelled,
    /// A gate refused a change.
    Refused,
    /// A gate waits for something.
    Waiting,
    /// Nothing is released in an environment until a person says so.
    Frozen,
    /// An environment is no longer frozen.
    Thawed,
}

impl Event {
    /// All of them, in the order of a release, then those of an environment.
    pub const ALL: [Self; 8] = [
        Self::Started,
        Self::Succeeded,
        Self::Failed,
        Self::Cancelled,
        Self::Refused,
        Self::Waiting,
        Self::Frozen,
        Self::Thawed,
    ];

    /// The word in flags, file names and messages.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Started => "started",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
            Self::Refused => "refused",
            Self::Waiting => "waiting",
            Self::Frozen => "frozen",
            Self::Thawed => "thawed",
        }
    }
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.word())
    }
}

/// A word that is no event.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there is no event `{0}`")]
pub struct UnknownEvent(pub String);

impl FromStr for Event {
    type Err = UnknownEvent;

    fn from_str(text: &str) -> Result<Self, UnknownEvent> {
        Self::ALL
            .into_iter()
            .find(|event| event.word() == text)
            .ok_or_else(|| UnknownEvent(text.to_owned()))
    }
}
