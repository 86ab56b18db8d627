//! What was read of a release chain before, in one file beside the copy of the repository: to open three objects of git for
//! each of a hundred thousand events takes seconds, and every process begins anew.
//!
//! The file is derived from git and from nothing else. It is used up to a commit that git's own chain holds, it is read
//! only in the form that this version writes, and whatever is odd about it makes it as if it were not there. It may be
//! deleted at any time.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use pilotage_name::{CommitId, EnvironmentName, ServiceName};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::chain::Entry;
use super::event::Event;

/// The form of the files; another one is another folder.
const FORMAT: &str = "pilotage-events-1";

/// So many events have to be new before a file is written anew.
pub(crate) const WORTH: usize = 64;

/// The first line of a file.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Head {
    /// The keys whose signatures were believed; none where none were asked for.
    keys: Option<Vec<String>>,
    /// The newest commit.
    tip: CommitId,
    /// What stands below, as a whole.
    sum: String,
}

/// The first line of one event. Its bytes follow, as they stand in git.
#[derive(Debug, Serialize, Deserialize)]
struct Line {
    commit: CommitId,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    doubt: Option<String>,
    /// How many bytes follow; nothing where there is no event.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    bytes: Option<usize>,
}

/// The file of one chain.
#[derive(Debug)]
pub(crate) struct KeptEvents<'a> {
    path: PathBuf,
    keys: Option<&'a [String]>,
}

/// What such a file holds.
#[derive(Debug, Default)]
pub(crate) struct Kept {
    /// The newest commit.
    pub(crate) tip: Option<CommitId>,
    /// All commits, oldest first.
    pub(crate) entries: Vec<Entry>,
    body: Vec<u8>,
}

impl Kept {
    /// Adds a commit that was read from git, with the bytes of its event.
    pub(crate) fn push(&mut self, entry: &Entry, event: Option<&[u8]>) {
        let line = Line {
            commit: entry.commit.clone(),
            doubt: entry.doubt.clone(),
            bytes: event.map(<[u8]>::len),
        };
        // A line of texts and a number can be written always.
        if let Ok(line) = serde_json::to_vec(&line) {
            self.body.extend(line);
            self.body.push(b'\n');
            self.body.extend(event.unwrap_or_default());
            self.body.push(b'\n');
            self.tip = Some(entry.commit.clone());
        }
    }
}

impl<'a> KeptEvents<'a> {
    /// Of a chain, below the folder of the repository's copy. `keys` are those whose signatures count.
    pub(crate) fn of(
        folder: &Path,
        environment: &EnvironmentName,
        service: &ServiceName,
        keys: Option<&'a [String]>,
    ) -> Self {
        let path = folder
            .join(FORMAT)
            .join(environment.as_str())
            .join(service.as_str());
        Self { path, keys }
    }

    /// What it holds; nothing where it is not there, or not as it should be.
    pub(crate) fn read(&self) -> Option<Kept> {
        let bytes = fs::read(&self.path).ok()?;
        let (head, body) = line(&bytes)?;
        let head: Head = serde_json::from_slice(head).ok()?;
        if head.keys.as_deref() != self.keys || head.sum != sum(body) {
            return None;
        }
        let mut entries = Vec::new();
        let mut rest = body;
        while !rest.is_empty() {
            let (first, behind) = line(rest)?;
            let read: Line = serde_json::from_slice(first).ok()?;
            let length = read.bytes.unwrap_or(0);
            let event = behind.get(..length)?;
            rest = behind.get(length..)?.strip_prefix(b"\n")?;
            entries.push(Entry {
                commit: read.commit,
                event: match read.bytes {
                    Some(_) => Some(Event::from_json(event).ok()?),
                    None => None,
                },
                doubt: read.doubt,
            });
        }
        (entries.last().map(|last| &last.commit) == Some(&head.tip)).then_some(Kept {
            tip: Some(head.tip),
            entries,
            body: body.to_vec(),
        })
    }

    /// Replaces the file. That it cannot be written is no trouble: then it is read from git again.
    pub(crate) fn write(&self, kept: &Kept) {
        let Some(tip) = &kept.tip else { return };
        let head = Head {
            keys: self.keys.map(<[String]>::to_vec),
            tip: tip.clone(),
            sum: sum(&kept.body),
        };
        if let Err(error) = self.replace(&head, &kept.body) {
            tracing::debug!(path = %self.path.display(), %error, "what was read of the ledger cannot be kept");
        }
    }

    fn replace(&self, head: &Head, body: &[u8]) -> io::Result<()> {
        let folder = self.path.parent().unwrap_or(Path::new("."));
        fs::create_dir_all(folder)?;
        let mut text = serde_json::to_vec(head)?;
        text.push(b'\n');
        text.extend(body);
        // A name of its own for each process; the last one to rename wins, and all of them are right.
        let new = self.path.with_extension(format!("{}.new", std::process::id()));
        fs::write(&new, text)
            .and_then(|()| fs::rename(&new, &self.path))
            .inspect_err(|_| drop(fs::remove_file(&new)))
    }
}

/// The first line, and what stands behind it.
fn line(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = bytes.iter().position(|byte| *byte == b'\n')?;
    Some((&bytes[..end], &bytes[end + 1..]))
}

fn sum(body: &[u8]) -> String {
    Sha256::digest(body)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}
