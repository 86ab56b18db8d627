//! Sees pushes to the environment branches, decides them by the gates, and triggers releases.

mod accept;
mod adapter;
mod adopt;
mod args;
mod ending;
mod explain;
mod frozen;
mod news;
mod open;
mod outbox;
mod run;
mod tick;
mod touched;
mod trigger;
mod voice;
mod watch;

pub use args::Args;
pub use run::run;
