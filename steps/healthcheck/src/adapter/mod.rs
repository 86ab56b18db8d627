//! How a target's instances are entered.

pub(crate) mod docker;
