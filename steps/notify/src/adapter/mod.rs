//! The real Slack.

mod connector;
mod slack;

pub(crate) use slack::{Access, SlackApi};
