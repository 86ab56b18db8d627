//! The frame every binary runs in: flags, logs, signals, deadline, reports, exit.
//!
//! A step's `main` hands its command line type and its `run` to [`main`] and decides nothing itself:
//!
//! ```no_run
//! use pilotage_outcome::{Fault, StepReport};
//! use pilotage_step::{Common, Context, StepCli};
//!
//! /// Greets somebody.
//! #[derive(clap::Parser)]
//! #[command(name = "pilotage-greet")]
//! struct Args {
//!     /// Who is greeted.
//!     #[arg(long)]
//!     name: String,
//!     #[command(flatten)]
//!     common: Common,
//! }
//!
//! impl StepCli for Args {
//!     fn common(&self) -> &Common {
//!         &self.common
//!     }
//! }
//!
//! async fn run(args: Args, cx: Context) -> Result<StepReport, Fault> {
//!     cx.cancel.check()?;
//!     Ok(StepReport::passed().text(format!("hello {}\n", args.name)))
//! }
//!
//! fn main() -> std::process::ExitCode {
//!     pilotage_step::main(run)
//! }
//! ```
//!
//! The order of a run: parse (a wrong flag ends with 2) → open the report files (2 when one cannot be written) → run
//! under deadline and signals → write the reports → stdout → exit code. Everything after parsing ends in a report.

mod cancel;
mod child;
mod context;
mod descriptor_args;
mod ending;
mod environment;
mod flags;
mod frame;
mod log;
mod manifest;
mod repo_args;
mod report_file;
mod supervisor;
mod twin;

pub use cancel::{Cancel, CancelHandle, CancelReason};
pub use child::{CHANNEL_VARIABLES, HOST_VARIABLES, child_environment, sibling};
pub use context::{Context, Draft, Stream};
pub use descriptor_args::DescriptorArgs;
pub use environment::Env;
pub use flags::{Color, Common, LogFormat, OutputFormat};
pub use frame::{Captured, Host, StepCli, main, run_frame};
pub use manifest::{OutputName, SecretName};
pub use repo_args::{GitCredentials, RepoArgs, SshFiles};
