use pilotage_diagnostic::{Diagnostic, Source, Span, printable};
use pilotage_name::{CommitId, EnvironmentName, ProjectName, ReleaseId, ServiceName};
use pilotage_quantity::Duration;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::event::Event;
use crate::part::{Held, Link, ServicePart, StageResult, VersionChange, Who};

/// The name of the format.
pub const SCHEMA: &str = "notify-message/v1";

/// The facts of one event: of a release, of a decision, or of an environment.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Message {
    /// Always `notify-message/v1`.
    #[schemars(extend("const" = SCHEMA))]
    pub schema: String,
    /// What happened; none where only the caller knows.
    #[serde(default)]
    pub event: Option<Event>,
    /// Whose environment.
    pub project: ProjectName,
    /// Where.
    pub environment: EnvironmentName,
    /// What; none where the environment as a whole is meant.
    #[serde(default)]
    pub service: Option<ServiceName>,
    /// The services, where the message is about several.
    #[serde(default)]
    pub services: Vec<ServicePart>,
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
    /// Whom the descriptor names to ask.
    #[serde(default)]
    pub maintainer: Option<Who>,
    /// The release; none where no release began.
    #[serde(default)]
    pub release: Option<ReleaseId>,
    /// The release that this one repeats, where people were told by that one that it started. They are not told again, and
    /// what is told of this one takes the place of what was told of that one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub repeats: Option<ReleaseId>,
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

/// What is read before anything else: the other keys mean what this version says.
#[derive(Deserialize)]
struct Head {
    schema: String,
}

impl Message {
    /// No release has this much to say; what is larger is a mistake.
    pub const MOST_BYTES: u64 = 1024 * 1024;

    /// An event of an environment, with nothing else known yet.
    #[must_use]
    pub fn new(event: Event, project: ProjectName, environment: EnvironmentName) -> Self {
        Self {
            schema: SCHEMA.to_owned(),
            event: Some(event),
            project,
            environment,
            service: None,
            services: Vec::new(),
            version: VersionChange::default(),
            retired: false,
            commit: None,
            subject: None,
            author: None,
            committer: None,
            maintainer: None,
            release: None,
            repeats: None,
            observe: false,
            outcome: None,
            reasons: Vec::new(),
            satisfy: Vec::new(),
            stages: Vec::new(),
            duration: None,
            held: None,
            links: Vec::new(),
        }
    }

    /// Reads a document.
    ///
    /// # Errors
    /// A diagnostic with the place where it stops being a `notify-message/v1`; another version is refused by its name.
    pub fn parse(source: &Source) -> Result<Self, Box<Diagnostic>> {
        let text = source.text();
        if text.len() as u64 > Self::MOST_BYTES {
            return Err(Box::new(Diagnostic::error(
                "message-too-large",
                "the message is larger than 1 MiB",
            )));
        }
        let invalid = |error: serde_json::Error| {
            let at = byte_of(text, error.line(), error.column());
            Box::new(
                Diagnostic::error("message-invalid", format!("this is no {SCHEMA}"))
                    .at(source, Span { start: at, end: at }, without_place(&error))
                    .help("`pilotage-notify --schema` prints the format"),
            )
        };
        let head: Head = serde_json::from_str(text).map_err(invalid)?;
        if head.schema != SCHEMA {
            let theirs = printable(&head.schema);
            let told = format!("the message is {theirs}, this version of Pilotage reads {SCHEMA}");
            return Err(Box::new(Diagnostic::error("message-format", told).help(
                "let writer and reader of the message be of one version of Pilotage",
            )));
        }
        serde_json::from_str(text).map_err(invalid)
    }

    /// Who brought the change: the committer, or the author where no committer is told.
    #[must_use]
    pub fn brought_by(&self) -> Option<&Who> {
        self.committer.as_ref().or(self.author.as_ref())
    }

    /// The release under whose name a message about this one stands: itself, or the one that it repeats.
    #[must_use]
    pub fn told_as(&self) -> Option<&ReleaseId> {
        self.repeats.as_ref().or(self.release.as_ref())
    }

    /// Where and what, as people write it: `qa/shop`, or `qa` where the environment as a whole is meant.
    #[must_use]
    pub fn place(&self) -> String {
        match &self.service {
            Some(service) => format!("{}/{service}", self.environment),
            None => self.environment.to_string(),
        }
    }
}

/// The JSON Schema of the format, committed as `shared/message/notify-message.schema.json`.
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
