//! The kinds of targets. A new one is a new module here that implements [`crate::port::Target`].

pub mod docker;
pub mod process;
