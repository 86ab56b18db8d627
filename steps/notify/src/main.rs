//! The `pilotage-notify` binary.

fn main() {}
