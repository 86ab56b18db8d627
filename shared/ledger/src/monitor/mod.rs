//! The monitor chain: `refs/pilotage/monitor/<environment>`, one commit per tick that had something to say. The tree of
//! its tip holds everything a monitor needs to go on, and files that did not change are shared by git.

pub(crate) mod chain;
pub(crate) mod record;
