use std::fmt;

use pilotage_http::reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use pilotage_http::reqwest::{Method, Url};

use crate::{Address, AddressError};

/// A request, valid and complete but for the address it goes to: a GET, unless [`HttpRequest::sending`] says otherwise.
#[derive(Clone, PartialEq, Eq)]
pub struct HttpRequest {
    /// Scheme, the host that TLS has to prove, path and query.
    url: Url,
    /// What the `Host` header says, with the port where it is not the scheme's own.
    host: HeaderValue,
    headers: HeaderMap,
    method: Method,
    body: Option<String>,
}

/// Plain or encrypted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Scheme {
    /// `http`, port 80.
    Http,
    /// `https`, port 443.
    Https,
}

/// Why no request can be made of it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RequestError {
    /// The host, or host and port.
    #[error("`{0}` is no host")]
    Host(String),
    /// The path.
    #[error("a path starts with `/` and has no fragment (`#`)")]
    Path,
    /// A header that may not be sent as it stands.
    #[error(
        "the header `{0}` cannot be sent: a name is letters, digits and hyphens, a value is one line of ASCII"
    )]
    Header(String),
    /// A method that is no word.
    #[error("`{0}` is no method")]
    Method(String),
    /// A URL of another kind.
    #[error("expected a URL such as http://shop:8080/health, tcp://db:5432 or grpc://shop:9000")]
    Url,
    /// A password where everyone can read it.
    #[error("credentials do not belong into a URL, where every process of the machine can read them")]
    Credentials,
    /// The address within the URL.
    #[error(transparent)]
    Address(#[from] AddressError),
}

impl HttpRequest {
    /// A GET of `path` (with its query), for the host `authority` (`shop.example.com`, `shop:8080`).
    ///
    /// # Errors
    /// When any of the parts is malformed.
    pub fn get<'h>(
        scheme: Scheme,
        authority: &str,
        path: &str,
        headers: impl IntoIterator<Item = (&'h str, &'h str)>,
    ) -> Result<Self, RequestError> {
        if !path.starts_with('/') || path.contains('#') {
            return Err(RequestError::Path);
        }
        let bad_host = || RequestError::Host(authority.to_owned());
        if authority.is_empty()
            || authority.contains(['/', '?', '#', '@', '\\'])
            || authority.contains(char::is_whitespace)
        {
            return Err(bad_host());
        }
        let url = Url::parse(&format!("{scheme}://{authority}{path}")).map_err(|_| bad_host())?;
        Self::of(url, headers)
    }

    /// A GET of a whole URL, and the address it names.
    ///
    /// # Errors
    /// When it is no http or https URL, or holds credentials.
    pub fn of_url<'h>(
        text: &str,
        headers: impl IntoIterator<Item = (&'h str, &'h str)>,
    ) -> Result<(Self, Address), RequestError> {
        let mut url = Url::parse(text).map_err(|_| RequestError::Url)?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(RequestError::Url);
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(RequestError::Credentials);
        }
        url.set_fragment(None);
        let host = url.host_str().ok_or(RequestError::Url)?;
        let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        let port = url.port_or_known_default().ok_or(RequestError::Url)?;
        if port == 0 {
            return Err(RequestError::Address(AddressError::Port));
        }
        Ok((Self::of(url, headers)?, Address::new(host, port)))
    }

    fn of<'h>(url: Url, headers: impl IntoIterator<Item = (&'h str, &'h str)>) -> Result<Self, RequestError> {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            let bad = || RequestError::Header(name.to_owned());
            let key = HeaderName::from_bytes(name.as_bytes()).map_err(|_| bad())?;
            map.append(key, HeaderValue::from_str(value).map_err(|_| bad())?);
        }
        let authority = url.host_str().map_or_else(String::new, |host| match url.port() {
            Some(port) => format!("{host}:{port}"),
            None => host.to_owned(),
        });
        let host = match map.remove("host") {
            Some(host) => host,
            None => HeaderValue::from_str(&authority).map_err(|_| RequestError::Host(authority))?,
        };
        Ok(Self {
            url,
            host,
            headers: map,
            method: Method::GET,
            body: None,
        })
    }

    /// The same by another method (`POST`), with a body where there is one.
    ///
    /// # Errors
    /// When the method is no word.
    pub fn sending(self, method: &str, body: Option<String>) -> Result<Self, RequestError> {
        let method =
            Method::from_bytes(method.as_bytes()).map_err(|_| RequestError::Method(method.to_owned()))?;
        Ok(Self { method, body, ..self })
    }

    pub(crate) fn method(&self) -> &Method {
        &self.method
    }

    pub(crate) fn body(&self) -> Option<&str> {
        self.body.as_deref()
    }

    pub(crate) fn url(&self) -> &Url {
        &self.url
    }

    pub(crate) fn host(&self) -> &HeaderValue {
        &self.host
    }

    pub(crate) fn headers(&self) -> &HeaderMap {
        &self.headers
    }

    /// Path and query, as they are asked for.
    #[must_use]
    pub fn path(&self) -> String {
        match self.url.query() {
            Some(query) => format!("{}?{query}", self.url.path()),
            None => self.url.path().to_owned(),
        }
    }

    /// Plain or encrypted.
    #[must_use]
    pub fn scheme(&self) -> Scheme {
        if self.url.scheme() == "https" {
            Scheme::Https
        } else {
            Scheme::Http
        }
    }

    /// What the `Host` header says.
    #[must_use]
    pub fn authority(&self) -> &str {
        self.host.to_str().unwrap_or_default()
    }
}

impl fmt::Debug for HttpRequest {
    /// Header values and body may hold a token, so neither is shown.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpRequest")
            .field("method", &self.method)
            .field("url", &self.url.as_str())
            .field("host", &self.host)
            .field("headers", &self.headers.keys().collect::<Vec<_>>())
            .finish()
    }
}

impl fmt::Display for Scheme {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Http => "http",
            Self::Https => "https",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NONE: [(&str, &str); 0] = [];

    #[test]
    fn a_url_gives_request_and_address() {
        let (request, at) = HttpRequest::of_url("https://shop.example.com/health?deep=1#x", NONE).unwrap();
        assert_eq!(at, Address::new("shop.example.com", 443));
        assert_eq!(request.path(), "/health?deep=1");
        assert_eq!(request.authority(), "shop.example.com");
        assert_eq!(request.scheme(), Scheme::Https);
        let (request, at) = HttpRequest::of_url("http://[::1]:8080", NONE).unwrap();
        assert_eq!(at.to_string(), "[::1]:8080");
        assert_eq!(
            (request.path().as_str(), request.authority()),
            ("/", "[::1]:8080")
        );
    }

    #[test]
    fn what_cannot_be_sent_is_refused() {
        let of = |url| HttpRequest::of_url(url, NONE).unwrap_err();
        assert_eq!(of("http://ana:secret@shop/"), RequestError::Credentials);
        for bad in ["shop:8080", "ftp://shop/", "http://", "/health", "http:// /"] {
            assert_eq!(of(bad), RequestError::Url, "{bad}");
        }
        let get = |authority, path, headers: &[(&'static str, &'static str)]| {
            HttpRequest::get(Scheme::Http, authority, path, headers.iter().copied()).unwrap_err()
        };
        assert_eq!(get("shop", "health", &[]), RequestError::Path);
        assert_eq!(get("shop/x", "/", &[]), RequestError::Host("shop/x".to_owned()));
        for header in [("a b", "x"), ("a", "x\r\ny: z")] {
            assert_eq!(
                get("shop", "/", &[header]),
                RequestError::Header(header.0.to_owned())
            );
        }
    }

    #[test]
    fn header_values_do_not_show_in_debug() {
        let request =
            HttpRequest::get(Scheme::Http, "shop", "/", [("Authorization", "Bearer hush")]).unwrap();
        assert!(!format!("{request:?}").contains("hush"));
    }
}
