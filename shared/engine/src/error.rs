//! Why an engine gave no answer or had no effect.

use bollard::errors::Error;
use pilotage_outcome::{Class, Classify};

/// Why an engine gave no answer or had no effect.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// Nobody answers there.
    #[error("the engine at {host} does not answer")]
    Away {
        /// Where.
        host: String,
        /// Why not.
        source: Error,
    },
    /// The engine said no.
    #[error("the engine did not {doing}: {message}")]
    Said {
        /// What was tried, as a verb.
        doing: String,
        /// Its status.
        status: u16,
        /// Its words.
        message: String,
    },
    /// An answer that cannot be understood.
    #[error("failed to {doing}")]
    Answer {
        /// What was tried, as a verb.
        doing: String,
        /// Why.
        source: Error,
    },
    /// An image that cannot be had or cannot run.
    #[error("the image {image} {reason}")]
    Image {
        /// Its name.
        image: String,
        /// What is wrong with it.
        reason: String,
        /// What helps.
        help: &'static str,
    },
    /// A name of ours that somebody else has.
    #[error("{what} exists and is not ours: it lacks our labels")]
    Foreign {
        /// What it is, with its name.
        what: String,
    },
    /// Something of ours that cannot be read.
    #[error("{what} cannot be read: {reason}")]
    Unreadable {
        /// What.
        what: String,
        /// Why not.
        reason: String,
    },
    /// A file of this machine.
    #[error("failed to {doing}")]
    Io {
        /// What was tried, as a verb.
        doing: String,
        /// Why not.
        source: std::io::Error,
    },
    /// A password that is not to be had.
    #[error("the password for the registry {registry} cannot be had: {reason}")]
    Password {
        /// Which registry.
        registry: String,
        /// Why not.
        reason: String,
    },
}

impl EngineError {
    /// What a failed request to the engine at `host` means; `doing` is a verb.
    pub fn of(host: &str, doing: &str, error: Error) -> Self {
        match error {
            Error::DockerResponseServerError { status_code, message } => Self::Said {
                doing: doing.to_owned(),
                status: status_code,
                message: message.trim().to_owned(),
            },
            Error::DockerStreamError { error } => Self::Said {
                doing: doing.to_owned(),
                status: 500,
                message: error.trim().to_owned(),
            },
            Error::JsonDataError { .. } | Error::JsonSerdeError { .. } => Self::Answer {
                doing: doing.to_owned(),
                source: error,
            },
            source => Self::Away {
                host: host.to_owned(),
                source,
            },
        }
    }

    /// The status with which the engine refused.
    #[must_use]
    pub fn status(&self) -> Option<u16> {
        match self {
            Self::Said { status, .. } => Some(*status),
            _ => None,
        }
    }

    /// The engine's words; empty when it said none.
    #[must_use]
    pub fn message(&self) -> &str {
        match self {
            Self::Said { message, .. } => message,
            _ => "",
        }
    }
}

impl Classify for EngineError {
    fn class(&self) -> Class {
        match self {
            Self::Foreign { .. } => Class::Refused,
            _ => Class::Unavailable,
        }
    }

    fn help(&self) -> Vec<String> {
        let text = match self {
            Self::Away { source, .. } if says(source, "permission denied") => {
                "run it as a user who may use the engine's socket: a member of the group that owns it, in a container \
                 `--group-add` with that group's number"
            }
            Self::Away { .. } => {
                "see whether the engine runs, and whether `host` of the target in pilotage.yaml is right"
            }
            Self::Said { message, .. } if message.contains("no space left on device") => {
                "free space on the engine's disk and try again; what runs was not touched"
            }
            Self::Image { help, .. } => help,
            Self::Foreign { .. } => "rename or remove it; it was not touched",
            Self::Password { .. } => {
                "give the password where the step runs, as `registries` in pilotage.yaml says"
            }
            _ => return Vec::new(),
        };
        vec![text.to_owned()]
    }
}

/// Whether an error or one of its causes says `words`.
fn says(error: &dyn std::error::Error, words: &str) -> bool {
    let mut cause = Some(error);
    while let Some(error) = cause {
        if error.to_string().to_ascii_lowercase().contains(words) {
            return true;
        }
        cause = error.source();
    }
    false
}
