//! The rules of delivery: what is tried again, what is edited, and what is told when it does not arrive.

use std::time::Duration;

use pilotage_message::Event;
use pilotage_retry::{RetryPolicy, Retryable, Try, retry};
use serde::Serialize;
use slack_morphism::prelude::SlackMessageContent;
use tokio::time::{Instant, timeout};
use url::Url;

use crate::blocks::content;
use crate::port::{Posted, Slack, SlackFailure};

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
pub(crate) struct Parcel<'a> {
    pub(crate) event: Event,
    /// The rendered message.
    pub(crate) text: &'a str,
    /// The message of the release that is already there.
    pub(crate) earlier: Option<Posted>,
}

/// Counts requests, waits between them and ends when the time is over.
struct Sender<'a> {
    policy: &'a RetryPolicy,
    until: Instant,
    attempts: u32,
}

/// Tells a failed request apart from the end of the time.
type Outcome<T> = Result<T, (SlackFailure, String)>;

impl Sender<'_> {
    /// `harmless` says that a second request does no harm where the first one may have had its effect.
    async fn send<T>(
        &mut self,
        harmless: bool,
        mut request: impl AsyncFnMut() -> Result<T, SlackFailure>,
    ) -> Outcome<T> {
        let until = self.until;
        let attempts = &mut self.attempts;
        let decide = |failure: &SlackFailure| match failure.retryable(harmless) {
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
                .unwrap_or_else(|_| Err(SlackFailure::out_of_time()))
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
    parcel: &Parcel<'_>,
    policy: &RetryPolicy,
    within: Duration,
) -> (ChannelResult, Option<Posted>) {
    let mut sender = Sender {
        policy,
        until: Instant::now() + within,
        attempts: 0,
    };
    let message = content(parcel.text);
    let mut note = None;
    let mut stands = None;
    if let Some(earlier) = &parcel.earlier {
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
            if asks_for_attention(parcel.event) {
                let headline = content(parcel.text.split("\n\n").next().unwrap_or_default());
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
mod tests {
    use std::cell::RefCell;
    use std::collections::VecDeque;

    use pilotage_http::{Failure, FailureKind, TlsProblem};
    use pilotage_quantity::Duration as Span;
    use pilotage_retry::{Limits, Waits};

    use super::*;

    /// A Slack in memory, which answers by a list and keeps what it was asked.
    #[derive(Default)]
    struct Memory {
        answers: RefCell<VecDeque<Result<(), SlackFailure>>>,
        asked: RefCell<Vec<String>>,
        silent: bool,
    }

    impl Memory {
        fn answering(answers: impl IntoIterator<Item = Result<(), SlackFailure>>) -> Self {
            Self {
                answers: RefCell::new(answers.into_iter().collect()),
                ..Self::default()
            }
        }

        async fn ask(&self, what: String) -> Result<Posted, SlackFailure> {
            self.asked.borrow_mut().push(what);
            if self.silent {
                std::future::pending::<()>().await;
            }
            let answer = self.answers.borrow_mut().pop_front();
            answer.unwrap_or(Ok(())).map(|()| Posted {
                channel: "C01".to_owned(),
                ts: "2.0".to_owned(),
            })
        }
    }

    impl Slack for Memory {
        async fn post(
            &self,
            channel: &str,
            _: &SlackMessageContent,
            thread: Option<&str>,
        ) -> Result<Posted, SlackFailure> {
            self.ask(format!("post {channel} {}", thread.unwrap_or("-")))
                .await
        }

        async fn update(&self, posted: &Posted, _: &SlackMessageContent) -> Result<Posted, SlackFailure> {
            self.ask(format!("update {} {}", posted.channel, posted.ts)).await
        }

        async fn permalink(&self, _: &Posted) -> Result<Url, SlackFailure> {
            Err(SlackFailure::Garbled { status: 200 })
        }

        async fn hook(&self, _: &SlackMessageContent) -> Result<(), SlackFailure> {
            self.ask("hook".to_owned()).await.map(drop)
        }
    }

    fn policy() -> RetryPolicy {
        let waits = Waits {
            initial: Span::from_secs(1),
            factor: 2.0,
            cap: Span::from_secs(30),
            jitter: 0.0,
        };
        RetryPolicy::new(
            waits,
            Limits {
                elapsed: Some(Span::from_secs(60)),
                tries: Some(3),
            },
        )
        .unwrap()
    }

    fn busy(after: Option<u64>) -> Result<(), SlackFailure> {
        Err(SlackFailure::Busy {
            told: "429".to_owned(),
            after: after.map(Duration::from_secs),
        })
    }

    fn broken() -> Result<(), SlackFailure> {
        Err(SlackFailure::Broken {
            told: "500".to_owned(),
        })
    }

    fn no_answer(kind: FailureKind, maybe_sent: bool) -> Result<(), SlackFailure> {
        Err(SlackFailure::NoAnswer(Failure {
            kind,
            detail: String::new(),
            maybe_sent,
        }))
    }

    fn refused(code: &str) -> Result<(), SlackFailure> {
        Err(SlackFailure::Refused {
            code: code.to_owned(),
        })
    }

    async fn say(slack: &Memory, event: Event, earlier: bool) -> (ChannelResult, Duration) {
        let begin = Instant::now();
        let earlier = earlier.then(|| Posted {
            channel: "C01".to_owned(),
            ts: "1.0".to_owned(),
        });
        let parcel = Parcel {
            event,
            text: "headline\n\nmore",
            earlier,
        };
        let (result, _) = to_channel(slack, "#shop", &parcel, &policy(), Duration::from_secs(60)).await;
        (result, begin.elapsed())
    }

    #[tokio::test(start_paused = true)]
    async fn a_busy_slack_is_asked_again_when_it_says_and_never_later_than_the_cap() {
        let slack = Memory::answering([busy(Some(7)), busy(None)]);
        let (result, took) = say(&slack, Event::Started, false).await;
        assert_eq!(
            (result.outcome, result.attempts, took),
            (Arrival::Sent, 3, Duration::from_secs(7 + 2))
        );

        let slack = Memory::answering([busy(Some(3_600))]);
        let (result, took) = say(&slack, Event::Started, false).await;
        assert_eq!((result.outcome, took), (Arrival::Sent, Duration::from_secs(30)));
    }

    #[tokio::test(start_paused = true)]
    async fn a_post_that_may_have_arrived_is_never_sent_again() {
        for answer in [
            broken(),
            no_answer(FailureKind::Reset, true),
            no_answer(FailureKind::Timeout, true),
            Err(SlackFailure::Garbled { status: 200 }),
        ] {
            let slack = Memory::answering([answer]);
            let (result, _) = say(&slack, Event::Started, false).await;
            assert_eq!((result.outcome, result.attempts), (Arrival::Unknown, 1));
            assert!(
                result
                    .error
                    .unwrap()
                    .ends_with("the message may have arrived, so it was not sent again")
            );
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_post_that_did_not_leave_is_sent_again_unless_it_never_will() {
        let slack = Memory::answering([
            no_answer(FailureKind::Refused, false),
            no_answer(FailureKind::Dns, false),
        ]);
        assert_eq!(say(&slack, Event::Started, false).await.0.outcome, Arrival::Sent);
        for answer in [
            no_answer(FailureKind::Tls(TlsProblem::Expired), false),
            refused("invalid_auth"),
            refused("channel_not_found"),
        ] {
            let slack = Memory::answering([answer]);
            let (result, _) = say(&slack, Event::Started, false).await;
            assert_eq!((result.outcome, result.attempts), (Arrival::Failed, 1));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn an_edit_is_repeated_because_that_does_no_harm() {
        let slack = Memory::answering([broken(), no_answer(FailureKind::Reset, true)]);
        let (result, _) = say(&slack, Event::Succeeded, true).await;
        assert_eq!((result.outcome, result.attempts), (Arrival::Edited, 3));
        assert_eq!(slack.asked.into_inner(), ["update C01 1.0"; 3]);
    }

    #[tokio::test(start_paused = true)]
    async fn bad_news_is_an_edit_and_said_anew() {
        let slack = Memory::default();
        assert_eq!(say(&slack, Event::Failed, true).await.0.outcome, Arrival::Edited);
        assert_eq!(slack.asked.into_inner(), ["update C01 1.0", "post C01 1.0"]);
        let slack = Memory::answering([Ok(()), refused("restricted_action")]);
        let (result, _) = say(&slack, Event::Failed, true).await;
        assert_eq!(result.outcome, Arrival::Edited);
        assert!(
            result
                .error
                .unwrap()
                .contains("not said anew in the channel: Slack says `restricted_action`")
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_message_that_is_gone_is_posted_anew() {
        for code in ["message_not_found", "edit_window_closed", "cant_update_message"] {
            let slack = Memory::answering([refused(code)]);
            let (result, _) = say(&slack, Event::Succeeded, true).await;
            assert_eq!(result.outcome, Arrival::Sent);
            assert!(result.error.unwrap().contains(code));
            assert_eq!(slack.asked.into_inner(), ["update C01 1.0", "post #shop -"]);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_slack_that_never_answers_ends_with_the_time() {
        let slack = Memory {
            silent: true,
            ..Memory::default()
        };
        let (result, took) = say(&slack, Event::Started, false).await;
        assert_eq!(
            (result.outcome, result.attempts, took),
            (Arrival::Unknown, 1, Duration::from_secs(60))
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_wait_longer_than_the_time_is_not_begun() {
        let slack = Memory::answering([busy(Some(20)), busy(Some(20))]);
        let begin = Instant::now();
        let result = to_webhook(&slack, "x", &policy(), Duration::from_secs(30)).await;
        assert_eq!(
            (result.outcome, result.attempts, begin.elapsed()),
            (Arrival::Failed, 2, Duration::from_secs(20))
        );
    }

    #[test]
    fn the_failures_people_meet_name_their_fix() {
        for (code, fix) in [
            ("channel_not_found", "/invite"),
            ("not_in_channel", "/invite"),
            ("invalid_auth", "PILOTAGE_SLACK_TOKEN"),
            ("no_service", "PILOTAGE_SLACK_WEBHOOK"),
            ("missing_scope", "chat:write"),
        ] {
            let help = SlackFailure::Refused {
                code: code.to_owned(),
            }
            .fix("#shop")
            .unwrap();
            assert!(help.contains(fix), "{help}");
        }
    }
}
