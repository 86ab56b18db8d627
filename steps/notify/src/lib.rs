//! Says what a release does to the people who want to know.
//!
//! message + descriptor + configuration → destinations → templates → one delivery per destination → report.
//! A channel that fails never fails the release; it is named in the report.

mod accountable;
mod adapter;
mod args;
mod blocks;
mod check;
mod context;
mod delivery;
mod destination;
mod format;
mod html;
mod input;
mod mail;
mod mark;
mod mrkdwn;
mod port;
mod post;
mod report;
mod route;
mod run;
mod state;
mod template;

pub use args::Args;
pub use destination::Destination;
pub use run::run;
