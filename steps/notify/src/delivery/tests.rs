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
    /// What is found by its mark; none where nothing is.
    found: Option<Result<Posted, SlackFailure>>,
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

    async fn find(&self, channel: &str, _: &Mark) -> Result<Option<Posted>, SlackFailure> {
        self.asked.borrow_mut().push(format!("find {channel}"));
        self.found.clone().transpose()
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
    let outgoing = OutgoingMessage {
        event,
        text: "headline\n\nmore",
        earlier,
        mark: None,
    };
    let (result, _) = to_channel(slack, "#shop", &outgoing, &policy(), Duration::from_secs(60)).await;
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

async fn say_marked(slack: &Memory, event: Event) -> ChannelResult {
    let message = serde_json::json!({"schema": "notify-message/v1", "project": "acme", "environment": "qa", "release": "qa.shop.17"});
    let outgoing = OutgoingMessage {
        event,
        text: "headline\n\nmore",
        earlier: None,
        mark: Mark::of(&serde_json::from_value(message).unwrap()),
    };
    to_channel(slack, "#shop", &outgoing, &policy(), Duration::from_secs(60))
        .await
        .0
}

#[tokio::test(start_paused = true)]
async fn a_message_that_nobody_remembers_is_looked_for_and_a_channel_that_hides_it_gets_a_new_one() {
    let slack = Memory {
        found: Some(Ok(Posted {
            channel: "C01".to_owned(),
            ts: "0.5".to_owned(),
        })),
        ..Memory::default()
    };
    assert_eq!(
        say_marked(&slack, Event::Succeeded).await.outcome,
        Arrival::Edited
    );
    assert_eq!(slack.asked.into_inner(), ["find #shop", "update C01 0.5"]);

    // A release that starts has no message yet; one that ends may have none because nobody wanted to hear of its start.
    for (event, asked) in [
        (Event::Started, &["post #shop -"][..]),
        (Event::Succeeded, &["find #shop", "post #shop -"][..]),
    ] {
        let slack = Memory::default();
        let result = say_marked(&slack, event).await;
        assert_eq!((result.outcome, result.error), (Arrival::Sent, None));
        assert_eq!(slack.asked.into_inner(), asked);
    }

    let slack = Memory {
        found: Some(Err(SlackFailure::Refused {
            code: "missing_scope".to_owned(),
        })),
        ..Memory::default()
    };
    let result = say_marked(&slack, Event::Failed).await;
    assert_eq!(result.outcome, Arrival::Sent);
    assert!(
        result
            .error
            .unwrap()
            .contains("could not be looked for, this is a new one")
    );
    assert!(result.help.unwrap().contains("channels:history"));
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
