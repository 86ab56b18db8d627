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

/// The same certificates, each in DER, for libraries that build their TLS themselves.
///
/// # Errors
/// When a CA file is of no use.
pub fn root_certificates(settings: &HttpSettings) -> Result<Vec<Vec<u8>>, HttpError> {
    // What a store would refuse is of no use elsewhere either.
    let good =
        |certificate: &CertificateDer<'static>| RootCertStore::empty().add(certificate.clone()).is_ok();
    let mut all: Vec<CertificateDer<'static>> = Vec::new();
    if settings.system_roots {
        all.extend(
            rustls_native_certs::load_native_certs()
                .certs
                .into_iter()
                .filter(good),
        );
        if all.is_empty() {
            all.extend(webpki_root_certs::TLS_SERVER_ROOT_CERTS.iter().cloned());
        }
    }
    for path in &settings.ca_files {
        all.extend(file(path)?);
    }
    Ok(all.into_iter().map(|certificate| certificate.to_vec()).collect())
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
    for certificate in file(path)? {
        store
            .add(certificate)
            .map_err(|_| HttpError::BadCertificate { path: shown(path) })?;
    }
    Ok(())
}

/// The certificates of a CA file, one at least.
fn file(path: &Path) -> Result<Vec<CertificateDer<'static>>, HttpError> {
    let unreadable = |error: pem::Error| match error {
        pem::Error::Io(source) => HttpError::CaFile {
            path: shown(path),
            source,
        },
        pem::Error::NoItemsFound => HttpError::NoCertificate { path: shown(path) },
        _ => HttpError::BadCertificate { path: shown(path) },
    };
    let certificates: Result<Vec<_>, _> = CertificateDer::pem_file_iter(path).map_err(unreadable)?.collect();
    let certificates = certificates.map_err(unreadable)?;
    if certificates.is_empty() {
        return Err(HttpError::NoCertificate { path: shown(path) });
    }
    Ok(certificates)
}

fn shown(path: &Path) -> String {
    path.display().to_string()
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
