//! What a suite says, line by line and without secrets.

use std::collections::VecDeque;
use std::io::Write as _;
use std::sync::{Arc, Mutex, PoisonError};

use pilotage_diagnostic::printable;
use pilotage_secret::Redactor;
use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::task::JoinHandle;
use tokio::time::Instant;

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

    /// Shows what comes out of a pipe on stderr, as log events where `structured` says so.
    pub(crate) fn listen(
        &self,
        mut pipe: impl AsyncRead + Unpin + Send + 'static,
        redactor: &Redactor,
        structured: bool,
    ) -> JoinHandle<()> {
        let said = self.clone();
        let mut redactor = redactor.stream();
        tokio::spawn(async move {
            let mut line = Vec::new();
            let mut piece = vec![0_u8; 8192];
            while let Ok(read @ 1..) = pipe.read(&mut piece).await {
                said.change(|state| state.at = Instant::now());
                for byte in redactor.push(&piece[..read]) {
                    if byte == b'\n' || line.len() >= LONGEST {
                        said.show(&mut line, structured);
                    }
                    if byte != b'\n' {
                        line.push(byte);
                    }
                }
            }
            line.extend(redactor.flush());
            for rest in line.split(|byte| *byte == b'\n') {
                said.show(&mut rest.to_vec(), structured);
            }
        })
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
        self.change(|state| {
            if state.last.len() == KEPT {
                state.last.pop_front();
            }
            state.last.push_back(line);
        });
    }
}
