//! `pilotage-release`: releases services from begin to finish, and says what runs where.

fn main() -> std::process::ExitCode {
    pilotage_step::main(pilotage_release::run)
}
