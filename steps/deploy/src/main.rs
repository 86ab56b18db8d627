//! `pilotage-deploy`: makes one service in one environment equal to its descriptor.

fn main() -> std::process::ExitCode {
    pilotage_step::main(pilotage_deploy::run)
}
