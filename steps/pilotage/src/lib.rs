//! The front door for people: init, check, why, schema, and every step by name.
//!
//! [`dispatch`] comes before everything else: a step that is named becomes this process. The other commands are one
//! module each, with what is pure apart from what touches disk and network: [`init`] makes the files as data and then
//! writes them, [`check`] collects findings, [`why`] folds the ledger into a story.

mod args;
pub mod check;
pub mod dispatch;
mod example;
pub mod init;
mod schema;
pub mod why;

use pilotage_outcome::{Fault, StepReport};
use pilotage_step::Context;

pub use args::Args;
use args::Command;

/// One command: from its command line to its report.
///
/// # Errors
/// When there is no verdict.
pub async fn run(args: Args, cx: Context) -> Result<StepReport, Fault> {
    match args.command {
        Command::Init(wish) => init::run(wish, &cx).await,
        Command::Check(wish) => check::run(wish, &cx).await,
        Command::Why(wish) => why::run(wish, &cx).await,
        Command::Schema { of } => schema::run(of, &cx).await,
        Command::ExampleService { artifact, port } => example::run(&artifact, port, &cx).await,
        Command::Other(words) => Err(dispatch::unknown(&words)),
    }
}
