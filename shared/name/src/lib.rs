//! The identities of the house: project, environment, service, commit and release names, each by its grammar.
//!
//! A value of one of these types is valid; whatever came from git, a flag or a file was hostile text until it was
//! parsed into one. Parsing is `FromStr`, printing is `Display`, and nothing else happens here.

use std::fmt;
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Why a text is no name; reads well after "`x` is no service name: ".
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// Nothing was given.
    #[error("it is empty")]
    Empty,
    /// A single character, which is no name.
    #[error("it has one character, at least two are needed")]
    TooShort,
    /// Longer than the kind of name may be.
    #[error("it has {length} characters, at most {most} are allowed")]
    TooLong {
        /// Characters given.
        length: usize,
        /// Characters allowed.
        most: usize,
    },
    /// A character outside the grammar, or one where it may not stand.
    #[error("{rule}")]
    Grammar {
        /// The rule in words.
        rule: &'static str,
    },
}

const LABEL_RULE: &str = "use lower-case letters, digits and hyphens, a letter first and no hyphen last";

fn check_label(text: &str, most: usize) -> Result<(), NameError> {
    if text.is_empty() {
        return Err(NameError::Empty);
    }
    let length = text.chars().count();
    if length > most {
        return Err(NameError::TooLong { length, most });
    }
    let bytes = text.as_bytes();
    let inner = bytes
        .iter()
        .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || *b == b'-');
    if inner && bytes[0].is_ascii_lowercase() && !text.ends_with('-') {
        if length < 2 {
            Err(NameError::TooShort)
        } else {
            Ok(())
        }
    } else {
        Err(NameError::Grammar { rule: LABEL_RULE })
    }
}

macro_rules! text_type {
    ($(#[$doc:meta])* $name:ident, $check:expr, pattern $pattern:expr, max $max:expr) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(String);

        impl $name {
            /// The name as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = NameError;

            fn from_str(text: &str) -> Result<Self, NameError> {
                ($check)(text)?;
                Ok(Self(text.to_owned()))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&self.0)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
            }
        }

        impl JsonSchema for $name {
            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($name).into()
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!({"type": "string", "pattern": $pattern, "maxLength": $max})
            }
        }
    };
}

text_type!(
    /// A project: the prefix of everything Pilotage creates. At most 20 characters.
    ProjectName, |t: &str| check_label(t, 20), pattern "^[a-z][a-z0-9-]*[a-z0-9]$", max 20
);
text_type!(
    /// An environment, such as `qa`. At most 20 characters.
    EnvironmentName, |t: &str| check_label(t, 20), pattern "^[a-z][a-z0-9-]*[a-z0-9]$", max 20
);
text_type!(
    /// A service: the file name of its descriptor without `.yaml`. At most 40 characters.
    ServiceName, |t: &str| check_label(t, 40), pattern "^[a-z][a-z0-9-]*[a-z0-9]$", max 40
);

fn is_hexadecimal(text: &str) -> bool {
    text.bytes()
        .all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
}

fn check_commit(text: &str) -> Result<(), NameError> {
    if is_hexadecimal(text) && (text.len() == 40 || text.len() == 64) {
        Ok(())
    } else {
        Err(NameError::Grammar {
            rule: "a commit is 40 (or 64) lower-case hexadecimal digits",
        })
    }
}

text_type!(
    /// A full git object id of a commit.
    CommitId, check_commit, pattern "^([0-9a-f]{40}|[0-9a-f]{64})$", max 64
);

impl CommitId {
    /// The first ten digits, for people.
    #[must_use]
    pub fn short(&self) -> &str {
        &self.0[..10]
    }
}

/// So many digits at least tell a commit from others.
const SHORTEST_PREFIX: usize = 7;

fn check_commit_prefix(text: &str) -> Result<(), NameError> {
    if is_hexadecimal(text) && (SHORTEST_PREFIX..=64).contains(&text.len()) {
        Ok(())
    } else {
        Err(NameError::Grammar {
            rule: "a commit is named by the first 7 or more of its lower-case hexadecimal digits",
        })
    }
}

text_type!(
    /// A commit as people give it: its full id, or the first seven or more digits of it.
    CommitPrefix, check_commit_prefix, pattern "^[0-9a-f]{7,64}$", max 64
);

impl CommitPrefix {
    /// The commit, where all of its digits are given.
    #[must_use]
    pub fn full(&self) -> Option<CommitId> {
        self.0.parse().ok()
    }
}

impl From<CommitId> for CommitPrefix {
    fn from(id: CommitId) -> Self {
        Self(id.0)
    }
}

/// One release: the `fence`-th attempt to release `service` in `environment`. Prints as `qa.shop.17`, which is safe in
/// file names, labels and URLs because no name holds a dot.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ReleaseId {
    /// Where.
    pub environment: EnvironmentName,
    /// What.
    pub service: ServiceName,
    /// Which attempt, counted from 1; a later attempt has a higher fence.
    pub fence: u64,
}

impl fmt::Display for ReleaseId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.environment, self.service, self.fence)
    }
}

impl FromStr for ReleaseId {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        const RULE: NameError = NameError::Grammar {
            rule: "a release is `<environment>.<service>.<number>`",
        };
        let mut parts = text.split('.');
        let (Some(environment), Some(service), Some(fence), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(RULE);
        };
        Ok(Self {
            environment: environment.parse()?,
            service: service.parse()?,
            fence: fence.parse().map_err(|_| RULE)?,
        })
    }
}

impl Serialize for ReleaseId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for ReleaseId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(serde::de::Error::custom)
    }
}

impl JsonSchema for ReleaseId {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "ReleaseId".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "string", "pattern": "^[a-z0-9-]+\\.[a-z0-9-]+\\.[0-9]+$"})
    }
}

/// Which service of which environment of which project: the key of everything that is released.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
pub struct ServiceKey {
    /// The project.
    pub project: ProjectName,
    /// The environment.
    pub environment: EnvironmentName,
    /// The service.
    pub service: ServiceName,
}

impl fmt::Display for ServiceKey {
    /// `<project>-<environment>-<service>`: the prefix of every object Pilotage creates for the service.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}-{}", self.project, self.environment, self.service)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_follow_the_grammar() {
        for good in ["qa", "my-shop2", "a1"] {
            assert_eq!(good.parse::<ServiceName>().unwrap().as_str(), good);
        }
        for bad in [
            "", "a", "Shop", "1shop", "-a", "shop-", "sh_op", "../x", "a b", "é", "$(id)",
        ] {
            assert!(bad.parse::<ServiceName>().is_err(), "{bad:?} must be refused");
        }
        assert_eq!(
            "a".repeat(21).parse::<EnvironmentName>(),
            Err(NameError::TooLong { length: 21, most: 20 })
        );
        assert!("a".repeat(40).parse::<ServiceName>().is_ok());
    }

    #[test]
    fn commits_are_full_lower_case_hex() {
        assert_eq!(
            "0123456789abcdef0123456789abcdef01234567"
                .parse::<CommitId>()
                .unwrap()
                .short(),
            "0123456789"
        );
        for bad in ["0123", "0123456789ABCDEF0123456789abcdef01234567", "HEAD"] {
            assert!(bad.parse::<CommitId>().is_err(), "{bad}");
        }
    }

    #[test]
    fn people_may_give_the_first_digits_of_a_commit() {
        let full = "0123456789abcdef0123456789abcdef01234567";
        let prefix = |text: &str| text.parse::<CommitPrefix>();
        assert_eq!(prefix(full).unwrap().full().unwrap().as_str(), full);
        assert_eq!(prefix(&full[..10]).unwrap().full(), None);
        for bad in ["012345", "HEAD", "0123456789ABC", "012345g", ""] {
            assert!(prefix(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn release_ids_print_and_parse() {
        let id: ReleaseId = "qa.shop.17".parse().unwrap();
        assert_eq!((id.fence, id.to_string().as_str()), (17, "qa.shop.17"));
        for bad in ["qa.shop", "qa.shop.x", "qa.shop.1.2", "QA.shop.1"] {
            assert!(bad.parse::<ReleaseId>().is_err(), "{bad}");
        }
    }
}
