use std::path::PathBuf;
use std::time::Duration;

use crate::Proxies;

/// Everything a client depends on.
#[derive(Clone, Debug)]
pub struct HttpSettings {
    /// How long a connection, its TLS handshake included, may take to come up.
    pub connect_timeout: Duration,
    /// How long a request may take from its first to its last byte; for the blocking client, how long the head may take and
    /// then each read. `None` waits for ever: then the caller has to bound the work.
    pub timeout: Option<Duration>,
    /// PEM files whose certificates are trusted beside the machine's.
    pub ca_files: Vec<PathBuf>,
    /// Whether the machine's own roots are trusted, or the compiled-in ones where it has none.
    pub system_roots: bool,
    /// Where requests go through; [`Proxies::none`] for straight there.
    pub proxies: Proxies,
    /// How many redirects are followed; 0 gives the redirect itself as the answer.
    pub redirects: usize,
    /// Whether a connection serves more than one request. A check that wants to see a fresh connection says no.
    pub reuse_connections: bool,
    /// Whether HTTP/2 is spoken from the first byte, and nothing else, as gRPC asks for; otherwise it is HTTP/1.1.
    pub http2: bool,
    /// What the other side is told about us.
    pub user_agent: String,
}

impl Default for HttpSettings {
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(10),
            timeout: Some(Duration::from_secs(30)),
            ca_files: Vec::new(),
            system_roots: true,
            proxies: Proxies::none(),
            redirects: 0,
            reuse_connections: true,
            http2: false,
            user_agent: concat!("pilotage/", env!("CARGO_PKG_VERSION")).to_owned(),
        }
    }
}
