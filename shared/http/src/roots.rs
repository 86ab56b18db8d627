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
    SYSTEM.get_or_init(|| machine_or_ours(rustls_native_certs::load_native_certs().certs))
}

/// The machine's roots; on a machine that has none, such as an image from scratch, the compiled-in ones of Mozilla.
fn machine_or_ours(machine: Vec<CertificateDer<'static>>) -> RootCertStore {
    let mut store = RootCertStore::empty();
    // A certificate that cannot be read is one that is not trusted; the rest of the store still counts.
    store.add_parsable_certificates(machine);
    if store.is_empty() {
        store.add_parsable_certificates(webpki_root_certs::TLS_SERVER_ROOT_CERTS.iter().cloned());
    }
    store
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_compiled_in_roots_count_only_where_the_machine_has_none() {
        let ours = machine_or_ours(Vec::new());
        assert_eq!(ours.len(), webpki_root_certs::TLS_SERVER_ROOT_CERTS.len());
        let one = webpki_root_certs::TLS_SERVER_ROOT_CERTS[0].clone();
        assert_eq!(machine_or_ours(vec![one]).len(), 1);
    }
}
