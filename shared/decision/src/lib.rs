//! Collects the evidence of a push from git and the ledger, and asks the gates. There is no other way to them.

mod access;
mod change;
mod collect;
pub mod descriptors;
mod desk;
mod error;
pub mod fault;
mod holder;
mod keyring;
pub mod past;
mod range;
pub mod sight;
mod still;
mod templates;

pub use access::{Access, SECRETS};
pub use change::change;
pub use collect::{Decided, Question};
pub use desk::{Desk, Listed, Recorded};
pub use error::Error;
pub use holder::holder;
pub use past::{EnvironmentPast, ServicePast};
pub use sight::{Sight, look};
pub use still::Still;
pub use templates::templates;
