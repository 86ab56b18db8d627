//! What the kernel says of processes: which run, since when, and whose they are.

use std::fs;
use std::path::Path;

use rustix::process::{Pid, Signal, WaitOptions, kill_process, kill_process_group, waitpid};

/// A process as it was seen: the start time keeps it apart from a later one with the same number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Process {
    pub(crate) pid: u32,
    /// Ticks since the boot.
    pub(crate) start: u64,
    pub(crate) session: u32,
}

/// What the kernel says of `pid` now; none when it does not run (a zombie does not).
pub(crate) fn process(pid: u32) -> Option<Process> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    parse_stat(pid, &stat)
}

/// proc(5): the name in parentheses may hold anything, so fields are counted after its last parenthesis.
fn parse_stat(pid: u32, stat: &str) -> Option<Process> {
    let fields: Vec<&str> = stat[stat.rfind(')')? + 1..].split_whitespace().collect();
    let state = fields.first()?;
    if matches!(*state, "Z" | "X" | "x") {
        return None;
    }
    Some(Process {
        pid,
        start: fields.get(19)?.parse().ok()?,
        session: fields.get(3)?.parse().ok()?,
    })
}

/// Whether exactly this process still runs.
pub(crate) fn runs(pid: u32, start: u64) -> bool {
    process(pid).is_some_and(|found| found.start == start)
}

/// Which boot of the machine this is; start times are counted from it.
pub(crate) fn boot_id() -> String {
    fs::read_to_string("/proc/sys/kernel/random/boot_id")
        .map(|text| text.trim().to_owned())
        .unwrap_or_default()
}

/// The variables a process was started with; empty when they may not be read.
pub(crate) fn environment(pid: u32) -> Vec<(String, String)> {
    let bytes = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
    bytes
        .split(|byte| *byte == 0)
        .filter_map(|entry| {
            let (name, value) = std::str::from_utf8(entry).ok()?.split_once('=')?;
            Some((name.to_owned(), value.to_owned()))
        })
        .collect()
}

/// All processes that run now, with the variables they were started with as one byte string.
pub(crate) fn all() -> Vec<(Process, Vec<u8>)> {
    let Ok(entries) = fs::read_dir("/proc") else {
        return Vec::new();
    };
    entries
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok())
        .filter_map(|pid| {
            let environment =
                fs::read(Path::new("/proc").join(pid.to_string()).join("environ")).unwrap_or_default();
            Some((process(pid)?, environment))
        })
        .collect()
}

/// Sends a signal to a process, to its whole group when it leads one; nothing happens when it is another process by
/// now.
pub(crate) fn signal(target: Process, signal: Signal) {
    // The session's leader leads its group as well.
    if target.session != target.pid {
        return signal_one(target, signal);
    }
    if let Some(pid) = same(target) {
        let _ = kill_process_group(pid, signal);
    }
}

/// Sends a signal to one process only.
pub(crate) fn signal_one(target: Process, signal: Signal) {
    // Whoever is gone meanwhile needs no signal.
    if let Some(pid) = same(target) {
        let _ = kill_process(pid, signal);
    }
}

fn same(target: Process) -> Option<Pid> {
    runs(target.pid, target.start)
        .then(|| i32::try_from(target.pid).ok().and_then(Pid::from_raw))
        .flatten()
}

/// How a child of ours ended, in words, when it did; other processes' children have no answer. Reaps it.
pub(crate) fn reap(pid: u32) -> Option<String> {
    let pid = Pid::from_raw(i32::try_from(pid).ok()?)?;
    let (_, status) = waitpid(Some(pid), WaitOptions::NOHANG).ok()??;
    if let Some(code) = status.exit_status() {
        Some(format!("with exit code {code}"))
    } else {
        status
            .terminating_signal()
            .map(|signal| format!("by signal {signal}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hostile_process_name_moves_no_field() {
        let tail = "S 1 42 43 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 9876 1 2";
        let found = parse_stat(42, &format!("42 (a) R 9 9 (x) {tail}")).unwrap();
        assert_eq!((found.session, found.start), (43, 9876));
        assert_eq!(
            parse_stat(42, &format!("42 (a) {}", tail.replacen('S', "Z", 1))),
            None
        );
    }

    #[test]
    fn this_process_runs_and_one_with_another_start_time_does_not() {
        let me = process(std::process::id()).unwrap();
        assert!(runs(me.pid, me.start));
        assert!(!runs(me.pid, me.start + 1));
    }
}
