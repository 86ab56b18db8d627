//! Methods that write: messages, their edits, and the webhook's.

use serde_json::{Value, json};

use super::contract::{Reply, refuse};
use super::state::{Message, State};

impl State {
    pub(super) fn post(&mut self, arguments: &Value, does: bool) -> Reply {
        let checked = self
            .channel("chat.postMessage", arguments, true)
            .and_then(|channel| Ok((channel, self.content("chat.postMessage", arguments)?)));
        let (channel, (text, blocks)) = match checked {
            Ok(checked) => checked,
            Err(reply) => return reply,
        };
        let thread = arguments["thread_ts"].as_str().map(str::to_owned);
        let ts = self.next_ts();
        if does {
            let broadcast = arguments["reply_broadcast"] == true;
            self.messages.push(Message {
                channel: channel.clone(),
                ts: ts.clone(),
                thread,
                broadcast,
                text: text.clone(),
                blocks,
                edits: 0,
                metadata: arguments["metadata"].clone(),
            });
        }
        let message = json!({ "type": "message", "text": text, "ts": ts, "bot_id": "B01", "user": "U0BOT" });
        (
            200,
            String::new(),
            json!({ "ok": true, "channel": channel, "ts": ts, "message": message }).to_string(),
        )
    }

    pub(super) fn update(&mut self, arguments: &Value, does: bool) -> Reply {
        let checked = self
            .channel("chat.update", arguments, false)
            .and_then(|channel| Ok((channel, self.content("chat.update", arguments)?)));
        let (channel, (text, blocks)) = match checked {
            Ok(checked) => checked,
            Err(reply) => return reply,
        };
        let Some(ts) = arguments["ts"].as_str() else {
            self.violation("chat.update", "the required argument `ts` is missing");
            return refuse("invalid_arguments");
        };
        let Some(message) = self
            .messages
            .iter_mut()
            .find(|message| message.channel == channel && message.ts == ts)
        else {
            return refuse("message_not_found");
        };
        if does {
            message.text.clone_from(&text);
            message.blocks = blocks;
            message.edits += 1;
            if !arguments["metadata"].is_null() {
                message.metadata = arguments["metadata"].clone();
            }
        }
        (
            200,
            String::new(),
            json!({ "ok": true, "channel": channel, "ts": ts, "text": text }).to_string(),
        )
    }

    pub(super) fn hook(&mut self, arguments: &Value, does: bool) -> Reply {
        let (text, blocks) = match self.content("webhook", arguments) {
            Ok(content) => content,
            Err(_) => return (400, String::new(), "no_text".to_owned()),
        };
        let ts = self.next_ts();
        if does {
            let channel = "C01SHOP".to_owned();
            self.messages.push(Message {
                channel,
                ts,
                thread: None,
                broadcast: false,
                text,
                blocks,
                edits: 0,
                metadata: arguments["metadata"].clone(),
            });
        }
        (200, String::new(), "ok".to_owned())
    }

    pub(super) fn next_ts(&mut self) -> String {
        self.stamps += 1;
        format!("1767225600.{:06}", self.stamps)
    }
}
