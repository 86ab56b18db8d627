//! Releases against a real repository: with scripted stages, and with the real steps on processes.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod adopt;
mod commands;
mod launcher;
mod processes;
mod stages;
mod standing;
mod version;
mod world;
