use pilotage_secret::Secret;
use reqwest::{NoProxy, Proxy};
use url::Url;

use crate::Credentials;

/// Which proxy requests go through, and which hosts are asked directly.
#[derive(Clone, Debug, Default)]
pub struct Proxies {
    http: Option<ProxyUrl>,
    https: Option<ProxyUrl>,
    bypass: String,
}

/// Where a proxy is, without the credentials that stood in its URL.
#[derive(Clone, Debug)]
struct ProxyUrl {
    url: Url,
    credentials: Option<Credentials>,
}

/// Why a proxy variable is of no use. The value is not repeated: it may hold a password.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProxyError {
    /// Not a URL with a host.
    #[error("`{variable}` is no proxy URL: write for example http://proxy.example.com:3128")]
    NoUrl {
        /// The variable it stood in.
        variable: &'static str,
    },
    /// Another protocol than HTTP towards the proxy.
    #[error("`{variable}` asks for a `{scheme}` proxy: only http:// and https:// proxies are supported")]
    Scheme {
        /// The variable it stood in.
        variable: &'static str,
        /// What stands before `://`.
        scheme: String,
    },
}

impl Proxies {
    /// Every request goes straight to its host.
    #[must_use]
    pub fn none() -> Self {
        Self::default()
    }

    /// From the variables every HTTP tool knows: `http_proxy`, `https_proxy`, `all_proxy` and `no_proxy`, the lower-case
    /// writing first. `HTTP_PROXY` does not count where `REQUEST_METHOD` is set: in a CGI program it is a header of the
    /// request, so a stranger chooses it. `variable` looks one up.
    ///
    /// # Errors
    /// When a value is no proxy URL.
    pub fn from_env(variable: impl Fn(&str) -> Option<String>) -> Result<Self, ProxyError> {
        let set = |name: &str| variable(name).filter(|value| !value.trim().is_empty());
        let first = |names: [&'static str; 2]| {
            names
                .into_iter()
                .filter(|name| *name != "HTTP_PROXY" || set("REQUEST_METHOD").is_none())
                .find_map(|name| set(name).map(|value| (name, value)))
        };
        let all = first(["all_proxy", "ALL_PROXY"]);
        let proxy = |names| {
            first(names)
                .or_else(|| all.clone())
                .map(|(name, value)| ProxyUrl::parse(name, &value))
                .transpose()
        };
        Ok(Self {
            http: proxy(["http_proxy", "HTTP_PROXY"])?,
            https: proxy(["https_proxy", "HTTPS_PROXY"])?,
            bypass: first(["no_proxy", "NO_PROXY"]).map_or_else(String::new, |(_, value)| value),
        })
    }

    /// Whether every request goes straight to its host.
    #[must_use]
    pub fn is_none(&self) -> bool {
        self.http.is_none() && self.https.is_none()
    }

    /// The passwords in it, for the redactor.
    pub fn secrets(&self) -> impl Iterator<Item = &Secret> {
        [&self.http, &self.https]
            .into_iter()
            .flatten()
            .filter_map(|proxy| proxy.credentials.as_ref())
            .map(|credentials| &credentials.password)
    }

    pub(crate) fn for_client(&self) -> Result<Vec<Proxy>, reqwest::Error> {
        let mut proxies = Vec::new();
        for (proxy, build) in [
            (&self.http, Proxy::http::<Url> as fn(Url) -> _),
            (&self.https, Proxy::https::<Url> as fn(Url) -> _),
        ] {
            let Some(proxy) = proxy else { continue };
            let mut built: Proxy = build(proxy.url.clone())?;
            if let Some(Credentials { user, password }) = &proxy.credentials {
                built = built.basic_auth(user, password.expose());
            }
            proxies.push(built.no_proxy(NoProxy::from_string(&self.bypass)));
        }
        Ok(proxies)
    }
}

impl ProxyUrl {
    fn parse(variable: &'static str, value: &str) -> Result<Self, ProxyError> {
        let value = value.trim();
        let whole = if value.contains("://") {
            value.to_owned()
        } else {
            format!("http://{value}")
        };
        let mut url = Url::parse(&whole).map_err(|_| ProxyError::NoUrl { variable })?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(ProxyError::Scheme {
                variable,
                scheme: url.scheme().to_owned(),
            });
        }
        if url.host_str().is_none_or(str::is_empty) {
            return Err(ProxyError::NoUrl { variable });
        }
        let decoded = |text: &str| percent_decoded(text);
        let user = decoded(url.username());
        let password = url.password().map(decoded);
        let credentials = (!user.is_empty() || password.is_some())
            .then(|| Credentials::new(user, Secret::new(password.unwrap_or_default())));
        // Neither fails for a URL that has a host.
        let _ = url.set_username("");
        let _ = url.set_password(None);
        Ok(Self { url, credentials })
    }
}

/// The user information of a URL is percent-encoded.
fn percent_decoded(text: &str) -> String {
    // A form's `+` means a space; here it means itself.
    let form = text.replace('+', "%2B");
    url::form_urlencoded::parse(format!("x={}", form.replace('&', "%26")).as_bytes())
        .next()
        .map_or_else(String::new, |(_, value)| value.into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn from(pairs: &[(&str, &str)]) -> Result<Proxies, ProxyError> {
        Proxies::from_env(|name| {
            pairs
                .iter()
                .find(|(known, _)| *known == name)
                .map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn variables_are_read_the_usual_way() {
        let proxies = from(&[
            ("https_proxy", "http://ana:p%40ss+w@proxy:3128"),
            ("HTTPS_PROXY", "http://other:1"),
            ("ALL_PROXY", "any:8080"),
            ("no_proxy", "localhost,.internal"),
        ])
        .unwrap();
        let https = proxies.https.as_ref().unwrap();
        assert_eq!(https.url.as_str(), "http://proxy:3128/");
        let credentials = https.credentials.as_ref().unwrap();
        assert_eq!(
            (credentials.user.as_str(), credentials.password.expose()),
            ("ana", "p@ss+w")
        );
        assert_eq!(proxies.http.as_ref().unwrap().url.as_str(), "http://any:8080/");
        assert_eq!(proxies.bypass, "localhost,.internal");
        assert_eq!(proxies.secrets().count(), 1);
        assert!(!format!("{proxies:?}").contains("p@ss"));
    }

    #[test]
    fn empty_values_and_a_header_in_disguise_do_not_count() {
        assert!(
            from(&[("https_proxy", " "), ("http_proxy", "")])
                .unwrap()
                .is_none()
        );
        assert!(
            from(&[("HTTP_PROXY", "evil:1"), ("REQUEST_METHOD", "GET")])
                .unwrap()
                .is_none()
        );
    }

    #[test]
    fn a_bad_value_is_refused_without_repeating_it() {
        for bad in [
            "http://ana:hunter2@",
            "socks5://ana:hunter2@proxy:1080",
            "http://[hunter2",
            "ana:hunter2@proxy:99999",
        ] {
            let error = from(&[("https_proxy", bad)]).unwrap_err().to_string();
            assert!(
                error.starts_with("`https_proxy`") && !error.contains("hunter2"),
                "{error}"
            );
        }
    }
}
