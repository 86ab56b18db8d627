//! Decisions on real repositories, recorded and read back.
#![cfg(test)]

mod beginning;
mod ledger;
mod loose_end;
mod policy;
mod range;
mod tightened;
mod world;
