//! This machine, read from `/proc`.

use std::fs;
use std::io;

use crate::holder::{Holder, Machine, ProcessHolder};

/// The machine this process runs on.
#[derive(Clone, Debug)]
pub struct LinuxMachine {
    host: String,
    boot: String,
    pid_namespace: Option<String>,
}

impl LinuxMachine {
    /// Reads who this machine is.
    ///
    /// # Errors
    /// `/proc` is not mounted or may not be read.
    pub fn read() -> io::Result<Self> {
        Ok(Self {
            host: fs::read_to_string("/proc/sys/kernel/hostname")?.trim().to_owned(),
            boot: fs::read_to_string("/proc/sys/kernel/random/boot_id")?
                .trim()
                .to_owned(),
            pid_namespace: fs::read_link("/proc/self/ns/pid")
                .ok()
                .and_then(|link| link.into_os_string().into_string().ok()),
        })
    }

    /// A process of this machine as the holder of a release.
    ///
    /// # Errors
    /// There is no such process, or the process table cannot be read.
    pub fn holder(&self, pid: u32) -> io::Result<Holder> {
        let started = self
            .started(pid)?
            .ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, format!("no process {pid}")))?;
        Ok(Holder::Process(ProcessHolder {
            host: self.host.clone(),
            boot: self.boot.clone(),
            pid,
            started,
            pid_namespace: self.pid_namespace.clone(),
        }))
    }

    /// This process as the holder of a release.
    ///
    /// # Errors
    /// The process table cannot be read.
    pub fn this_process(&self) -> io::Result<Holder> {
        self.holder(std::process::id())
    }
}

impl Machine for LinuxMachine {
    fn host(&self) -> &str {
        &self.host
    }

    fn boot(&self) -> &str {
        &self.boot
    }

    fn pid_namespace(&self) -> Option<&str> {
        self.pid_namespace.as_deref()
    }

    fn started(&self, pid: u32) -> io::Result<Option<u64>> {
        let stat = match fs::read_to_string(format!("/proc/{pid}/stat")) {
            Ok(stat) => stat,
            // A process that ends while its file is read answers ESRCH.
            Err(error) if error.kind() == io::ErrorKind::NotFound || error.raw_os_error() == Some(3) => {
                return Ok(None);
            }
            Err(error) => return Err(error),
        };
        let stat =
            parse_stat(&stat).ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "odd /proc stat"))?;
        // A zombie whose threads are all gone only waits to be collected; nothing of it can act any more.
        if stat.state == 'Z' && threads(pid) <= 1 {
            return Ok(None);
        }
        Ok(Some(stat.started))
    }
}

struct Stat {
    state: char,
    started: u64,
}

/// Reads state and start time (fields 3 and 22, proc_pid_stat(5)); the name before them may hold spaces and brackets.
fn parse_stat(text: &str) -> Option<Stat> {
    let (_, rest) = text.rsplit_once(')')?;
    let mut fields = rest.split_ascii_whitespace();
    let state = fields.next()?.chars().next()?;
    let started = fields.nth(18)?.parse().ok()?;
    Some(Stat { state, started })
}

fn threads(pid: u32) -> usize {
    fs::read_dir(format!("/proc/{pid}/task")).map_or(0, Iterator::count)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::holder::{Liveness, liveness};

    #[test]
    fn a_name_with_brackets_does_not_shift_the_fields() {
        let stat = "42 (a) b) R 1 42 42 0 -1 4194304 100 0 0 0 1 2 0 0 20 0 1 0 98765 1000 10";
        let stat = parse_stat(stat).unwrap();
        assert_eq!((stat.state, stat.started), ('R', 98765));
    }

    #[test]
    fn this_process_lives_and_an_ended_child_does_not() {
        let machine = LinuxMachine::read().unwrap();
        assert_eq!(
            liveness(&machine.this_process().unwrap(), &machine),
            Liveness::Alive
        );

        let mut child = std::process::Command::new("cat")
            .stdin(std::process::Stdio::piped())
            .stdout(std::process::Stdio::null())
            .spawn()
            .unwrap();
        let holder = machine.holder(child.id()).unwrap();
        assert_eq!(liveness(&holder, &machine), Liveness::Alive);
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(matches!(liveness(&holder, &machine), Liveness::Dead(_)));
    }
}
