//! The names that several steps have to agree on.

use std::fs::File;
use std::io::Read;

use pilotage_name::ServiceKey;

/// What the names of a service's objects begin with: `acme-qa-shop`.
#[must_use]
pub fn service_of(key: &ServiceKey) -> String {
    format!("{}-{}-{}", key.project, key.environment, key.service)
}

/// The network of all services of an environment: `acme-qa`. A service is found there by its own name.
#[must_use]
pub fn network_of(key: &ServiceKey) -> String {
    format!("{}-{}", key.project, key.environment)
}

/// Text that nobody else has: 32 hexadecimal digits.
///
/// # Errors
/// When the kernel gives no random bytes.
pub fn nonce() -> std::io::Result<String> {
    let mut bytes = [0; 16];
    File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}
