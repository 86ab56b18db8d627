//! The `pilotage-deploy` binary.

fn main() {}
