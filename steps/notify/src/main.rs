//! The `pilotage-notify` binary.

fn main() -> std::process::ExitCode {
    pilotage_step::main(pilotage_notify::run)
}
