//! A command beside an instance, as if it were one of its own.

use std::io;
use std::path::Path;
use std::pin::pin;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use pilotage_check::{NoAnswer, Observation};
use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::process::Command;
use tokio::time::{Instant, timeout};

use super::processes;

/// The most that is kept of each of its two outputs; the end counts.
const KEPT: usize = 4096;
/// After its end, for what it said last.
const PIPES: Duration = Duration::from_millis(200);

/// Runs a program in the folder and with the variables of the instance whose first process is `pid`. Whatever it starts in
/// its group ends with it.
pub(super) async fn execute(command: &[String], pid: u32, directory: &Path, limit: Duration) -> Observation {
    let began = Instant::now();
    let silent = |cause, detail: String| Observation::NoAnswer {
        cause,
        detail,
        elapsed: began.elapsed(),
    };
    match timeout(limit, to_its_end(command, pid, directory)).await {
        Ok(Ok((status, output))) => Observation::Exited {
            code: status.code(),
            output,
            elapsed: began.elapsed(),
        },
        // As a shell would say it, and the engines do.
        Ok(Err(error)) if error.kind() == io::ErrorKind::NotFound => Observation::Exited {
            code: Some(127),
            output: error.to_string(),
            elapsed: began.elapsed(),
        },
        Ok(Err(error)) if error.kind() == io::ErrorKind::PermissionDenied => Observation::Exited {
            code: Some(126),
            output: error.to_string(),
            elapsed: began.elapsed(),
        },
        Ok(Err(error)) => silent(NoAnswer::NotRunning, error.to_string()),
        Err(_) => silent(NoAnswer::Timeout, format!("no end within {limit:?}")),
    }
}

async fn to_its_end(command: &[String], pid: u32, directory: &Path) -> io::Result<(ExitStatus, String)> {
    let (program, arguments) = command
        .split_first()
        .ok_or_else(|| io::Error::from(io::ErrorKind::NotFound))?;
    let mut child = Command::new(program)
        .args(arguments)
        .env_clear()
        .envs(processes::environment(pid))
        .current_dir(directory)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .kill_on_drop(true)
        .spawn()?;
    let _group = Group(child.id().and_then(|id| Pid::from_raw(i32::try_from(id).ok()?)));
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    let (mut said, mut complained) = (Vec::new(), Vec::new());
    let status = {
        let mut heard = pin!(async { tokio::join!(last(stdout, &mut said), last(stderr, &mut complained)) });
        let mut silent = false;
        let status = loop {
            tokio::select! {
                status = child.wait() => break status?,
                _ = &mut heard, if !silent => silent = true,
            }
        };
        if !silent {
            // Who holds its outputs open beyond its end is not waited for long.
            let _ = timeout(PIPES, heard).await;
        }
        status
    };
    said.extend_from_slice(&complained);
    Ok((status, String::from_utf8_lossy(&said).into_owned()))
}

/// The processes that a command has started and that stayed in its group. They end with it.
struct Group(Option<Pid>);

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(group) = self.0 {
            // Nobody is left in it, as a rule.
            let _ = kill_process_group(group, Signal::KILL);
        }
    }
}

/// Keeps the last that comes out of a pipe.
async fn last(pipe: Option<impl AsyncRead + Unpin>, kept: &mut Vec<u8>) {
    let Some(mut pipe) = pipe else { return };
    while pipe.read_buf(kept).await.is_ok_and(|read| read > 0) {
        let over = kept.len().saturating_sub(KEPT);
        kept.drain(..over);
    }
}
