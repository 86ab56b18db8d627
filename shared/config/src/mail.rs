use std::net::IpAddr;

use pilotage_yaml::{record, words};

record! {
    /// The server that takes mail. Its user and password come from the environment of the step, never from here.
    pub struct Mail: Eq {
        /// Its name or address.
        pub host: String,
        /// Its port; 587 when nothing is written, 465 under `tls: smtps`, 25 under `tls: none`.
        pub port: Option<u16>,
        /// The address that mail comes from; what cannot be delivered goes back there.
        pub from: String,
        /// How the connection is protected.
        pub tls: MailTls = MailTls::Starttls,
        /// Whether `tls: none` may leave this machine. Everybody on the way can then read and change what is sent.
        pub allow_plaintext: bool = false,
        /// Where addresses that come from git (committers, maintainers, descriptors) may lie; everywhere when empty.
        /// Addresses of this file are always mailed.
        pub domains: Vec<String>,
    }
}

words! {
    /// How a connection to a mail server is protected.
    pub enum MailTls {
        /// It begins in the open and is encrypted before anything is said; a server that cannot is not used.
        Starttls = "starttls",
        /// It is encrypted from its first byte.
        Smtps = "smtps",
        /// Not at all: for a server on this machine.
        None = "none",
    }
}

impl Mail {
    /// The port to connect to.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port.unwrap_or(match self.tls {
            MailTls::Starttls => 587,
            MailTls::Smtps => 465,
            MailTls::None => 25,
        })
    }

    /// Whether the server is this machine, so that nobody can listen in between.
    #[must_use]
    pub fn is_loopback(&self) -> bool {
        self.host.eq_ignore_ascii_case("localhost")
            || self
                .host
                .parse::<IpAddr>()
                .is_ok_and(|address| address.is_loopback())
    }

    /// Whether an address that came from git may be mailed.
    #[must_use]
    pub fn reaches(&self, address: &str) -> bool {
        let Some((_, domain)) = address.rsplit_once('@') else {
            return false;
        };
        self.domains.is_empty()
            || self
                .domains
                .iter()
                .any(|known| known.eq_ignore_ascii_case(domain))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mail(host: &str, domains: &[&str]) -> Mail {
        Mail {
            host: host.to_owned(),
            port: None,
            from: "pilotage@example.com".to_owned(),
            tls: MailTls::Smtps,
            allow_plaintext: false,
            domains: domains.iter().map(|domain| (*domain).to_owned()).collect(),
        }
    }

    #[test]
    fn this_machine_is_known_by_its_addresses() {
        for (host, here) in [
            ("localhost", true),
            ("127.0.0.1", true),
            ("::1", true),
            ("mail.example.com", false),
            ("127.example.com", false),
        ] {
            assert_eq!(mail(host, &[]).is_loopback(), here, "{host}");
        }
        assert_eq!(mail("h", &[]).port(), 465);
    }

    #[test]
    fn a_domain_is_that_domain_alone() {
        let mail = mail("h", &["example.com"]);
        assert!(mail.reaches("ana@Example.com"));
        for other in [
            "ana@evil-example.com",
            "ana@example.com.evil.org",
            "ana@sub.example.com",
            "ana",
        ] {
            assert!(!mail.reaches(other), "{other}");
        }
    }
}
