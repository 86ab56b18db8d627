//! Slack's contract, held against every request.

use serde_json::{Value, json};

use super::TOKEN;
use super::server::Head;
use super::state::{Answer, Request, State};

/// Status, more headers, body.
pub(super) type Reply = (u16, String, String);

pub(super) fn refuse(code: &str) -> Reply {
    (
        200,
        String::new(),
        json!({ "ok": false, "error": code }).to_string(),
    )
}

impl State {
    pub(super) fn take_answer(&mut self, method: &str) -> Option<Answer> {
        let index = self.answers.iter().position(|(wanted, _)| wanted == method)?;
        self.answers.remove(index).map(|(_, answer)| answer)
    }

    pub(super) fn violation(&mut self, method: &str, what: &str) {
        self.violations.push(format!("{method}: {what}"));
    }

    /// Checks a request and answers it; `does` says whether it has its effect.
    pub(super) fn handle(&mut self, method: &str, head: &Head, body: &[u8], does: bool) -> Reply {
        let reads = matches!(
            method,
            "chat.getPermalink" | "users.conversations" | "conversations.history"
        );
        let arguments = if reads {
            json!(head.query)
        } else {
            serde_json::from_slice(body).unwrap_or(Value::Null)
        };
        self.requests.push(Request {
            method: method.to_owned(),
            arguments: arguments.clone(),
        });
        if head.verb != if reads { "GET" } else { "POST" } {
            self.violation(method, "the HTTP method is wrong");
        }
        let content_type = head
            .headers
            .get("content-type")
            .cloned()
            .unwrap_or_default()
            .to_ascii_lowercase();
        if !reads && content_type.replace(' ', "") != "application/json;charset=utf-8" {
            self.violation(
                method,
                "the content type is not `application/json; charset=utf-8`",
            );
        }
        if !reads && !arguments.is_object() {
            self.violation(method, "the body is no JSON object");
            return refuse("invalid_json");
        }
        let authorization = head.headers.get("authorization");
        if method == "webhook" {
            if authorization.is_some() {
                self.violation(method, "a webhook takes no token");
            }
            return self.hook(&arguments, does);
        }
        match authorization.map(String::as_str) {
            None => {
                self.violation(method, "the header `Authorization` is missing");
                return refuse("not_authed");
            }
            Some(value) if !value.starts_with("Bearer ") => {
                self.violation(method, "the token is no bearer token");
                return refuse("not_authed");
            }
            Some(value) if value != format!("Bearer {TOKEN}") => return refuse("invalid_auth"),
            Some(_) => {}
        }
        match method {
            "auth.test" => {
                let identity = json!({ "ok": true, "url": "https://acme.slack.com/", "team": "Acme", "user": "pilotage",
                    "team_id": "T01", "user_id": "U0BOT", "bot_id": "B01" });
                (200, String::new(), identity.to_string())
            }
            "chat.postMessage" => self.post(&arguments, does),
            "chat.update" => self.update(&arguments, does),
            "chat.getPermalink" => self.permalink(&arguments),
            "users.conversations" => self.memberships(&arguments),
            "conversations.history" => self.history(&arguments),
            _ => {
                self.violation(method, "there is no such method");
                (404, String::new(), "<html>".to_owned())
            }
        }
    }

    /// The arguments that posts and updates share.
    pub(super) fn content(&mut self, method: &str, arguments: &Value) -> Result<(String, Value), Reply> {
        let text = arguments["text"].as_str().unwrap_or_default().to_owned();
        let blocks = arguments["blocks"].clone();
        if text.is_empty() && blocks.is_null() {
            self.violation(method, "neither `text` nor `blocks`");
            return Err(refuse("no_text"));
        }
        if text.is_empty() {
            self.violation(
                method,
                "`blocks` without the `text` for notifications and screen readers",
            );
        }
        if text.chars().count() > 40_000 {
            self.violation(method, "`text` is longer than 40,000 characters");
            return Err(refuse("msg_too_long"));
        }
        if blocks.as_array().is_some_and(|blocks| blocks.len() > 50) {
            self.violation(method, "more than 50 blocks");
            return Err(refuse("invalid_blocks"));
        }
        for block in blocks.as_array().into_iter().flatten() {
            let kind = block["text"]["type"].as_str();
            let length = block["text"]["text"]
                .as_str()
                .map_or(0, |text| text.encode_utf16().count());
            if block["type"] != "section" || !matches!(kind, Some("mrkdwn" | "plain_text")) {
                self.violation(method, "a block that is no section with a text");
                return Err(refuse("invalid_blocks"));
            }
            if !(1..=3_000).contains(&length) {
                self.violation(
                    method,
                    "a section whose text is empty or longer than 3,000 characters",
                );
                return Err(refuse("invalid_blocks"));
            }
        }
        let metadata = &arguments["metadata"];
        let good = metadata.is_null()
            || (metadata["event_type"]
                .as_str()
                .is_some_and(|kind| !kind.is_empty())
                && metadata["event_payload"].is_object());
        if !good {
            self.violation(
                method,
                "`metadata` without `event_type` or without an object as `event_payload`",
            );
            return Err(refuse("invalid_metadata_format"));
        }
        Ok((text, blocks))
    }

    pub(super) fn channel(&mut self, method: &str, arguments: &Value, names: bool) -> Result<String, Reply> {
        let Some(channel) = arguments["channel"]
            .as_str()
            .filter(|channel| !channel.is_empty())
        else {
            self.violation(method, "the required argument `channel` is missing");
            return Err(refuse("invalid_arguments"));
        };
        let id = if self.channels.values().any(|id| id == channel) {
            channel.to_owned()
        } else {
            match self.channels.get(channel.trim_start_matches('#')) {
                Some(id) if names => id.clone(),
                Some(_) => {
                    self.violation(method, "a channel's name where the method takes its id only");
                    return Err(refuse("channel_not_found"));
                }
                None => return Err(refuse("channel_not_found")),
            }
        };
        if self.archived.contains(&id) && method != "conversations.history" {
            Err(refuse("is_archived"))
        } else if self.uninvited.contains(&id) {
            Err(refuse("not_in_channel"))
        } else {
            Ok(id)
        }
    }
}
