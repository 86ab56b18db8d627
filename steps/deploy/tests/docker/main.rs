//! Deploys to a real Docker engine.

mod crash;
mod deploy;
mod registry;
mod trouble;
mod world;
