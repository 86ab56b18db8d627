//! The processes that belong to a folder: all that have its path in their environment.

use std::fs;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::time::Duration;

use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

/// How long a killed process may take to be gone.
const GONE: Duration = Duration::from_secs(5);
/// How often it is looked.
const LOOK: Duration = Duration::from_millis(10);

/// A process, held so that its number cannot come to mean another one.
#[derive(Debug)]
pub struct Member {
    handle: OwnedFd,
    /// Its number.
    pub pid: i32,
    /// The name of its program.
    pub name: String,
}

impl Member {
    /// Sends it a signal, unless it has ended.
    pub(crate) fn signal(&self, signal: Signal) {
        let _ = pidfd_send_signal(&self.handle, signal);
    }
}

/// Every process that was started with this folder's path in its environment, and still runs.
#[must_use]
pub fn processes_of(folder: &Path) -> Vec<Member> {
    let own = std::process::id().to_string();
    let numbers = fs::read_dir("/proc").into_iter().flatten().flatten();
    let names = numbers.filter_map(|entry| entry.file_name().into_string().ok());
    names
        .filter(|name| *name != own)
        .filter_map(|name| member(name.parse().ok()?, folder))
        .collect()
}

fn member(pid: i32, folder: &Path) -> Option<Member> {
    // Held first and looked at then: what is read is of the process that the handle means.
    let handle = pidfd_open(Pid::from_raw(pid)?, PidfdFlags::empty()).ok()?;
    // Zombies, and processes of others, show no environment.
    let environment = fs::read(format!("/proc/{pid}/environ")).ok()?;
    // As text: the search in texts is a fast one.
    if !String::from_utf8_lossy(&environment).contains(&*folder.to_string_lossy()) {
        return None;
    }
    let program = fs::read_link(format!("/proc/{pid}/exe")).ok()?;
    let name = program.file_name()?.to_string_lossy().into_owned();
    Some(Member { handle, pid, name })
}

/// Kills every process of the folder. What they start while they are killed is killed as well. Gives back those that
/// would not go.
pub(crate) fn kill_all(folder: &Path) -> Vec<Member> {
    let mut looks = GONE.as_millis() / LOOK.as_millis();
    loop {
        let members = processes_of(folder);
        if members.is_empty() || looks == 0 {
            return members;
        }
        members.iter().for_each(|member| member.signal(Signal::KILL));
        looks -= 1;
        pause();
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "a stranger's process says nothing when it is gone, and this runs where nothing else does any more"
)]
fn pause() {
    std::thread::sleep(LOOK);
}
