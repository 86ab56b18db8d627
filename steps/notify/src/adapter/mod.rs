//! The real ones: Slack, and a mail server.

mod connector;
mod slack;
mod smtp;

pub(crate) use slack::{Access, SlackApi};
pub(crate) use smtp::Smtp;
