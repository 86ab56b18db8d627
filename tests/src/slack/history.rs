//! Methods that read: where messages stand, and where the app is.

use serde_json::{Value, json};

use super::contract::{Reply, refuse};
use super::state::State;

impl State {
    pub(super) fn permalink(&mut self, arguments: &Value) -> Reply {
        let (Some(channel), Some(ts)) = (arguments["channel"].as_str(), arguments["message_ts"].as_str())
        else {
            self.violation("chat.getPermalink", "`channel` or `message_ts` is missing");
            return refuse("invalid_arguments");
        };
        if !self
            .messages
            .iter()
            .any(|message| message.channel == channel && message.ts == ts)
        {
            return refuse("message_not_found");
        }
        let link = format!(
            "https://acme.slack.com/archives/{channel}/p{}",
            ts.replace('.', "")
        );
        (
            200,
            String::new(),
            json!({ "ok": true, "channel": channel, "permalink": link }).to_string(),
        )
    }

    /// The channels that the app is in, one a page.
    pub(super) fn memberships(&mut self, arguments: &Value) -> Reply {
        if arguments["types"] != "public_channel,private_channel" {
            self.violation(
                "users.conversations",
                "`types` leaves out private or public channels",
            );
        }
        let all: Vec<Value> = self
            .channels
            .iter()
            .filter(|(_, id)| !self.uninvited.contains(id))
            .filter(|(_, id)| arguments["exclude_archived"] != "true" || !self.archived.contains(id))
            .map(|(name, id)| json!({ "id": id, "name": name, "is_channel": true, "is_archived": self.archived.contains(id) }))
            .collect();
        self.page("users.conversations", arguments, "channels", &all, 1)
    }

    /// What stands in a channel, newest first; answers in threads only where they were broadcast.
    pub(super) fn history(&mut self, arguments: &Value) -> Reply {
        let channel = match self.channel("conversations.history", arguments, false) {
            Ok(channel) => channel,
            Err(reply) => return reply,
        };
        let whole = arguments["include_all_metadata"] == "true";
        let all: Vec<Value> = self
            .messages
            .iter()
            .rev()
            .filter(|message| message.channel == channel && (message.thread.is_none() || message.broadcast))
            .map(|message| {
                let mut shown = json!({ "type": "message", "ts": message.ts, "text": message.text });
                if !message.metadata.is_null() {
                    shown["metadata"] = message.metadata.clone();
                    if !whole && let Some(metadata) = shown["metadata"].as_object_mut() {
                        metadata.remove("event_payload");
                    }
                }
                shown
            })
            .collect();
        self.page("conversations.history", arguments, "messages", &all, 1_000)
    }

    /// One page of a list. A page may hold fewer than were asked for, and Slack says so in its documentation.
    pub(super) fn page(
        &mut self,
        method: &str,
        arguments: &Value,
        key: &str,
        all: &[Value],
        most: usize,
    ) -> Reply {
        let number = |name: &str| arguments[name].as_str().map(str::parse::<usize>);
        let Some(limit) = number("limit")
            .map_or(Some(100), Result::ok)
            .filter(|limit| (1..1_000).contains(limit))
        else {
            self.violation(method, "`limit` is not from 1 to 999");
            return refuse("invalid_limit");
        };
        let Some(from) = number("cursor").map_or(Some(0), Result::ok) else {
            return refuse("invalid_cursor");
        };
        let end = all.len().min(from + limit.min(most));
        let next = if end < all.len() {
            end.to_string()
        } else {
            String::new()
        };
        let page = all.get(from..end).unwrap_or_default();
        let answer = json!({ "ok": true, key: page, "response_metadata": { "next_cursor": next } });
        (200, String::new(), answer.to_string())
    }
}
