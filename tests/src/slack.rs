//! A Slack of our own: its state in plain structs that a test can read, a thin HTTP server in front of it.
//!
//! It holds every request against Slack's published contract of the method
//! (<https://docs.slack.dev/reference/methods>): the address, `Authorization: Bearer`, a JSON content type with a character
//! set, the required arguments, Slack's own limits of a message, and an id where the method takes no name. What breaks the
//! contract is answered the way Slack does and noted in [`Slack::violations`].

#![expect(
    clippy::unwrap_used,
    reason = "this is test support: what cannot be set up has to fail the test loudly"
)]

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio::task::JoinHandle;

/// The token that the fake takes.
pub const TOKEN: &str = "xoxb-1-planted-secret-token";
/// The path of the incoming webhook that the fake has, under [`Slack::url`].
pub const WEBHOOK: &str = "/services/T01/B01/planted-secret-webhook";

/// How the fake answers one request instead of doing what was asked.
#[derive(Clone, Debug)]
pub enum Answer {
    /// Status 429 with this `Retry-After`, where there is one.
    RateLimited(Option<&'static str>),
    /// This status with a body that is none of Slack's.
    Status(u16),
    /// Status 200 and `ok: false` with this code.
    Refuse(&'static str),
    /// Status 200 with this body.
    Body(&'static str),
    /// The connection is closed before any answer; what was asked is done all the same.
    DoAndDrop,
    /// No answer ever; the connection stays open.
    Never,
}

/// One message in a channel.
#[derive(Clone, Debug, PartialEq)]
pub struct Message {
    /// The channel's id.
    pub channel: String,
    /// The message's own id in it.
    pub ts: String,
    /// The message it answers.
    pub thread: Option<String>,
    /// Whether an answer is shown in the channel as well.
    pub broadcast: bool,
    /// The text for notifications.
    pub text: String,
    /// The blocks.
    pub blocks: Value,
    /// How often it was edited.
    pub edits: u32,
    /// What it carries unseen.
    pub metadata: Value,
}

/// One request that came.
#[derive(Clone, Debug, PartialEq)]
pub struct Request {
    /// The method, such as `chat.postMessage`, or `webhook`.
    pub method: String,
    /// Its arguments.
    pub arguments: Value,
}

#[derive(Default)]
struct State {
    /// Ids by name, without the `#`.
    channels: BTreeMap<String, String>,
    /// Ids of channels that the app was not invited to.
    uninvited: Vec<String>,
    /// Ids of channels that are archived.
    archived: Vec<String>,
    messages: Vec<Message>,
    stamps: u32,
    requests: Vec<Request>,
    violations: Vec<String>,
    answers: VecDeque<(String, Answer)>,
}

/// The fake. It stops when it is dropped.
pub struct Slack {
    state: Arc<Mutex<State>>,
    arrived: Arc<Notify>,
    url: String,
    server: JoinHandle<()>,
}

impl Drop for Slack {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl Slack {
    /// Starts one with the channels `#shop` (C01SHOP), `#ops` (C02OPS) and `#secret` (C03SECRET, without the app).
    ///
    /// # Panics
    /// When no port is free.
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let channels = [("shop", "C01SHOP"), ("ops", "C02OPS"), ("secret", "C03SECRET")];
        let state = Arc::new(Mutex::new(State {
            channels: channels
                .iter()
                .map(|(name, id)| ((*name).to_owned(), (*id).to_owned()))
                .collect(),
            uninvited: vec!["C03SECRET".to_owned()],
            ..State::default()
        }));
        let arrived = Arc::new(Notify::new());
        let (shared, arrival) = (Arc::clone(&state), Arc::clone(&arrived));
        let server = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, Arc::clone(&shared), Arc::clone(&arrival)));
            }
        });
        Self {
            state,
            arrived,
            url,
            server,
        }
    }

    /// The base of the Web API: what stands before the method's name.
    #[must_use]
    pub fn api_url(&self) -> String {
        format!("{}/api", self.url)
    }

    /// The incoming webhook, which posts to `#shop`.
    #[must_use]
    pub fn webhook_url(&self) -> String {
        format!("{}{WEBHOOK}", self.url)
    }

    /// Answers the next request of `method` like this; several are used up in order.
    pub fn answer(&self, method: &str, answer: Answer) {
        self.lock().answers.push_back((method.to_owned(), answer));
    }

    /// Archives `#ops`.
    pub fn archive_ops(&self) {
        self.lock().archived.push("C02OPS".to_owned());
    }

    /// Puts messages of others into `#shop`.
    pub fn chatter(&self, count: usize) {
        let mut state = self.lock();
        for _ in 0..count {
            let ts = state.next_ts();
            state.messages.push(Message {
                channel: "C01SHOP".to_owned(),
                ts,
                thread: None,
                broadcast: false,
                text: "chatter".to_owned(),
                blocks: Value::Null,
                edits: 0,
                metadata: json!({"event_type": "other_app", "event_payload": {"release": 17}}),
            });
        }
    }

    /// Deletes a message, as a person could.
    pub fn delete(&self, ts: &str) {
        self.lock().messages.retain(|message| message.ts != ts);
    }

    /// What stands in the channels, oldest first.
    #[must_use]
    pub fn messages(&self) -> Vec<Message> {
        self.lock().messages.clone()
    }

    /// What came, oldest first.
    #[must_use]
    pub fn requests(&self) -> Vec<Request> {
        self.lock().requests.clone()
    }

    /// The methods that were asked for, oldest first.
    #[must_use]
    pub fn methods(&self) -> Vec<String> {
        self.lock()
            .requests
            .iter()
            .map(|request| request.method.clone())
            .collect()
    }

    /// How requests broke Slack's contract.
    #[must_use]
    pub fn violations(&self) -> Vec<String> {
        self.lock().violations.clone()
    }

    /// Waits until a request has come, counted from the first.
    pub async fn until_requests(&self, count: usize) {
        loop {
            let arrived = self.arrived.notified();
            if self.lock().requests.len() >= count {
                return;
            }
            arrived.await;
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A request as it came over the wire.
struct Head {
    verb: String,
    path: String,
    query: BTreeMap<String, String>,
    headers: BTreeMap<String, String>,
}

async fn serve(stream: TcpStream, state: Arc<Mutex<State>>, arrived: Arc<Notify>) {
    let mut stream = BufReader::new(stream);
    while let Some((head, body)) = read(&mut stream).await {
        let method = match head.path.strip_prefix("/api/") {
            Some(method) => method.to_owned(),
            None if head.path == WEBHOOK => "webhook".to_owned(),
            None => head.path.clone(),
        };
        let (wanted, (status, mut extra, mut answer)) = {
            let mut state = lock(&state);
            let wanted = state.take_answer(&method);
            let does = matches!(wanted, None | Some(Answer::DoAndDrop));
            (wanted, state.handle(&method, &head, &body, does))
        };
        arrived.notify_waiters();
        let mut status = status;
        match wanted {
            None => {}
            Some(Answer::RateLimited(after)) => {
                status = 429;
                extra = after
                    .map(|after| format!("retry-after: {after}\r\n"))
                    .unwrap_or_default();
                answer = String::new();
            }
            Some(Answer::Status(number)) => {
                status = number;
                answer = "<html>not Slack</html>".to_owned();
            }
            Some(Answer::Refuse(code)) => {
                status = 200;
                answer = json!({ "ok": false, "error": code }).to_string();
            }
            Some(Answer::Body(body)) => {
                status = 200;
                answer = body.to_owned();
            }
            Some(Answer::DoAndDrop) => return,
            Some(Answer::Never) => std::future::pending().await,
        }
        let text = format!(
            "HTTP/1.1 {status} Status\r\ncontent-type: application/json\r\n{extra}content-length: {}\r\n\r\n{answer}",
            answer.len()
        );
        if stream.get_mut().write_all(text.as_bytes()).await.is_err() {
            return;
        }
    }
}

async fn read(stream: &mut BufReader<TcpStream>) -> Option<(Head, Vec<u8>)> {
    let mut lines = Vec::new();
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line).await.ok()? == 0 {
            return None;
        }
        let line = line.trim_end().to_owned();
        if line.is_empty() {
            break;
        }
        lines.push(line);
    }
    let mut words = lines.first()?.split(' ');
    let (verb, target) = (words.next()?.to_owned(), words.next()?.to_owned());
    let headers: BTreeMap<String, String> = lines
        .iter()
        .skip(1)
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.trim().to_ascii_lowercase(), value.trim().to_owned()))
        .collect();
    let (path, query) = target.split_once('?').unwrap_or((&target, ""));
    let query = query
        .split('&')
        .filter_map(|pair| pair.split_once('='))
        // Of all that is encoded here, only a comma is looked at.
        .map(|(name, value)| (name.to_owned(), value.replace("%2C", ",")))
        .collect();
    let length = headers
        .get("content-length")
        .and_then(|length| length.parse().ok())
        .unwrap_or(0);
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await.ok()?;
    Some((
        Head {
            verb,
            path: path.to_owned(),
            query,
            headers,
        },
        body,
    ))
}

type Reply = (u16, String, String);

fn refuse(code: &str) -> Reply {
    (
        200,
        String::new(),
        json!({ "ok": false, "error": code }).to_string(),
    )
}

impl State {
    fn take_answer(&mut self, method: &str) -> Option<Answer> {
        let index = self.answers.iter().position(|(wanted, _)| wanted == method)?;
        self.answers.remove(index).map(|(_, answer)| answer)
    }

    fn violation(&mut self, method: &str, what: &str) {
        self.violations.push(format!("{method}: {what}"));
    }

    /// Checks a request and answers it; `does` says whether it has its effect.
    fn handle(&mut self, method: &str, head: &Head, body: &[u8], does: bool) -> Reply {
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
    fn content(&mut self, method: &str, arguments: &Value) -> Result<(String, Value), Reply> {
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

    fn channel(&mut self, method: &str, arguments: &Value, names: bool) -> Result<String, Reply> {
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

    fn post(&mut self, arguments: &Value, does: bool) -> Reply {
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

    fn update(&mut self, arguments: &Value, does: bool) -> Reply {
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

    fn permalink(&mut self, arguments: &Value) -> Reply {
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
    fn memberships(&mut self, arguments: &Value) -> Reply {
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
    fn history(&mut self, arguments: &Value) -> Reply {
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
    fn page(&mut self, method: &str, arguments: &Value, key: &str, all: &[Value], most: usize) -> Reply {
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

    fn hook(&mut self, arguments: &Value, does: bool) -> Reply {
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

    fn next_ts(&mut self) -> String {
        self.stamps += 1;
        format!("1767225600.{:06}", self.stamps)
    }
}
