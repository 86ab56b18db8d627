//! The real binary on real processes.

mod crash;
mod deploy;
mod exec;
mod world;
