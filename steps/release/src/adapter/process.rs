//! Stages as processes of this machine.

use std::ffi::{OsStr, OsString};
use std::io::Write as _;
use std::os::unix::process::ExitStatusExt as _;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use pilotage_diagnostic::printable;
use pilotage_secret::{Redactor, Secret};
use pilotage_step::{CHANNEL_VARIABLES, Cancel, Context, Env, child_environment, sibling};
use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::process::{Child, Command};
use tokio::time::Instant;

use crate::port::{Call, Ended, Exit, Launcher, Needs};

/// How long past its own deadline, or after it was asked to stop, a stage may take for its own clean-up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Patience {
    /// Past its deadline: it ends itself there, within the clean-up every step is given.
    pub overdue: Duration,
    /// After it was asked to stop.
    pub stop: Duration,
    /// After its end, for what it said last.
    pub pipes: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            overdue: Duration::from_secs(12),
            stop: Duration::from_secs(9),
            pipes: Duration::from_millis(500),
        }
    }
}

/// Runs stages as child processes, each in a group of its own.
#[derive(Clone, Debug)]
pub struct Processes {
    env: Env,
    ca_files: Vec<PathBuf>,
    redactor: Redactor,
    patience: Patience,
    /// Lines of stages go to the log as events instead of plain lines.
    structured: bool,
}

impl Processes {
    /// Runs them with what this environment lets through.
    #[must_use]
    pub fn new(cx: &Context, structured: bool) -> Self {
        // A webhook's address is as good as a password; the frame knows only names that say so.
        for (name, value) in cx.env.iter() {
            if let (Some(name), Some(value)) = (name.to_str(), value.to_str())
                && name.starts_with("PILOTAGE_")
                && name.ends_with("_WEBHOOK")
            {
                cx.redactor.register_named(name, &Secret::new(value));
            }
        }
        Self {
            env: cx.env.clone(),
            ca_files: cx.ca_files.clone(),
            redactor: cx.redactor.clone(),
            patience: Patience::default(),
            structured,
        }
    }

    /// The same with another patience; for tests.
    #[must_use]
    pub fn with_patience(mut self, patience: Patience) -> Self {
        self.patience = patience;
        self
    }

    fn variables(&self, call: &Call) -> Vec<(OsString, OsString)> {
        let mut variables = match &call.needs {
            Needs::Nothing => child_environment(&self.env, &[]),
            Needs::Secrets(prefix) => child_environment(&self.env, &[&format!("{prefix}*")]),
            Needs::Channels => child_environment(&self.env, &CHANNEL_VARIABLES),
        };
        if !self.ca_files.is_empty() {
            let files: Vec<&OsStr> = self.ca_files.iter().map(|path| path.as_os_str()).collect();
            variables.push(("PILOTAGE_CA_FILE".into(), files.join(OsStr::new("\n"))));
        }
        variables.extend(
            call.environment
                .iter()
                .map(|(name, value)| (name.into(), value.into())),
        );
        variables
    }

    async fn child(&self, call: &Call, cancel: &Cancel) -> Exit {
        let mut command = Command::new(sibling(&call.program));
        command
            .args(&call.arguments)
            .env_clear()
            .envs(self.variables(call))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0);
        let mut child = match command.spawn() {
            Ok(child) => child,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Exit::NotStarted(format!(
                    "{} is neither beside this program nor on PATH",
                    call.program
                ));
            }
            Err(error) => return Exit::NotStarted(format!("{} cannot be started: {error}", call.program)),
        };
        let log = std::fs::File::create(&call.log)
            .ok()
            .map(|file| Arc::new(Mutex::new(file)));
        let readers = [
            child
                .stdout
                .take()
                .map(|pipe| self.listen(pipe, &call.label, log.clone())),
            child
                .stderr
                .take()
                .map(|pipe| self.listen(pipe, &call.label, log)),
        ];
        let exit = self.wait(&mut child, call, cancel).await;
        // Something a stage has left behind may hold the pipes open for ever.
        let said = futures::future::join_all(readers.into_iter().flatten());
        let _ = tokio::time::timeout(self.patience.pipes, said).await;
        exit
    }

    async fn wait(&self, child: &mut Child, call: &Call, cancel: &Cancel) -> Exit {
        let group = child.id().and_then(|id| Pid::from_raw(i32::try_from(id).ok()?));
        let signal = |signal: Signal| {
            if let Some(group) = group {
                // It may have ended at this very moment.
                let _ = kill_process_group(group, signal);
            }
        };
        let overdue = Instant::now() + call.deadline + self.patience.overdue;
        let (forced, end) = tokio::select! {
            biased;
            status = child.wait() => return exit_of(status),
            reason = cancel.cancelled() => {
                tracing::info!("{}: asked to stop ({reason})", call.label);
                (Exit::Stopped, Instant::now() + self.patience.stop)
            }
            () = tokio::time::sleep_until(overdue) => {
                tracing::warn!("{}: did not end at its deadline of {:?}", call.label, call.deadline);
                (Exit::Overdue, Instant::now() + self.patience.overdue / 4)
            }
        };
        signal(Signal::TERM);
        tokio::select! {
            biased;
            status = child.wait() => {
                // What it had started and did not take along; the number stays the group's while one of them lives.
                signal(Signal::KILL);
                match forced {
                    Exit::Overdue => Exit::Overdue,
                    _ => exit_of(status),
                }
            }
            () = tokio::time::sleep_until(end) => {
                tracing::warn!("{}: killed, it did not end when it was asked to", call.label);
                signal(Signal::KILL);
                let _ = child.wait().await;
                forced
            }
        }
    }

    /// Shows what a stage says, line by line and without secrets, on stderr and in its log.
    fn listen(
        &self,
        mut pipe: impl AsyncRead + Unpin + Send + 'static,
        label: &str,
        log: Option<Arc<Mutex<std::fs::File>>>,
    ) -> tokio::task::JoinHandle<()> {
        let mut redactor = self.redactor.stream();
        let (label, structured) = (label.to_owned(), self.structured);
        tokio::spawn(async move {
            let mut lines = Lines {
                label,
                structured,
                log,
                begun: Vec::new(),
            };
            let mut piece = vec![0_u8; 8192];
            loop {
                match pipe.read(&mut piece).await {
                    Ok(0) | Err(_) => break,
                    Ok(read) => lines.push(&redactor.push(&piece[..read])),
                }
            }
            lines.push(&redactor.flush());
            lines.end();
        })
    }
}

/// The longest line that is shown as one.
const LONGEST_LINE: usize = 16 * 1024;

struct Lines {
    label: String,
    structured: bool,
    log: Option<Arc<Mutex<std::fs::File>>>,
    begun: Vec<u8>,
}

impl Lines {
    fn push(&mut self, bytes: &[u8]) {
        for byte in bytes {
            if *byte == b'\n' || self.begun.len() >= LONGEST_LINE {
                self.end();
            }
            if *byte != b'\n' {
                self.begun.push(*byte);
            }
        }
    }

    fn end(&mut self) {
        if self.begun.is_empty() {
            return;
        }
        let line = String::from_utf8_lossy(&self.begun);
        let line = printable(line.trim_end_matches('\r'));
        if let Some(log) = &self.log {
            // The log is a help and no record.
            let _ = writeln!(log.lock().unwrap_or_else(PoisonError::into_inner), "{line}");
        }
        if self.structured {
            tracing::info!(stage = self.label, "{line}");
        } else {
            let _ = writeln!(std::io::stderr(), "{} │ {line}", self.label);
        }
        self.begun.clear();
    }
}

fn exit_of(status: std::io::Result<std::process::ExitStatus>) -> Exit {
    match status {
        Ok(status) => match (
            status.code().and_then(|code| u8::try_from(code).ok()),
            status.signal(),
        ) {
            (Some(code), _) => Exit::Code(code),
            (None, Some(signal)) => Exit::Signal(signal),
            (None, None) => Exit::NotStarted("how it ended cannot be told".to_owned()),
        },
        Err(error) => Exit::NotStarted(format!("how it ended cannot be told: {error}")),
    }
}

impl Launcher for Processes {
    async fn run(&self, call: &Call, cancel: &Cancel) -> Ended {
        let begin = Instant::now();
        let exit = self.child(call, cancel).await;
        Ended {
            exit,
            took: begin.elapsed(),
        }
    }
}
