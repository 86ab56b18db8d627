//! The real thing.

pub(crate) mod lines;
pub(crate) mod process;
