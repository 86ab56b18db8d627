//! A Docker Engine as any step sees it: the connection, images out of registries, files into and out of containers,
//! one container run to its end, a command in a container that runs.
//!
//! [`Engine::connect`] is the way in. [`OneOff`] says what is to run once; [`Engine::start`] starts it, and [`Running`]
//! gives what it says as it says it and ends with how it ended. Whatever is created here carries labels that say whose it
//! is ([`label`]) and who made it ([`Holder`]): what a killed step left is found by them and removed by the next one
//! ([`Engine::clear_left`]).

mod archive;
mod delivery;
mod engine;
mod error;
mod exec;
mod holder;
mod image;
pub mod label;
mod name;
mod one_off;
mod output;
mod registry;
mod running;
mod serving;

pub use archive::{Archive, TakenOut, first_file};
pub use delivery::{SECRETS, deliver};
pub use engine::Engine;
pub use error::EngineError;
pub use exec::Executed;
pub use holder::Holder;
pub use image::Images;
pub use name::{network_of, nonce, service_of};
pub use one_off::{Limits, OneOff};
pub use output::{Chunk, Pipe};
pub use registry::Registries;
pub use running::{End, Halt, Running};
