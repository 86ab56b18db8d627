//! The `pilotage-regression` binary.

use std::process::ExitCode;

fn main() -> ExitCode {
    pilotage_step::main(pilotage_regression::run)
}
