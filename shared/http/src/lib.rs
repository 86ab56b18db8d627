//! The one way HTTP leaves the house: TLS, proxies, time limits, credentials.
//!
//! Clients are built here and nowhere else, from [`HttpSettings`] that hold everything a client depends on. TLS is
//! rustls with ring, the roots are those of the machine (compiled-in ones where it has none) plus the CA files of the
//! settings. A client without any root can be built too: it speaks plain HTTP, and only its handshakes fail.
//!
//! What is still read from the process environment behind our back: `SSL_CERT_FILE` and `SSL_CERT_DIR`, which replace
//! the machine's store of roots (crate `rustls-native-certs`). Proxy variables are *not* read by the client: the step
//! frame hands them in as [`Proxies`].

mod body;
mod client;
mod credentials;
mod failure;
mod proxies;
mod roots;
mod settings;

pub use body::{Body, read_body, read_body_blocking};
pub use client::{HttpError, blocking_client, builder_with, client, client_builder, install_tls, tls_config};
pub use credentials::Credentials;
pub use failure::{Failure, FailureKind, TlsProblem};
pub use proxies::{Proxies, ProxyError};
pub use roots::root_certificates;
pub use settings::HttpSettings;

/// The HTTP library, for those who use the clients built here.
pub use reqwest;
/// The TLS library, for those who speak TLS and no HTTP.
pub use rustls;
