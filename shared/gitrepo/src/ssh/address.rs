use std::fmt;

use percent_encoding::{AsciiSet, CONTROLS, percent_decode_str, utf8_percent_encode};
use url::{Host, Url};

use crate::UrlError;

/// The port of ssh(1).
pub(crate) const PORT: u16 = 22;

/// What would not survive in the path of a URL.
const IN_PATH: &AsciiSet = &CONTROLS
    .add(b' ')
    .add(b'%')
    .add(b'?')
    .add(b'#')
    .add(b'"')
    .add(b'<')
    .add(b'>');

/// Where a repository is behind an SSH server. Host, user and path are checked: none can be read as an option or hold a
/// control character, and the host has only the characters of a name or a number.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct SshAddress {
    user: Option<String>,
    host: String,
    port: u16,
    path: String,
}

impl SshAddress {
    /// From `ssh://[user@]host[:port]/path`.
    pub(crate) fn from_url(url: &Url) -> Result<Self, UrlError> {
        if url.password().is_some() {
            return Err(UrlError::Credentials);
        }
        if url.query().is_some() || url.fragment().is_some() {
            return Err(UrlError::Query);
        }
        let host = match url.host() {
            Some(Host::Domain(name)) => name.to_owned(),
            Some(Host::Ipv4(address)) => address.to_string(),
            Some(Host::Ipv6(address)) => address.to_string(),
            None => return Err(malformed("it names no host")),
        };
        let decode = |text: &str| {
            let decoded = percent_decode_str(text).decode_utf8();
            decoded
                .map(std::borrow::Cow::into_owned)
                .map_err(|_| malformed("it is not UTF-8"))
        };
        let user = Some(decode(url.username())?).filter(|user| !user.is_empty());
        let path = decode(url.path())?;
        // git reads `/~ana/env.git` as a path below a home.
        let path = match path.strip_prefix("/~") {
            Some(home) => format!("~{home}"),
            None => path,
        };
        Self::checked(user, host, url.port().unwrap_or(PORT), path)
    }

    /// From the short form `user@host:path`, where a path without a slash at its start is below the user's home.
    pub(crate) fn from_short(user: &str, host: &str, path: &str) -> Result<Self, UrlError> {
        let host = match host.strip_prefix('[').and_then(|host| host.strip_suffix(']')) {
            Some(inside) => match inside.parse::<std::net::Ipv6Addr>() {
                Ok(address) => address.to_string(),
                Err(_) => return Err(malformed("its host is no IPv6 address")),
            },
            None => host.to_owned(),
        };
        Self::checked(Some(user.to_owned()), host, PORT, path.to_owned())
    }

    fn checked(user: Option<String>, host: String, port: u16, path: String) -> Result<Self, UrlError> {
        let host = host.to_ascii_lowercase();
        let is_number = host.parse::<std::net::Ipv6Addr>().is_ok();
        let good = |text: &str, more: &str| {
            let mut letters = text.chars();
            letters
                .next()
                .is_some_and(|c| c.is_ascii_alphanumeric() || c == '_')
                && letters.all(|c| c.is_ascii_alphanumeric() || more.contains(c))
        };
        if !is_number && !good(&host, ".-_") {
            return Err(malformed("its host is no host name"));
        }
        if user.as_ref().is_some_and(|user| !good(user, ".-_+@")) {
            return Err(malformed("its user is no user name"));
        }
        if port == 0 {
            return Err(malformed("port 0 is no port"));
        }
        let path = match path.trim_end_matches('/') {
            "" => return Err(malformed("it names no repository on the host")),
            trimmed => trimmed.to_owned(),
        };
        if path.starts_with('-') {
            return Err(malformed("its path starts with a hyphen"));
        }
        if path.chars().any(char::is_control) {
            return Err(malformed("its path holds a control character"));
        }
        Ok(Self {
            user,
            host,
            port,
            path,
        })
    }

    /// The user to log in as, where the address says so.
    #[must_use]
    pub fn user(&self) -> Option<&str> {
        self.user.as_deref()
    }

    /// The host, in lower case; an IPv6 address stands without brackets.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port, 22 when none is named.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The repository's path as the server's git gets it.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The host as known_hosts files write it: `host`, or `[host]:port` for any port but 22.
    #[must_use]
    pub fn known_as(&self) -> String {
        if self.port == PORT {
            self.host.clone()
        } else {
            format!("[{}]:{}", self.host, self.port)
        }
    }

    /// The command that serves the repository: `git-upload-pack '/srv/env.git'`. The server gives it to the user's
    /// shell, so the path is quoted for any of them.
    pub(crate) fn command(&self, program: &str) -> String {
        let mut command = format!("{program} '");
        for c in self.path.chars() {
            match c {
                // csh expands `!` even between single quotes.
                '\'' | '!' => command.extend(["'\\", c.encode_utf8(&mut [0; 4]), "'"]),
                _ => command.push(c),
            }
        }
        command.push('\'');
        command
    }
}

fn malformed(detail: &str) -> UrlError {
    UrlError::Malformed {
        detail: detail.to_owned(),
    }
}

impl fmt::Display for SshAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let user = self
            .user
            .as_ref()
            .map(|user| format!("{}@", user.replace('@', "%40")));
        let user = user.as_deref().unwrap_or_default();
        let host = if self.host.contains(':') {
            format!("[{}]", self.host)
        } else {
            self.host.clone()
        };
        if !self.path.starts_with(['/', '~']) {
            return write!(f, "{user}{host}:{}", self.path);
        }
        write!(f, "ssh://{user}{host}")?;
        if self.port != PORT {
            write!(f, ":{}", self.port)?;
        }
        let slash = if self.path.starts_with('~') { "/" } else { "" };
        write!(f, "{slash}{}", utf8_percent_encode(&self.path, IN_PATH))
    }
}

#[cfg(test)]
mod tests {
    use crate::{RemoteUrl, UrlError};

    fn read(text: &str) -> super::SshAddress {
        let url: RemoteUrl = text.parse().unwrap_or_else(|error| panic!("{text}: {error}"));
        url.ssh().cloned().unwrap_or_else(|| panic!("{text} is not ssh"))
    }

    #[test]
    fn both_forms_are_read() {
        let address = read("ssh://git@Git.Example.com:2222/acme/env.git/");
        assert_eq!(
            (address.user(), address.host(), address.port(), address.path()),
            (Some("git"), "git.example.com", 2222, "/acme/env.git")
        );
        assert_eq!(address.known_as(), "[git.example.com]:2222");
        let short = read("git@git.example.com:acme/env.git");
        assert_eq!((short.port(), short.path()), (22, "acme/env.git"));
        assert_eq!(short.known_as(), "git.example.com");
        assert_eq!(read("ssh://host/~/env.git").path(), "~/env.git");
        assert_eq!(read("ssh://host/a%20b.git").path(), "/a b.git");
        assert_eq!(read("ssh://[::1]:22/x").host(), "::1");
        assert_eq!(read("git@[2001:DB8::1]:x").known_as(), "2001:db8::1");
        assert_eq!(
            read("ssh://ana%40example.com@host/x").user(),
            Some("ana@example.com")
        );
    }

    #[test]
    fn what_is_shown_means_the_same() {
        for (text, shown) in [
            ("ssh://git@host:22/x.git/", "ssh://git@host/x.git"),
            ("git@HOST:/x.git", "ssh://git@host/x.git"),
            ("git@host:x.git", "git@host:x.git"),
            ("ssh://host/~ana/x", "ssh://host/~ana/x"),
            ("ssh://[::1]:99/a%25%20b", "ssh://[::1]:99/a%25%20b"),
            ("ssh://a%40b@host/x", "ssh://a%40b@host/x"),
        ] {
            assert_eq!(read(text).to_string(), shown);
            assert_eq!(read(shown), read(text), "{text}");
        }
    }

    #[test]
    fn nothing_can_be_read_as_an_option_or_a_command() {
        let error = |text: &str| text.parse::<RemoteUrl>().unwrap_err();
        for text in [
            "ssh://-oProxyCommand=id/x",
            "ssh://host/",
            "ssh://host",
            "ssh:///x",
            "ssh://-x@host/y",
            "ssh://host:0/x",
            "ssh://ho$t/x",
            "ssh://host/a%0ab",
            "ssh://host/%00",
            "ssh://host/%ff",
            "git@host:-x",
            "git@host:",
            "-git@host:x",
            "git@-host:x",
            "g it@host:x",
            "git@ho;st:x",
            "git@[::zz]:x",
        ] {
            let error = error(text);
            assert!(
                matches!(error, UrlError::Malformed { .. } | UrlError::Hyphen),
                "{text}: {error:?}"
            );
        }
        assert_eq!(error("ssh://git:pw@host/x"), UrlError::Credentials);
        assert_eq!(error("ssh://host/x?y"), UrlError::Query);
        assert_eq!(error("ssh://host/x#y"), UrlError::Query);
    }

    #[test]
    fn the_path_is_quoted_for_any_shell() {
        let command = |text: &str| read(text).command("git-upload-pack");
        assert_eq!(command("git@host:env.git"), "git-upload-pack 'env.git'");
        assert_eq!(
            command("ssh://host/a'$(id)`id`;b"),
            r"git-upload-pack '/a'\''$(id)`id`;b'"
        );
        assert_eq!(command("ssh://host/a!b\\c"), r"git-upload-pack '/a'\!'b\c'");
    }
}
