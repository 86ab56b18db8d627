use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use url::Url;

use crate::SshAddress;

/// Why a text is no address of a repository; reads well after "`x`: ".
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UrlError {
    /// Nothing was given.
    #[error("it is empty")]
    Empty,
    /// It would be read as an option by other programs.
    #[error("it starts with a hyphen")]
    Hyphen,
    /// A user or a password stands in the URL, where logs and process lists would show it.
    #[error("it holds credentials; give them by PILOTAGE_GIT_USER and PILOTAGE_GIT_PASSWORD(_FILE) instead")]
    Credentials,
    /// A scheme that is not spoken here.
    #[error("`{scheme}` is not supported; use a path, file://, http://, https:// or ssh://")]
    Scheme {
        /// The scheme.
        scheme: String,
    },
    /// A host and a path, as ssh's short form has them, but no user.
    #[error("it could be a path or the short form of ssh; write `./{text}` or `user@{text}`")]
    Ambiguous {
        /// The text as given.
        text: String,
    },
    /// A query or a fragment, which no repository has.
    #[error("it has a query or a fragment")]
    Query,
    /// Not to be read at all.
    #[error("{detail}")]
    Malformed {
        /// What is wrong.
        detail: String,
    },
}

/// Where a repository is: a path, `file://`, `http://`, `https://`, `ssh://` or ssh's short form `user@host:path`. Holds
/// no password, so it may be shown.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct RemoteUrl(Place);

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Place {
    Path(PathBuf),
    Http(Url),
    Ssh(SshAddress),
}

impl RemoteUrl {
    /// A repository in a directory of this machine.
    #[must_use]
    pub fn from_path(path: &Path) -> Self {
        Self(Place::Path(path.to_owned()))
    }

    /// The directory, when the repository is on this machine.
    #[must_use]
    pub fn path(&self) -> Option<&Path> {
        match &self.0 {
            Place::Path(path) => Some(path),
            Place::Http(_) | Place::Ssh(_) => None,
        }
    }

    /// The URL, when the repository is asked over HTTP; its path never ends with a slash.
    #[must_use]
    pub fn http(&self) -> Option<&Url> {
        match &self.0 {
            Place::Http(url) => Some(url),
            Place::Path(_) | Place::Ssh(_) => None,
        }
    }

    /// The place on an SSH server, when the repository is asked that way.
    #[must_use]
    pub fn ssh(&self) -> Option<&SshAddress> {
        match &self.0 {
            Place::Ssh(address) => Some(address),
            Place::Path(_) | Place::Http(_) => None,
        }
    }
}

impl FromStr for RemoteUrl {
    type Err = UrlError;

    fn from_str(text: &str) -> Result<Self, UrlError> {
        if text.is_empty() {
            return Err(UrlError::Empty);
        }
        if text.starts_with('-') {
            return Err(UrlError::Hyphen);
        }
        if text.chars().any(char::is_control) {
            return Err(UrlError::Malformed {
                detail: "it holds a control character".to_owned(),
            });
        }
        let Some((scheme, _)) = text.split_once("://") else {
            // `git@host:path` is ssh's short form; a path with a colon can be written as `./a:b`.
            if let Some((place, path)) = split_short(text) {
                let Some((user, host)) = place.rsplit_once('@') else {
                    return Err(UrlError::Ambiguous {
                        text: text.to_owned(),
                    });
                };
                return SshAddress::from_short(user, host, path).map(|address| Self(Place::Ssh(address)));
            }
            return Ok(Self(Place::Path(PathBuf::from(text))));
        };
        let scheme = scheme.to_ascii_lowercase();
        if !matches!(scheme.as_str(), "file" | "http" | "https" | "ssh") {
            return Err(UrlError::Scheme { scheme });
        }
        let mut url = Url::parse(text).map_err(|error| UrlError::Malformed {
            detail: error.to_string(),
        })?;
        if scheme == "ssh" {
            return SshAddress::from_url(&url).map(|address| Self(Place::Ssh(address)));
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(UrlError::Credentials);
        }
        if url.query().is_some() || url.fragment().is_some() {
            return Err(UrlError::Query);
        }
        if scheme == "file" {
            return url
                .to_file_path()
                .map(|path| Self(Place::Path(path)))
                .map_err(|()| UrlError::Malformed {
                    detail: "a file URL is `file:///absolute/path`".to_owned(),
                });
        }
        let trimmed = url.path().trim_end_matches('/').to_owned();
        url.set_path(&trimmed);
        Ok(Self(Place::Http(url)))
    }
}

/// What stands before and after the colon of ssh's short form, when the text has one before its first slash.
fn split_short(text: &str) -> Option<(&str, &str)> {
    // The colons of an IPv6 address are not it.
    let from = match (text.find("@["), text.find(']')) {
        (Some(open), Some(close)) if open < close => close,
        _ => 0,
    };
    let at = from + text[from..].find(':')?;
    let (place, path) = (&text[..at], &text[at + 1..]);
    (!place.contains('/')).then_some((place, path))
}

impl fmt::Display for RemoteUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Place::Path(path) => write!(f, "{}", path.display()),
            Place::Http(url) => f.write_str(url.as_str()),
            Place::Ssh(address) => address.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read() {
        let path: RemoteUrl = "/srv/env.git".parse().unwrap();
        assert_eq!(path.path(), Some(Path::new("/srv/env.git")));
        let file: RemoteUrl = "file:///srv/a%20b.git".parse().unwrap();
        assert_eq!(file.path(), Some(Path::new("/srv/a b.git")));
        let http: RemoteUrl = "https://git.example.com/acme/env.git/".parse().unwrap();
        assert_eq!(http.to_string(), "https://git.example.com/acme/env.git");
        assert!("./a:b".parse::<RemoteUrl>().unwrap().path().is_some());
    }

    #[test]
    fn dangerous_or_unsupported_ones_are_refused() {
        let error = |text: &str| text.parse::<RemoteUrl>().unwrap_err();
        assert_eq!(error(""), UrlError::Empty);
        assert_eq!(error("--upload-pack=x"), UrlError::Hyphen);
        assert_eq!(error("https://u:p@host/x"), UrlError::Credentials);
        assert_eq!(error("https://token@host/x"), UrlError::Credentials);
        assert_eq!(error("https://host/x?y=1"), UrlError::Query);
        for text in ["git://host/x", "git+ssh://host/x"] {
            assert!(matches!(error(text), UrlError::Scheme { .. }), "{text}");
        }
        for text in ["ext::sh -c id", "host:x", "C:\\x"] {
            assert!(matches!(error(text), UrlError::Ambiguous { .. }), "{text}");
        }
        assert!(matches!(error("/a\u{1b}[2J"), UrlError::Malformed { .. }));
        assert!(!error("https://u:secret@host/x").to_string().contains("secret"));
    }
}
