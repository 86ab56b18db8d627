use std::io;
use std::sync::{Arc, Once};

use reqwest::redirect::Policy;
use rustls::ClientConfig;
use rustls::crypto::ring;

use crate::HttpSettings;
use crate::roots::roots;

/// Why no client could be built.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HttpError {
    /// A CA file that cannot be opened or read.
    #[error("the CA file `{path}` cannot be read")]
    CaFile {
        /// Which file.
        path: String,
        /// What the system said.
        source: io::Error,
    },
    /// A CA file without any certificate.
    #[error("the CA file `{path}` holds no certificate in PEM (-----BEGIN CERTIFICATE-----)")]
    NoCertificate {
        /// Which file.
        path: String,
    },
    /// A CA file with something broken in it.
    #[error("the CA file `{path}` holds a certificate that cannot be read")]
    BadCertificate {
        /// Which file.
        path: String,
    },
    /// TLS could not be set up.
    #[error("TLS cannot be set up")]
    Tls(#[source] rustls::Error),
    /// The HTTP library refused the settings.
    #[error("the HTTP client cannot be set up")]
    Client(#[source] reqwest::Error),
}

/// Makes ring the process's cryptography, once. The clients built here do not depend on it; libraries that look for the
/// process's default do.
pub fn install_tls() {
    static ONCE: Once = Once::new();
    // It fails when another one is installed already, which is then what the process wants.
    ONCE.call_once(|| drop(ring::default_provider().install_default()));
}

/// A client for async code. Cheap to clone; one client for one set of settings reuses its connections.
///
/// # Errors
/// When a CA file is of no use.
pub fn client(settings: &HttpSettings) -> Result<reqwest::Client, HttpError> {
    client_builder(settings)?.build().map_err(HttpError::Client)
}

/// The same, for callers who have to set one thing more, such as an address for a name.
///
/// # Errors
/// When a CA file is of no use.
pub fn client_builder(settings: &HttpSettings) -> Result<reqwest::ClientBuilder, HttpError> {
    builder_with(settings, tls_config(settings)?)
}

/// The same over TLS that was set up before by [`tls_config`]: for callers who build many clients, as the trusted roots are
/// many.
///
/// # Errors
/// When the library refuses a proxy.
pub fn builder_with(
    settings: &HttpSettings,
    mut tls: ClientConfig,
) -> Result<reqwest::ClientBuilder, HttpError> {
    // RFC 9113, section 3.2: over TLS the protocol is agreed on by ALPN.
    if settings.http2 {
        tls.alpn_protocols = vec![b"h2".to_vec()];
    }
    let mut builder = reqwest::Client::builder()
        .tls_backend_preconfigured(tls)
        .connect_timeout(settings.connect_timeout)
        .redirect(redirects(settings))
        .user_agent(&settings.user_agent)
        // This switches off the reading of the environment, too.
        .no_proxy();
    if let Some(timeout) = settings.timeout {
        builder = builder.timeout(timeout);
    }
    if !settings.reuse_connections {
        builder = builder.pool_max_idle_per_host(0);
    }
    builder = match settings.http2 {
        true => builder.http2_prior_knowledge(),
        false => builder.http1_only(),
    };
    for proxy in settings.proxies.for_client().map_err(HttpError::Client)? {
        builder = builder.proxy(proxy);
    }
    Ok(builder)
}

/// A client for code that blocks. It must not be built, used or dropped inside of async code: there, use
/// `tokio::task::spawn_blocking`.
///
/// # Errors
/// When a CA file is of no use.
pub fn blocking_client(settings: &HttpSettings) -> Result<reqwest::blocking::Client, HttpError> {
    let mut builder = reqwest::blocking::Client::builder()
        .tls_backend_preconfigured(tls_config(settings)?)
        .connect_timeout(settings.connect_timeout)
        .timeout(settings.timeout)
        .redirect(redirects(settings))
        .user_agent(&settings.user_agent)
        .http1_only()
        .no_proxy();
    if !settings.reuse_connections {
        builder = builder.pool_max_idle_per_host(0);
    }
    for proxy in settings.proxies.for_client().map_err(HttpError::Client)? {
        builder = builder.proxy(proxy);
    }
    builder.build().map_err(HttpError::Client)
}

/// TLS that trusts what the settings trust.
///
/// # Errors
/// When a CA file is of no use.
pub fn tls_config(settings: &HttpSettings) -> Result<ClientConfig, HttpError> {
    install_tls();
    Ok(
        ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(HttpError::Tls)?
            .with_root_certificates(roots(settings)?)
            .with_no_client_auth(),
    )
}

fn redirects(settings: &HttpSettings) -> Policy {
    match settings.redirects {
        0 => Policy::none(),
        most => Policy::limited(most),
    }
}
