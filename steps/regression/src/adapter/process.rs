use std::ffi::OsString;
use std::os::unix::process::ExitStatusExt as _;
use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use pilotage_secret::Redactor;
use pilotage_step::Cancel;
use rustix::process::{Pid, Signal, kill_process_group, test_kill_process_group};
use tokio::process::{Child, Command};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep_until, timeout};

use crate::adapter::lines::{Said, silence};
use crate::port::{Ended, Exit, HURRY, Run, Suite};

/// After its end, for what a suite said last.
const PIPES: Duration = Duration::from_millis(500);

/// Runs a suite as a child process, in a group of its own.
#[derive(Clone, Debug)]
pub struct Processes {
    /// The program and its arguments.
    pub command: Vec<String>,
    /// Its whole environment, but for the number of the attempt.
    pub environment: Vec<(OsString, OsString)>,
    /// Where it runs.
    pub directory: PathBuf,
    /// Takes secrets out of what it says.
    pub redactor: Redactor,
    /// Whether its lines go to the log as events.
    pub structured: bool,
}

impl Suite for Processes {
    async fn run(&self, run: Run, cancel: &Cancel) -> Ended {
        let began = Instant::now();
        let said = Said::new();
        let mut ended = Ended {
            exit: Exit::NotStarted("it has no program".to_owned()),
            took: Duration::ZERO,
            last: Vec::new(),
            left_behind: false,
            killed: false,
        };
        match self.spawn(&run) {
            Ok(mut child) => {
                let pipes = [
                    child
                        .stdout
                        .take()
                        .map(|pipe| said.listen(pipe, &self.redactor, self.structured)),
                    child
                        .stderr
                        .take()
                        .map(|pipe| said.listen(pipe, &self.redactor, self.structured)),
                ];
                let mut running = Running {
                    group: child.id().and_then(|id| Pid::from_raw(i32::try_from(id).ok()?)),
                    child,
                    pipes: pipes.into_iter().flatten().collect(),
                };
                (ended.exit, ended.killed) = running.wait(&run, &said, cancel).await;
                ended.left_behind = running.clear().await;
            }
            Err(reason) => ended.exit = Exit::NotStarted(reason),
        }
        ended.took = began.elapsed();
        ended.last = said.last();
        ended
    }
}

impl Processes {
    fn spawn(&self, run: &Run) -> Result<Child, String> {
        let (program, arguments) = self.command.split_first().ok_or("it has no program")?;
        let mut command = Command::new(program);
        command
            .args(arguments)
            .env_clear()
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .env("PILOTAGE_ATTEMPT", run.attempt.to_string())
            .envs(run.failed.iter().map(|failed| ("PILOTAGE_FAILED_TESTS", failed)))
            .current_dir(&self.directory)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .kill_on_drop(true);
        command.spawn().map_err(|error| {
            let program = pilotage_diagnostic::printable(program);
            format!("`{program}` cannot be started: {error}")
        })
    }
}

struct Running {
    child: Child,
    group: Option<Pid>,
    pipes: Vec<JoinHandle<()>>,
}

impl Running {
    /// Waits for the end, or brings it about; says whether it had to be killed.
    async fn wait(&mut self, run: &Run, said: &Said, cancel: &Cancel) -> (Exit, bool) {
        let end = Instant::now() + run.timeout;
        let (forced, grace) = tokio::select! {
            biased;
            status = self.child.wait() => return (exit_of(status), false),
            reason = cancel.cancelled() => (Exit::Stopped(reason), run.grace.min(HURRY)),
            () = sleep_until(end) => (Exit::TimedOut, run.grace),
            () = silence(said, run.idle) => (Exit::Idle, run.grace),
        };
        self.signal(Signal::TERM);
        let end = Instant::now() + grace;
        let ended = tokio::select! {
            biased;
            _ = self.child.wait() => true,
            () = sleep_until(end) => false,
        };
        if ended {
            // What it had started may still be writing reports; it is over when the pipes are closed.
            let rest = futures::future::join_all(self.pipes.iter_mut());
            let _ = tokio::time::timeout_at(end, rest).await;
            self.pipes.retain(|pipe| !pipe.is_finished());
        } else {
            self.signal(Signal::KILL);
            let _ = self.child.wait().await;
        }
        (forced, !ended)
    }

    /// Ends what is left of the group and hears the last of the pipes. Says whether something was left.
    async fn clear(self) -> bool {
        // The number stays the group's as long as one of its processes lives.
        let left = self
            .group
            .is_some_and(|group| test_kill_process_group(group).is_ok());
        if left {
            self.signal(Signal::KILL);
        }
        // A process that made a group of its own may hold the pipes open for ever.
        for mut pipe in self.pipes {
            if timeout(PIPES, &mut pipe).await.is_err() {
                pipe.abort();
            }
        }
        left
    }

    fn signal(&self, signal: Signal) {
        if let Some(group) = self.group {
            // It may have ended at this very moment.
            let _ = kill_process_group(group, signal);
        }
    }
}

fn exit_of(status: std::io::Result<ExitStatus>) -> Exit {
    match status {
        Ok(status) => match (status.code(), status.signal()) {
            (Some(code), _) => Exit::Code(code),
            (None, Some(signal)) => Exit::Signal(signal),
            (None, None) => Exit::NotStarted("how it ended cannot be told".to_owned()),
        },
        Err(error) => Exit::NotStarted(format!("how it ended cannot be told: {error}")),
    }
}
