//! The `pilotage-git-monitor` binary.

fn main() {}
