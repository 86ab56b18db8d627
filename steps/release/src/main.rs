//! The `pilotage-release` binary.

fn main() {}
