use std::io;
use std::path::PathBuf;

use pilotage_diagnostic::printable;
use pilotage_outcome::{Class, Classify};
use pilotage_place::NoPlace;

/// Why a suite is not run.
#[derive(Debug, thiserror::Error)]
pub enum PlanError {
    /// Neither a descriptor nor a command nor reports.
    #[error("there is nothing to run and nothing to read")]
    Nothing,
    /// A flag of direct use beside a descriptor.
    #[error("--{flag} is for a command of your own; with --descriptor the descriptor says it")]
    OnlyDirect {
        /// Without the leading hyphens.
        flag: &'static str,
    },
    /// A limit that leaves no time.
    #[error("--{flag} cannot be zero")]
    Zero {
        /// Without the leading hyphens.
        flag: &'static str,
    },
    /// A suite in an image, and no engine beside the service to run it.
    #[error(
        "the suite is the image `{}`, and the service's target runs no images",
        printable(image)
    )]
    Image {
        /// The image.
        image: String,
    },
    /// An image that the environment does not grant.
    #[error("the image `{}` is not allowed in `{environment}`", printable(image))]
    ImageNotGranted {
        /// The image.
        image: String,
        /// The environment.
        environment: String,
    },
    /// A folder of this machine for a suite in an image.
    #[error("--directory is for commands; a suite in an image runs where the image says")]
    Directory,
    /// A command of a descriptor, and nobody who grants it.
    #[error("the environment `{environment}` does not allow descriptors to name commands")]
    NotGranted {
        /// The environment.
        environment: String,
    },
    /// A command of a descriptor, and no configuration that could grant it.
    #[error("the descriptor names what is to be run, and without --config nobody grants it")]
    NoConfig,
    /// A name that no port has.
    #[error("the descriptor has no port `{}`", printable(port))]
    NoPort {
        /// The name.
        port: String,
    },
    /// A port published on an address we cannot know.
    #[error(transparent)]
    NoPlace(#[from] NoPlace),
    /// A file that was named.
    #[error("`{}` cannot be {verb}: {source}", printable(&path.to_string_lossy()))]
    File {
        /// The file, or folder.
        path: PathBuf,
        /// `read` or `written`.
        verb: &'static str,
        /// What is wrong.
        source: io::Error,
    },
    /// No room for what is merged.
    #[error("reports cannot be merged: {0}")]
    Merge(io::Error),
}

impl Classify for PlanError {
    fn class(&self) -> Class {
        match self {
            Self::Image { .. } => Class::Invalid,
            Self::NotGranted { .. } | Self::ImageNotGranted { .. } | Self::NoConfig => Class::Refused,
            Self::Merge(_) => Class::Unavailable,
            Self::Nothing
            | Self::Directory
            | Self::OnlyDirect { .. }
            | Self::Zero { .. }
            | Self::NoPort { .. }
            | Self::NoPlace(_)
            | Self::File { .. } => Class::Usage,
        }
    }

    fn help(&self) -> Vec<String> {
        match self {
            Self::Nothing => vec![
                "give a command: pilotage-regression --results 'out/**/*.xml' -- make test".to_owned(),
                "or a descriptor: pilotage-regression --descriptor services/shop.yaml --env stage --config pilotage.yaml"
                    .to_owned(),
                "or reports alone, to merge and judge them: pilotage-regression --results 'shards/**/*.xml'".to_owned(),
            ],
            Self::Image { .. } => vec!["write `command: [PROGRAM, …]` without `image`, and grant it".to_owned()],
            Self::ImageNotGranted { environment, .. } => vec![format!(
                "pilotage.yaml grants images with `allow: {{images: [...]}}` of `{environment}`"
            )],
            Self::NotGranted { environment } => vec![format!(
                "let the config branch grant it: `allow: {{commands: true}}` at `{environment}` in pilotage.yaml"
            )],
            Self::NoConfig => vec!["give --config pilotage.yaml".to_owned()],
            Self::NoPlace(NoPlace { port }) => vec![format!("say it: --address {port}=HOST:PORT")],
            Self::NoPort { .. } => vec!["--address takes the names of the descriptor's `ports`".to_owned()],
            Self::Directory | Self::OnlyDirect { .. } | Self::Zero { .. } | Self::File { .. } | Self::Merge(_) => {
                Vec::new()
            }
        }
    }
}
