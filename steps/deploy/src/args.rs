use std::net::SocketAddr;
use std::path::PathBuf;

use pilotage_name::{CommitId, ReleaseId};
use pilotage_step::{Common, DescriptorArgs, OutputName, SecretName, StepCli};

/// Makes one service in one environment equal to its descriptor: starts the new instance beside the old, proves it,
/// switches, re-reads the proof, and keeps the old one to go back to.
#[derive(Clone, Debug, clap::Parser)]
#[command(name = "pilotage-deploy")]
pub struct Args {
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
    #[command(flatten)]
    pub(crate) what: What,
    /// Apply only if this is still the plan, and refuse otherwise.
    #[arg(long, value_name = "DIGEST")]
    pub(crate) expect_plan: Option<String>,
    #[command(flatten)]
    pub(crate) common: Common,
}

impl StepCli for Args {
    /// Going back ends the new instance, which may take its short grace and a kill.
    const CLEANUP: std::time::Duration = std::time::Duration::from_secs(8);

    const SECRETS: &'static [SecretName] = &[SecretName {
        env: "PILOTAGE_SECRET_*",
        help: "A secret of a service, named by its descriptor; PILOTAGE_SECRET_<SERVICE>_… only.",
    }];

    const OUTPUTS: &'static [OutputName] = &[
        OutputName {
            key: "plan",
            help: "The digest of the plan, for --expect-plan.",
        },
        OutputName {
            key: "instance",
            help: "The number of the instance that serves.",
        },
        OutputName {
            key: "digest",
            help: "The digest of what it runs.",
        },
        OutputName {
            key: "version",
            help: "The version it is.",
        },
        OutputName {
            key: "instance_hash",
            help: "What the instance is made of; another hash is another instance.",
        },
        OutputName {
            key: "config_hash",
            help: "What the descriptor asks for.",
        },
        OutputName {
            key: "address_*",
            help: "Where the port of this name can be asked directly, as HOST:PORT.",
        },
        OutputName {
            key: "front_door",
            help: "Where the front door of a process target listens, as HOST:PORT.",
        },
        OutputName {
            key: "reach",
            help: "How the instance was reached: `direct` from this machine, `join` over the environment's network.",
        },
    ];

    fn common(&self) -> &Common {
        &self.common
    }
}

/// What else it can do.
#[derive(Clone, Debug, clap::Subcommand)]
pub(crate) enum Command {
    /// Say what would be done, and change nothing.
    Plan {
        #[command(flatten)]
        what: What,
        /// Exit 10 when there are changes and 11 when some of them are risky.
        #[arg(long)]
        detailed_exitcode: bool,
    },
    /// Say what runs.
    Status {
        #[command(flatten)]
        what: What,
    },
    /// Switch back to the instance that served before.
    Undo {
        #[command(flatten)]
        what: What,
        /// Undo only if this is still the plan, and refuse otherwise.
        #[arg(long, value_name = "DIGEST")]
        expect_plan: Option<String>,
    },
    /// Take what runs already for the instance of the service that serves; the next plan says what differs.
    Adopt {
        #[command(flatten)]
        what: What,
        /// What runs: its name or id on the target.
        #[arg(long, value_name = "NAME")]
        instance: String,
    },
    /// Stop everything of this project on a process or docker target; what was stored stays. For development.
    Down {
        /// The configuration (pilotage.yaml).
        #[arg(long, value_name = "FILE")]
        config: PathBuf,
        /// The target, by its name in the configuration.
        #[arg(long, value_name = "NAME")]
        target: String,
    },
    /// Lead requests to the instances of a process target.
    #[command(hide = true)]
    FrontDoor {
        /// The target's state directory.
        #[arg(long, value_name = "DIR")]
        state: PathBuf,
        /// Where to listen.
        #[arg(long, value_name = "ADDRESS")]
        listen: SocketAddr,
    },
}

/// Which service, and in whose name.
#[derive(Clone, Debug, Default, clap::Args)]
pub(crate) struct What {
    #[command(flatten)]
    pub(crate) files: DescriptorArgs,
    /// The release this is a part of; a label.
    #[arg(long, value_name = "ID")]
    pub(crate) release: Option<ReleaseId>,
    /// The release's fence; what a higher fence made is not changed. The release's own when only that is given.
    #[arg(long, value_name = "N")]
    pub(crate) fence: Option<u64>,
    /// The commit the descriptor comes from; a label.
    #[arg(long, value_name = "COMMIT")]
    pub(crate) commit: Option<CommitId>,
}

impl What {
    /// Flags may stand before or behind the subcommand; behind wins.
    pub(crate) fn or(self, before: Self) -> Self {
        Self {
            files: DescriptorArgs {
                descriptor: self.files.descriptor.or(before.files.descriptor),
                environment: self.files.environment.or(before.files.environment),
                service: self.files.service.or(before.files.service),
                config: self.files.config.or(before.files.config),
            },
            release: self.release.or(before.release),
            fence: self.fence.or(before.fence),
            commit: self.commit.or(before.commit),
        }
    }
}
