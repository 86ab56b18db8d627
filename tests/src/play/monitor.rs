//! The monitor as a child, and what it and the releases it starts say.

use std::path::Path;
use std::process::Stdio;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tokio::io::{AsyncBufReadExt as _, AsyncRead, BufReader};
use tokio::process::Child;
use tokio::time::timeout;

use super::missed::{Missed, Play};
use super::place::Place;
use super::teller::Teller;

/// How long it may take to end when it is asked to.
const END: Duration = Duration::from_secs(5);

/// `pilotage-git-monitor run`.
pub(crate) struct Monitor {
    child: Child,
    lines: Arc<Mutex<Vec<String>>>,
    briefly: Arc<AtomicBool>,
}

impl Monitor {
    /// Starts it. What it says to people is told as it comes; that and the logs are kept.
    pub(crate) fn start(place: &Place, teller: &Arc<Teller>, repository: &Path) -> Play<Self> {
        let child = place
            .command(place.program("pilotage-git-monitor"))
            .args(["run", "--interval", "200ms", "--color", "never", "--repo"])
            .arg(repository)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|error| Missed::new("pilotage-git-monitor can be started", error))?;
        let monitor = Self {
            lines: Arc::default(),
            briefly: Arc::default(),
            child,
        };
        Ok(monitor.listening(teller))
    }

    fn listening(mut self, teller: &Arc<Teller>) -> Self {
        if let Some(pipe) = self.child.stdout.take() {
            self.listen(pipe, teller);
        }
        if let Some(pipe) = self.child.stderr.take() {
            self.listen(pipe, teller);
        }
        self
    }

    fn listen(&self, pipe: impl AsyncRead + Unpin + Send + 'static, teller: &Arc<Teller>) {
        let (teller, kept, briefly) = (
            Arc::clone(teller),
            Arc::clone(&self.lines),
            Arc::clone(&self.briefly),
        );
        tokio::spawn(async move {
            let mut lines = BufReader::new(pipe).lines();
            while let Ok(Some(line)) = lines.next_line().await {
                let shown = match briefly.load(Ordering::Relaxed) {
                    true => is_news(&line),
                    false => !is_log(&line),
                };
                if shown {
                    teller.says(&line);
                }
                kept.lock().unwrap_or_else(PoisonError::into_inner).push(line);
            }
        });
    }

    /// From now on only the news are told, or everything that is said to people.
    pub(crate) fn tell_briefly(&self, briefly: bool) {
        self.briefly.store(briefly, Ordering::Relaxed);
    }

    /// The lines so far.
    pub(crate) fn lines(&self) -> Vec<String> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// How it ended, if it did.
    pub(crate) fn ended(&mut self) -> Option<String> {
        match self.child.try_wait() {
            Ok(None) => None,
            Ok(Some(status)) => Some(status.to_string()),
            Err(error) => Some(error.to_string()),
        }
    }

    /// Asks it to end, and waits for that.
    ///
    /// # Errors
    /// It does not end in time, or not as it should.
    pub(crate) async fn stop(mut self) -> Play<()> {
        let pid = self
            .child
            .id()
            .and_then(|pid| Pid::from_raw(i32::try_from(pid).ok()?));
        if let Some(pid) = pid {
            // A child that nobody has waited for keeps its number.
            let _ = kill_process(pid, Signal::TERM);
        }
        let expected = "the monitor ends with 143 when it is asked to";
        match timeout(END, self.child.wait()).await {
            Ok(Ok(status)) if status.code() == Some(143) => Ok(()),
            Ok(Ok(status)) => Err(Missed::new(expected, status)),
            Ok(Err(error)) => Err(Missed::new(expected, error)),
            Err(_) => Err(Missed::new(expected, "it still runs")),
        }
    }
}

/// Whether a line is of a log: a moment, then the level. What it tells stands in a message too, or matters only when
/// something went wrong.
fn is_log(line: &str) -> bool {
    ["Z  INFO ", "Z  WARN ", "Z DEBUG "]
        .iter()
        .any(|level| line.contains(level))
}

/// Whether a line says what became of a release.
fn is_news(line: &str) -> bool {
    [" is released", " FAILED", " is REFUSED", "Z ERROR "]
        .iter()
        .any(|news| line.contains(news))
}
