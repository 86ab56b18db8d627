//! Where the users of a service find its ports.
//!
//! A place that was said (`--address http=HOST:PORT`) wins. Else a proxied port is found at the target's front door, a
//! published one at the host's port, and where no target is known at the route's host or the service's domain. An
//! internal port has no place outside.

mod around;
mod finder;
mod front_door;
mod port_place;

pub use around::Around;
pub use finder::{Finder, NoPlace, Place};
pub use port_place::{PortPlace, PortPlaceError};
