//! Why a target gave no answer, and the class of each reason.

use std::path::{Path, PathBuf};

use pilotage_outcome::{Class, Classify};

use crate::plan::Refused;

/// Why a target gave no answer or had no effect.
#[derive(Debug, thiserror::Error)]
pub enum TargetError {
    /// A file of the target's state.
    #[error("failed to {doing} {}", path.display())]
    Io {
        /// What was tried, as a verb.
        doing: &'static str,
        /// On what.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// A file of the target's state that somebody else wrote, or an incompatible Pilotage.
    #[error("{} cannot be read: {reason}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why not.
        reason: String,
    },
    /// The artifact of the wanted version.
    #[error("the artifact {} {reason}", path.display())]
    Artifact {
        /// Where it was looked for.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The artifact is another one than the plan was made for.
    #[error("the artifact {} was changed after the plan was made", path.display())]
    ArtifactMoved {
        /// Where it lies.
        path: PathBuf,
    },
    /// A program that does not start.
    #[error("failed to start `{program}`")]
    Spawn {
        /// The program.
        program: String,
        /// Why not.
        source: std::io::Error,
    },
    /// A placeholder of the target's command.
    #[error("the target's command asks for `{{{name}}}`, which {reason}")]
    Placeholder {
        /// Its name.
        name: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// Another deploy of the same service.
    #[error("{holder} is changing the service")]
    Busy {
        /// Who.
        holder: String,
    },
    /// A newer release has marked the service.
    #[error("fence {fence} is stale: {by} has changed the service meanwhile")]
    Stale {
        /// Ours.
        fence: u64,
        /// Theirs, in words.
        by: String,
    },
    /// An instance that is not there, or not as it should be.
    #[error("instance {instance} {reason}")]
    Instance {
        /// Which.
        instance: crate::live::InstanceId,
        /// What is wrong.
        reason: String,
    },
    /// An instance that should run and does not: for certain, and not only as far as can be told.
    #[error("instance {instance} does not run")]
    Ended {
        /// Which.
        instance: crate::live::InstanceId,
    },
    /// The front door's address is not to be had.
    #[error("the front door cannot listen on {listen}")]
    FrontAddress {
        /// Which.
        listen: std::net::SocketAddr,
        /// Why not.
        source: std::io::Error,
    },
    /// Something that runs and cannot become an instance.
    #[error("{name} cannot be adopted: {reason}")]
    Adopt {
        /// Its name.
        name: String,
        /// Why not.
        reason: String,
    },
    /// The front door does not do what it should.
    #[error("the front door {reason}")]
    Front {
        /// What is wrong, as the rest of the sentence.
        reason: String,
    },
    /// An engine that runs containers.
    #[error(transparent)]
    Engine(Box<pilotage_engine::EngineError>),
    /// The descriptor names nothing that this target could run.
    #[error("the descriptor names no image")]
    NoImage,
    /// A process that neither its signal nor a kill ended.
    #[error("process {pid} of instance {instance} does not end, not even when it is killed")]
    Immortal {
        /// The process.
        pid: u32,
        /// Its instance.
        instance: crate::live::InstanceId,
    },
}

impl TargetError {
    /// Wraps an error of the file system: `.map_err(TargetError::io("write", &path))`.
    pub fn io(doing: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> Self + use<> {
        let path = path.to_owned();
        move |source| Self::Io { doing, path, source }
    }
}

impl Classify for TargetError {
    fn class(&self) -> Class {
        match self {
            Self::Engine(error) => error.class(),
            Self::Io { .. }
            | Self::Unreadable { .. }
            | Self::Artifact { .. }
            | Self::Spawn { .. }
            | Self::Instance { .. }
            | Self::Ended { .. }
            | Self::FrontAddress { .. }
            | Self::Front { .. }
            | Self::Immortal { .. } => Class::Unavailable,
            Self::Placeholder { .. } | Self::NoImage => Class::Invalid,
            Self::Busy { .. } => Class::Waiting,
            Self::ArtifactMoved { .. } | Self::Stale { .. } | Self::Adopt { .. } => Class::Refused,
        }
    }

    fn help(&self) -> Vec<String> {
        let text = match self {
            Self::Engine(error) => return error.help(),
            Self::Io { source, .. } if source.kind() == std::io::ErrorKind::StorageFull => {
                "free space on the disk and deploy again; what serves was not touched"
            }
            Self::Io { source, .. } if source.kind() == std::io::ErrorKind::PermissionDenied => {
                "run it as the user who owns the target's state directory"
            }
            Self::Artifact { .. } => {
                "put the artifact there, or correct `artifact` of the target in pilotage.yaml"
            }
            Self::Spawn { .. } => {
                "correct `command` of the target in pilotage.yaml, or make the artifact executable"
            }
            Self::FrontAddress { .. } => {
                "free the address, or change `listen` of the target in pilotage.yaml"
            }
            Self::NoImage => "write for example `image: registry.example.com/shop`",
            Self::ArtifactMoved { .. } => "make a new plan",
            Self::Busy { .. } => "wait for its end and deploy again",
            _ => return Vec::new(),
        };
        vec![text.to_owned()]
    }
}

impl From<pilotage_engine::EngineError> for TargetError {
    fn from(error: pilotage_engine::EngineError) -> Self {
        Self::Engine(Box::new(error))
    }
}

impl Classify for Refused {
    fn class(&self) -> Class {
        match self {
            Self::Cannot(_) => Class::Invalid,
            Self::Stale { .. } | Self::Taken(_) => Class::Refused,
            Self::NothingKept(_) => Class::Refused,
        }
    }

    fn help(&self) -> Vec<String> {
        match self {
            Self::Cannot(lacks) => lacks
                .iter()
                .map(|lack| format!("{}: {}", lack.path, lack.reason))
                .collect(),
            Self::Stale { fence: 0, .. } => vec![
                "release it with `pilotage-release run`, which counts the fences, or give `--fence N`, not below that one"
                    .to_owned(),
            ],
            Self::Stale { .. } => vec!["a newer release owns the service; nothing was changed".to_owned()],
            Self::Taken(_) => vec!["free it, or choose another route or port".to_owned()],
            Self::NothingKept(_) => Vec::new(),
        }
    }
}
