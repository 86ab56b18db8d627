use pilotage_clock::Clock;
use pilotage_http::reqwest::Client;
use pilotage_secret::Secret;
use serde::Deserialize;
use slack_morphism::prelude::{
    SlackApiChatPostMessageRequest, SlackApiChatUpdateRequest, SlackApiPostWebhookMessageRequest,
    SlackClient, SlackMessageContent,
};
use slack_morphism::{SlackApiToken, SlackApiTokenValue};
use url::Url;

use super::connector::{Connector, unwrapped};
use crate::mark::Mark;
use crate::port::{Posted, Slack, SlackFailure};

/// What gets us in.
#[derive(Clone, Debug)]
pub(crate) enum Access {
    /// A bot token.
    Token(Secret),
    /// The URL of an incoming webhook, which is a secret as a whole.
    Webhook(Secret),
    /// Nothing.
    None,
}

/// Slack's Web API, or an incoming webhook.
pub(crate) struct SlackApi {
    client: SlackClient<Connector>,
    access: Access,
}

/// Of all that Slack answers to a post we need two things, and rely on no more.
#[derive(Deserialize)]
struct Answer {
    #[serde(default)]
    channel: String,
    #[serde(default)]
    ts: String,
}

#[derive(Deserialize)]
struct Link {
    permalink: Url,
}

#[derive(Deserialize)]
struct Nothing {}

/// A page of the channels that the app is in.
#[derive(Deserialize)]
struct Memberships {
    channels: Vec<Membership>,
    #[serde(default)]
    response_metadata: Next,
}

/// A channel that the app is in.
#[derive(Deserialize)]
pub(crate) struct Membership {
    pub(crate) id: String,
    #[serde(default)]
    pub(crate) name: String,
    #[serde(default)]
    pub(crate) is_archived: bool,
}

/// Whose token it is.
#[derive(Deserialize)]
pub(crate) struct Identity {
    #[serde(default)]
    pub(crate) team: String,
    #[serde(default)]
    pub(crate) user: String,
}

/// A page of a channel, newest first.
#[derive(Deserialize)]
struct History {
    messages: Vec<Kept>,
    #[serde(default)]
    response_metadata: Next,
}

#[derive(Deserialize)]
struct Kept {
    ts: String,
    #[serde(default)]
    metadata: serde_json::Value,
}

/// Where the next page begins; empty at the end.
#[derive(Default, Deserialize)]
struct Next {
    #[serde(default)]
    next_cursor: String,
}

/// How many entries a page has; Slack recommends no more than 200.
const PAGE: &str = "200";
/// A release does not take longer than this many messages of others.
const MOST_HISTORY: usize = 5;
/// An app is in no more channels than these pages hold.
const MOST_MEMBERSHIPS: usize = 20;

impl SlackApi {
    pub(crate) fn new(client: Client, base: Url, clock: Clock, access: Access) -> Self {
        Self {
            client: SlackClient::new(Connector::new(client, base, clock)),
            access,
        }
    }

    fn token(&self) -> Result<SlackApiToken, SlackFailure> {
        match &self.access {
            Access::Token(secret) => Ok(SlackApiToken::new(SlackApiTokenValue(
                secret.expose().trim().to_owned(),
            ))),
            Access::Webhook(_) | Access::None => Err(SlackFailure::Unusable(
                "neither PILOTAGE_SLACK_TOKEN nor PILOTAGE_SLACK_WEBHOOK is set",
            )),
        }
    }

    async fn read<A>(&self, method: &str, parameters: &[(&str, Option<&str>)]) -> Result<A, SlackFailure>
    where
        A: for<'de> Deserialize<'de> + Send,
    {
        let token = self.token()?;
        let session = self.client.open_session(&token);
        let parameters = parameters.to_vec();
        session
            .http_session_api
            .http_get(method, &parameters, None)
            .await
            .map_err(unwrapped)
    }

    /// Slack's id of a channel that the app is in. Only ids can be read from; a name may be given with its sign.
    async fn id_of(&self, channel: &str) -> Result<String, SlackFailure> {
        if is_id(channel) {
            return Ok(channel.to_owned());
        }
        let name = channel.trim_start_matches('#');
        // A name can be taken again once its channel is archived.
        let wanted = |entry: &Membership| entry.name == name && !entry.is_archived;
        let all = self.memberships(wanted).await?;
        match all.into_iter().find(wanted) {
            Some(found) => Ok(found.id),
            None => Err(SlackFailure::Refused {
                code: "not_in_channel".to_owned(),
            }),
        }
    }

    /// The channels that the app is in, to the one that is enough.
    pub(crate) async fn memberships(
        &self,
        enough: impl Fn(&Membership) -> bool,
    ) -> Result<Vec<Membership>, SlackFailure> {
        let mut all = Vec::new();
        let mut cursor = String::new();
        for _ in 0..MOST_MEMBERSHIPS {
            let page: Memberships = self
                .read(
                    "users.conversations",
                    &[
                        ("types", Some("public_channel,private_channel")),
                        ("exclude_archived", Some("false")),
                        ("limit", Some(PAGE)),
                        (
                            "cursor",
                            Some(cursor.as_str()).filter(|cursor| !cursor.is_empty()),
                        ),
                    ],
                )
                .await?;
            let found = page.channels.iter().any(&enough);
            all.extend(page.channels);
            cursor = page.response_metadata.next_cursor;
            if found || cursor.is_empty() {
                break;
            }
        }
        Ok(all)
    }

    /// Whose token it is.
    pub(crate) async fn identity(&self) -> Result<Identity, SlackFailure> {
        self.call("auth.test", &serde_json::json!({})).await
    }

    async fn call<Q, A>(&self, method: &str, request: &Q) -> Result<A, SlackFailure>
    where
        Q: serde::Serialize + Send + Sync,
        A: for<'de> Deserialize<'de> + Send,
    {
        let token = self.token()?;
        let session = self.client.open_session(&token);
        session
            .http_session_api
            .http_post(method, request, None)
            .await
            .map_err(unwrapped)
    }
}

/// Ids are upper-case, names never are. A member's id stands for a conversation whose own id it does not tell.
pub(crate) fn is_id(channel: &str) -> bool {
    channel.starts_with(['C', 'G', 'D'])
        && channel
            .bytes()
            .all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit())
}

impl Answer {
    fn posted(self) -> Posted {
        Posted {
            channel: self.channel,
            ts: self.ts,
        }
    }
}

impl Slack for SlackApi {
    async fn post(
        &self,
        channel: &str,
        content: &SlackMessageContent,
        thread: Option<&str>,
    ) -> Result<Posted, SlackFailure> {
        let request = SlackApiChatPostMessageRequest::new(channel.into(), content.clone())
            .with_link_names(false)
            .with_parse("none".to_owned())
            .with_unfurl_links(false)
            .with_unfurl_media(false)
            .opt_thread_ts(thread.map(Into::into))
            .opt_reply_broadcast(thread.map(|_| true));
        self.call::<_, Answer>("chat.postMessage", &request)
            .await
            .map(Answer::posted)
    }

    async fn update(&self, posted: &Posted, content: &SlackMessageContent) -> Result<Posted, SlackFailure> {
        let request = SlackApiChatUpdateRequest::new(
            posted.channel.as_str().into(),
            content.clone(),
            posted.ts.as_str().into(),
        )
        .with_link_names(false)
        .with_parse("none".to_owned());
        self.call::<_, Answer>("chat.update", &request)
            .await
            .map(Answer::posted)
    }

    async fn find(&self, channel: &str, mark: &Mark) -> Result<Option<Posted>, SlackFailure> {
        let id = self.id_of(channel).await?;
        let mut cursor = String::new();
        for _ in 0..MOST_HISTORY {
            let page: History = self
                .read(
                    "conversations.history",
                    &[
                        ("channel", Some(id.as_str())),
                        ("include_all_metadata", Some("true")),
                        ("limit", Some(PAGE)),
                        (
                            "cursor",
                            Some(cursor.as_str()).filter(|cursor| !cursor.is_empty()),
                        ),
                    ],
                )
                .await?;
            if let Some(found) = page.messages.into_iter().find(|kept| mark.is_on(&kept.metadata)) {
                return Ok(Some(Posted {
                    channel: id,
                    ts: found.ts,
                }));
            }
            cursor = page.response_metadata.next_cursor;
            if cursor.is_empty() {
                break;
            }
        }
        Ok(None)
    }

    async fn permalink(&self, posted: &Posted) -> Result<Url, SlackFailure> {
        let parameters = [
            ("channel", Some(posted.channel.as_str())),
            ("message_ts", Some(posted.ts.as_str())),
        ];
        let link: Link = self.read("chat.getPermalink", &parameters).await?;
        Ok(link.permalink)
    }

    async fn hook(&self, content: &SlackMessageContent) -> Result<(), SlackFailure> {
        let Access::Webhook(secret) = &self.access else {
            return Err(SlackFailure::Unusable("PILOTAGE_SLACK_WEBHOOK is not set"));
        };
        let url = Url::parse(secret.expose().trim())
            .ok()
            .filter(|url| matches!(url.scheme(), "http" | "https"))
            .ok_or(SlackFailure::Unusable(
                "PILOTAGE_SLACK_WEBHOOK holds no http or https URL",
            ))?;
        let request = SlackApiPostWebhookMessageRequest::new(content.clone());
        // Through the connector itself: the answer of a webhook is no JSON, and the typed call wants some.
        let span = tracing::Span::none();
        let context = slack_morphism::SlackClientApiCallContext {
            rate_control_params: None,
            token: None,
            tracing_span: &span,
            is_sensitive_url: true,
        };
        let connector = &self.client.http_api.connector;
        slack_morphism::prelude::SlackClientHttpConnector::http_post_uri::<_, Nothing>(
            connector.as_ref(),
            url,
            &request,
            context,
        )
        .await
        .map(drop)
        .map_err(unwrapped)
    }
}
