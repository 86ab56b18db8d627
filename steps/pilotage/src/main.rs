//! `pilotage`: the front door for people.

use std::ffi::OsString;
use std::process::ExitCode;

fn main() -> ExitCode {
    let line: Vec<OsString> = std::env::args_os().collect();
    match pilotage::dispatch::of(&line) {
        Some(step) => step.become_it(),
        None => pilotage_step::main(pilotage::run),
    }
}
