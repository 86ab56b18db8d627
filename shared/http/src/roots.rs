use std::path::Path;
use std::sync::OnceLock;

use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::{self, PemObject};

use crate::{HttpError, HttpSettings};

/// The certificates that settings trust. No roots at all is no error: plain HTTP needs none.
pub(crate) fn roots(settings: &HttpSettings) -> Result<RootCertStore, HttpError> {
    let mut store = if settings.system_roots {
        system().clone()
    } else {
        RootCertStore::empty()
    };
    for path in &settings.ca_files {
        add_file(&mut store, path)?;
    }
    Ok(store)
}

/// Read once: a store holds some 150 certificates, and programs build more than one client.
fn system() -> &'static RootCertStore {
    static SYSTEM: OnceLock<RootCertStore> = OnceLock::new();
    SYSTEM.get_or_init(|| {
        let mut store = RootCertStore::empty();
        // A certificate that cannot be read is one that is not trusted; the rest of the store still counts.
        store.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        store
    })
}

fn add_file(store: &mut RootCertStore, path: &Path) -> Result<(), HttpError> {
    let path_text = || path.display().to_string();
    let unreadable = |error: pem::Error| match error {
        pem::Error::Io(source) => HttpError::CaFile {
            path: path_text(),
            source,
        },
        pem::Error::NoItemsFound => HttpError::NoCertificate { path: path_text() },
        _ => HttpError::BadCertificate { path: path_text() },
    };
    let mut found = false;
    for certificate in CertificateDer::pem_file_iter(path).map_err(unreadable)? {
        store
            .add(certificate.map_err(unreadable)?)
            .map_err(|_| HttpError::BadCertificate { path: path_text() })?;
        found = true;
    }
    if found {
        Ok(())
    } else {
        Err(HttpError::NoCertificate { path: path_text() })
    }
}
