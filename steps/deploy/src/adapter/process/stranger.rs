//! Whether it is the instance that listens on its ports, and who else.

use std::fs;

use pilotage_diagnostic::printable;

use super::listener::{Holds, Listener, listeners};
use super::processes::{self, Process};
use super::service::{ProcessService, alive};
use super::state::Run;
use crate::live::InstanceId;
use crate::port::Setback;

impl ProcessService {
    /// Who listens in place of the instance; nobody is no stranger.
    pub(super) fn find_stranger(&self, id: InstanceId, port: &str) -> Option<Setback> {
        let record = self.record(id).ok()?;
        let run = record.run.as_ref()?;
        let address = *run.addresses.get(port)?;
        let fixed = record
            .ports
            .iter()
            .any(|known| known.name == port && known.fixed.is_some());
        let foreign = |listener: &Listener| listener.held_by(run.pid) != Holds::Yes;
        let listener = listeners(address).into_iter().find(foreign)?;
        // A process that was started during the first look is found by the second.
        self.outsider(id, run, listener)?;
        let who = self.outsider(id, run, listener)?;
        // What ended meanwhile has let go of its sockets.
        if !alive(run) || !listeners(address).contains(&listener) {
            return None;
        }
        let text = format!("{who} listens on {address} (port {port}), and the instance does not");
        Some(Setback {
            again: !fixed,
            ..Setback::new(text)
        })
    }

    /// Who holds `listener`, when it is none of the instance's processes.
    fn outsider(&self, id: InstanceId, run: &Run, listener: Listener) -> Option<String> {
        let all = processes::all();
        let mut hidden = false;
        for member in self.members(id, Some(run), &all) {
            match listener.held_by(member.pid) {
                Holds::Yes => return None,
                Holds::No => {}
                Holds::Unknown => hidden = true,
            }
        }
        let holder = all
            .iter()
            .find(|(process, _)| listener.held_by(process.pid) == Holds::Yes)
            .map(|(process, _)| *process);
        match holder {
            Some(process) => Some(describe(process)),
            // It may be one of ours that we may not look into.
            None if hidden => None,
            None => Some(format!("a process of the user {}", listener.user)),
        }
    }
}

fn describe(process: Process) -> String {
    let name = fs::read_to_string(format!("/proc/{}/comm", process.pid)).unwrap_or_default();
    format!("process {} (`{}`)", process.pid, printable(name.trim_end()))
}
