//! What goes out as mail: pure, from the rendered texts to the bytes that a server gets.

use std::time::SystemTime;

use lettre::message::header::{HeaderName, HeaderValue};
use lettre::message::{Mailbox, MultiPart};
use lettre::{Address, Message};
use pilotage_config::Mail;
use pilotage_diagnostic::printable;
use pilotage_message::Event;
use sha2::{Digest as _, Sha256};

/// Subjects longer than this are cut: a header line holds no more (RFC 5322 2.1.1), and nobody reads more.
const LONGEST_SUBJECT: usize = 200;

/// Whether mail to this address can be written: one address, in ASCII, of the grammar that mail has.
#[must_use]
pub(crate) fn is_mailable(address: &str) -> bool {
    address.is_ascii() && pilotage_descriptor::is_email(address) && address.parse::<Address>().is_ok()
}

/// What all mails of one event have in common.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Letter<'a> {
    pub(crate) event: Event,
    /// The facts, which name the release.
    pub(crate) message: &'a pilotage_message::Message,
    /// The rendered message; its first line is the subject.
    pub(crate) text: &'a str,
    pub(crate) html: &'a str,
    pub(crate) at: SystemTime,
}

/// Why a mail cannot be written.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LetterError {
    #[error("`{0}` cannot be a mail address")]
    Address(String),
    #[error("the mail cannot be written")]
    Unwritable(#[source] lettre::error::Error),
}

impl Letter<'_> {
    /// The mail to one recipient, who sees no other recipient. The same event of the same release makes the same
    /// `Message-ID`, so that a mail that arrives twice is known for one; all mails of a release are one thread.
    ///
    /// # Errors
    /// When an address is none.
    pub(crate) fn to(&self, recipient: &str, mail: &Mail) -> Result<Message, LetterError> {
        let address = |text: &str| {
            text.parse::<Address>()
                .map_err(|_| LetterError::Address(printable(text)))
        };
        let from = address(&mail.from)?;
        let domain = from.domain().to_owned();
        let project = self.message.project.as_str();
        let environment = self.message.environment.as_str();
        let mut builder = Message::builder()
            .from(Mailbox::new(Some(format!("Pilotage {project}")), from))
            .to(Mailbox::new(None, address(recipient)?))
            .date(self.at)
            .subject(self.subject())
            .message_id(Some(self.id(self.event, recipient, &domain)))
            // RFC 3834: no answering machine answers it, and no out-of-office note comes back.
            .raw_header(header("Auto-Submitted", "auto-generated"))
            .raw_header(header("X-Auto-Response-Suppress", "All"))
            .raw_header(header(
                "List-Id",
                &format!("<{environment}.{project}.pilotage.{domain}>"),
            ))
            .raw_header(header("X-Pilotage-Event", self.event.word()));
        if let Some(release) = &self.message.release {
            builder = builder.raw_header(header("X-Pilotage-Release", &release.to_string()));
        }
        if self.event != Event::Started {
            // Whether this recipient got the first mail or not: readers group by it all the same.
            let first = self.id(Event::Started, recipient, &domain);
            builder = builder.in_reply_to(first.clone()).references(first);
        }
        builder
            .multipart(MultiPart::alternative_plain_html(
                lines(self.text),
                lines(self.html),
            ))
            .map_err(LetterError::Unwritable)
    }

    fn subject(&self) -> String {
        let first = self.text.lines().next().unwrap_or_default();
        // Readers decode what looks like an encoded word, whoever wrote it.
        let first = printable(first).replace("=?", "= ?");
        let subject = format!("[{}] {first}", self.message.project);
        match subject.char_indices().nth(LONGEST_SUBJECT) {
            Some((cut, _)) => format!("{}…", &subject[..cut]),
            None => subject,
        }
    }

    fn id(&self, event: Event, recipient: &str, domain: &str) -> String {
        let message = self.message;
        let about = match (&message.release, &message.commit) {
            (Some(release), _) => release.to_string(),
            (None, Some(commit)) => format!("{}.{}", message.place(), commit.as_str()),
            // An event of the environment itself: only its facts tell it from the next one.
            (None, None) => serde_json::to_string(message).unwrap_or_default(),
        };
        let mut hash = Sha256::new();
        for part in [
            message.project.as_str(),
            &about,
            event.word(),
            &recipient.to_ascii_lowercase(),
        ] {
            hash.update(part.as_bytes());
            hash.update([0]);
        }
        let hash: String = hash.finalize()[..16]
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        format!("<pilotage.{}.{hash}@{domain}>", event.word())
    }
}

/// A lone carriage return is no line's end in a mail (RFC 5322 2.3); a template may hold one.
fn lines(text: &str) -> String {
    text.replace("\r\n", "\n").replace('\r', "\n")
}

fn header(name: &'static str, value: &str) -> HeaderValue {
    HeaderValue::new(HeaderName::new_from_ascii_str(name), value.to_owned())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use pilotage_config::MailTls;
    use proptest::prelude::*;

    use super::*;

    fn facts() -> pilotage_message::Message {
        serde_json::from_value(serde_json::json!({
            "schema": "notify-message/v1", "project": "acme", "environment": "qa", "service": "shop", "release": "qa.shop.17",
        }))
        .unwrap()
    }

    fn server() -> Mail {
        Mail {
            host: "mail.example.com".to_owned(),
            port: None,
            from: "pilotage@example.com".to_owned(),
            tls: MailTls::Starttls,
            allow_plaintext: false,
            domains: Vec::new(),
        }
    }

    fn mail(event: Event, text: &str, recipient: &str) -> Message {
        let message = facts();
        let letter = Letter {
            event,
            message: &message,
            text,
            html: "<p>x</p>",
            at: SystemTime::UNIX_EPOCH + Duration::from_secs(1_767_225_600),
        };
        letter.to(recipient, &server()).unwrap()
    }

    fn field(mail: &Message, name: &str) -> Option<String> {
        mail.headers().get_raw(name).map(str::to_owned)
    }

    #[test]
    fn a_repeated_mail_is_known_and_a_release_is_a_thread() {
        let first = mail(Event::Started, "started", "ana@example.com");
        let again = mail(Event::Started, "told otherwise", "Ana@Example.com");
        assert_eq!(field(&first, "Message-ID"), field(&again, "Message-ID"));
        assert_eq!(field(&first, "References"), None);
        let last = mail(Event::Failed, "failed", "ana@example.com");
        assert_ne!(field(&last, "Message-ID"), field(&first, "Message-ID"));
        assert_eq!(field(&last, "References"), field(&first, "Message-ID"));
        assert_eq!(field(&last, "In-Reply-To"), field(&first, "Message-ID"));
        let other = mail(Event::Failed, "failed", "bo@example.com");
        assert_ne!(field(&last, "Message-ID"), field(&other, "Message-ID"));
        assert_eq!(field(&last, "Auto-Submitted").unwrap(), "auto-generated");
        assert_eq!(field(&last, "List-Id").unwrap(), "<qa.acme.pilotage.example.com>");
    }

    #[test]
    fn addresses_are_addresses() {
        for good in ["ana@example.com", "a+b@localhost", "ana@sub.example.com"] {
            assert!(is_mailable(good), "{good}");
        }
        for bad in [
            "ana",
            "ana@example.com\r\nBcc: x@y.example",
            "Ana <ana@example.com>",
            "a@b.example,c@d.example",
            "a@b@c.example",
            "änä@example.com",
            "",
        ] {
            assert!(!is_mailable(bad), "{bad:?}");
        }
    }

    proptest! {
        #[test]
        fn no_text_adds_a_header_or_leaves_its_line(text in r"(\r\nBcc: x@evil\.example|=\?utf-8\?B\?QmNj\?=|\u{202e}|\r|\n|[ -~]|ü|\PC){0,60}") {
            let usual: Vec<String> = names(&mail(Event::Failed, "x", "ana@example.com"));
            let hostile = mail(Event::Failed, &text, "ana@example.com");
            prop_assert_eq!(names(&hostile), usual);
            let bytes = hostile.formatted();
            prop_assert!(bytes.is_ascii());
            let subject = field(&hostile, "Subject").unwrap();
            prop_assert!(!subject.contains(['\r', '\n', '\u{202e}']) && !subject.contains("=?"), "{subject:?}");
            for line in String::from_utf8(bytes).unwrap().split("\r\n") {
                prop_assert!(line.len() <= 998 && !line.contains(['\r', '\n']), "{line:?}");
            }
        }
    }

    /// The names of the headers as a reader finds them in the bytes.
    fn names(mail: &Message) -> Vec<String> {
        let text = String::from_utf8(mail.formatted()).unwrap();
        let head = text.split("\r\n\r\n").next().unwrap_or_default();
        head.split("\r\n")
            .filter(|line| !line.starts_with([' ', '\t']))
            .map(|line| line.split(':').next().unwrap_or_default().to_owned())
            .collect()
    }
}
