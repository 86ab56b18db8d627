//! The real thing.

pub(crate) mod docker;
pub(crate) mod lines;
pub(crate) mod process;
