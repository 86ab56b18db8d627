//! Tests that are known to fail, each with an issue, an owner and an end: a failure that is known does not stop a
//! release, and is not forgotten either.

mod list;
mod wild;

use pilotage_name::ServiceName;

pub use list::{Quarantine, TestPattern, check};
pub use wild::wild;

/// The folder of the lists in an environment repository.
pub const FOLDER: &str = "quarantine";
/// The largest list, in bytes.
pub const LARGEST: u64 = 256 * 1024;

/// The path of a service's list.
#[must_use]
pub fn path_of(service: &ServiceName) -> String {
    format!("{FOLDER}/{service}.yaml")
}
