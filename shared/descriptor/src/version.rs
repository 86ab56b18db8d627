use std::fmt;
use std::str::FromStr;

use pilotage_yaml::FromText;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Serialize, Serializer};

/// What is released, as the image's tag spells it: letters, digits, `_`, `.` and `-`, not starting with `.` or `-`, at
/// most 128 characters (the grammar of an OCI tag).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Version(String);

/// Why a text is no version; reads well after "`x` is no version: ".
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NoVersion;

impl fmt::Display for NoVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("use 1 to 128 letters, digits, `_`, `.` or `-`, and begin with a letter, digit or `_`, as in an image's tag")
    }
}

impl std::error::Error for NoVersion {}

impl Version {
    /// The version as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Version {
    type Err = NoVersion;

    fn from_str(text: &str) -> Result<Self, NoVersion> {
        if is_tag(text) {
            Ok(Self(text.to_owned()))
        } else {
            Err(NoVersion)
        }
    }
}

impl FromText for Version {
    const NOUN: &'static str = "version";
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl Serialize for Version {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl JsonSchema for Version {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Version".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "string", "pattern": "^[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}$"})
    }
}

/// The grammar of an OCI tag (distribution specification, "pulling manifests").
pub(crate) fn is_tag(text: &str) -> bool {
    let first = text.bytes().next();
    first.is_some_and(|b| b.is_ascii_alphanumeric() || b == b'_')
        && text.len() <= 128
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'-'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_tags() {
        for good in ["1.4.2", "v1", "2024-01-01", "_x", "1.0.0-rc.1"] {
            assert_eq!(good.parse::<Version>().unwrap().as_str(), good);
        }
        for bad in ["", ".1", "-rf", "1.0+build", "a b", "$(id)", "../x", "1:2", "é"] {
            assert!(bad.parse::<Version>().is_err(), "{bad:?}");
        }
        assert!("1".repeat(129).parse::<Version>().is_err());
    }
}
