//! The binary on real repositories, with stand-ins for the steps that it starts.
#![cfg(test)]

mod accept;
mod adopt;
mod explain;
mod once;
mod trouble;
mod watch;
mod world;
