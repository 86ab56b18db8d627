use std::str::FromStr;

use pilotage_probe::{Address, AddressError, Scheme};

/// Where a port of the descriptor is found: `http=10.0.0.5:8080`, or `http=https://shop.example.com` where it speaks TLS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PortPlace {
    /// The port's name in the descriptor.
    pub port: String,
    /// How HTTP is spoken there.
    pub scheme: Scheme,
    /// Where it is.
    pub at: Address,
}

/// Why a text is no place of a port.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PortPlaceError {
    /// Not `NAME=ADDRESS`.
    #[error("expected PORT=HOST:PORT, such as http=shop:8080, or PORT=https://HOST")]
    Malformed,
    /// The address.
    #[error(transparent)]
    Address(#[from] AddressError),
}

impl FromStr for PortPlace {
    type Err = PortPlaceError;

    fn from_str(text: &str) -> Result<Self, PortPlaceError> {
        let (port, place) = text.split_once('=').ok_or(PortPlaceError::Malformed)?;
        if port.is_empty() {
            return Err(PortPlaceError::Malformed);
        }
        let (scheme, address, default) = match place.split_once("://") {
            None => (Scheme::Http, place, None),
            Some(("http", rest)) => (Scheme::Http, rest, Some(80)),
            Some(("https", rest)) => (Scheme::Https, rest, Some(443)),
            Some(_) => return Err(PortPlaceError::Malformed),
        };
        let at = match (address.parse(), default) {
            (Ok(at), _) => at,
            // A URL may leave its scheme's own port out.
            (Err(AddressError::Malformed), Some(default)) => format!("{address}:{default}").parse()?,
            (Err(error), _) => return Err(error.into()),
        };
        Ok(Self {
            port: port.to_owned(),
            scheme,
            at,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_read() {
        for (text, scheme, at) in [
            ("http=shop:8080", Scheme::Http, "shop:8080"),
            ("http=[::1]:80", Scheme::Http, "[::1]:80"),
            ("http=http://shop", Scheme::Http, "shop:80"),
            ("http=https://shop", Scheme::Https, "shop:443"),
            ("http=https://[::1]", Scheme::Https, "[::1]:443"),
            ("http=https://shop:8443", Scheme::Https, "shop:8443"),
        ] {
            let place: PortPlace = text.parse().unwrap();
            assert_eq!((place.port.as_str(), place.scheme), ("http", scheme), "{text}");
            assert_eq!(place.at.to_string(), at, "{text}");
        }
        for bad in [
            "shop:8080",
            "=shop:80",
            "http=shop",
            "http=ftp://shop",
            "http=https://shop/x",
            "http=shop:0",
        ] {
            assert!(bad.parse::<PortPlace>().is_err(), "{bad}");
        }
    }
}
