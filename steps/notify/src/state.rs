//! Where the messages of releases stand, so that a later event edits its message instead of adding one.

use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::port::Posted;

const SCHEMA: &str = "notify-state/v1";

/// The messages of one or more releases. The caller says in which file they are kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct State {
    schema: String,
    messages: Vec<Entry>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Entry {
    /// The release, as `qa.shop.17`.
    release: String,
    /// The channel as the routes name it.
    to: String,
    /// Slack's id for it.
    channel: String,
    /// The message in it.
    ts: String,
}

/// Why the file is of no use.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StateError {
    #[error("the state file `{path}` cannot be read")]
    Read { path: String, source: io::Error },
    #[error("the state file `{path}` is no {SCHEMA}")]
    Shape { path: String },
    #[error("the state file `{path}` cannot be written")]
    Write { path: String, source: io::Error },
}

impl Default for State {
    fn default() -> Self {
        Self {
            schema: SCHEMA.to_owned(),
            messages: Vec::new(),
        }
    }
}

impl State {
    /// Reads a file; one that is not there yet is empty.
    pub(crate) fn read(path: &Path) -> Result<Self, StateError> {
        let shown = || path.display().to_string();
        let text = match std::fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Self::default()),
            Err(source) => {
                return Err(StateError::Read {
                    path: shown(),
                    source,
                });
            }
        };
        serde_json::from_str::<Self>(&text)
            .ok()
            .filter(|state| state.schema == SCHEMA)
            .ok_or_else(|| StateError::Shape { path: shown() })
    }

    /// Replaces the file as a whole.
    pub(crate) fn write(&self, path: &Path) -> Result<(), StateError> {
        let failed = |source| StateError::Write {
            path: path.display().to_string(),
            source,
        };
        let text = serde_json::to_string_pretty(self).map_err(|error| failed(error.into()))?;
        let mut beside = path.as_os_str().to_owned();
        beside.push(".new");
        let beside = PathBuf::from(beside);
        std::fs::write(&beside, text)
            .and_then(|()| std::fs::rename(&beside, path))
            .map_err(failed)
    }

    pub(crate) fn find(&self, release: &str, to: &str) -> Option<Posted> {
        self.messages
            .iter()
            .find(|entry| entry.release == release && entry.to == to)
            .map(|entry| Posted {
                channel: entry.channel.clone(),
                ts: entry.ts.clone(),
            })
    }

    pub(crate) fn remember(&mut self, release: &str, to: &str, posted: Posted) {
        self.messages
            .retain(|entry| !(entry.release == release && entry.to == to));
        self.messages.push(Entry {
            release: release.to_owned(),
            to: to.to_owned(),
            channel: posted.channel,
            ts: posted.ts,
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_found_again_by_release_and_channel() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("state.json");
        let mut state = State::read(&path).unwrap();
        let posted = |ts: &str| Posted {
            channel: "C012".to_owned(),
            ts: ts.to_owned(),
        };
        state.remember("qa.shop.17", "#shop", posted("1.0"));
        state.remember("qa.shop.17", "#shop", posted("2.0"));
        state.write(&path).unwrap();
        let state = State::read(&path).unwrap();
        assert_eq!(state.find("qa.shop.17", "#shop"), Some(posted("2.0")));
        assert_eq!(state.find("qa.shop.18", "#shop"), None);
        assert_eq!(state.find("qa.shop.17", "#ops"), None);
        assert_eq!(state.messages.len(), 1);
    }

    #[test]
    fn a_file_of_something_else_is_not_overwritten() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("state.json");
        std::fs::write(&path, "{}").unwrap();
        assert!(matches!(State::read(&path), Err(StateError::Shape { .. })));
        assert!(matches!(
            State::default().write(&directory.path().join("no/such/state")),
            Err(StateError::Write { .. })
        ));
    }
}
