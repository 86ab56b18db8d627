//! What a suite says, line by line and without secrets.

use std::collections::VecDeque;
use std::io::Write as _;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use pilotage_diagnostic::printable;
use pilotage_secret::{Redactor, StreamRedactor};
use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep_until};

/// The longest line that is shown as one.
const LONGEST: usize = 16 * 1024;
/// Last lines that are kept.
const KEPT: usize = 40;

/// What was said so far, by both pipes of a run.
#[derive(Clone)]
pub(crate) struct Said(Arc<Mutex<State>>);

struct State {
    at: Instant,
    last: VecDeque<String>,
}

impl Said {
    pub(crate) fn new() -> Self {
        Self(Arc::new(Mutex::new(State {
            at: Instant::now(),
            last: VecDeque::new(),
        })))
    }

    /// When something was said last.
    pub(crate) fn at(&self) -> Instant {
        self.change(|state| state.at)
    }

    /// The last lines.
    pub(crate) fn last(&self) -> Vec<String> {
        self.change(|state| state.last.iter().cloned().collect())
    }

    fn change<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Shows what comes out of a pipe, piece by piece, on stderr; as log events where `structured` says so.
    pub(crate) fn hearing(&self, redactor: &Redactor, structured: bool) -> Hearing {
        Hearing {
            said: self.clone(),
            redactor: redactor.stream(),
            line: Vec::new(),
            structured,
        }
    }

    /// The same for a pipe of this machine, until it is closed.
    pub(crate) fn listen(
        &self,
        mut pipe: impl AsyncRead + Unpin + Send + 'static,
        redactor: &Redactor,
        structured: bool,
    ) -> JoinHandle<()> {
        let mut hearing = self.hearing(redactor, structured);
        tokio::spawn(async move {
            let mut piece = vec![0_u8; 8192];
            while let Ok(read @ 1..) = pipe.read(&mut piece).await {
                hearing.push(&piece[..read]);
            }
            hearing.finish();
        })
    }

    /// Something to tell that the suite did not say itself.
    pub(crate) fn add(&self, line: &str) {
        self.keep(printable(line));
    }

    fn keep(&self, line: String) {
        self.change(|state| {
            if state.last.len() == KEPT {
                state.last.pop_front();
            }
            state.last.push_back(line);
        });
    }

    fn show(&self, bytes: &mut Vec<u8>, structured: bool) {
        if bytes.is_empty() {
            return;
        }
        let line = String::from_utf8_lossy(bytes);
        let line = printable(line.trim_end_matches('\r'));
        bytes.clear();
        if structured {
            tracing::info!(suite = true, "{line}");
        } else {
            // Who reads may go away at any time; that is no reason to stop the suite.
            let _ = writeln!(std::io::stderr(), "suite │ {line}");
        }
        self.keep(line);
    }
}

/// One pipe of a suite, as it is heard.
pub(crate) struct Hearing {
    said: Said,
    redactor: StreamRedactor,
    line: Vec<u8>,
    structured: bool,
}

impl Hearing {
    /// Takes a piece, cut anywhere.
    pub(crate) fn push(&mut self, piece: &[u8]) {
        self.said.change(|state| state.at = Instant::now());
        for byte in self.redactor.push(piece) {
            if byte == b'\n' || self.line.len() >= LONGEST {
                self.said.show(&mut self.line, self.structured);
            }
            if byte != b'\n' {
                self.line.push(byte);
            }
        }
    }

    /// Shows what is left of it.
    pub(crate) fn finish(mut self) {
        self.line.extend(self.redactor.flush());
        for rest in self.line.split(|byte| *byte == b'\n') {
            self.said.show(&mut rest.to_vec(), self.structured);
        }
    }
}

/// Ends when nothing was said for so long.
pub(crate) async fn silence(said: &Said, idle: Option<Duration>) {
    let Some(idle) = idle else {
        return std::future::pending().await;
    };
    loop {
        let until = said.at() + idle;
        if until <= Instant::now() {
            return;
        }
        sleep_until(until).await;
    }
}
