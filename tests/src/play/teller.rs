//! Says what happens, in plain words.

use std::io::{IsTerminal as _, Write};
use std::sync::{Mutex, PoisonError};

use tokio::time::Instant;

/// Where the play is told.
pub struct Teller {
    out: Mutex<Box<dyn Write + Send>>,
    color: bool,
    begin: Instant,
}

const BOLD: &str = "1";
const DIM: &str = "2";
const GREEN: &str = "32";
const RED: &str = "31";
const CYAN: &str = "36";

impl Teller {
    /// Tells it on stdout; with colours on a terminal that wants them.
    #[must_use]
    pub fn stdout() -> Self {
        let wanted = !std::env::vars_os().any(|(name, value)| name == "NO_COLOR" && !value.is_empty());
        Self {
            out: Mutex::new(Box::new(std::io::stdout())),
            color: wanted && std::io::stdout().is_terminal(),
            begin: Instant::now(),
        }
    }

    /// Tells nobody.
    #[must_use]
    pub fn quiet() -> Self {
        Self {
            out: Mutex::new(Box::new(std::io::sink())),
            color: false,
            begin: Instant::now(),
        }
    }

    /// Seconds since the play began.
    #[must_use]
    pub fn seconds(&self) -> f64 {
        self.begin.elapsed().as_secs_f64()
    }

    /// An act begins.
    pub fn act(&self, number: usize, title: &str) {
        self.line("");
        self.line(&self.paint(BOLD, &format!("Act {number}. {title}")));
    }

    /// A line as it is.
    pub fn plain(&self, text: &str) {
        self.line(text);
    }

    /// A person does something.
    pub fn does(&self, text: &str) {
        self.line(&format!("  {} {text}", self.paint(CYAN, "▸")));
    }

    /// An expectation was met.
    pub fn sees(&self, text: &str) {
        self.line(&format!("  {} {text}", self.paint(GREEN, "✓")));
    }

    /// An expectation was not met.
    pub fn fails(&self, text: &str) {
        self.line(&format!("  {} {text}", self.paint(RED, "✗")));
    }

    /// A program says something, in one or several lines.
    pub fn says(&self, text: &str) {
        for line in text.lines() {
            self.line(&self.paint(DIM, &format!("    │ {line}")));
        }
    }

    fn paint(&self, code: &str, text: &str) -> String {
        match self.color {
            true => format!("\x1b[{code}m{text}\x1b[0m"),
            false => text.to_owned(),
        }
    }

    fn line(&self, text: &str) {
        let mut out = self.out.lock().unwrap_or_else(PoisonError::into_inner);
        // Whoever stopped listening stops nothing.
        let _ = writeln!(out, "{text}");
        let _ = out.flush();
    }
}
