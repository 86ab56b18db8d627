//! Asking a service as its users do: through the front door.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio::time::{Instant, MissedTickBehavior, interval, timeout};

/// How long a user waits for an answer.
const PATIENCE: Duration = Duration::from_secs(10);
/// How often the one who asks all the time asks.
const EVERY: Duration = Duration::from_millis(10);
/// The most failures that are kept in words.
const MOST_TOLD: usize = 5;

/// An answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: String,
}

/// Asks `http://<host>:<port><path>` at the front door. An answer that is not whole is none.
pub(crate) async fn get(door: SocketAddr, host: &str, path: &str) -> Result<Answer, String> {
    timeout(PATIENCE, ask(door, host, path))
        .await
        .map_err(|_| format!("no answer within {PATIENCE:?}"))?
}

async fn ask(door: SocketAddr, host: &str, path: &str) -> Result<Answer, String> {
    let failed = |doing: &'static str| move |error: std::io::Error| format!("{doing}: {error}");
    let mut stream = TcpStream::connect(door).await.map_err(failed("connecting"))?;
    let request = format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
    stream
        .write_all(request.as_bytes())
        .await
        .map_err(failed("asking"))?;
    let mut bytes = Vec::new();
    stream
        .read_to_end(&mut bytes)
        .await
        .map_err(failed("listening"))?;
    let text = String::from_utf8_lossy(&bytes);
    let (head, body) = text
        .split_once("\r\n\r\n")
        .ok_or_else(|| format!("no whole answer: {text:?}"))?;
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
    let length = head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length")
            .then(|| value.trim().parse::<usize>().ok())?
    });
    match (status, length) {
        (Some(status), Some(length)) if length == body.len() => Ok(Answer {
            status,
            body: body.trim_end().to_owned(),
        }),
        _ => Err(format!("no whole answer: {text:?}")),
    }
}

/// What the one who asks all the time has seen.
#[derive(Clone, Debug, Default)]
pub(crate) struct Count {
    pub(crate) requests: u64,
    pub(crate) failed: u64,
    /// The first failures, in words.
    pub(crate) failures: Vec<String>,
    /// How often each answer came.
    pub(crate) answers: BTreeMap<String, u64>,
}

/// Somebody who asks a service all the time, until dropped or ended.
pub(crate) struct Asker {
    count: Arc<Mutex<Count>>,
    task: JoinHandle<()>,
}

impl Asker {
    /// Begins to ask.
    pub(crate) fn start(door: SocketAddr, host: String) -> Self {
        let count = Arc::new(Mutex::new(Count::default()));
        let counted = Arc::clone(&count);
        let task = tokio::spawn(async move {
            let begin = Instant::now();
            let mut pace = interval(EVERY);
            pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
            loop {
                pace.tick().await;
                let answer = get(door, &host, "/").await;
                let mut count = counted.lock().unwrap_or_else(PoisonError::into_inner);
                count.requests += 1;
                match answer {
                    Ok(Answer { status: 200, body }) => *count.answers.entry(body).or_insert(0) += 1,
                    other => {
                        count.failed += 1;
                        if count.failures.len() < MOST_TOLD {
                            let at = begin.elapsed().as_secs_f32();
                            count.failures.push(format!("after {at:.2} s: {other:?}"));
                        }
                    }
                }
            }
        });
        Self { count, task }
    }

    /// What was seen so far.
    pub(crate) fn count(&self) -> Count {
        self.count.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for Asker {
    fn drop(&mut self) {
        self.task.abort();
    }
}
