//! The whole room against real git: the `git` program makes the repositories, `git http-backend`
//! and a real sshd serve them.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "the helpers of these tests fail the test they serve"
)]

mod accountable;
mod fetching;
mod listing;
mod pushing;
mod racing;
mod reading;
mod signing;
mod ssh;
mod trouble;
mod world;
