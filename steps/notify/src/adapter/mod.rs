//! The real ones: Slack, and a mail server.

mod connector;
mod slack;
mod smtp;

pub(crate) use slack::{Access, Membership, SlackApi, is_id};
pub(crate) use smtp::Smtp;
