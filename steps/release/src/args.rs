use std::path::PathBuf;
use std::time::Duration;

use clap::{Parser, Subcommand};
use pilotage_descriptor::Version;
use pilotage_message::{Who, person, reason};
use pilotage_name::{EnvironmentName, ReleaseId, ServiceName};
use pilotage_step::{Common, OutputName, RepoArgs, SecretName, StepCli};

/// Releases services from begin to finish, and says what runs where.
///
/// A release goes on only when exactly its commit was accepted by the gates; started by hand, `run` asks them itself. One
/// release of a service goes on at a time, and everything that is interrupted is taken up again by the same command.
#[derive(Parser, Clone, Debug)]
#[command(name = "pilotage-release", version)]
pub struct Args {
    #[command(subcommand)]
    pub(crate) command: Command,
    /// The branch that holds pilotage.yaml.
    #[arg(long, global = true, value_name = "NAME", default_value = "main")]
    pub(crate) config_branch: String,
    /// What every step has.
    #[command(flatten)]
    pub(crate) common: Common,
}

impl StepCli for Args {
    /// A stage that is asked to stop (9 s), the end that is then written down (4 s) and told (4 s) take more than one step's
    /// clean-up.
    const CLEANUP: Duration = Duration::from_secs(18);

    const SECRETS: &'static [SecretName] = &pilotage_decision::SECRETS;

    const OUTPUTS: &'static [OutputName] = &[
        OutputName {
            key: "release",
            help: "The release's id.",
        },
        OutputName {
            key: "fence",
            help: "The release's fence: what a higher one made is not changed.",
        },
        OutputName {
            key: "plan",
            help: "The digest of the plan.",
        },
        OutputName {
            key: "dir",
            help: "The folder with the plan.",
        },
        OutputName {
            key: "version",
            help: "The version that is released.",
        },
        OutputName {
            key: "commit",
            help: "The commit of the environment branch that is released.",
        },
        OutputName {
            key: "outcome",
            help: "How the release ended: passed, failed, refused …",
        },
        OutputName {
            key: "digest",
            help: "The digest of what runs, as it was proved.",
        },
    ];

    fn common(&self) -> &Common {
        &self.common
    }
}

#[derive(Subcommand, Clone, Debug)]
pub(crate) enum Command {
    /// Say what a release would do, or write its plan's directory for whoever runs the stages.
    Plan {
        #[command(flatten)]
        repo: RepoArgs,
        /// Write the plan into this directory, which must not hold anything yet.
        #[arg(long, value_name = "DIR")]
        out: Option<PathBuf>,
    },
    /// Take the lease for a plan whose stages somebody else runs.
    Begin {
        #[command(flatten)]
        repo: RepoArgs,
        /// The plan's directory.
        #[arg(long, value_name = "DIR")]
        dir: PathBuf,
        /// Who holds it: the address of the build, where people can look.
        #[arg(long, value_name = "URL")]
        build: String,
    },
    /// Release services: plan, begin, all stages, finish.
    ///
    /// Another version is asked for by a commit on the environment's branch first, which passes the same gates as any
    /// other; typed twice it does nothing the second time.
    Run {
        #[command(flatten)]
        repo: RepoArgs,
        /// Another version than the branch asks for.
        #[arg(long, value_name = "VERSION", value_parser = version, requires = "by", conflicts_with = "commit")]
        version: Option<Version>,
        /// Why; stands in the commit that asks for another version.
        #[arg(long, value_name = "TEXT", value_parser = reason, requires = "version")]
        reason: Option<String>,
        /// Who does it: author and committer of that commit.
        #[arg(long, value_name = "NAME <EMAIL>", value_parser = person, requires = "version")]
        by: Option<Who>,
        /// Sign that commit with this private SSH key, in OpenSSH's format and without a passphrase.
        #[arg(long, value_name = "FILE", requires = "version")]
        signing_key: Option<PathBuf>,
        /// Keep plans, reports and logs below this directory, in one for each service.
        #[arg(long, value_name = "DIR")]
        keep: Option<PathBuf>,
    },
    /// Judge what the stages of a plan left in its directory, and write the end of the release.
    Finish {
        #[command(flatten)]
        repo: RepoArgs,
        /// The plan's directory.
        #[arg(long, value_name = "DIR")]
        dir: PathBuf,
    },
    /// Say what runs where, since when, by whose commit.
    Status {
        #[command(flatten)]
        repo: RepoArgs,
    },
    /// Give a release up that somebody else holds.
    Abandon {
        #[command(flatten)]
        repo: RepoArgs,
        /// This release and no other.
        #[arg(long, value_name = "ID")]
        release: Option<ReleaseId>,
        /// Why.
        #[arg(long, value_name = "TEXT", value_parser = reason)]
        reason: String,
        /// Who does it.
        #[arg(long, value_name = "NAME <EMAIL>", value_parser = person)]
        by: Who,
    },
    /// Take what runs already for the instance of a service: the next release replaces it, or finds nothing to do.
    Adopt {
        #[command(flatten)]
        repo: RepoArgs,
        /// What runs: its name or id on the target.
        #[arg(long, value_name = "NAME")]
        instance: String,
        /// Why.
        #[arg(long, value_name = "TEXT", value_parser = reason)]
        reason: String,
        /// Who does it.
        #[arg(long, value_name = "NAME <EMAIL>", value_parser = person)]
        by: Who,
    },
    /// Go back to a version that was proved, or to what was proved at --commit: restore its descriptor by a commit, and
    /// release that.
    Rollback {
        #[command(flatten)]
        repo: RepoArgs,
        /// The version; without it the one that was proved before.
        #[arg(long, value_name = "VERSION")]
        to: Option<String>,
        /// Why; stands in the commit.
        #[arg(long, value_name = "TEXT", value_parser = reason)]
        reason: String,
        /// Who does it: author and committer of the commit.
        #[arg(long, value_name = "NAME <EMAIL>", value_parser = person)]
        by: Who,
        /// Sign the commit with this private SSH key, in OpenSSH's format and without a passphrase.
        #[arg(long, value_name = "FILE")]
        signing_key: Option<PathBuf>,
        /// Keep plans, reports and logs below this directory, in one for each service.
        #[arg(long, value_name = "DIR")]
        keep: Option<PathBuf>,
    },
}

impl Command {
    pub(crate) fn repo(&self) -> &RepoArgs {
        match self {
            Self::Plan { repo, .. }
            | Self::Begin { repo, .. }
            | Self::Run { repo, .. }
            | Self::Finish { repo, .. }
            | Self::Status { repo }
            | Self::Abandon { repo, .. }
            | Self::Adopt { repo, .. }
            | Self::Rollback { repo, .. } => repo,
        }
    }
}

fn version(text: &str) -> Result<Version, String> {
    text.parse::<Version>().map_err(|error| error.to_string())
}

/// What `--env` and `--service` must not contradict.
pub(crate) fn contradicts(repo: &RepoArgs, environment: &EnvironmentName, service: &ServiceName) -> bool {
    repo.environment
        .as_ref()
        .is_some_and(|asked| asked != environment)
        || !(repo.service.is_empty() || repo.service.as_slice() == std::slice::from_ref(service))
}
