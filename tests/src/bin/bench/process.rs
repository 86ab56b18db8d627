//! What a process uses: from its start to its end, or between two moments of its life.

use std::io;
use std::os::unix::process::ExitStatusExt as _;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use crate::Trouble;
use crate::sample::Sample;

/// What a process used from its start to its end.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct Used {
    /// From the call that starts it to its end.
    pub(crate) wall: Duration,
    /// Its own time on a processor and that of the children it waited for.
    pub(crate) cpu: Duration,
    /// The most memory it had resident, in bytes. What the starting process had at that moment is its lower end.
    pub(crate) memory: u64,
}

/// Runs a command to its end.
pub(crate) fn used(command: &mut Command) -> io::Result<(ExitStatus, Used)> {
    let begin = Instant::now();
    let child = command.spawn()?;
    let (status, usage) = wait(child)?;
    let wall = begin.elapsed();
    let time = |time: libc::timeval| {
        let part = |part: i64| u64::try_from(part).unwrap_or_default();
        Duration::from_secs(part(time.tv_sec)) + Duration::from_micros(part(time.tv_usec))
    };
    let used = Used {
        wall,
        cpu: time(usage.ru_utime) + time(usage.ru_stime),
        memory: u64::try_from(usage.ru_maxrss).unwrap_or_default() * 1024,
    };
    Ok((status, used))
}

#[expect(
    unsafe_code,
    reason = "what a child used is told by wait4 alone, which no safe crate of the house has"
)]
fn wait(child: Child) -> io::Result<(ExitStatus, libc::rusage)> {
    let pid = libc::pid_t::try_from(child.id()).map_err(io::Error::other)?;
    let mut status = 0;
    loop {
        // SAFETY: all zeroes is a valid `rusage`, which holds numbers only.
        let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
        // SAFETY: both pointers are to locals that live through the call, and the child is ours and not reaped yet:
        // `child` is waited for nowhere else.
        if unsafe { libc::wait4(pid, &raw mut status, 0, &raw mut usage) } == pid {
            return Ok((ExitStatus::from_raw(status), usage));
        }
        let error = io::Error::last_os_error();
        if error.kind() != io::ErrorKind::Interrupted {
            return Err(error);
        }
    }
}

/// How often a program is started before it counts.
const WARM: usize = 3;

/// The inner command `launch`: starts a program again and again and prints what each start used. It is a process of its
/// own because a child begins with the memory of whoever starts it, so that has to be a small one.
pub(crate) fn launch(times: &str, program: &str, rest: &[&str]) -> Result<String, Trouble> {
    let mut all = Vec::new();
    for _ in 0..WARM + times.parse::<usize>()? {
        let mut command = Command::new(program);
        command.args(rest).stdin(Stdio::null()).stdout(Stdio::null());
        let (status, used) = used(&mut command)?;
        if !status.success() {
            return Err(format!("it ended with {status}").into());
        }
        all.push(used);
    }
    Ok(serde_json::to_string(&all[WARM..])?)
}

/// Runs one of this program's inner commands and reads what it prints.
pub(crate) fn inner<T: for<'a> Deserialize<'a>>(
    arguments: impl IntoIterator<Item = impl AsRef<std::ffi::OsStr>>,
) -> Result<T, Trouble> {
    let output = Command::new(std::env::current_exe()?)
        .args(arguments)
        .stdin(Stdio::null())
        .output()?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).trim().into());
    }
    Ok(serde_json::from_slice(&output.stdout)?)
}

/// Wall time in milliseconds and the most memory in megabytes.
pub(crate) fn wall_and_memory(all: &[Used]) -> (Sample, Sample) {
    let wall = Sample::milliseconds(all.iter().map(|used| used.wall));
    let memory = Sample::of(all.iter().map(|used| megabytes(used.memory)));
    (wall, memory)
}

#[expect(clippy::cast_precision_loss, reason = "sizes of processes are far below 2^53")]
pub(crate) fn megabytes(bytes: u64) -> f64 {
    bytes as f64 / 1e6
}

/// The time that the living threads of a process have spent on a processor, to the nanosecond.
pub(crate) fn cpu_so_far(pid: u32) -> io::Result<Duration> {
    let mut nanoseconds = 0;
    for thread in std::fs::read_dir(format!("/proc/{pid}/task"))? {
        let text = std::fs::read_to_string(thread?.path().join("schedstat"))?;
        let first = text.split(' ').next().unwrap_or_default();
        nanoseconds += first.trim().parse::<u64>().map_err(io::Error::other)?;
    }
    Ok(Duration::from_nanos(nanoseconds))
}

/// The most memory this process ever had resident, in megabytes.
pub(crate) fn own_peak() -> io::Result<f64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kilobytes = line
        .and_then(|line| line.trim().strip_suffix("kB"))
        .and_then(|number| number.trim().parse::<u64>().ok())
        .ok_or_else(|| io::Error::other("the kernel does not tell VmHWM"))?;
    Ok(megabytes(kilobytes * 1024))
}
