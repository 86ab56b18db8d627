use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;

use pilotage_name::{EnvironmentName, ProjectName, ServiceName};
use pilotage_step::{Common, OutputName, RepoArgs, SecretName, StepCli};

/// Pilotage for people: makes environment repositories, checks them, and tells why things run as they run.
#[derive(Clone, Debug, clap::Parser)]
#[command(name = "pilotage", arg_required_else_help = true, after_help = crate::dispatch::help())]
pub struct Args {
    #[command(subcommand)]
    pub(crate) command: Command,
    #[command(flatten)]
    pub(crate) common: Common,
}

impl StepCli for Args {
    const SECRETS: &'static [SecretName] = &pilotage_decision::SECRETS;

    const OUTPUTS: &'static [OutputName] = &[
        OutputName {
            key: "repository",
            help: "The repository that `init` made.",
        },
        OutputName {
            key: "errors",
            help: "How many errors `check` found.",
        },
        OutputName {
            key: "warnings",
            help: "How many warnings `check` found.",
        },
    ];

    fn common(&self) -> &Common {
        &self.common
    }
}

#[derive(Clone, Debug, clap::Subcommand)]
pub(crate) enum Command {
    /// Make an environment repository that works.
    Init(Box<Init>),
    /// Say everything that is wrong with a repository, a working tree, or what a pull request brings.
    Check(Box<Check>),
    /// Tell the story of one service: what was decided and released, what runs, and why that is not what git asks for.
    Why(Box<Why>),
    /// Print the JSON Schema of a format.
    Schema {
        /// The format.
        of: Format,
    },
    /// Serve a page that says its version; what a new repository releases until it has services of its own.
    #[command(hide = true)]
    ExampleService {
        /// The artifact: a text with a line `version = …`.
        #[arg(long, value_name = "FILE")]
        artifact: PathBuf,
        /// The port of 127.0.0.1 to listen on.
        #[arg(long, value_name = "PORT")]
        port: u16,
    },
    #[command(external_subcommand)]
    Other(Vec<OsString>),
}

/// What `pilotage init` is asked for.
#[derive(Clone, Debug, clap::Args)]
pub struct Init {
    /// Where the bare repository is made; it must not exist, or be empty.
    #[arg(value_name = "DIR")]
    pub directory: PathBuf,
    /// The project: the prefix of everything Pilotage creates.
    #[arg(long, value_name = "NAME")]
    pub project: ProjectName,
    /// A service and the port it listens on; may be given several times.
    #[arg(long = "service", value_name = "NAME:PORT", default_values = ["shop:8080", "cart:8081"])]
    pub services: Vec<ServicePort>,
    /// The environments, in the order in which a change goes through them.
    #[arg(
        long,
        value_name = "NAMES",
        value_delimiter = ',',
        default_value = "qa,stage,prod"
    )]
    pub environments: Vec<EnvironmentName>,
    /// Where releases land.
    #[arg(long, value_enum, default_value_t, value_name = "KIND")]
    pub target: TargetKind,
    /// Who commits the first files and may release to the last environment; git's own user when it is not given.
    #[arg(long, value_name = "NAME <EMAIL>")]
    pub committer: Option<String>,
    /// The engine of a docker target, `unix:///PATH` or `tcp://HOST:PORT`; the local socket when it is not given.
    #[arg(long, value_name = "ADDRESS")]
    pub engine: Option<String>,
    /// The image of each service of a docker target, without its tag; `{service}` is filled in.
    #[arg(long, value_name = "NAME")]
    pub image: Option<String>,
    /// The folder of a process target's instances; DIR-state when it is not given.
    #[arg(long, value_name = "DIR")]
    pub state: Option<PathBuf>,
    /// Where artifacts lie, as DIR/<service>/<version>. Without it two versions of an example are made.
    #[arg(long, value_name = "DIR")]
    pub artifacts: Option<PathBuf>,
    /// The address of a process target's front door; without it a port of 127.0.0.1 that is free.
    #[arg(long, value_name = "ADDRESS")]
    pub listen: Option<SocketAddr>,
    /// Program and arguments that start a process target's instance, to the end of the line; `{artifact}`, `{port}`,
    /// `{service}`, `{version}` and `{environment}` are filled in. Without it the artifact itself with --artifacts, and
    /// an example else.
    #[arg(long, value_name = "PROGRAM", num_args = 1.., allow_hyphen_values = true)]
    pub command: Vec<String>,
}

/// Where the releases of a new repository land.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum TargetKind {
    /// Processes on this machine, to try things out.
    #[default]
    Process,
    /// A Docker engine, where services find each other by name.
    Docker,
}

/// A service and the port it listens on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServicePort {
    /// The service.
    pub service: ServiceName,
    /// The port.
    pub port: u16,
}

impl FromStr for ServicePort {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (service, port) = text
            .split_once(':')
            .ok_or("write a name and a port, such as shop:8080")?;
        Ok(Self {
            service: service
                .parse()
                .map_err(|error| format!("`{service}` is no service name: {error}"))?,
            port: port
                .parse()
                .ok()
                .filter(|port| *port != 0)
                .ok_or_else(|| format!("`{port}` is no port"))?,
        })
    }
}

/// What `pilotage check` is asked for.
#[derive(Clone, Debug, clap::Args)]
pub struct Check {
    /// Files and folders of a working tree; this folder when neither they nor --repo are given.
    #[arg(value_name = "PATH", conflicts_with = "repo")]
    pub paths: Vec<PathBuf>,
    /// The configuration (pilotage.yaml) that a working tree is checked against; that of the config branch otherwise.
    #[arg(long, value_name = "FILE", conflicts_with = "repo")]
    pub config: Option<PathBuf>,
    /// The branch that holds pilotage.yaml.
    #[arg(long, value_name = "BRANCH", default_value = "main")]
    pub config_branch: String,
    /// Say also how the gates would decide if this environment branch were at the commit.
    #[arg(long, value_name = "BRANCH")]
    pub against: Option<String>,
    /// The repository.
    #[command(flatten)]
    pub repository: RepoArgs,
}

/// What `pilotage why` is asked for.
#[derive(Clone, Debug, clap::Args)]
pub struct Why {
    /// The service; the same as --service.
    #[arg(id = "the service", value_name = "SERVICE")]
    pub of: Option<ServiceName>,
    /// The environment; the same as --env.
    #[arg(id = "the environment", value_name = "ENV")]
    pub place: Option<EnvironmentName>,
    /// How many events to tell, the newest; 0 for all.
    #[arg(long, value_name = "N", default_value_t = 20)]
    pub last: usize,
    /// The branch that holds pilotage.yaml.
    #[arg(long, value_name = "BRANCH", default_value = "main")]
    pub config_branch: String,
    /// The repository.
    #[command(flatten)]
    pub repository: RepoArgs,
}

/// A format with a published schema.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Format {
    /// services/<service>.yaml of an environment branch.
    Descriptor,
    /// pilotage.yaml of the config branch.
    Config,
    /// What --report writes (step-report/v1).
    Report,
    /// What the ledger keeps of a release (release-event/v1).
    Event,
    /// What the gates said (decision/v1).
    Decision,
    /// What notify is told (notify-message/v1).
    Message,
    /// What a binary takes and gives, as --manifest prints it (step-manifest/v1).
    Manifest,
}
