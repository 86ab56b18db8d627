use std::path::PathBuf;
use std::time::Duration as StdDuration;

use clap::Parser;
use pilotage_name::{CommitId, ReleaseId};
use pilotage_place::PortPlace;
use pilotage_quantity::Duration;
use pilotage_step::{Common, DescriptorArgs, OutputName, StepCli};

use crate::Glob;

/// Runs a service's test suite against a release, and judges its reports.
///
/// With --descriptor it runs what the descriptor's `regression` says: an image, on the network of the service's
/// environment, or a command, where the configuration grants commands. With a
/// command it needs no file: `pilotage-regression --results 'out/**/*.xml' -- make test`. With --results alone it merges
/// and judges reports that are there already, such as those of several shards. Only reports that are new or changed after
/// a run count; a suite in which no test ran has failed.
#[derive(Clone, Debug, Parser)]
#[command(name = "pilotage-regression", version)]
pub struct Args {
    /// The command to run, behind `--`.
    #[arg(value_name = "COMMAND", last = true, conflicts_with_all = ["descriptor", "address"])]
    pub command: Vec<String>,

    /// The descriptor whose `regression` is run.
    #[command(flatten)]
    pub from: DescriptorArgs,

    /// Where a port of the descriptor is: http=HOST:PORT, or http=https://HOST where it speaks TLS; may be given several times.
    #[arg(long, value_name = "PORT=ADDRESS")]
    pub address: Vec<PortPlace>,

    /// The folder the suite runs in and leaves its reports below; the current one when nothing is said.
    #[arg(long, value_name = "DIR")]
    pub directory: Option<PathBuf>,

    /// Where the merged report goes; beside --junit, as NAME.suite.xml, when nothing is said.
    #[arg(long, value_name = "FILE")]
    pub merged: Option<PathBuf>,

    /// Tests that are known to fail, each with issue, owner and end.
    #[arg(long, value_name = "FILE")]
    pub quarantine: Option<PathBuf>,

    /// The release that is tested, for the suite.
    #[arg(long, value_name = "ID")]
    pub release: Option<ReleaseId>,

    /// The commit that is released, for the suite.
    #[arg(long, value_name = "COMMIT")]
    pub commit: Option<CommitId>,

    /// Where JUnit reports are found, as a pattern below the folder; may be given several times.
    #[arg(
        long,
        value_name = "GLOB",
        help_heading = "Options with a command of your own"
    )]
    pub results: Vec<Glob>,

    /// The end of one run; 20m when nothing is said.
    #[arg(
        long,
        value_name = "DURATION",
        help_heading = "Options with a command of your own"
    )]
    pub timeout: Option<Duration>,

    /// How long a run may say nothing; as long as it likes when nothing is said.
    #[arg(
        long,
        value_name = "DURATION",
        help_heading = "Options with a command of your own"
    )]
    pub idle: Option<Duration>,

    /// How long a run may take to end when it is asked to, before it is killed; 10s when nothing is said.
    #[arg(
        long,
        value_name = "DURATION",
        help_heading = "Options with a command of your own"
    )]
    pub grace: Option<Duration>,

    /// How often a failed suite runs again; not at all when nothing is said.
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u32).range(..=10), help_heading = "Options with a command of your own")]
    pub retries: Option<u32>,

    /// What every step takes.
    #[command(flatten)]
    pub common: Common,
}

impl StepCli for Args {
    const OUTPUTS: &'static [OutputName] = &[
        OutputName {
            key: "tests",
            help: "How many tests the reports tell of.",
        },
        OutputName {
            key: "failed",
            help: "How many of them failed.",
        },
    ];

    /// The suite gets some of it to end by itself, and its reports are merged in the rest.
    const CLEANUP: StdDuration = StdDuration::from_secs(9);

    fn common(&self) -> &Common {
        &self.common
    }
}

impl Args {
    /// Whether lines of the suite go to the log as events.
    pub(crate) fn structured(&self) -> bool {
        self.common.log_format == pilotage_step::LogFormat::Json
    }

    /// Where the merged report goes.
    pub(crate) fn merged_file(&self) -> Option<PathBuf> {
        self.merged.clone().or_else(|| {
            self.common
                .junit
                .as_ref()
                .map(|junit| junit.with_extension("suite.xml"))
        })
    }
}
