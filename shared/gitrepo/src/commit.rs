use jiff::Timestamp;
use pilotage_name::CommitId;

use crate::repository::commit_id;
use crate::{Error, ObjectId, Repository};

/// Who, and when: an author or a committer as the commit claims it. Nobody has checked it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Person {
    /// The name.
    pub name: String,
    /// The e-mail address.
    pub email: String,
    /// The moment.
    pub when: Timestamp,
    /// The offset of the person's own clock from UTC, in minutes.
    pub offset_minutes: i32,
}

/// One `Key: value` line of the last paragraph of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trailer {
    /// The key, as written.
    pub key: String,
    /// The value.
    pub value: String,
}

/// Which kind of signature a commit carries; says nothing about its worth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SignatureKind {
    /// An SSH signature.
    Ssh,
    /// An OpenPGP signature.
    OpenPgp,
    /// Something else, such as X.509.
    Other,
}

/// One commit, as data. All texts are the committer's and hostile.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommitInfo {
    /// Its id.
    pub id: CommitId,
    /// The id of its tree: two commits with the same tree hold the same files.
    pub tree: ObjectId,
    /// Its parents, the first parent first.
    pub parents: Vec<CommitId>,
    /// Who wrote the change, as claimed.
    pub author: Person,
    /// Who made the commit, as claimed.
    pub committer: Person,
    /// The first paragraph of the message on one line.
    pub subject: String,
    /// The rest of the message, trailers included.
    pub body: String,
    /// The trailers of the message.
    pub trailers: Vec<Trailer>,
    /// The kind of signature it carries, if any; see [`Repository::verify_signature`].
    pub signature: Option<SignatureKind>,
    /// Whether a name, an address or the message was not valid UTF-8 (or gave another encoding), so that the texts here
    /// are an approximation with replacement characters. A gate must not match identities on such a commit.
    pub lossy: bool,
}

impl CommitInfo {
    /// The whole message: subject, blank line, body.
    #[must_use]
    pub fn message(&self) -> String {
        if self.body.is_empty() {
            self.subject.clone()
        } else {
            format!("{}\n\n{}", self.subject, self.body)
        }
    }
}

impl Repository {
    /// Whether the commit is here.
    #[must_use]
    pub fn has_commit(&self, id: &CommitId) -> bool {
        self.find_commit(id).is_ok()
    }

    /// Reads one commit.
    pub fn commit(&self, id: &CommitId) -> Result<CommitInfo, Error> {
        let commit = self.find_commit(id)?;
        let mut text = Text { lossy: false };
        let other_encoding = match commit.message_encoding() {
            Ok(None) => false,
            Ok(Some(name)) => !name.eq_ignore_ascii_case("utf-8"),
            Err(_) => true,
        };
        let message = text.read(commit.message_bytes());
        let (subject, body) = split_message(&message);
        let author = text.person(&commit.author());
        let committer = text.person(&commit.committer());
        let trailers = trailers(commit.message_bytes(), &mut text);
        Ok(CommitInfo {
            id: id.clone(),
            tree: ObjectId(commit.tree_id().to_string()),
            parents: commit.parent_ids().map(commit_id).collect(),
            author,
            committer,
            subject,
            body,
            trailers,
            signature: self.signature_kind(&commit),
            lossy: text.lossy || other_encoding,
        })
    }
}

/// Reads bytes that should be UTF-8 and remembers whether all of them were.
struct Text {
    lossy: bool,
}

impl Text {
    fn read(&mut self, bytes: &[u8]) -> String {
        match std::str::from_utf8(bytes) {
            Ok(text) => text.to_owned(),
            Err(_) => {
                self.lossy = true;
                String::from_utf8_lossy(bytes).into_owned()
            }
        }
    }

    fn person(&mut self, signature: &git2::Signature<'_>) -> Person {
        let time = signature.when();
        Person {
            name: self.read(signature.name_bytes()),
            email: self.read(signature.email_bytes()),
            when: timestamp(time.seconds()),
            offset_minutes: time.offset_minutes(),
        }
    }
}

/// A commit may claim any second; what no calendar holds becomes the nearest moment that one does.
fn timestamp(seconds: i64) -> Timestamp {
    Timestamp::from_second(seconds).unwrap_or(if seconds < 0 {
        Timestamp::MIN
    } else {
        Timestamp::MAX
    })
}

fn split_message(message: &str) -> (String, String) {
    let message = message.trim_start_matches(['\n', '\r']);
    let mut subject: Vec<&str> = Vec::new();
    let mut rest = message;
    while !rest.is_empty() {
        let (line, after) = rest.split_once('\n').unwrap_or((rest, ""));
        rest = after;
        if line.trim().is_empty() {
            break;
        }
        subject.push(line.trim());
    }
    (subject.join(" "), rest.trim_matches(['\n', '\r']).to_owned())
}

fn trailers(message: &[u8], text: &mut Text) -> Vec<Trailer> {
    // The message of a commit object may hold a NUL, which libgit2's parser cannot take; nothing after it counts.
    let end = message
        .iter()
        .position(|byte| *byte == 0)
        .unwrap_or(message.len());
    let Ok(found) = git2::message_trailers_bytes(&message[..end]) else {
        return Vec::new();
    };
    found
        .iter()
        .map(|(key, value)| Trailer {
            key: text.read(key),
            value: text.read(value),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn subject_and_body_are_split_as_git_does() {
        assert_eq!(split_message("One\n"), ("One".to_owned(), String::new()));
        assert_eq!(
            split_message("\nOne\ntwo\n\nBody\n\nKey: value\n"),
            ("One two".to_owned(), "Body\n\nKey: value".to_owned())
        );
        assert_eq!(split_message(""), (String::new(), String::new()));
    }

    #[test]
    fn trailers_are_the_last_paragraph_only() {
        let mut text = Text { lossy: false };
        let found = trailers(
            b"Subject\n\nNot: one\n\ntext\n\nStorm: 30\nReviewed-by: Ana <ana@example.com>\n",
            &mut text,
        );
        let pairs: Vec<_> = found.iter().map(|t| (t.key.as_str(), t.value.as_str())).collect();
        assert_eq!(pairs, [("Storm", "30"), ("Reviewed-by", "Ana <ana@example.com>")]);
        assert!(trailers(b"Subject\n\nStorm: 3\0hidden\n", &mut text).len() <= 1);
    }

    #[test]
    fn moments_beyond_the_calendar_are_the_nearest_one() {
        assert_eq!(timestamp(i64::MAX), Timestamp::MAX);
        assert_eq!(timestamp(i64::MIN), Timestamp::MIN);
        assert_eq!(timestamp(0), Timestamp::UNIX_EPOCH);
    }
}
