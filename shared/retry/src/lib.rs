//! A retry policy, its pure schedule, and the loop that obeys it.
//!
//! The growing waits come from the crate `backoff`, which nothing else in the house sees. That crate has no maintainer
//! (RUSTSEC-2025-0012), so it is used for the one thing it does well, the arithmetic of `schedule.rs`; jitter, limits
//! and the loop are ours, and replacing it is a change of that file.

mod policy;
mod run;
mod schedule;

pub use policy::{Limits, PolicyError, RetryPolicy, Waits};
pub use run::{GaveUp, Retryable, Try, Why, retry};
pub use schedule::Schedule;
