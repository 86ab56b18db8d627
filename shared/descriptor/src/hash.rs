use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::{Descriptor, FileSource, Notify, SecretSource, State};

impl Descriptor {
    /// What the descriptor intends, as data: defaults are left out, short forms are written out, maps are sorted, and
    /// sealed values are replaced by the fact that they are sealed, because sealing the same value twice gives
    /// different texts. Adding a field with a default to the format changes nothing here.
    #[must_use]
    pub fn intent(&self) -> Value {
        let mut plain = self.clone();
        for file in plain.files.values_mut() {
            if let FileSource::Sealed(text) = file {
                text.clear();
            }
        }
        for secret in plain.secrets.values_mut() {
            if let SecretSource::Sealed(text) = secret {
                text.clear();
            }
        }
        serde_json::to_value(&plain).unwrap_or_default()
    }

    /// The identity of the whole intent: `v1:` and the sha256 of its canonical JSON in hexadecimal. It says whether two
    /// descriptors are the same one. Files named by `from` count by their path only, so call
    /// [`Descriptor::with_files`] first.
    #[must_use]
    pub fn config_hash(&self) -> String {
        canonical_hash(&self.intent())
    }

    /// The identity of what a running instance is made of, in the form of [`Descriptor::config_hash`]: another one needs
    /// another instance, and the same one needs none, whatever else the release changes.
    ///
    /// In it are `kind`, `version`, `image`, `ports` with their routes, `requires`, `resources`, `stop`, `env`, `files` and
    /// the names of the `secrets`. Not in it are `maintainer`, `domain` (its route is one of the ports'), `healthcheck`,
    /// `smoke`, `regression`, `notify`, `after` and `state`, which are about a release and not about what it starts, and
    /// the places and values of secrets: whoever starts instances holds the values against those that an instance has.
    #[must_use]
    pub fn instance_hash(&self) -> String {
        // Without `..`, so that a new field has to be put on one of the two sides.
        let made = Self {
            kind: self.kind,
            version: self.version.clone(),
            image: self.image.clone(),
            maintainer: None,
            domain: None,
            ports: self.ports.clone(),
            requires: self.requires.clone(),
            resources: self.resources.clone(),
            stop: self.stop.clone(),
            env: self.env.clone(),
            files: self.files.clone(),
            secrets: BTreeMap::new(),
            healthcheck: None,
            smoke: Vec::new(),
            regression: None,
            notify: Notify::default(),
            after: Vec::new(),
            state: State::Active,
        };
        let mut made = made.intent();
        if !self.secrets.is_empty() {
            made["secrets"] = self.secrets.keys().map(String::as_str).collect();
        }
        canonical_hash(&made)
    }
}

/// `v1:` and the sha256, in hexadecimal, of the JSON of `value` without white space and with sorted keys (RFC 8785 for
/// data without fractions).
#[must_use]
pub fn canonical_hash(value: &impl Serialize) -> String {
    let mut text = String::new();
    write_canonical(&serde_json::to_value(value).unwrap_or_default(), &mut text);
    let digest = Sha256::digest(text.as_bytes());
    digest
        .iter()
        .fold("v1:".to_owned(), |hash, byte| format!("{hash}{byte:02x}"))
}

fn write_canonical(value: &Value, text: &mut String) {
    match value {
        Value::Object(map) => {
            let mut entries: Vec<_> = map.iter().collect();
            entries.sort_by_key(|(key, _)| *key);
            text.push('{');
            for (index, (key, value)) in entries.into_iter().enumerate() {
                if index > 0 {
                    text.push(',');
                }
                text.push_str(&Value::from(key.as_str()).to_string());
                text.push(':');
                write_canonical(value, text);
            }
            text.push('}');
        }
        Value::Array(items) => {
            text.push('[');
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    text.push(',');
                }
                write_canonical(item, text);
            }
            text.push(']');
        }
        scalar => text.push_str(&scalar.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_order_of_keys_does_not_count() {
        let (a, b) = (
            json!({"b": [1, {"y": 1, "x": "é\n"}], "a": null}),
            json!({"a": null, "b": [1, {"x": "é\n", "y": 1}]}),
        );
        assert_eq!(canonical_hash(&a), canonical_hash(&b));
        let mut text = String::new();
        write_canonical(&a, &mut text);
        assert_eq!(text, r#"{"a":null,"b":[1,{"x":"é\n","y":1}]}"#);
    }
}
