use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

/// Where to ask: a host name or IP address, and a TCP port. Prints as `host:8080` or `[::1]:8080`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Address {
    /// A name, or an IP address without brackets.
    pub host: String,
    /// The TCP port.
    pub port: u16,
}

/// Why a text is no address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// Not `host:port`.
    #[error("an address is HOST:PORT, such as shop:8080 or [::1]:8080")]
    Malformed,
    /// No port, or one outside 1 to 65535.
    #[error("the port must be a number from 1 to 65535")]
    Port,
}

impl Address {
    /// A host and a port, as they are.
    pub fn new(host: impl Into<String>, port: u16) -> Self {
        Self {
            host: host.into(),
            port,
        }
    }

    /// The IP address, where the host is one.
    #[must_use]
    pub fn ip(&self) -> Option<IpAddr> {
        self.host.parse().ok()
    }
}

impl FromStr for Address {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        let (host, port) = text.rsplit_once(':').ok_or(AddressError::Malformed)?;
        let bracketed = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
        let host = match bracketed {
            Some(host) if host.parse::<std::net::Ipv6Addr>().is_ok() => host,
            Some(_) => return Err(AddressError::Malformed),
            None => host,
        };
        // RFC 1123 names, with the underscore that Docker allows; a second colon would be an IPv6 address without brackets.
        let named = |b: u8| b.is_ascii_alphanumeric() || b"-._".contains(&b);
        if bracketed.is_none() && (host.is_empty() || host.starts_with('-') || !host.bytes().all(named)) {
            return Err(AddressError::Malformed);
        }
        match port.parse() {
            Ok(port) if port > 0 => Ok(Self::new(host, port)),
            _ => Err(AddressError::Port),
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_and_printed() {
        for text in ["shop:8080", "10.0.0.1:1", "[::1]:65535", "my_app.internal:80"] {
            assert_eq!(text.parse::<Address>().unwrap().to_string(), text);
        }
        for bad in [
            "shop",
            ":80",
            "::1:80",
            "[shop]:80",
            "-x:80",
            "a b:80",
            "u@h:80",
            "h/:80",
        ] {
            assert_eq!(bad.parse::<Address>(), Err(AddressError::Malformed), "{bad}");
        }
        for bad in ["shop:", "shop:0", "shop:65536", "shop:http"] {
            assert_eq!(bad.parse::<Address>(), Err(AddressError::Port), "{bad}");
        }
    }
}
