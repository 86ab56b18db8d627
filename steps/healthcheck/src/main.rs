//! The `pilotage-healthcheck` binary.

use std::process::ExitCode;

fn main() -> ExitCode {
    pilotage_step::main(pilotage_healthcheck::run)
}
