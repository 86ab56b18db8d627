//! Why the ledger could not be read or written.

use pilotage_gitrepo::RefName;
use pilotage_name::{CommitId, ProjectName};

use crate::release::event::EventError;

/// Why the ledger could not be read or written; reads well after "failed to …: ".
///
/// That somebody else holds a release, or was first, is an answer and no error.
#[derive(Debug, thiserror::Error)]
pub enum LedgerError {
    /// The repository could not be asked or told.
    #[error(transparent)]
    Git(#[from] pilotage_gitrepo::Error),
    /// A chain holds what no Pilotage writes.
    #[error(transparent)]
    Chain(#[from] ChainError),
    /// An event that no reader would accept.
    #[error("the event cannot be written: {0}")]
    Event(#[source] EventError),
    /// A record of the monitor that cannot be written as JSON.
    #[error("the record cannot be written")]
    Record(#[source] serde_json::Error),
    /// The newest event of a chain is not believed, so nothing may be built on it.
    #[error("the newest event of {name} ({}) is not believed: {why}", .commit.short())]
    Unbelieved {
        /// The chain.
        name: RefName,
        /// The commit.
        commit: CommitId,
        /// Why.
        why: String,
    },
    /// The chain belongs to another project: two of them share one ledger.
    #[error("{name} belongs to project {theirs}, not to {ours}")]
    OtherProject {
        /// The chain.
        name: RefName,
        /// The project of the chain.
        theirs: ProjectName,
        /// The project that asked.
        ours: ProjectName,
    },
    /// One service was asked for twice in one call.
    #[error("{name} is asked for twice in one call")]
    Twice {
        /// The chain.
        name: RefName,
    },
    /// The git server said no.
    #[error("the server refuses to move {name}: {text}")]
    Refused {
        /// The chain.
        name: RefName,
        /// Its words, on one line.
        text: String,
    },
    /// The reply was lost and the ref could not be read: it may have happened.
    #[error("whether {name} moved is not known: {text}")]
    Unsettled {
        /// The chain.
        name: RefName,
        /// What went wrong.
        text: String,
    },
    /// Others were first again and again.
    #[error("{name} moved {tries} times while it was written to")]
    Contended {
        /// The chain.
        name: RefName,
        /// How often it was tried.
        tries: u32,
    },
}

impl LedgerError {
    /// What would help, for people.
    #[must_use]
    pub fn help(&self) -> Option<String> {
        match self {
            Self::Git(error) => error.help().map(str::to_owned),
            Self::Chain(_) => {
                Some("a later Pilotage may read it; otherwise look at the commit with `git show`".to_owned())
            }
            Self::Unbelieved { .. } => Some(
                "find out who wrote it; a person with a key of the ledger lets the chain go on without it"
                    .to_owned(),
            ),
            Self::OtherProject { .. } => Some("give each project a ledger of its own".to_owned()),
            Self::Refused { .. } => Some("the writer needs the right to push to refs/pilotage/".to_owned()),
            Self::Unsettled { .. } | Self::Contended { .. } => Some("run the same command again".to_owned()),
            Self::Event(_) | Self::Record(_) | Self::Twice { .. } => None,
        }
    }
}

/// A commit of a chain that no Pilotage writes.
#[derive(Debug, thiserror::Error)]
#[error("commit {} of {name} cannot be read", .commit.short())]
pub struct ChainError {
    /// The chain.
    pub name: RefName,
    /// The commit.
    pub commit: CommitId,
    /// What is wrong with it.
    #[source]
    pub problem: ChainProblem,
}

/// What is wrong with a commit of a chain.
#[derive(Debug, thiserror::Error)]
pub enum ChainProblem {
    /// It has several parents.
    #[error("it is a merge, a chain has none")]
    Merge,
    /// Its tree holds no such file.
    #[error("it has no file {path}")]
    Missing {
        /// The file.
        path: String,
    },
    /// What stands at the path is a link, a directory or a submodule.
    #[error("{path} is no regular file")]
    NotRegular {
        /// The path.
        path: String,
    },
    /// A file beyond what is read.
    #[error("{path} has {size} bytes, at most {most} are read")]
    TooLarge {
        /// The file.
        path: String,
        /// Its size.
        size: u64,
        /// The limit.
        most: u64,
    },
    /// Its `event.json` is no event.
    #[error("its event.json is no event: {0}")]
    Event(#[source] EventError),
    /// A record of the monitor that is no JSON of its schema.
    #[error("{path} is malformed: {source}")]
    Record {
        /// The file.
        path: String,
        /// What is wrong.
        source: serde_json::Error,
    },
    /// A record of the monitor of another schema.
    #[error("the schema of {path} is `{found}`, this version reads {expected}")]
    Schema {
        /// The file.
        path: String,
        /// The schema it names.
        found: String,
        /// The schema that is read.
        expected: &'static str,
    },
    /// A longer chain than any honest one.
    #[error("the chain goes on for more than {most} commits")]
    TooLong {
        /// The limit.
        most: usize,
    },
    /// An object of it is damaged or missing.
    #[error(transparent)]
    Damaged(pilotage_gitrepo::Error),
}
