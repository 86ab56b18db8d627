//! The folder everything happens in, and programs that know nothing of the user's own surroundings.

use std::ffi::OsStr;
use std::fs;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use rustix::process::Signal;
use tempfile::TempDir;
use tokio::process::Command;
use tokio::time::timeout;

use super::crowd::{Member, kill_all, processes_of};
use super::missed::{Missed, Play};

/// How long a release that is asked to stop may take for its clean-up; one has 14 seconds.
const STOPPED: Duration = Duration::from_secs(16);
/// How long `pilotage-deploy down` may take.
const DOWN: Duration = Duration::from_secs(20);
/// How often it is looked whether a process is gone.
const LOOK: Duration = Duration::from_millis(20);
/// How long a program that answers a question may take.
const PROGRAM: Duration = Duration::from_secs(30);

/// The folder of one play. Dropping it ends every process that belongs to it, and removes it.
pub(crate) struct Place {
    folder: TempDir,
    /// The folder's real path, as it stands in the environment of the processes.
    root: PathBuf,
    programs: PathBuf,
    path: std::ffi::OsString,
}

impl Place {
    /// A new folder. `programs` holds the binaries of the house.
    pub(crate) fn new(programs: PathBuf) -> Play<Self> {
        let made = |error| Missed::new("a folder for temporary files can be made", error);
        let folder = tempfile::Builder::new()
            .prefix("pilotage-demo-")
            .tempdir()
            .map_err(made)?;
        let root = folder.path().canonicalize().map_err(made)?;
        for name in ["home", "tmp", "cache", "clones", "artifacts"] {
            fs::create_dir(root.join(name)).map_err(made)?;
        }
        let path = std::env::vars_os().find(|(name, _)| name == "PATH");
        Ok(Self {
            folder,
            root,
            programs,
            path: path.map_or_else(|| "/usr/local/bin:/usr/bin:/bin".into(), |(_, value)| value),
        })
    }

    /// The folder.
    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// Where programs put what they need for a moment.
    pub(crate) fn temporary(&self) -> PathBuf {
        self.root.join("tmp")
    }

    /// A binary of the house.
    pub(crate) fn program(&self, name: &str) -> PathBuf {
        self.programs.join(name)
    }

    /// A command with nothing in its environment but where programs are, and a home in the folder. It is killed when
    /// nobody waits for it any more. A terminal's Ctrl-C does not reach it: what it means is decided by the play.
    pub(crate) fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new(program);
        command
            .env_clear()
            .env("PATH", &self.path)
            .env("HOME", self.root.join("home"))
            .env("TMPDIR", self.temporary())
            .env("XDG_CACHE_HOME", self.root.join("cache"))
            .env("TZ", "UTC")
            .current_dir(&self.root)
            .stdin(Stdio::null())
            .process_group(0)
            .kill_on_drop(true);
        command
    }

    /// Runs a binary of the house to its end.
    pub(crate) async fn runs(&self, name: &str, args: &[&str]) -> Play<Output> {
        let run = self.command(self.program(name)).args(args).output();
        match timeout(PROGRAM, run).await {
            Ok(Ok(output)) => Ok(output),
            Ok(Err(error)) => Err(Missed::new(format!("{name} can be started"), error)),
            Err(_) => Err(Missed::new(
                format!("{name} {} ends", args.join(" ")),
                format!("it still runs after {PROGRAM:?}"),
            )),
        }
    }

    /// As [`Place::runs`], for what has to go well; gives back its stdout.
    pub(crate) async fn runs_well(&self, name: &str, args: &[&str]) -> Play<String> {
        let output = self.runs(name, args).await?;
        let stdout = String::from_utf8_lossy(&output.stdout).into_owned();
        if output.status.success() {
            return Ok(stdout);
        }
        let expected = format!("{name} {} goes well", args.join(" "));
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        let found = format!("it ended with {}", output.status);
        Err(Missed::new(expected, found)
            .log("stdout", stdout)
            .log("stderr", said))
    }

    /// Stops everything that belongs to the place in good order: releases first, so that none begins what nobody would
    /// end; then what they have started.
    pub(crate) async fn settle(&self, config: &Path, target: &str) {
        let releases = || {
            processes_of(&self.root)
                .into_iter()
                .filter(|member| member.name == "pilotage-release")
        };
        releases().for_each(|release| release.signal(Signal::TERM));
        let gone = async {
            while releases().next().is_some() {
                tokio::time::sleep(LOOK).await;
            }
        };
        // What does not go in time is killed with the rest.
        let _ = timeout(STOPPED, gone).await;
        if config.is_file() {
            let config = config.to_string_lossy();
            let down = self
                .command(self.program("pilotage-deploy"))
                .args(["down", "--config", config.as_ref(), "--target", target])
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .status();
            let _ = timeout(DOWN, down).await;
        }
    }

    /// Kills what is left and removes the folder.
    ///
    /// # Errors
    /// A process or a file does not go.
    pub(crate) fn close(self) -> Play<()> {
        let left = kill_all(&self.root);
        if !left.is_empty() {
            return Err(Missed::new("no process is left", list(&left)));
        }
        let gone = fs::remove_dir_all(&self.root);
        match (gone, self.root.exists()) {
            (_, false) => Ok(()),
            (Ok(()), true) => Err(Missed::new("no file is left", "the folder is there again")),
            (Err(error), true) => Err(Missed::new("no file is left", error)),
        }
    }

    /// Kills what is left and keeps the folder; says where it is.
    pub(crate) fn keep(mut self) -> PathBuf {
        kill_all(&self.root);
        self.folder.disable_cleanup(true);
        self.root.clone()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        kill_all(&self.root);
    }
}

fn list(members: &[Member]) -> String {
    let named: Vec<String> = members
        .iter()
        .map(|member| format!("{} ({})", member.name, member.pid))
        .collect();
    named.join(", ")
}

/// An address of this machine that nobody listens on. Ports that the kernel hands out by itself are left to it, and two
/// plays at once, of one process or of two, begin their search at different ones.
pub(crate) fn free_address() -> Play<SocketAddr> {
    const FIRST: u32 = 20_000;
    const COUNT: u32 = 12_000;
    static PLAYS: AtomicU32 = AtomicU32::new(0);
    let play = PLAYS.fetch_add(1, Ordering::Relaxed).wrapping_mul(3);
    let start = std::process::id().wrapping_mul(7919).wrapping_add(play);
    (0..COUNT)
        .filter_map(|step| u16::try_from(FIRST + start.wrapping_add(step * 101) % COUNT).ok())
        .map(|port| SocketAddr::from(([127, 0, 0, 1], port)))
        .find(|address| TcpListener::bind(address).is_ok())
        .ok_or_else(|| Missed::new("a port of this machine is free", "none is"))
}
