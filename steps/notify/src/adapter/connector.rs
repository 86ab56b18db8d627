use std::time::Duration;

use futures::FutureExt;
use futures::future::{BoxFuture, ready};
use pilotage_clock::Clock;
use pilotage_http::{Failure, read_body, reqwest};
use reqwest::header::{CONTENT_TYPE, HeaderMap, RETRY_AFTER};
use reqwest::{Client, RequestBuilder, StatusCode};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use slack_morphism::errors::{SlackClientError, SlackClientSystemError};
use slack_morphism::multipart_form::FileMultipartData;
use slack_morphism::prelude::{
    ClientResult, SlackClientApiCallContext, SlackClientHttpConnector, SlackClientId, SlackClientSecret,
};
use url::Url;

use crate::port::{SlackFailure, code};

/// Slack's answers are small; whatever is larger is none.
const LARGEST_ANSWER: usize = 1024 * 1024;

/// slack-morphism over the house's own HTTP: its TLS, its proxies, its time limits, its failures.
#[derive(Clone, Debug)]
pub(crate) struct Connector {
    client: Client,
    base: Url,
    clock: Clock,
}

impl Connector {
    /// `base` is what the methods' names are appended to: `https://slack.com/api`.
    pub(crate) fn new(client: Client, base: Url, clock: Clock) -> Self {
        Self { client, base, clock }
    }

    async fn exchange<A: DeserializeOwned>(
        &self,
        request: RequestBuilder,
        api: bool,
    ) -> Result<A, SlackFailure> {
        let no_answer = |error: reqwest::Error| SlackFailure::NoAnswer(Failure::of(&error));
        let response = request.send().await.map_err(no_answer)?;
        let status = response.status();
        let after = retry_after(response.headers(), &self.clock);
        let body = read_body(response, LARGEST_ANSWER).await.map_err(|error| {
            // The answer began, so the request had arrived.
            SlackFailure::NoAnswer(Failure {
                maybe_sent: true,
                ..Failure::of(&error)
            })
        })?;
        let value = if api {
            understood(status, &body.bytes, after)?
        } else {
            hooked(status, &body.bytes, after)?
        };
        serde_json::from_value(value).map_err(|_| SlackFailure::Garbled {
            status: status.as_u16(),
        })
    }
}

/// An answer of the Web API: success is a 200 that says `ok: true`.
fn understood(status: StatusCode, body: &[u8], after: Option<Duration>) -> Result<Value, SlackFailure> {
    let garbled = SlackFailure::Garbled {
        status: status.as_u16(),
    };
    let value: Option<Value> = serde_json::from_slice(body).ok();
    let told = value
        .as_ref()
        .and_then(|value| value.get("error"))
        .and_then(Value::as_str)
        .and_then(code);
    match (status.as_u16(), told.as_deref()) {
        (_, Some("ratelimited" | "rate_limited" | "service_unavailable")) | (429 | 503, _) => {
            Err(SlackFailure::Busy {
                told: told.unwrap_or_else(|| status.as_u16().to_string()),
                after,
            })
        }
        // Slack's words for "it broke, and part of it may have been done".
        (_, Some("internal_error" | "fatal_error")) => Err(SlackFailure::Broken {
            told: told.unwrap_or_default(),
        }),
        (500.., _) => Err(SlackFailure::Broken {
            told: status.as_u16().to_string(),
        }),
        (_, Some(_)) => Err(SlackFailure::Refused {
            code: told.unwrap_or_default(),
        }),
        (200, None) => match value {
            Some(value) if value.get("ok") == Some(&Value::Bool(true)) => Ok(value),
            _ => Err(garbled),
        },
        (300..500, None) => Err(SlackFailure::Refused {
            code: format!("http_{}", status.as_u16()),
        }),
        _ => Err(garbled),
    }
}

/// An answer of an incoming webhook: plain text, `ok` or a code.
fn hooked(status: StatusCode, body: &[u8], after: Option<Duration>) -> Result<Value, SlackFailure> {
    let told = std::str::from_utf8(body).ok().map(str::trim).and_then(code);
    let number = status.as_u16();
    match number {
        200..300 => Ok(Value::Object(serde_json::Map::new())),
        429 | 503 => Err(SlackFailure::Busy {
            told: number.to_string(),
            after,
        }),
        500.. => Err(SlackFailure::Broken {
            told: told.unwrap_or_else(|| number.to_string()),
        }),
        _ => Err(SlackFailure::Refused {
            code: told.unwrap_or_else(|| format!("http_{number}")),
        }),
    }
}

/// Seconds, or the date when to come again.
fn retry_after(headers: &HeaderMap, clock: &Clock) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let date = jiff::fmt::rfc2822::DateTimeParser::new()
        .parse_timestamp(text)
        .ok()?;
    Some(Duration::try_from(date.duration_since(clock.now())).unwrap_or_default())
}

/// slack-morphism's errors have no place for ours, except as a cause.
fn wrapped(failure: SlackFailure) -> SlackClientError {
    SlackClientError::SystemError(SlackClientSystemError::new().with_cause(Box::new(failure)))
}

/// What [`wrapped`] wrapped.
pub(super) fn unwrapped(error: SlackClientError) -> SlackFailure {
    let cause = match error {
        SlackClientError::SystemError(error) => error.cause,
        _ => None,
    };
    match cause.map(|cause| cause.downcast::<SlackFailure>()) {
        Some(Ok(failure)) => *failure,
        // Only building a URL fails without reaching the connector.
        _ => SlackFailure::Unusable("the URL of Slack's API cannot be used"),
    }
}

fn unsupported<'a, A: Send + 'a>() -> BoxFuture<'a, ClientResult<A>> {
    ready(Err(wrapped(SlackFailure::Unusable(
        "this kind of request is not used here",
    ))))
    .boxed()
}

impl SlackClientHttpConnector for Connector {
    fn http_get_uri<'a, RS>(
        &'a self,
        full_uri: Url,
        context: SlackClientApiCallContext<'a>,
    ) -> BoxFuture<'a, ClientResult<RS>>
    where
        RS: for<'de> serde::de::Deserialize<'de> + Send + 'a,
    {
        async move {
            let mut request = self.client.get(full_uri);
            if let Some(token) = context.token {
                request = request.bearer_auth(&token.token_value.0);
            }
            self.exchange(request, true).await.map_err(wrapped)
        }
        .boxed()
    }

    fn http_get_with_client_secret<'a, RS>(
        &'a self,
        _full_uri: Url,
        _client_id: &'a SlackClientId,
        _client_secret: &'a SlackClientSecret,
    ) -> BoxFuture<'a, ClientResult<RS>>
    where
        RS: for<'de> serde::de::Deserialize<'de> + Send + 'a,
    {
        unsupported()
    }

    fn http_post_uri<'a, RQ, RS>(
        &'a self,
        full_uri: Url,
        request_body: &'a RQ,
        context: SlackClientApiCallContext<'a>,
    ) -> BoxFuture<'a, ClientResult<RS>>
    where
        RQ: Serialize + Send + Sync,
        RS: for<'de> serde::de::Deserialize<'de> + Send + 'a,
    {
        async move {
            let body = serde_json::to_vec(request_body)
                .map_err(|_| wrapped(SlackFailure::Unusable("the message cannot be written as JSON")))?;
            let mut request = self
                .client
                .post(full_uri)
                .header(CONTENT_TYPE, "application/json; charset=utf-8")
                .body(body);
            if let Some(token) = context.token {
                request = request.bearer_auth(&token.token_value.0);
            }
            self.exchange(request, context.token.is_some())
                .await
                .map_err(wrapped)
        }
        .boxed()
    }

    fn http_post_uri_multipart_form<'a, 'p, RS, PT, TS>(
        &'a self,
        _full_uri: Url,
        _file: Option<FileMultipartData<'p>>,
        _params: &'p PT,
        _context: SlackClientApiCallContext<'a>,
    ) -> BoxFuture<'a, ClientResult<RS>>
    where
        RS: for<'de> serde::de::Deserialize<'de> + Send + 'a,
        PT: IntoIterator<Item = (&'p str, Option<TS>)> + Clone,
        TS: AsRef<str> + 'p + Send,
    {
        unsupported()
    }

    fn http_post_uri_binary<'a, 'p, RS>(
        &'a self,
        _full_uri: Url,
        _content_type: String,
        _data: &'a [u8],
        _context: SlackClientApiCallContext<'a>,
    ) -> BoxFuture<'a, ClientResult<RS>>
    where
        RS: for<'de> serde::de::Deserialize<'de> + Send + 'a,
    {
        unsupported()
    }

    fn create_method_uri_path(&self, method_relative_uri: &str) -> ClientResult<Url> {
        let base = self.base.as_str().trim_end_matches('/');
        Ok(format!("{base}/{method_relative_uri}").parse()?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn api(status: u16, body: &str) -> Result<Value, SlackFailure> {
        understood(StatusCode::from_u16(status).unwrap(), body.as_bytes(), None)
    }

    #[test]
    fn answers_are_what_slack_says_they_are() {
        assert!(api(200, r#"{"ok":true,"ts":"1.2"}"#).is_ok());
        let refused = |code: &str| {
            Err(SlackFailure::Refused {
                code: code.to_owned(),
            })
        };
        assert_eq!(
            api(200, r#"{"ok":false,"error":"not_in_channel"}"#),
            refused("not_in_channel")
        );
        assert_eq!(api(404, "<html>"), refused("http_404"));
        assert_eq!(api(302, ""), refused("http_302"));
        let busy = |told: &str| {
            Err(SlackFailure::Busy {
                told: told.to_owned(),
                after: None,
            })
        };
        assert_eq!(api(429, ""), busy("429"));
        assert_eq!(
            api(200, r#"{"ok":false,"error":"ratelimited"}"#),
            busy("ratelimited")
        );
        assert_eq!(api(503, "<html>"), busy("503"));
        let broken = |told: &str| {
            Err(SlackFailure::Broken {
                told: told.to_owned(),
            })
        };
        assert_eq!(
            api(200, r#"{"ok":false,"error":"fatal_error"}"#),
            broken("fatal_error")
        );
        assert_eq!(api(502, "bad gateway"), broken("502"));
        for odd in [
            "",
            "[]",
            r#"{"ok":"true"}"#,
            r#"{"ok":false}"#,
            "<html>log in</html>",
            r#"{"ok":false,"error":"<!channel> \n"}"#,
        ] {
            assert_eq!(api(200, odd), Err(SlackFailure::Garbled { status: 200 }), "{odd}");
        }
    }

    #[test]
    fn a_wait_is_asked_for_in_seconds_or_by_a_date() {
        let clock = Clock::fixed("1994-11-06T08:49:07Z".parse().unwrap());
        let asked = |text: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(RETRY_AFTER, text.parse().unwrap());
            retry_after(&headers, &clock)
        };
        assert_eq!(asked("7"), Some(Duration::from_secs(7)));
        assert_eq!(
            asked("Sun, 06 Nov 1994 08:49:37 GMT"),
            Some(Duration::from_secs(30))
        );
        assert_eq!(asked("Sun, 06 Nov 1994 08:00:00 GMT"), Some(Duration::ZERO));
        assert_eq!(asked("soon"), None);
    }
}
