//! The play: seven acts in which an environment repository comes to life, with real programs, real git, and real processes
//! or containers. `make demo` shows it to people; tests play it quietly.
//!
//! Everything happens below one new folder, whose name stands in the environment of every process that the play starts.
//! By that name they are found again, whatever goes wrong, so that a play leaves nothing behind. What it has on a Docker
//! engine carries the name of its own project.

mod acts;
mod chains;
mod crowd;
mod door;
mod git;
mod harbour;
mod missed;
mod monitor;
mod place;
mod target;
mod teller;
mod world;

pub use acts::{Summary, play};
pub use crowd::processes_of;
pub use missed::{Missed, Play};
pub use target::{TargetKind, engine_socket};
pub use teller::Teller;
pub use world::World;
