//! Deploys to a real Docker engine.

mod adopt;
mod crash;
mod deploy;
mod kinds;
mod place;
mod registry;
mod trouble;
mod world;
