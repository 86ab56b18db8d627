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

    async fn permalink(&self, posted: &Posted) -> Result<Url, SlackFailure> {
        let token = self.token()?;
        let session = self.client.open_session(&token);
        let parameters = [
            ("channel", Some(posted.channel.as_str())),
            ("message_ts", Some(posted.ts.as_str())),
        ];
        let link: Link = session
            .http_session_api
            .http_get("chat.getPermalink", &parameters, None)
            .await
            .map_err(unwrapped)?;
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
