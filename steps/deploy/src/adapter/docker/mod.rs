//! Containers of a Docker engine.
//!
//! An instance is a container on the environment's network. It is started there without a name, asked directly, and is
//! given the service's name at the switch; the old one loses the name, finishes what it is doing and is stopped. An
//! engine's objects cannot be changed, so what has to be remembered of a service (whose turn it is, which fence changed
//! it) stands in the labels of a volume that nobody mounts, and each change is another volume: [`mark`].

mod adopt;
mod container;
mod down;
mod effect;
mod ending;
mod label;
mod mark;
mod names;
mod network;
mod observation;
mod proof;
mod reach;
mod service;
mod target;

pub use down::down;
pub use service::DockerService;
