//! One release from begin to finish: plan, lease, stages, judgement, record.
//!
//! accepted decision → plan and its directory → begin (all services of a push at once) → stages → judgement → finish.

/// The real launchers of stages.
pub mod adapter;
mod announce;
pub mod approve;
mod args;
pub mod begin;
mod branch;
mod command;
pub mod directory;
/// Why a plan or a report is of no use.
pub mod error;
mod execute;
pub mod instance;
pub mod judge;
pub mod message;
pub mod order;
pub mod pipeline;
pub mod plan;
pub mod port;
pub mod prepare;
pub mod record;
pub mod records;
pub mod release;
mod repeat;
pub mod report;
pub mod result;
pub mod rollback;
pub mod run;
pub mod scratch;
pub mod service_end;
pub mod stage;
pub mod status;
mod stop;
pub mod version;
pub mod written;

pub use args::Args;
pub use command::run;
