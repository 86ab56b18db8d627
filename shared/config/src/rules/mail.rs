use pilotage_descriptor::is_email;
use pilotage_yaml::Diagnostics;

use super::Rules;
use crate::MailTls;

impl Rules<'_> {
    /// The mail server can be reached, and nothing is said in the open that was not asked for in so many words.
    pub(super) fn mail(&self, found: &mut Diagnostics) {
        let Some(mail) = &self.file.mail else { return };
        let word = |text: &str| {
            !text.is_empty()
                && text
                    .chars()
                    .all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | ':'))
        };
        let host = &mail.host;
        let several = host.contains(':') && host.parse::<std::net::Ipv6Addr>().is_err();
        if !word(host) || several {
            let error = self.error(
                "invalid-value",
                "this is no host",
                self.value("mail.host"),
                "no host",
            );
            found.push(error.help("write its name alone, such as `mail.example.com`; `port`, `tls` and the rest have keys of their own"));
        }
        if !is_email(&mail.from) || !mail.from.is_ascii() {
            let error = self.error(
                "invalid-value",
                "this is no mail address",
                self.value("mail.from"),
                "no mail address",
            );
            found.push(error.help("write the address alone, such as `pilotage@example.com`"));
        }
        for (index, domain) in mail.domains.iter().enumerate() {
            if !word(domain) || domain.contains(':') {
                let place = self.value(&format!("mail.domains[{index}]"));
                let error = self.error("invalid-value", "this is no domain", place, "no domain");
                found.push(error.help("write what stands behind the `@`, such as `example.com`"));
            }
        }
        match (mail.tls, mail.is_loopback(), mail.allow_plaintext) {
            (MailTls::None, false, false) => {
                let error = self.error(
                    "plaintext-mail",
                    "mail would leave this machine in the open",
                    self.value("mail.tls"),
                    "not protected",
                );
                found.push(
                    error
                        .help(
                            "remove it: the connection is then encrypted by STARTTLS, or the server not used",
                        )
                        .help(
                            "or add `allow_plaintext: true`, if everybody on the way may read what is sent",
                        ),
                );
            }
            (MailTls::Starttls | MailTls::Smtps, _, true) => {
                let warning = self.warning(
                    "unused-key",
                    "the connection is encrypted all the same",
                    self.key("mail.allow_plaintext"),
                    "allows nothing",
                );
                found.push(warning.help("remove it, or write `tls: none`"));
            }
            _ => {}
        }
    }
}
