//! How a container is given its secrets.

use std::collections::BTreeMap;

use pilotage_config::SecretDelivery;
use pilotage_secret::Secret;

use crate::archive::Archive;

/// Where secrets are in a container.
pub const SECRETS: &str = "/run/secrets";

/// Puts secrets into the variables of a container that is to be made, or into the files that it is given.
///
/// As files they stand in the container's own layer: a file system in memory would be empty after a restart, a volume
/// would outlive the container, and either of variables and labels is shown to whoever may ask the engine.
pub fn deliver(
    secrets: &BTreeMap<String, Secret>,
    how: SecretDelivery,
    variables: &mut BTreeMap<String, String>,
    files: &mut Archive,
) {
    for (name, secret) in secrets {
        match how {
            SecretDelivery::Files => {
                let path = format!("{SECRETS}/{name}");
                // Whoever the image runs as; nobody else is in there.
                files.add(&path, 0o444, secret.expose().as_bytes());
                variables.insert(format!("{name}_FILE"), path);
            }
            SecretDelivery::Variables => {
                variables.insert(name.clone(), secret.expose().to_owned());
            }
        }
    }
}
