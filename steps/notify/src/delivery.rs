//! The rules of delivery: what is tried again, what is edited, and what is told when it does not arrive.

mod mail;

use std::time::Duration;

use pilotage_message::Event;
use pilotage_retry::{RetryPolicy, Retryable, Try, retry};
use serde::Serialize;
use slack_morphism::prelude::SlackMessageContent;
use tokio::time::{Instant, timeout};
use url::Url;

use crate::blocks::content;
use crate::mark::Mark;
use crate::port::{ChannelFailure, Posted, SCOPES_TO_FIND, Slack, SlackFailure};
pub(crate) use mail::to_mailbox;

/// What became of a message on one channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Arrival {
    /// It arrived.
    Sent,
    /// It took the place of the release's earlier message.
    Edited,
    /// It did not arrive.
    Failed,
    /// It may have arrived; it was not sent again, because two are worse than one.
    Unknown,
    /// It was not sent, because this kind of channel is not supported.
    Skipped,
}

impl Arrival {
    /// Whether the channel has it for sure.
    #[must_use]
    pub(crate) const fn took(self) -> bool {
        matches!(self, Self::Sent | Self::Edited)
    }

    /// The word in reports.
    #[must_use]
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Sent => "sent",
            Self::Edited => "edited",
            Self::Failed => "failed",
            Self::Unknown => "unknown",
            Self::Skipped => "skipped",
        }
    }
}

/// The result of one channel.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct ChannelResult {
    /// The channel, as `slack #shop` or `console`.
    pub(crate) channel: String,
    /// How many requests were made.
    pub(crate) attempts: u32,
    /// What became of it.
    pub(crate) outcome: Arrival,
    /// What went wrong, with what was tried before it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) error: Option<String>,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) help: Option<String>,
    /// Where people find the message.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) permalink: Option<Url>,
}

impl ChannelResult {
    /// A channel of this outcome with nothing more to say.
    pub(crate) fn new(channel: impl ToString, outcome: Arrival) -> Self {
        Self {
            channel: channel.to_string(),
            attempts: 0,
            outcome,
            error: None,
            help: None,
            permalink: None,
        }
    }
}

/// One message on its way to one channel.
#[derive(Clone, Debug)]
pub(crate) struct OutgoingMessage<'a> {
    pub(crate) event: Event,
    /// The rendered message.
    pub(crate) text: &'a str,
    /// The message of the release that is already there, where that is known.
    pub(crate) earlier: Option<Posted>,
    /// By what it is found where it is not known.
    pub(crate) mark: Option<Mark>,
}

/// Counts requests, waits between them and ends when the time is over.
struct Sender<'a> {
    policy: &'a RetryPolicy,
    until: Instant,
    attempts: u32,
}

/// Tells a failed request apart from the end of the time.
type Outcome<T, F> = Result<T, (F, String)>;

impl Sender<'_> {
    /// `harmless` says that a second request does no harm where the first one may have had its effect.
    async fn send<T, F: ChannelFailure>(
        &mut self,
        harmless: bool,
        mut request: impl AsyncFnMut() -> Result<T, F>,
    ) -> Outcome<T, F> {
        let until = self.until;
        let attempts = &mut self.attempts;
        let decide = |failure: &F| match failure.retryable(harmless) {
            // A wait that ends after the time is over is not begun.
            Retryable::After(wait) if Instant::now() + wait >= until => Retryable::No,
            Retryable::Yes if Instant::now() >= until => Retryable::No,
            other => other,
        };
        let sending = retry(self.policy, decide, async |_: Try| {
            *attempts = attempts.saturating_add(1);
            let left = until.saturating_duration_since(Instant::now());
            timeout(left, request())
                .await
                .unwrap_or_else(|_| Err(F::out_of_time()))
        });
        sending.await.map_err(|gave_up| {
            let story = gave_up.to_string();
            (gave_up.into_last(), story)
        })
    }
}

/// Posts a message to a channel, or edits the one that is there. Gives also where the message stands from now on.
pub(crate) async fn to_channel(
    slack: &impl Slack,
    channel: &str,
    outgoing: &OutgoingMessage<'_>,
    policy: &RetryPolicy,
    within: Duration,
) -> (ChannelResult, Option<Posted>) {
    let mut sender = Sender {
        policy,
        until: Instant::now() + within,
        attempts: 0,
    };
    let mut message = content(outgoing.text);
    message.metadata = outgoing.mark.as_ref().map(Mark::metadata);
    let (mut note, mut help) = (None, None);
    let mut stands = None;
    let mut earlier = outgoing.earlier.clone();
    if let (None, Some(mark), true) = (&earlier, &outgoing.mark, outgoing.event != Event::Started) {
        match sender.send(true, || slack.find(channel, mark)).await {
            Ok(found) => earlier = found,
            Err((failure, story)) => {
                note = Some(format!(
                    "the release's earlier message could not be looked for, this is a new one: {story}"
                ));
                help = failure.maybe_hidden().then(|| SCOPES_TO_FIND.to_owned());
            }
        }
    }
    if let Some(earlier) = &earlier {
        match sender.send(true, || slack.update(earlier, &message)).await {
            Ok(_) => stands = Some(earlier.clone()),
            Err((SlackFailure::Refused { code }, _)) if gone(&code) => {
                note = Some(format!(
                    "the earlier message could not be edited (`{code}`), this is a new one"
                ));
            }
            Err(failure) => return (failed(channel, &sender, failure), None),
        }
    }
    let (outcome, posted) = match stands {
        Some(earlier) => {
            // An edit makes no sound: what needs a person is also said anew, below the message and in the channel.
            if asks_for_attention(outgoing.event) {
                let headline = content(outgoing.text.split("\n\n").next().unwrap_or_default());
                if let Err((_, story)) = sender
                    .send(false, || {
                        slack.post(&earlier.channel, &headline, Some(&earlier.ts))
                    })
                    .await
                {
                    note = Some(format!(
                        "the message was edited, but not said anew in the channel: {story}"
                    ));
                }
            }
            (Arrival::Edited, earlier)
        }
        None => match sender.send(false, || slack.post(channel, &message, None)).await {
            Ok(posted) => (Arrival::Sent, posted),
            Err(failure) => return (failed(channel, &sender, failure), None),
        },
    };
    let mut result = ChannelResult::new(format_args!("slack {channel}"), outcome);
    result.attempts = sender.attempts;
    result.error = note;
    result.help = help;
    let known = !posted.channel.is_empty() && !posted.ts.is_empty();
    if known {
        // Nice to have: one try, and no word when it fails.
        let left = sender.until.saturating_duration_since(Instant::now());
        result.permalink = timeout(left, slack.permalink(&posted))
            .await
            .ok()
            .and_then(Result::ok);
    }
    (result, known.then_some(posted))
}

/// Posts a message through the incoming webhook.
pub(crate) async fn to_webhook(
    slack: &impl Slack,
    text: &str,
    policy: &RetryPolicy,
    within: Duration,
) -> ChannelResult {
    let mut sender = Sender {
        policy,
        until: Instant::now() + within,
        attempts: 0,
    };
    let message: SlackMessageContent = content(text);
    match sender.send(false, || slack.hook(&message)).await {
        Ok(()) => {
            let mut result = ChannelResult::new("slack webhook", Arrival::Sent);
            result.attempts = sender.attempts;
            result
        }
        Err(failure) => failed("webhook", &sender, failure),
    }
}

/// Whether someone should look now. An edited message makes no sound, so this decides whether an edit is enough.
const fn asks_for_attention(event: Event) -> bool {
    match event {
        Event::Failed | Event::Cancelled | Event::Refused | Event::Waiting | Event::Frozen => true,
        Event::Started | Event::Succeeded | Event::Thawed => false,
    }
}

/// Slack will not edit this message any more, whatever we do.
fn gone(code: &str) -> bool {
    matches!(
        code,
        "message_not_found" | "edit_window_closed" | "cant_update_message"
    )
}

fn failed(channel: &str, sender: &Sender<'_>, (failure, story): (SlackFailure, String)) -> ChannelResult {
    let unknown = failure.maybe_done();
    let outcome = if unknown {
        Arrival::Unknown
    } else {
        Arrival::Failed
    };
    let mut result = ChannelResult::new(format_args!("slack {channel}"), outcome);
    result.attempts = sender.attempts;
    result.error = Some(if unknown {
        format!("{story}; the message may have arrived, so it was not sent again")
    } else {
        story
    });
    result.help = failure.fix(channel);
    result
}

#[cfg(test)]
mod tests;
