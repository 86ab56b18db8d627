//! A certificate authority that only these tests trust.

use std::sync::Arc;

use pilotage_probe::{HttpSettings, Prober};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::ServerConfig;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};

/// Settings that trust nobody.
pub(crate) fn settings() -> HttpSettings {
    HttpSettings {
        system_roots: false,
        ..HttpSettings::default()
    }
}

pub(crate) struct Authority {
    ca: CertifiedIssuer<'static, KeyPair>,
    file: tempfile::NamedTempFile,
}

impl Authority {
    pub(crate) fn new() -> Self {
        let mut params = CertificateParams::new(Vec::<String>::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let ca = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), ca.pem()).unwrap();
        Self { ca, file }
    }

    /// A prober that trusts it, and nobody else.
    pub(crate) fn prober(&self) -> Prober {
        Prober::new(&HttpSettings {
            ca_files: vec![self.file.path().to_owned()],
            ..settings()
        })
        .unwrap()
    }

    /// TLS of a server with a certificate of this authority, that offers `protocols` by ALPN.
    pub(crate) fn server_config(&self, params: CertificateParams, protocols: &[&str]) -> ServerConfig {
        let key = KeyPair::generate().unwrap();
        let leaf = params.signed_by(&key, &self.ca).unwrap();
        let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![leaf.der().clone()], key)
            .unwrap();
        config.alpn_protocols = protocols.iter().map(|name| name.as_bytes().to_vec()).collect();
        config
    }
}
