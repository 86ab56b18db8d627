//! Deploys to a real Docker engine.

mod crash;
mod deploy;
mod kinds;
mod registry;
mod trouble;
mod world;
