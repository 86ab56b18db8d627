//! What the fake knows: plain structs that a test can read.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde_json::Value;

/// How the fake answers one request instead of doing what was asked.
#[derive(Clone, Debug)]
pub enum Answer {
    /// Status 429 with this `Retry-After`, where there is one.
    RateLimited(Option<&'static str>),
    /// This status with a body that is none of Slack's.
    Status(u16),
    /// Status 200 and `ok: false` with this code.
    Refuse(&'static str),
    /// Status 200 with this body.
    Body(&'static str),
    /// The connection is closed before any answer; what was asked is done all the same.
    DoAndDrop,
    /// No answer ever; the connection stays open.
    Never,
}

/// One message in a channel.
#[derive(Clone, Debug, PartialEq)]
pub struct Message {
    /// The channel's id.
    pub channel: String,
    /// The message's own id in it.
    pub ts: String,
    /// The message it answers.
    pub thread: Option<String>,
    /// Whether an answer is shown in the channel as well.
    pub broadcast: bool,
    /// The text for notifications.
    pub text: String,
    /// The blocks.
    pub blocks: Value,
    /// How often it was edited.
    pub edits: u32,
    /// What it carries unseen.
    pub metadata: Value,
}

/// One request that came.
#[derive(Clone, Debug, PartialEq)]
pub struct Request {
    /// The method, such as `chat.postMessage`, or `webhook`.
    pub method: String,
    /// Its arguments.
    pub arguments: Value,
}

#[derive(Default)]
pub(super) struct State {
    /// Ids by name, without the `#`.
    pub(super) channels: BTreeMap<String, String>,
    /// Ids of channels that the app was not invited to.
    pub(super) uninvited: Vec<String>,
    /// Ids of channels that are archived.
    pub(super) archived: Vec<String>,
    pub(super) messages: Vec<Message>,
    pub(super) stamps: u32,
    pub(super) requests: Vec<Request>,
    pub(super) violations: Vec<String>,
    pub(super) answers: VecDeque<(String, Answer)>,
}

pub(super) fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}
