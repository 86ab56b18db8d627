use std::fmt;
use std::str::FromStr;

use pilotage_yaml::{FromText, record};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Serialize, Serializer};

record! {
    /// What the untrusted descriptors of an environment may ask for. The default grants images and nothing else.
    pub struct Allow: Eq, Default {
        /// Names of images, `*` for any run of characters. Nothing written allows every image.
        pub images: Option<Vec<String>>,
        /// Ports of the host, single or as ranges: `8443`, `9000-9099`.
        pub host_ports: Vec<PortRange>,
        /// Paths of the host that may be mounted, with everything below them.
        pub mounts: Vec<String>,
        /// Whether descriptors may name commands: `exec` endpoints, a suite's command.
        pub commands: bool = false,
        /// URLs that requests may go to besides the service itself, `*` for any run of characters.
        pub urls: Vec<String>,
        /// Files of the deploying machine that secrets may be read from, with everything below them.
        pub secret_files: Vec<String>,
    }
}

/// Ports from one to another, both included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PortRange {
    /// The first.
    pub from: u16,
    /// The last.
    pub to: u16,
}

/// Why a text is no port and no range of ports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoPortRange;

impl fmt::Display for NoPortRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("write a port such as `8443`, or a range such as `9000-9099`, each from 1 to 65535")
    }
}

impl std::error::Error for NoPortRange {}

impl FromStr for PortRange {
    type Err = NoPortRange;

    fn from_str(text: &str) -> Result<Self, NoPortRange> {
        let port = |text: &str| {
            let digits = text.bytes().all(|b| b.is_ascii_digit());
            text.parse::<u16>()
                .ok()
                .filter(|port| digits && *port != 0)
                .ok_or(NoPortRange)
        };
        let (from, to) = text.split_once('-').unwrap_or((text, text));
        let range = Self {
            from: port(from)?,
            to: port(to)?,
        };
        if range.from <= range.to {
            Ok(range)
        } else {
            Err(NoPortRange)
        }
    }
}

impl FromText for PortRange {
    const NOUN: &'static str = "range of ports";
    const PLAIN: bool = true;
}

impl fmt::Display for PortRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.from == self.to {
            write!(f, "{}", self.from)
        } else {
            write!(f, "{}-{}", self.from, self.to)
        }
    }
}

impl Serialize for PortRange {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl JsonSchema for PortRange {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "PortRange".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "A port or a range of ports.",
            "anyOf": [
                {"type": "integer", "minimum": 1, "maximum": 65535},
                {"type": "string", "pattern": "^[0-9]{1,5}(-[0-9]{1,5})?$"},
            ],
        })
    }
}

impl Allow {
    /// Whether an image of this name (without tag) may run.
    #[must_use]
    pub fn image(&self, name: &str) -> bool {
        self.images
            .as_ref()
            .is_none_or(|patterns| patterns.iter().any(|pattern| matches(pattern, name)))
    }

    /// Whether a port of the host may be taken.
    #[must_use]
    pub fn host_port(&self, port: u16) -> bool {
        self.host_ports
            .iter()
            .any(|range| (range.from..=range.to).contains(&port))
    }

    /// Whether a request may go to this URL.
    #[must_use]
    pub fn url(&self, url: &str) -> bool {
        self.urls.iter().any(|pattern| matches(pattern, url))
    }

    /// Whether a secret may be read from this clean absolute path.
    #[must_use]
    pub fn secret_file(&self, path: &str) -> bool {
        self.secret_files.iter().any(|folder| below(folder, path))
    }

    /// Whether this clean absolute path of the host may be mounted.
    #[must_use]
    pub fn mount(&self, path: &str) -> bool {
        self.mounts.iter().any(|folder| below(folder, path))
    }
}

/// Whether the whole of `text` fits `pattern`, in which `*` stands for any run of characters.
fn matches(pattern: &str, text: &str) -> bool {
    let Some((first, rest)) = pattern.split_once('*') else {
        return pattern == text;
    };
    let Some(mut text) = text.strip_prefix(first) else {
        return false;
    };
    let mut parts: Vec<&str> = rest.split('*').collect();
    let last = parts.pop().unwrap_or_default();
    for part in parts {
        match text.find(part) {
            Some(at) => text = &text[at + part.len()..],
            None => return false,
        }
    }
    text.ends_with(last)
}

fn below(folder: &str, path: &str) -> bool {
    let folder = folder.trim_end_matches('/');
    path.strip_prefix(folder)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_is_any_run_and_everything_else_itself() {
        for (pattern, text) in [
            ("*", ""),
            ("a*", "a/b"),
            ("a*c", "abc"),
            ("*/shop", "r/x/shop"),
            ("a*b*c", "a1b2b3c"),
            ("a", "a"),
        ] {
            assert!(matches(pattern, text), "{pattern} {text}");
        }
        for (pattern, text) in [
            ("a", "ab"),
            ("a*", "ba"),
            ("a*a", "a"),
            ("registry.example.com/*", "registryXexample.com/a"),
            ("a*b*c", "ac"),
        ] {
            assert!(!matches(pattern, text), "{pattern} {text}");
        }
    }

    #[test]
    fn grants_are_narrow() {
        let allow = Allow {
            secret_files: vec!["/run/secrets/".into()],
            host_ports: vec!["9000-9002".parse().unwrap()],
            ..Allow::default()
        };
        assert!(allow.secret_file("/run/secrets/a") && !allow.secret_file("/run/secretsb"));
        assert!(allow.host_port(9002) && !allow.host_port(9003));
        assert!(allow.image("anything") && !allow.url("https://example.com"));
        for bad in ["", "0", "9-8", "1-", "-1", "70000", "1-2-3", "+1"] {
            assert!(bad.parse::<PortRange>().is_err(), "{bad:?}");
        }
    }
}
