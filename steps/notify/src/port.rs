use std::fmt::Display;
use std::time::Duration;

use pilotage_http::{Failure, FailureKind};
use pilotage_retry::Retryable;
use slack_morphism::prelude::SlackMessageContent;
use url::Url;

use crate::mark::Mark;

/// Why a request to some channel failed, as the rules of delivery look at it.
pub(crate) trait ChannelFailure: Display + std::fmt::Debug + Send + Sync {
    /// Whether to try again; `harmless` says that a second request does no harm where the first one had its effect.
    fn retryable(&self, harmless: bool) -> Retryable;

    /// The time for all channels was over while the request ran.
    fn out_of_time() -> Self;
}

/// What Slack can be asked to do: the narrow door between the rules of delivery and the network.
pub(crate) trait Slack {
    /// Posts to a channel, or into the thread of an earlier message and to its channel as well.
    async fn post(
        &self,
        channel: &str,
        content: &SlackMessageContent,
        thread: Option<&str>,
    ) -> Result<Posted, SlackFailure>;

    /// Replaces a message. `channel` is Slack's id for it: a name does not do here.
    async fn update(&self, posted: &Posted, content: &SlackMessageContent) -> Result<Posted, SlackFailure>;

    /// The newest message in a channel that carries the mark.
    async fn find(&self, channel: &str, mark: &Mark) -> Result<Option<Posted>, SlackFailure>;

    /// Where people find a message.
    async fn permalink(&self, posted: &Posted) -> Result<Url, SlackFailure>;

    /// Posts through the incoming webhook.
    async fn hook(&self, content: &SlackMessageContent) -> Result<(), SlackFailure>;
}

/// Where a message stands: Slack's id of the channel, and the time stamp that is the message's id in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Posted {
    pub(crate) channel: String,
    pub(crate) ts: String,
}

/// Why Slack did not do what it was asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum SlackFailure {
    /// Slack did not look at it and asks to come again later.
    #[error("Slack is busy ({told})")]
    Busy {
        /// The status or code.
        told: String,
        /// How long to wait, where it says so.
        after: Option<Duration>,
    },
    /// Slack, or what stands before it, answered that something broke on its side.
    #[error("Slack failed ({told})")]
    Broken {
        /// The status or code.
        told: String,
    },
    /// No answer came.
    #[error("{0}")]
    NoAnswer(Failure),
    /// An answer came that is none of Slack's.
    #[error("the answer (status {status}) is not one of Slack's")]
    Garbled {
        /// The HTTP status.
        status: u16,
    },
    /// Slack says no.
    #[error("Slack says `{code}`")]
    Refused {
        /// Slack's word for it: lower-case letters, digits and underscores.
        code: String,
    },
    /// The request could not be made.
    #[error("{0}")]
    Unusable(&'static str),
}

/// Longer than this is not waited for, whoever asks for it.
const LONGEST_WAIT: Duration = Duration::from_secs(30);
/// What is waited where Slack asks to come again and does not say when.
const USUAL_WAIT: Duration = Duration::from_secs(1);

impl SlackFailure {
    /// Whether the request may have had its effect all the same.
    pub(crate) fn maybe_done(&self) -> bool {
        match self {
            Self::Broken { .. } | Self::Garbled { .. } => true,
            Self::NoAnswer(failure) => failure.maybe_sent,
            Self::Busy { .. } | Self::Refused { .. } | Self::Unusable(_) => false,
        }
    }

    /// Whether the app may not look, where it may well write.
    pub(crate) fn maybe_hidden(&self) -> bool {
        matches!(self, Self::Refused { code } if matches!(code.as_str(), "missing_scope" | "not_in_channel" | "no_permission"))
    }

    /// What to do about it, for the failures people meet.
    pub(crate) fn fix(&self, channel: &str) -> Option<String> {
        let Self::Refused { code } = self else { return None };
        Some(match code.as_str() {
            "channel_not_found" => {
                format!("check the name of {channel}; a private channel is found once the app was invited: `/invite @<app>` there")
            }
            "not_in_channel" => {
                format!("invite the app: `/invite @<app>` in {channel}; or give it the scope chat:write.public")
            }
            "is_archived" | "channel_is_archived" => format!("{channel} is archived: name another channel"),
            "invalid_auth" | "not_authed" | "token_revoked" | "token_expired" | "account_inactive" => {
                "set PILOTAGE_SLACK_TOKEN (or PILOTAGE_SLACK_TOKEN_FILE) to a valid bot token, `xoxb-…`".to_owned()
            }
            "missing_scope" => "give the app the scope chat:write and install it again".to_owned(),
            "invalid_token" | "no_service" | "no_active_hooks" | "no_team" => {
                "set PILOTAGE_SLACK_WEBHOOK (or PILOTAGE_SLACK_WEBHOOK_FILE) to the URL of a webhook that still exists".to_owned()
            }
            _ => return None,
        })
    }
}

/// What an app needs to find its own messages again.
pub(crate) const SCOPES_TO_FIND: &str = "give the app the scopes channels:read, groups:read, channels:history and groups:history, install it again and invite it; or keep \
     where messages stand by --state";

/// What the next try would only meet again.
fn hopeless(kind: FailureKind) -> bool {
    matches!(
        kind,
        FailureKind::Tls(_) | FailureKind::Request | FailureKind::Proxy
    )
}

/// Slack's codes have this form; anything else that stands in their place is not repeated.
pub(crate) fn code(text: &str) -> Option<String> {
    let good = (1..=60).contains(&text.len())
        && text
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_');
    good.then(|| text.to_owned())
}

impl ChannelFailure for SlackFailure {
    /// A request that may have had its effect is repeated only where that does no harm: a second edit is the same edit, a
    /// second post is a second message.
    fn retryable(&self, harmless: bool) -> Retryable {
        match self {
            Self::Busy { after, .. } => Retryable::After(after.unwrap_or(USUAL_WAIT).min(LONGEST_WAIT)),
            Self::Refused { .. } | Self::Unusable(_) => Retryable::No,
            Self::NoAnswer(failure) if hopeless(failure.kind) => Retryable::No,
            _ if self.maybe_done() && !harmless => Retryable::No,
            Self::Broken { .. } | Self::Garbled { .. } | Self::NoAnswer(_) => Retryable::Yes,
        }
    }

    fn out_of_time() -> Self {
        Self::NoAnswer(Failure {
            kind: FailureKind::Timeout,
            detail: "the time for all channels is over".to_owned(),
            maybe_sent: true,
        })
    }
}
