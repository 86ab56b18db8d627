//! An expectation, an observation, and the pure verdict between them.
//!
//! What is asked of an endpoint is an [`Expectation`], what one try saw is an [`Observation`], and [`judge`] says how the
//! two stand to each other; [`unmet`] says which further [`Assertion`]s an answer does not meet. [`Progress`] folds the
//! verdicts of many tries into the end of a wait, and [`Patience`] says when the next try is due. Nothing here asks, waits
//! or looks at a clock.

mod assertion;
mod capture;
mod certificate;
mod command;
mod expectation;
mod expression;
mod grpc;
mod header_name;
mod histogram;
mod json_path;
mod judge;
mod observation;
mod patience;
mod pattern;
mod progress;
mod round;
mod rule;
mod status;
mod verdict;
mod version_source;

pub use assertion::{Assertion, unmet};
pub use capture::CaptureSource;
pub use certificate::Certificate;
pub use expectation::{Expectation, GrpcExpectation, HttpExpectation};
pub use expression::Expression;
pub use grpc::{GrpcAnswer, GrpcCode, GrpcSaid};
pub use header_name::HeaderName;
pub use histogram::Histogram;
pub use json_path::JsonPath;
pub use judge::judge;
pub use observation::{HttpAnswer, NoAnswer, Observation, TlsProblem};
pub use patience::Patience;
pub use pattern::Pattern;
pub use progress::{AddressSeen, End, Progress, State};
pub use round::{Attempt, Round};
pub use rule::Rule;
pub use status::StatusSet;
pub use verdict::{Class, Said, Verdict};
pub use version_source::{Found, VersionSource};

/// Why a text of this crate's small grammars cannot be read; reads well after "`x`: ".
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GrammarError {
    /// Nothing was given.
    #[error("it is empty")]
    Empty,
    /// A part of a status set that is no status and no range.
    #[error("`{part}` is no status or range: use `200`, `200-299` or `200,204`, each from 100 to 599")]
    Status {
        /// The part.
        part: String,
    },
    /// A path that leaves the subset.
    #[error(
        "expected {expected} at character {at} of the path; it looks like `$.build.version` or `$.parts[0]`"
    )]
    Path {
        /// Position, counted in characters from 1.
        at: usize,
        /// What had to stand there.
        expected: &'static str,
    },
    /// A header name with characters no header name has (RFC 9110, section 5.1).
    #[error("a header name is letters, digits and hyphens, such as `X-Version`")]
    HeaderName,
    /// Not a regular expression.
    #[error("it is no regular expression: {0}")]
    Regex(String),
    /// Not exactly one group.
    #[error("it has {0} groups, and exactly one must enclose what is looked for")]
    Groups(usize),
}

/// A text with a grammar: printed as it was written, checked wherever it is read.
macro_rules! text_serde {
    ($name:ident, $description:expr) => {
        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = <String as serde::Deserialize>::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }

        impl schemars::JsonSchema for $name {
            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($name).into()
            }

            fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
                schemars::json_schema!({"type": "string", "minLength": 1, "description": $description})
            }
        }
    };
}
pub(crate) use text_serde;
