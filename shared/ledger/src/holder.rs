//! Who holds a running release, and whether that holder can be proved to be gone.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::text::one_line;

/// Who runs a release.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Holder {
    /// A process of a machine.
    Process(ProcessHolder),
    /// A build of a CI server.
    Build(BuildHolder),
    /// A kind of holder of a later version; it can be waited for, or abandoned by a person.
    Other(serde_json::Value),
}

/// A process, by what tells it apart from every other one: a process id alone is used again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ProcessHolder {
    /// Name of the machine or container.
    pub host: String,
    /// Id of the machine's current boot (`/proc/sys/kernel/random/boot_id`).
    pub boot: String,
    /// Process id.
    pub pid: u32,
    /// Start of the process in clock ticks since boot (field 22 of `/proc/<pid>/stat`).
    pub started: u64,
    /// Namespace in which the process id counts (`/proc/self/ns/pid`); absent where it could not be read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pid_namespace: Option<String>,
}

/// A build of a CI server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct BuildHolder {
    /// Address of the build, for people.
    pub url: String,
}

impl Holder {
    /// A build of a CI server, known by its address.
    pub fn build(url: impl Into<String>) -> Self {
        Self::Build(BuildHolder { url: url.into() })
    }
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Process(process) => write!(f, "process {} on {}", process.pid, one_line(&process.host)),
            Self::Build(build) => f.write_str(&one_line(&build.url)),
            Self::Other(_) => f.write_str("a holder of a kind this version does not know"),
        }
    }
}

/// What is known of a holder's life.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Liveness {
    /// It runs.
    Alive,
    /// It is provably gone; the text says how that is known.
    Dead(String),
    /// It cannot be told from here.
    Unknown,
}

/// Asks the machine this process runs on about itself and its processes.
pub trait Machine: Send + Sync {
    /// Name of the machine or container.
    fn host(&self) -> &str;
    /// Id of the current boot.
    fn boot(&self) -> &str;
    /// The namespace in which process ids are counted here.
    fn pid_namespace(&self) -> Option<&str>;
    /// Start of a process in clock ticks since boot, or nothing when no such process runs. `Err` when it cannot be told.
    ///
    /// # Errors
    /// The process table could not be read.
    fn started(&self, pid: u32) -> std::io::Result<Option<u64>>;
}

/// The pid namespace of a machine outside any container: the kernel gives the first one a fixed number
/// (`PROC_PID_INIT_INO` in Linux' include/linux/proc_ns.h).
const FIRST_PID_NAMESPACE: &str = "pid:[4026531836]";

/// Tells whether a holder still lives, as seen from `machine`.
///
/// Only two things prove a death: the same boot of the same host knows no such process any more, or the host has booted
/// since. Inside a container neither a missing process nor another boot proves anything about another container of
/// the same name, so both need the same, or the machine's own, process table.
pub fn liveness(holder: &Holder, machine: &dyn Machine) -> Liveness {
    let Holder::Process(process) = holder else {
        return Liveness::Unknown;
    };
    if process.host != machine.host() {
        return Liveness::Unknown;
    }
    let theirs = process.pid_namespace.as_deref();
    let ours = machine.pid_namespace();
    if process.boot != machine.boot() {
        let outside = |namespace: Option<&str>| namespace.is_none_or(|n| n == FIRST_PID_NAMESPACE);
        return if outside(theirs) && outside(ours) {
            Liveness::Dead(format!("{} has booted since", one_line(&process.host)))
        } else {
            Liveness::Unknown
        };
    }
    if theirs != ours {
        return Liveness::Unknown;
    }
    match machine.started(process.pid) {
        Ok(Some(started)) if started == process.started => Liveness::Alive,
        Ok(Some(_)) => Liveness::Dead(format!(
            "{holder} has ended, its number belongs to another process"
        )),
        Ok(None) => Liveness::Dead(format!("{holder} has ended")),
        Err(_) => Liveness::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Here {
        boot: &'static str,
        namespace: Option<&'static str>,
    }

    impl Machine for Here {
        fn host(&self) -> &str {
            "ci-1"
        }
        fn boot(&self) -> &str {
            self.boot
        }
        fn pid_namespace(&self) -> Option<&str> {
            self.namespace
        }
        fn started(&self, pid: u32) -> std::io::Result<Option<u64>> {
            match pid {
                7 => Ok(Some(700)),
                8 => Err(std::io::Error::other("no table")),
                _ => Ok(None),
            }
        }
    }

    fn process(host: &str, boot: &str, pid: u32, namespace: Option<&str>) -> Holder {
        Holder::Process(ProcessHolder {
            host: host.into(),
            boot: boot.into(),
            pid,
            started: 700,
            pid_namespace: namespace.map(Into::into),
        })
    }

    #[test]
    fn a_death_needs_proof() {
        let here = Here {
            boot: "b1",
            namespace: Some(FIRST_PID_NAMESPACE),
        };
        let first = Some(FIRST_PID_NAMESPACE);
        assert_eq!(liveness(&process("ci-1", "b1", 7, first), &here), Liveness::Alive);
        assert_eq!(
            liveness(&process("ci-1", "b1", 9, first), &here),
            Liveness::Dead("process 9 on ci-1 has ended".into())
        );
        assert_eq!(
            liveness(&process("ci-1", "b0", 7, first), &here),
            Liveness::Dead("ci-1 has booted since".into())
        );
        for unknown in [
            process("ci-2", "b1", 9, first),
            process("ci-1", "b1", 8, first),
            process("ci-1", "b1", 9, Some("pid:[4026532000]")),
            process("ci-1", "b0", 9, Some("pid:[4026532000]")),
            Holder::build("https://ci.example.com/job/shop/17/"),
            Holder::Other(serde_json::json!({"moon": 1})),
        ] {
            assert_eq!(liveness(&unknown, &here), Liveness::Unknown, "{unknown}");
        }
    }

    #[test]
    fn a_reused_process_id_is_another_process() {
        let here = Here {
            boot: "b1",
            namespace: None,
        };
        let Holder::Process(mut holder) = process("ci-1", "b1", 7, None) else {
            unreachable!()
        };
        holder.started = 1;
        assert!(matches!(
            liveness(&Holder::Process(holder), &here),
            Liveness::Dead(_)
        ));
    }

    #[test]
    fn holders_read_by_their_shape() {
        let read = |text: &str| serde_json::from_str::<Holder>(text).unwrap();
        assert!(matches!(
            read(r#"{"url": "https://ci/1", "later": true}"#),
            Holder::Build(_)
        ));
        assert!(matches!(
            read(r#"{"host":"h","boot":"b","pid":1,"started":2}"#),
            Holder::Process(_)
        ));
        assert!(matches!(read(r#"{"pod": "x"}"#), Holder::Other(_)));
    }
}
