//! One try of one check against one address, told as a typed observation; and the wait that tries until it is well.
//!
//! [`Prober`] asks over the network, straight and afresh each time: no proxy, no redirect followed, no connection used
//! twice unless wanted. [`watch`] asks one endpoint at every address it has until [`pilotage_check::Progress`] says that it is over.
//! Both measure with tokio's clock, which tests pause.

mod address;
mod certificate;
mod endpoint;
mod grpc;
mod probe;
mod prober;
mod request;
mod watch;

pub use address::{Address, AddressError};
pub use endpoint::{Endpoint, Question};
pub use grpc::GrpcRequest;
pub use probe::Probe;
pub use prober::{BODY_BYTES, Prober};
pub use request::{HttpRequest, RequestError, Scheme};
pub use watch::{Watched, watch};

pub use pilotage_http::{HttpError, HttpSettings};
