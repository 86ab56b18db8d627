//! Secrets as salted hashes.

use std::collections::BTreeMap;

use pilotage_secret::Secret;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// The secrets an instance was given, as salted hashes: enough to see that a value changed, useless to learn it from a
/// log or a report. The salt is drawn once for each instance.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fingerprints {
    salt: String,
    hashes: BTreeMap<String, String>,
}

impl Fingerprints {
    /// Of `secrets`, under a salt of random text.
    #[must_use]
    pub fn new(salt: String, secrets: &BTreeMap<String, Secret>) -> Self {
        let hashes = secrets
            .iter()
            .map(|(name, secret)| (name.clone(), hash(&salt, name, secret)))
            .collect();
        Self { salt, hashes }
    }

    /// The names whose value is another one now, or that came or went; sorted.
    #[must_use]
    pub fn changed(&self, secrets: &BTreeMap<String, Secret>) -> Vec<String> {
        let mut names: Vec<String> = self
            .hashes
            .keys()
            .filter(|name| !secrets.contains_key(*name))
            .cloned()
            .collect();
        names.extend(
            secrets
                .iter()
                .filter(|(name, secret)| self.hashes.get(*name) != Some(&hash(&self.salt, name, secret)))
                .map(|(name, _)| name.clone()),
        );
        names.sort();
        names
    }
}

fn hash(salt: &str, name: &str, secret: &Secret) -> String {
    let mut hasher = Sha256::new();
    // Lengths keep (`ab`, `c`) and (`a`, `bc`) apart.
    for part in [salt, name, secret.expose()] {
        hasher.update(part.len().to_le_bytes());
        hasher.update(part.as_bytes());
    }
    hex(&hasher.finalize())
}

/// Bytes as lower-case hexadecimal digits.
#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secrets(pairs: &[(&str, &str)]) -> BTreeMap<String, Secret> {
        pairs
            .iter()
            .map(|(name, value)| ((*name).to_owned(), Secret::new(*value)))
            .collect()
    }

    #[test]
    fn a_changed_added_or_removed_secret_is_named_and_never_shown() {
        let held = Fingerprints::new("salt".to_owned(), &secrets(&[("A", "one"), ("B", "two")]));
        assert!(held.changed(&secrets(&[("A", "one"), ("B", "two")])).is_empty());
        assert_eq!(
            held.changed(&secrets(&[("A", "other"), ("C", "x")])),
            ["A", "B", "C"]
        );
        let json = serde_json::to_string(&held).unwrap();
        assert!(!json.contains("one") && !json.contains("two"));
    }

    #[test]
    fn the_same_secret_has_another_hash_under_another_salt() {
        let some = secrets(&[("A", "one")]);
        assert_ne!(
            Fingerprints::new("x".to_owned(), &some).hashes,
            Fingerprints::new("y".to_owned(), &some).hashes
        );
    }
}
