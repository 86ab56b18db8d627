use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A flag with or without a value, or a value without a flag.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Parameter {
    /// The long flag without its dashes; of a value without a flag, its name.
    pub name: String,
    /// Whether it stands on the command line by itself, without a flag.
    #[serde(default, skip_serializing_if = "is_false")]
    pub positional: bool,
    /// Its short flag.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub short: Option<char>,
    /// The variable that says the same; a value of a repeated one is a line.
    pub env: String,
    /// What its value is.
    #[serde(flatten)]
    pub kind: Kind,
    /// What stands for the value in the help: `FILE`, `DURATION`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
    /// The value it has when nothing is said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default: Option<String>,
    /// Whether the command line is refused without it.
    #[serde(default, skip_serializing_if = "is_false")]
    pub required: bool,
    /// Whether it may be given several times.
    #[serde(default, skip_serializing_if = "is_false")]
    pub repeated: bool,
    /// What it is for.
    pub help: String,
    /// The heading under which the help has it, where it is not among the first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub heading: Option<String>,
}

/// What a parameter's value is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Kind {
    /// None: it is there or not. In the environment `true` or `false`.
    Switch,
    /// None: it counts how often it is there. In the environment a number.
    Count,
    /// One of a few words.
    Choice {
        /// The words.
        choices: Vec<Choice>,
    },
    /// A whole number.
    Number,
    /// A number with a unit, such as `30s` or `5m`.
    Duration,
    /// The path of a file.
    File,
    /// The path of a folder.
    Directory,
    /// A text, with whatever grammar the help tells.
    Text,
}

/// One of the words of [`Kind::Choice`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Choice {
    /// The word.
    pub value: String,
    /// What it means.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub help: Option<String>,
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde hands the field by reference"
)]
fn is_false(value: &bool) -> bool {
    !*value
}
