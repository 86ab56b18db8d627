//! Who is changing something, and whether that process still lives.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// A process that changes something, as it is written down where the next one finds it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holder {
    /// Which boot of which machine, and which numbering of processes there.
    place: String,
    pid: u32,
    /// When the kernel says it was started, in ticks since the boot: a number that is used again has another one.
    start: u64,
    /// Until when it is believed to live where nobody can look.
    until: Timestamp,
}

impl Holder {
    /// This process, which is believed to live until `until` by those who cannot look.
    #[must_use]
    pub fn me(until: Timestamp) -> Self {
        let pid = std::process::id();
        Self {
            place: place(),
            pid,
            start: start_of(pid).unwrap_or(0),
            until,
        }
    }

    /// Whether it may still be at work.
    #[must_use]
    pub fn lives(&self, now: Timestamp) -> bool {
        if self.place == place() {
            start_of(self.pid) == Some(self.start)
        } else {
            now < self.until
        }
    }

    /// In words, for who has to wait.
    #[must_use]
    pub fn describe(&self) -> String {
        if self.place == place() {
            format!("process {}", self.pid)
        } else {
            format!("a process on another machine, until {} at the latest", self.until)
        }
    }
}

fn place() -> String {
    let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    let numbering = std::fs::read_link("/proc/self/ns/pid")
        .map(|link| link.display().to_string())
        .unwrap_or_default();
    format!("{} {numbering}", boot.trim())
}

/// Field 22 of `/proc/PID/stat` (proc(5)); the name before it may hold anything but ends with the last `)`.
fn start_of(pid: u32) -> Option<u64> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, rest) = stat.rsplit_once(')')?;
    let mut fields = rest.split_whitespace();
    let dead = matches!(fields.next()?, "Z" | "X");
    fields.nth(18)?.parse().ok().filter(|_| !dead)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_holder_lives_as_long_as_its_process_or_where_nobody_can_look_until_its_time_is_up() {
        let now: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
        let later: Timestamp = "2026-01-01T01:00:00Z".parse().unwrap();
        let me = Holder::me("2026-01-01T00:30:00Z".parse().unwrap());
        assert!(me.lives(later), "this process lives");
        let gone = Holder {
            start: me.start + 1,
            ..me.clone()
        };
        assert!(!gone.lives(now), "its number belongs to another process now");
        let far = Holder {
            place: "elsewhere".to_owned(),
            ..gone
        };
        assert!(far.lives(now));
        assert!(!far.lives(later));
    }
}
