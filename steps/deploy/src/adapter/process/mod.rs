//! Processes on this machine: a target for development, demos and tests.
//!
//! The artifact is copied into the instance and identified by its hash; an instance runs in a session of its own, on
//! ports of its own, and carries its labels in its environment, where they are read back from. A crash at any moment
//! leaves nothing that the next run could not tell apart: what is whole has its final name, and a process that was
//! started and not yet recorded is found by its labels.

mod claim;
mod down;
mod ending;
mod execute;
mod files;
mod front;
mod instance;
mod launch;
mod listener;
mod observation;
mod placeholder;
mod processes;
mod proof;
mod route;
mod service;
mod session;
mod start;
pub(crate) mod state;
mod stop;
mod stranger;
mod target;

use std::time::Duration;

pub use claim::Claim;
pub use down::down;
pub use service::ProcessService;
pub use target::CAPABILITIES;

/// How often a process is looked at while it is waited for.
const POLL: Duration = Duration::from_millis(10);
/// How long a process may take to go after a kill.
const KILL: Duration = Duration::from_secs(5);
/// How long an instance that never served may take to end by itself.
const SHORT_GRACE: Duration = Duration::from_secs(2);
