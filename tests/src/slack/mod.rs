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

mod contract;
mod history;
mod messages;
mod server;
mod state;

use std::sync::{Arc, Mutex, MutexGuard};

use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::Notify;
use tokio::task::JoinHandle;

use server::serve;
pub use state::{Answer, Message, Request};
use state::{State, lock};

/// The token that the fake takes.
pub const TOKEN: &str = "xoxb-1-planted-secret-token";
/// The path of the incoming webhook that the fake has, under [`Slack::url`].
pub const WEBHOOK: &str = "/services/T01/B01/planted-secret-webhook";

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
