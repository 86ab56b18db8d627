//! Whether whoever holds a release still can, as far as this machine knows.

use pilotage_ledger::{LinuxMachine, Liveness, ReleaseState, liveness};

/// What is known of whoever holds the release that goes on. Where none does, and where this machine cannot be asked about
/// itself, nobody is known to be gone. Reads the machine's process table.
#[must_use]
pub fn holder(state: &ReleaseState) -> Liveness {
    let Some(running) = &state.running else {
        return Liveness::Unknown;
    };
    match LinuxMachine::read() {
        Ok(machine) => liveness(&running.begun.holder, &machine),
        Err(_) => Liveness::Unknown,
    }
}
