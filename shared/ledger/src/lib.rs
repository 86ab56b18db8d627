//! The record of decisions and releases, kept in git itself.
//!
//! Two kinds of chains, both of them commits that are only ever added, by compare-and-swap:
//!
//! - `refs/pilotage/release/<environment>/<service>`: one commit per event of a release ([`Event`]); [`ReleaseState`] is
//!   the fold over them. [`Ledger::begin`] gives a [`Lease`], and only the newest lease can write.
//! - `refs/pilotage/monitor/<environment>`: decisions with their evidence as it was, and the outbox of triggers
//!   ([`Monitor`], [`Ledger::append_tick`]).
//!
//! What runs where, since when and by whose commit derives from these and from nothing else; a cache may be deleted.

mod error;
mod holder;
mod ledger;
mod machine;
mod monitor;
mod place;
mod release;
mod text;
mod word;

pub use error::{ChainError, ChainProblem, LedgerError};
pub use holder::{BuildHolder, Holder, Liveness, Machine, ProcessHolder, liveness};
pub use ledger::{Ledger, Writer};
pub use machine::LinuxMachine;
pub use monitor::chain::{AppendTick, Monitor, NewTick, PastRecord};
pub use monitor::record::{
    Accepted, AcceptedPush, EnvironmentRecord, Frozen, Outbox, OutboxState, ServiceRecord, Tick,
};
pub use release::begin::{Begin, BeginRequest, ancestry};
pub use release::chain::{Entry, ReleaseChain};
pub use release::event::{
    Abandoned, Adopted, Affirmed, Begun, Brought, Effects, EndWord, Event, EventError, Finished, Proof,
    Rejected, Stage, Trigger, TriggerKind, Undone, What,
};
pub use release::lease::{Abandon, Append, Lease, Standing};
pub use release::note::{Note, Noted};
pub use release::state::{Asked, End, Ending, Held, Misfit, Proved, Rejection, Release, ReleaseState};

/// The published schema of release events.
pub mod schema {
    pub use crate::release::event::{LARGEST, SCHEMA, schema as release_event};
}
