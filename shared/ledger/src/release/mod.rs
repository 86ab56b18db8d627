//! Release chains: `refs/pilotage/release/<environment>/<service>`, one commit per event.

pub(crate) mod begin;
pub(crate) mod chain;
pub(crate) mod event;
pub(crate) mod kept;
pub(crate) mod lease;
pub(crate) mod message;
pub(crate) mod note;
pub(crate) mod state;
