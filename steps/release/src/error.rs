use std::io;
use std::path::{Path, PathBuf};

use pilotage_outcome::{Class, Classify};

/// Why a plan's directory is of no use.
#[derive(Debug, thiserror::Error)]
pub enum DirectoryError {
    /// A file of it cannot be read.
    #[error("`{}` cannot be read", .path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// A file of it cannot be written.
    #[error("`{}` cannot be written", .path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// There is something in it already.
    #[error("`{}` is not empty", .path.display())]
    NotEmpty {
        /// The directory.
        path: PathBuf,
    },
    /// Its path cannot stand in an environment file.
    #[error("the path {path:?} cannot be written into an environment file")]
    Unnameable {
        /// The directory.
        path: PathBuf,
    },
    /// It holds no plan.
    #[error("`{}` is no plan of this version: {reason}", .path.display())]
    Shape {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
}

impl DirectoryError {
    pub(crate) fn read(path: &Path, source: io::Error) -> Self {
        Self::Read {
            path: path.to_owned(),
            source,
        }
    }

    pub(crate) fn write(path: &Path, source: io::Error) -> Self {
        Self::Write {
            path: path.to_owned(),
            source,
        }
    }
}

impl Classify for DirectoryError {
    fn class(&self) -> Class {
        match self {
            Self::Write { source, .. } if source.kind() == io::ErrorKind::StorageFull => Class::Unavailable,
            Self::Read { .. } | Self::Write { .. } | Self::NotEmpty { .. } | Self::Unnameable { .. } => {
                Class::Usage
            }
            Self::Shape { .. } => Class::Invalid,
        }
    }

    fn help(&self) -> Vec<String> {
        let help = match self {
            Self::NotEmpty { .. } => "name a directory that does not exist yet",
            Self::Shape { .. } => "make a new plan with `pilotage-release plan --out DIR`",
            Self::Write { source, .. } if source.kind() == io::ErrorKind::StorageFull => {
                "free space on the disk"
            }
            _ => return Vec::new(),
        };
        vec![help.to_owned()]
    }
}

/// Why there is no report of a stage.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReportProblem {
    /// It left none.
    #[error("it left no report")]
    Missing,
    /// What it left is none.
    #[error("what it left is no report: {0}")]
    Garbled(String),
}
