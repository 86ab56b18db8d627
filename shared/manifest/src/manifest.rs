use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::Parameter;

/// The name and version of the format.
pub const SCHEMA: &str = "step-manifest/v1";

/// A binary. Within v1 keys are only added.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Manifest {
    /// [`SCHEMA`].
    #[schemars(extend("const" = SCHEMA))]
    pub schema: String,
    /// The step's short name: `deploy`.
    pub step: String,
    /// The binary's name: `pilotage-deploy`.
    pub binary: String,
    /// The version of the binary.
    pub version: String,
    /// What can be asked of it. The first is the binary without any subcommand, where it does something then.
    pub commands: Vec<Command>,
    /// What every one of the commands takes.
    pub common: Vec<Parameter>,
    /// The secrets it may use; they come from the environment only.
    pub secrets: Vec<SecretVariable>,
    /// The keys of `--outputs`.
    pub outputs: Vec<Output>,
    /// What it may end with.
    pub exit_codes: Vec<ExitMeaning>,
}

/// Something that can be asked of a binary.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Command {
    /// The subcommands to type, none for the binary itself.
    pub path: Vec<String>,
    /// What it does, in a sentence.
    pub about: String,
    /// The same at length, where there is more to say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// What it takes besides [`Manifest::common`].
    pub parameters: Vec<Parameter>,
}

/// A secret: a variable with its value, or one ending in `_FILE` with the path of a file that holds it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SecretVariable {
    /// The variable, `PILOTAGE_SLACK_TOKEN`; a `*` stands for a name of the user's.
    pub env: String,
    /// What it is for.
    pub help: String,
}

/// A key of `--outputs`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Output {
    /// The key; a `*` stands for a name of the user's, such as that of a port.
    pub key: String,
    /// What its value is.
    pub help: String,
}

/// What an exit code means.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ExitMeaning {
    /// The number.
    pub code: u8,
    /// The outcome in reports: `passed`, `refused`.
    pub outcome: String,
    /// The meaning, in a sentence.
    pub meaning: String,
}

impl Manifest {
    /// As JSON for people and programs, ending in a newline.
    #[must_use]
    pub fn to_json(&self) -> String {
        // Texts, numbers and lists of them: there is nothing in it that JSON could not hold.
        format!("{:#}\n", serde_json::json!(self))
    }

    /// The command with this path.
    #[must_use]
    pub fn command(&self, path: &[&str]) -> Option<&Command> {
        self.commands.iter().find(|command| command.path == path)
    }
}

/// The JSON Schema of the format, committed as `shared/manifest/step-manifest.schema.json`.
#[must_use]
pub fn schema() -> serde_json::Value {
    schemars::schema_for!(Manifest).to_value()
}
