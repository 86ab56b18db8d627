//! What a binary takes and gives, as `step-manifest/v1`: its commands and parameters, its secrets, its outputs and its
//! exit codes. Every binary prints its own with `--manifest`, taken from the definition of its command line; what other
//! CIs and the reference need is made from that, so that nothing is typed twice.

mod manifest;
mod parameter;

pub use manifest::{Command, ExitMeaning, Manifest, Output, SCHEMA, SecretVariable, schema};
pub use parameter::{Choice, Kind, Parameter};
