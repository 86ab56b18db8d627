use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How much of what a step set out to change was changed: the axis beside the outcome that tells "failed clean" from
/// "failed dirty".
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum Effects {
    /// Nothing was changed.
    #[default]
    None,
    /// Something was changed, and not all of it.
    Partial,
    /// Everything that was planned was changed.
    Complete,
}

impl Effects {
    /// The word in reports.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Partial => "partial",
            Self::Complete => "complete",
        }
    }
}

/// One thing a step changed (or, under `--dry-run`, would change).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// What was done, in one word of the past: `created`, `switched`, `stopped`, `sent`.
    pub action: String,
    /// What it was done to: `instance acme-qa-shop-17`, `route shop.example.com`.
    pub subject: String,
    /// Anything a person should know besides.
    pub detail: String,
}

impl Change {
    /// `action` done to `subject`.
    pub fn new(action: impl Into<String>, subject: impl Into<String>) -> Self {
        Self {
            action: action.into(),
            subject: subject.into(),
            detail: String::new(),
        }
    }

    /// Adds what a person should know besides.
    #[must_use]
    pub fn detail(mut self, detail: impl Into<String>) -> Self {
        self.detail = detail.into();
        self
    }
}
