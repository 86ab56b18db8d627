//! The `pilotage-git-monitor` binary.

fn main() -> std::process::ExitCode {
    pilotage_step::main(pilotage_git_monitor::run)
}
