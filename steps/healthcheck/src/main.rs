//! The `pilotage-healthcheck` binary.

fn main() {}
