use std::fmt;

use pilotage_config::NotifyEvent;
use serde::{Deserialize, Serialize};

/// What happened to a release.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Event {
    /// It began.
    Started,
    /// It ended well.
    Succeeded,
    /// It failed.
    Failed,
    /// A gate refused it.
    Refused,
    /// A gate waits for something.
    Waiting,
}

impl Event {
    /// All of them, in the order of a release.
    pub const ALL: [Self; 5] = [
        Self::Started,
        Self::Succeeded,
        Self::Failed,
        Self::Refused,
        Self::Waiting,
    ];

    /// The word in flags, file names and messages.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Started => "started",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Refused => "refused",
            Self::Waiting => "waiting",
        }
    }

    /// The same event in `pilotage.yaml`.
    #[must_use]
    pub const fn in_config(self) -> NotifyEvent {
        match self {
            Self::Started => NotifyEvent::Started,
            Self::Succeeded => NotifyEvent::Succeeded,
            Self::Failed => NotifyEvent::Failed,
            Self::Refused => NotifyEvent::Refused,
            Self::Waiting => NotifyEvent::Waiting,
        }
    }

    /// Whether someone should look now. An edited message makes no sound, so this decides whether an edit is enough.
    #[must_use]
    pub const fn asks_for_attention(self) -> bool {
        matches!(self, Self::Failed | Self::Refused | Self::Waiting)
    }
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.word())
    }
}
