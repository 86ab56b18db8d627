//! The `pilotage-smoke` binary.

use std::process::ExitCode;

fn main() -> ExitCode {
    pilotage_step::main(pilotage_smoke::run)
}
