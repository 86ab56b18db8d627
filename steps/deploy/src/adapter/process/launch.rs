//! Starting a program that outlives the deploy.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::process::{Command, Stdio};

use process_wrap::std::{CommandWrap, ProcessSession};

use crate::error::TargetError;

/// Starts `argv` in a session of its own, with exactly these variables, nothing on standard input, and what it says
/// appended to `stdout` and `stderr`. The process is its session's leader.
///
/// # Errors
/// When the logs cannot be opened or the program cannot be started.
pub(crate) fn launch(
    argv: &[String],
    environment: &BTreeMap<String, String>,
    directory: &Path,
    stdout: &Path,
    stderr: &Path,
) -> Result<u32, TargetError> {
    let Some((program, arguments)) = argv.split_first() else {
        return Err(TargetError::Placeholder {
            name: "command".to_owned(),
            reason: "is empty",
        });
    };
    // A program named by a relative path is meant from where the deploy runs, not from inside the instance.
    let program = if program.contains('/') {
        std::path::absolute(program).map_err(TargetError::io("find", Path::new(program)))?
    } else {
        program.into()
    };
    let (stdout, stderr) = (log(stdout)?, log(stderr)?);
    let child = CommandWrap::with_new(&program, |command: &mut Command| {
        command
            .args(arguments)
            .env_clear()
            .envs(environment)
            .current_dir(directory)
            .stdin(Stdio::null())
            .stdout(stdout)
            .stderr(stderr);
    })
    .wrap(ProcessSession)
    .spawn()
    .map_err(|source| TargetError::Spawn {
        program: program.display().to_string(),
        source,
    })?;
    Ok(child.id())
}

fn log(path: &Path) -> Result<File, TargetError> {
    OpenOptions::new()
        .create(true)
        .append(true)
        .mode(0o600)
        .open(path)
        .map_err(TargetError::io("open", path))
}

/// The last lines of a log beyond its first `since` bytes, at most `lines` and 4 KiB of them; empty when there is no log.
pub(crate) fn last_lines(path: &Path, since: u64, lines: usize) -> String {
    use std::io::{Read, Seek, SeekFrom};
    const MOST: u64 = 4096;
    let read = || -> std::io::Result<String> {
        let mut file = File::open(path)?;
        let length = file.metadata()?.len();
        file.seek(SeekFrom::Start(length.saturating_sub(MOST).max(since)))?;
        let mut bytes = Vec::new();
        file.take(MOST).read_to_end(&mut bytes)?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    };
    let text = read().unwrap_or_default();
    let all: Vec<&str> = text.lines().collect();
    all[all.len().saturating_sub(lines)..].join("\n")
}
