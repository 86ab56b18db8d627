//! The file of host keys that are believed, in the format of sshd(8), "SSH_KNOWN_HOSTS FILE FORMAT".

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ring::hmac;

/// What a known_hosts file says. Lines that cannot be read are passed over, as ssh(1) does.
#[derive(Debug, Default)]
pub(super) struct KnownHosts(Vec<Entry>);

#[derive(Debug)]
struct Entry {
    line: usize,
    marker: Marker,
    hosts: Hosts,
    kind: String,
    key: Vec<u8>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Marker {
    None,
    Revoked,
    Authority,
}

#[derive(Debug)]
enum Hosts {
    /// Names and patterns with `*`, `?` and `!`.
    Patterns(Vec<String>),
    /// `|1|salt|hash`: HMAC-SHA1 of the name under the salt.
    Hashed { salt: Vec<u8>, hash: Vec<u8> },
}

/// What the file says of a key that a host shows.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It is the host's key.
    Known,
    /// The file holds nothing about the host.
    Unknown,
    /// The file holds other keys of the host; here is one of them.
    Changed { line: usize, kind: String },
    /// The file says that this key must never be believed.
    Revoked { line: usize },
    /// The file trusts the host through an authority only, which is not supported.
    Authority { line: usize },
}

impl KnownHosts {
    pub(super) fn parse(text: &str) -> Self {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let lines = text.lines().enumerate();
        Self(
            lines
                .filter_map(|(index, line)| Entry::parse(index + 1, line))
                .collect(),
        )
    }

    /// The types of the keys that are believed for a host.
    pub(super) fn kinds(&self, host: &str) -> Vec<&str> {
        let entries = self.of(host, Marker::None);
        entries.map(|entry| entry.kind.as_str()).collect()
    }

    pub(super) fn judge(&self, host: &str, kind: &str, key: &[u8]) -> Verdict {
        if let Some(entry) = self.of(host, Marker::Revoked).find(|entry| entry.key == key) {
            return Verdict::Revoked { line: entry.line };
        }
        if self.of(host, Marker::None).any(|entry| entry.key == key) {
            return Verdict::Known;
        }
        let same_kind = self.of(host, Marker::None).find(|entry| entry.kind == kind);
        if let Some(entry) = same_kind.or_else(|| self.of(host, Marker::None).next()) {
            return Verdict::Changed {
                line: entry.line,
                kind: entry.kind.clone(),
            };
        }
        match self.of(host, Marker::Authority).next() {
            Some(entry) => Verdict::Authority { line: entry.line },
            None => Verdict::Unknown,
        }
    }

    fn of(&self, host: &str, marker: Marker) -> impl Iterator<Item = &Entry> {
        self.0
            .iter()
            .filter(move |entry| entry.marker == marker && entry.hosts.mean(host))
    }
}

impl Entry {
    fn parse(line: usize, text: &str) -> Option<Self> {
        let mut words = text.split_ascii_whitespace().peekable();
        let marker = match *words.peek()? {
            "@revoked" => Marker::Revoked,
            "@cert-authority" => Marker::Authority,
            first if first.starts_with(['#', '@']) => return None,
            _ => Marker::None,
        };
        if marker != Marker::None {
            words.next();
        }
        Some(Self {
            line,
            marker,
            hosts: Hosts::parse(words.next()?)?,
            kind: words.next()?.to_owned(),
            key: STANDARD.decode(words.next()?).ok()?,
        })
    }
}

impl Hosts {
    fn parse(text: &str) -> Option<Self> {
        let Some(hashed) = text.strip_prefix('|') else {
            let patterns = text.split(',').map(str::to_ascii_lowercase);
            return Some(Self::Patterns(patterns.collect()));
        };
        let (salt, hash) = hashed.strip_prefix("1|")?.split_once('|')?;
        Some(Self::Hashed {
            salt: STANDARD.decode(salt).ok()?,
            hash: STANDARD.decode(hash).ok()?,
        })
    }

    fn mean(&self, host: &str) -> bool {
        match self {
            Self::Patterns(patterns) => {
                let mut meant = false;
                for pattern in patterns {
                    match pattern.strip_prefix('!') {
                        Some(not) if matches(not.as_bytes(), host.as_bytes()) => return false,
                        Some(_) => {}
                        None => meant |= matches(pattern.as_bytes(), host.as_bytes()),
                    }
                }
                meant
            }
            Self::Hashed { salt, hash } => {
                let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, salt);
                hmac::verify(&key, host.as_bytes(), hash).is_ok()
            }
        }
    }
}

/// Whether a pattern with `*` and `?` means a name; in time proportional to both lengths at worst.
fn matches(pattern: &[u8], name: &[u8]) -> bool {
    let (mut p, mut n) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while n < name.len() {
        match pattern.get(p) {
            Some(b'*') => {
                star = Some((p, n));
                p += 1;
            }
            Some(c) if *c == b'?' || *c == name[n] => {
                p += 1;
                n += 1;
            }
            _ => match &mut star {
                Some((at, taken)) => {
                    *taken += 1;
                    (p, n) = (*at + 1, *taken);
                }
                None => return false,
            },
        }
    }
    pattern[p..].iter().all(|c| *c == b'*')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judge(file: &str, host: &str, key: &[u8]) -> Verdict {
        KnownHosts::parse(file).judge(host, "ssh-ed25519", key)
    }

    // `a2V5`, `b3RoZXI=` and `cnNh` are "key", "other" and "rsa".

    #[test]
    fn names_ports_lists_and_patterns() {
        let file = "# a comment\n\n*.example.com,!bad.example.com ssh-ed25519 a2V5 ana@box\r\n[git.local]:2222,[::1]:22 ssh-ed25519 a2V5";
        for (host, verdict) in [
            ("git.example.com", Verdict::Known),
            ("bad.example.com", Verdict::Unknown),
            ("example.com", Verdict::Unknown),
            ("[git.local]:2222", Verdict::Known),
            ("[git.local]:2223", Verdict::Unknown),
            ("git.local", Verdict::Unknown),
        ] {
            assert_eq!(judge(file, host, b"key"), verdict, "{host}");
        }
        assert_eq!(
            judge("GIT.example.com ssh-ed25519 a2V5", "git.example.com", b"key"),
            Verdict::Known
        );
        assert_eq!(judge("g?t.* ssh-ed25519 a2V5", "git.x", b"key"), Verdict::Known);
    }

    /// Made with `ssh-keygen -H`.
    #[test]
    fn hashed_names() {
        let file = "|1|O33ESRMWPVkMYIwJ1Uw+n877jTo=|nuuC5vEqXlEZ/8BXQR7m619W6Ak= ssh-ed25519 a2V5";
        assert_eq!(judge(file, "example.com", b"key"), Verdict::Known);
        assert_eq!(judge(file, "example.org", b"key"), Verdict::Unknown);
    }

    #[test]
    fn a_key_of_any_type_is_one_of_the_hosts_keys() {
        let file = "h ssh-rsa cnNh\nh ssh-ed25519 a2V5\n";
        assert_eq!(judge(file, "h", b"key"), Verdict::Known);
        assert_eq!(KnownHosts::parse(file).kinds("h"), ["ssh-rsa", "ssh-ed25519"]);
        let changed = |line, kind: &str| Verdict::Changed {
            line,
            kind: kind.to_owned(),
        };
        assert_eq!(judge(file, "h", b"new"), changed(2, "ssh-ed25519"));
        assert_eq!(judge("h ssh-rsa cnNh", "h", b"new"), changed(1, "ssh-rsa"));
    }

    #[test]
    fn markers() {
        let revoked = "@revoked * ssh-ed25519 a2V5\nh ssh-ed25519 a2V5\nh ssh-ed25519 b3RoZXI=";
        assert_eq!(judge(revoked, "h", b"key"), Verdict::Revoked { line: 1 });
        assert_eq!(judge(revoked, "h", b"other"), Verdict::Known);
        let authority = "@cert-authority *.example.com ssh-ed25519 a2V5";
        assert_eq!(
            judge(authority, "x.example.com", b"key"),
            Verdict::Authority { line: 1 }
        );
        assert_eq!(judge(authority, "x.example.org", b"key"), Verdict::Unknown);
        assert_eq!(judge("@other h ssh-ed25519 a2V5", "h", b"key"), Verdict::Unknown);
    }

    #[test]
    fn what_cannot_be_read_is_passed_over() {
        let file =
            "h\nh ssh-ed25519\nh ssh-ed25519 ???\n|1|x h y\n|2|a|b ssh-ed25519 a2V5\nh ssh-ed25519 a2V5";
        assert_eq!(judge(file, "h", b"key"), Verdict::Known);
        assert_eq!(KnownHosts::parse(file).0.len(), 1);
    }

    #[test]
    fn patterns_end_in_bounded_time() {
        let pattern = "*a".repeat(60);
        assert!(!matches(pattern.as_bytes(), "a".repeat(59).as_bytes()));
        assert!(!matches(
            format!("{pattern}b").as_bytes(),
            "a".repeat(5000).as_bytes()
        ));
        assert!(matches(b"**", b""));
    }
}
