//! What there is to say, as `notify-message/v1`: facts, no wording. The caller writes it, templates word it.
//!
//! Within v1 keys are only added, so keys that are not known here are ignored.

use pilotage_diagnostic::{Diagnostic, Source, Span};
use pilotage_name::{CommitId, EnvironmentName, ProjectName, ReleaseId, ServiceName};
use pilotage_quantity::Duration;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The name of the format.
pub(crate) const SCHEMA: &str = "notify-message/v1";
/// The facts of one event of one release, or of one decision.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Message {
    /// Always `notify-message/v1`.
    #[schemars(extend("const" = SCHEMA))]
    pub schema: String,
    /// Whose environment.
    pub project: ProjectName,
    /// Where.
    pub environment: EnvironmentName,
    /// What.
    pub service: ServiceName,
    /// The versions before and after.
    #[serde(default)]
    pub version: VersionChange,
    /// Whether the service is stopped for good instead of being brought to a version.
    #[serde(default)]
    pub retired: bool,
    /// The commit of the environment repository that asked for it.
    #[serde(default)]
    pub commit: Option<CommitId>,
    /// The first line of that commit's message.
    #[serde(default)]
    pub subject: Option<String>,
    /// Who wrote the change.
    #[serde(default)]
    pub author: Option<Who>,
    /// Who brought it into the branch.
    #[serde(default)]
    pub committer: Option<Who>,
    /// The release; none where no release began.
    #[serde(default)]
    pub release: Option<ReleaseId>,
    /// Whether this is only announced: the environment is observed, and nothing is touched.
    #[serde(default)]
    pub observe: bool,
    /// The outcome in one word, as in the report of the release: `passed`, `failed`, `unavailable`.
    #[serde(default)]
    pub outcome: Option<String>,
    /// Why it came so, one reason a line, the most telling first.
    #[serde(default)]
    pub reasons: Vec<String>,
    /// What would satisfy the gates, one thing a line.
    #[serde(default)]
    pub satisfy: Vec<String>,
    /// The stages so far, in order.
    #[serde(default)]
    pub stages: Vec<StageResult>,
    /// How long it took as a whole.
    #[serde(default)]
    pub duration: Option<Duration>,
    /// Set when the environment keeps another version than git asks for.
    #[serde(default)]
    pub held: Option<Held>,
    /// Where to read on.
    #[serde(default)]
    pub links: Vec<Link>,
}

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

/// A person as a commit names them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Who {
    /// The name.
    pub name: String,
    /// The mail address.
    #[serde(default)]
    pub email: Option<String>,
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

impl Message {
    /// No release has this much to say; what is larger is a mistake.
    pub(crate) const MOST_BYTES: u64 = 1024 * 1024;

    /// Reads a document.
    ///
    /// # Errors
    /// A diagnostic with the place where it stops being a `notify-message/v1`.
    pub fn parse(source: &Source) -> Result<Self, Box<Diagnostic>> {
        let text = source.text();
        if text.len() as u64 > Self::MOST_BYTES {
            return Err(Box::new(Diagnostic::error(
                "message-too-large",
                "the message is larger than 1 MiB",
            )));
        }
        let message: Self = serde_json::from_str(text).map_err(|error| {
            let at = byte_of(text, error.line(), error.column());
            Box::new(
                Diagnostic::error("message-invalid", format!("this is no {SCHEMA}"))
                    .at(source, Span { start: at, end: at }, without_place(&error))
                    .help("`pilotage-notify --schema` prints the format"),
            )
        })?;
        if message.schema == SCHEMA {
            Ok(message)
        } else {
            Err(Box::new(
                Diagnostic::error("message-format", format!("the message is no {SCHEMA}"))
                    .help(format!("its `schema` says `{}`", message.schema)),
            ))
        }
    }

    /// Who brought the change: the committer, or the author where no committer is told.
    #[must_use]
    pub fn brought_by(&self) -> Option<&Who> {
        self.committer.as_ref().or(self.author.as_ref())
    }
}

/// The JSON Schema of the format.
#[must_use]
pub fn schema() -> serde_json::Value {
    schemars::schema_for!(Message).to_value()
}

/// serde counts lines and columns from 1, the column in bytes; it can stand one past the end of a line.
fn byte_of(text: &str, line: usize, column: usize) -> usize {
    let start: usize = text
        .split_inclusive('\n')
        .take(line.saturating_sub(1))
        .map(str::len)
        .sum();
    (start + column.saturating_sub(1)).min(text.len())
}

/// The place is told by the diagnostic.
fn without_place(error: &serde_json::Error) -> String {
    let text = error.to_string();
    match text.rfind(" at line ") {
        Some(end) => text[..end].to_owned(),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Message, String> {
        Message::parse(&Source::new("message.json", text)).map_err(|diagnostic| diagnostic.line())
    }

    #[test]
    fn the_smallest_message_says_what_where_and_whose() {
        let message = parse(
            r#"{"schema":"notify-message/v1","project":"acme","environment":"qa","service":"shop","added_later":1}"#,
        )
        .unwrap();
        assert_eq!(message.service.as_str(), "shop");
        assert_eq!(message.version, VersionChange::default());
    }

    #[test]
    fn a_problem_is_told_with_its_place() {
        let text = "{\"schema\": \"notify-message/v1\", \"project\": \"acme\",\n \"environment\": \"QA\"}";
        let told = parse(text).unwrap_err();
        assert!(told.starts_with("message.json:2:"), "{told}");
        assert!(parse("").unwrap_err().contains("message-invalid"));
        let other = r#"{"schema":"notify-message/v2","project":"acme","environment":"qa","service":"shop"}"#;
        assert!(parse(other).unwrap_err().contains("message-format"));
        assert!(
            parse(&" ".repeat(1024 * 1024 + 1))
                .unwrap_err()
                .contains("message-too-large")
        );
    }
}
