//! What there is to tell people, as `notify-message/v1`: facts, no wording. Whoever knows the facts writes them
//! (`release`, `git-monitor`), `notify` words them.
//!
//! Within v1 keys are only added, so keys that are not known here are ignored. A message is about one service, or, without
//! `service`, about its environment as a whole: a freeze, or a push that brings several services.

mod event;
mod message;
mod part;
mod person;

pub use event::{Event, UnknownEvent};
pub use message::{Message, SCHEMA, schema};
pub use part::{Held, Link, ServicePart, StageResult, VersionChange, Who};
pub use person::{person, reason};
