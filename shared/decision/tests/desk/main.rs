//! Decisions on real repositories, recorded and read back.
#![cfg(test)]

mod beginning;
mod ledger;
mod policy;
mod range;
mod tightened;
mod world;
