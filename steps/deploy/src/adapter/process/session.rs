//! The processes of an instance: which they are, and how they are ended.

use std::collections::BTreeSet;
use std::time::Duration;

use rustix::process::Signal;

use super::processes::{self, Process};
use super::service::ProcessService;
use super::state::Run;
use super::{KILL, POLL};
use crate::error::TargetError;
use crate::live::InstanceId;

impl ProcessService {
    /// The labels by which an instance's processes are known, as they stand in their environment.
    pub(super) fn labels(&self, id: InstanceId) -> [(&'static str, String); 5] {
        [
            ("PILOTAGE_PROJECT", self.key.project.to_string()),
            ("PILOTAGE_ENVIRONMENT", self.key.environment.to_string()),
            ("PILOTAGE_SERVICE", self.key.service.to_string()),
            ("PILOTAGE_INSTANCE", id.0.to_string()),
            ("PILOTAGE_STATE", self.dir.state.display().to_string()),
        ]
    }

    /// The processes of an instance: all that carry its labels or are in the session of its recorded run.
    pub(super) fn members(
        &self,
        id: InstanceId,
        run: Option<&Run>,
        all: &[(Process, Vec<u8>)],
    ) -> Vec<Process> {
        let labels = self.labels(id).map(|(name, value)| format!("{name}={value}"));
        let session = run
            .filter(|run| run.boot == processes::boot_id())
            .filter(|run| processes::process(run.pid).is_none_or(|leader| leader.start == run.start))
            .map(|run| (run.pid, run.start));
        all.iter()
            .filter(|(process, environment)| {
                let carried: BTreeSet<&[u8]> = environment.split(|byte| *byte == 0).collect();
                labels.iter().all(|label| carried.contains(label.as_bytes()))
                    || session.is_some_and(|(pid, start)| process.session == pid && process.start >= start)
            })
            .map(|(process, _)| *process)
            .collect()
    }

    /// Ends all processes of an instance: the signal, the grace, the kill.
    pub(super) async fn end(
        &self,
        id: InstanceId,
        run: Option<&Run>,
        signal: Signal,
        grace: Duration,
    ) -> Result<(), TargetError> {
        let mut members = self.members(id, run, &processes::all());
        for (attempt, limit) in [(signal, grace), (Signal::KILL, KILL)] {
            if members.is_empty() {
                break;
            }
            // The leader passes the signal to its group; who is in no led group gets its own.
            let led = |process: &Process| {
                members
                    .iter()
                    .any(|leader| leader.pid == leader.session && leader.pid == process.session)
            };
            for process in &members {
                if process.pid == process.session || !led(process) || attempt == Signal::KILL {
                    processes::signal(*process, attempt);
                }
            }
            let until = tokio::time::Instant::now() + limit;
            while !members.is_empty() && tokio::time::Instant::now() < until {
                for process in &members {
                    processes::reap(process.pid);
                }
                members.retain(|process| processes::runs(process.pid, process.start));
                if members.is_empty() {
                    // Whoever was started meanwhile belongs to it, too.
                    members = self.members(id, run, &processes::all());
                    if !members.is_empty() && attempt != Signal::KILL {
                        break;
                    }
                } else {
                    tokio::time::sleep(POLL).await;
                }
            }
        }
        match members.first() {
            Some(process) => Err(TargetError::Immortal {
                pid: process.pid,
                instance: id,
            }),
            None => Ok(()),
        }
    }
}
