//! Runs a service's test suite against a release, and judges its reports.
//!
//! A command line becomes a [`Plan`]: what is run, where, with which variables, how long, and where it leaves its
//! reports. `run` runs it through the [`Suite`] port, once or as often as the descriptor says, collects what is new
//! after each run and merges it by [`pilotage_junit::Merger`]. What counts then is decided by `verdict`, which is pure:
//! exit, tests, quarantine.

mod adapter;
mod args;
mod collect;
mod error;
mod glob;
mod plan;
mod port;
mod report;
mod run;
mod verdict;

pub use adapter::process::Processes;
pub use args::Args;
pub use error::PlanError;
pub use glob::Glob;
pub use plan::{Limits, Plan, Work};
pub use port::{Ended, Exit, Run, Suite};
pub use run::run;
pub use verdict::{Evidence, Judgement, judge};
