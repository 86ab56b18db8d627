//! The real triggers and the real voice.

pub(crate) mod process;
pub(crate) mod voice;
