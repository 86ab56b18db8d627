use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::str::FromStr;

use pilotage_yaml::FromText;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Serialize, Serializer};

/// A host name or an IP address, in lower case.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Host(String);

/// A host and a TCP port, written `db.internal:5432` or `[::1]:5432`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HostPort {
    /// Whom to reach.
    pub host: Host,
    /// On which TCP port.
    pub port: u16,
}

/// Why a text is no host, or no host and port; reads well after "`x` is no host name: ".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoHost {
    /// A scheme, path or port stands in it.
    Url,
    /// A character or label that no host name has (RFC 1123, section 2.1).
    Grammar,
    /// The port is missing or none.
    Port,
}

impl fmt::Display for NoHost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Url => "write the host alone, without scheme, port or path, such as `shop.example.com`",
            Self::Grammar => "use letters, digits, hyphens and dots, such as `shop.example.com`",
            Self::Port => "write `host:port` with a port from 1 to 65535, such as `db.internal:5432`",
        })
    }
}

impl std::error::Error for NoHost {}

impl Host {
    /// The host as text; an IPv6 address stands without brackets.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The host as a URL and a `Host` header have it: an IPv6 address stands in brackets (RFC 3986, section 3.2.2).
    #[must_use]
    pub fn authority(&self) -> String {
        match self.0.contains(':') {
            true => format!("[{}]", self.0),
            false => self.0.clone(),
        }
    }
}

impl FromStr for Host {
    type Err = NoHost;

    fn from_str(text: &str) -> Result<Self, NoHost> {
        if let Ok(address) = text.parse::<IpAddr>() {
            return Ok(Self(address.to_string()));
        }
        if text.contains(['/', ':']) {
            return Err(NoHost::Url);
        }
        let label = |label: &str| {
            (1..=63).contains(&label.len())
                && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
                && !label.starts_with('-')
                && !label.ends_with('-')
        };
        // A name that ends in a number is an address to many programs (WHATWG URL, "ends in a number").
        let last_is_number = text
            .rsplit('.')
            .next()
            .is_some_and(|l| l.bytes().all(|b| b.is_ascii_digit()));
        if text.len() <= 253 && text.split('.').all(label) && !last_is_number {
            Ok(Self(text.to_ascii_lowercase()))
        } else {
            Err(NoHost::Grammar)
        }
    }
}

impl FromStr for HostPort {
    type Err = NoHost;

    fn from_str(text: &str) -> Result<Self, NoHost> {
        let (host, port) = text.rsplit_once(':').ok_or(NoHost::Port)?;
        let digits = !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit());
        let port = port
            .parse()
            .ok()
            .filter(|port| digits && *port != 0)
            .ok_or(NoHost::Port)?;
        let host = match host.strip_prefix('[').and_then(|host| host.strip_suffix(']')) {
            Some(address) => Host(
                address
                    .parse::<Ipv6Addr>()
                    .map_err(|_| NoHost::Grammar)?
                    .to_string(),
            ),
            None if host.contains([':', '/']) => return Err(NoHost::Port),
            None => host.parse()?,
        };
        Ok(Self { host, port })
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl fmt::Display for HostPort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.host.authority(), self.port)
    }
}

impl FromText for Host {
    const NOUN: &'static str = "host name";
}

impl FromText for HostPort {
    const NOUN: &'static str = "host with a port";
}

impl Serialize for Host {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl Serialize for HostPort {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl JsonSchema for Host {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Host".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "string", "maxLength": 253, "pattern": "^([A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?|[0-9a-fA-F:.]+)$"})
    }
}

impl JsonSchema for HostPort {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "HostPort".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "string", "pattern": "^(\\[[0-9a-fA-F:.]+\\]|[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?):[0-9]{1,5}$"})
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_names_or_addresses() {
        assert_eq!(
            "Shop.Example.com".parse::<Host>().unwrap().as_str(),
            "shop.example.com"
        );
        for good in ["localhost", "10.0.0.1", "::1", "a-b.c", "xn--bcher-kva.example"] {
            assert!(good.parse::<Host>().is_ok(), "{good}");
        }
        for bad in [
            "",
            "a_b",
            "-a",
            "a-",
            "a..b",
            "*.example.com",
            "a b",
            "10.0.0.256",
            "é.fr",
            "a\nb",
        ] {
            assert_eq!(bad.parse::<Host>(), Err(NoHost::Grammar), "{bad:?}");
        }
        for bad in ["http://shop", "shop:80", "shop/x"] {
            assert_eq!(bad.parse::<Host>(), Err(NoHost::Url), "{bad:?}");
        }
    }

    #[test]
    fn an_address_that_holds_colons_stands_in_brackets_where_a_port_may_follow() {
        for (host, authority) in [
            ("shop.example.com", "shop.example.com"),
            ("10.0.0.1", "10.0.0.1"),
            ("::1", "[::1]"),
        ] {
            assert_eq!(host.parse::<Host>().unwrap().authority(), authority);
        }
    }

    #[test]
    fn a_port_follows_its_host() {
        for good in ["db.internal:5432", "10.0.0.1:1", "[::1]:65535"] {
            assert_eq!(good.parse::<HostPort>().unwrap().to_string(), good);
        }
        for bad in [
            "db",
            "db:",
            "db:0",
            "db:65536",
            "db:+5",
            "::1:80",
            "[db]:80",
            ":80",
            "tcp://db:80",
            "db:80/x",
        ] {
            assert!(bad.parse::<HostPort>().is_err(), "{bad:?}");
        }
    }
}
