use pilotage_name::{CommitId, CommitPrefix};

use crate::RefName;

/// What kind of trouble an [`Error`] is; decides the exit code of the step and whether asking again can help.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Class {
    /// The caller or the user asked for something that cannot be: a malformed path, pattern or update.
    Usage,
    /// The server wants other credentials.
    Auth,
    /// No such repository, commit or ref.
    NotFound,
    /// No answer could be had: network, TLS, a 5xx, something that is no git server.
    Unavailable,
    /// The time allowed for the operation is over.
    Deadline,
    /// The server answered and said no.
    Refused,
    /// The data are damaged.
    Corrupt,
    /// The repository is shallow, so questions about ranges have no sound answer.
    Shallow,
    /// The disk or the machine failed.
    Local,
}

/// An SSH host that no file of known hosts holds, and what would make it known.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the host of {url} is not known: it shows the key {kind} {fingerprint}")]
pub struct UnknownHost {
    /// The repository.
    pub url: String,
    /// The type of the key that it shows.
    pub kind: String,
    /// The fingerprint of that key.
    pub fingerprint: String,
    /// The line that would make it known.
    pub line: String,
    /// What to compare, and where the line belongs.
    pub advice: String,
}

/// Why a repository could not be asked or told; reads well after "failed to …: ".
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The server refuses these credentials, or wants some.
    #[error("{url} answered {status}: {}", if *.credentials { "the credentials are not accepted" } else { "it wants credentials and none were given" })]
    Auth {
        /// The repository, without credentials.
        url: String,
        /// 401 or 403.
        status: u16,
        /// Whether credentials were sent.
        credentials: bool,
    },
    /// An SSH server, or git behind it, does not take this key for this repository.
    #[error("{url} denies access: {detail}")]
    Denied {
        /// The repository.
        url: String,
        /// What was refused, possibly in the server's words (printable).
        detail: String,
    },
    /// An SSH server has to be asked and no key was named.
    #[error("{url} can only be asked with a private key, and none was named")]
    NoSshKey {
        /// The repository.
        url: String,
    },
    /// The private key cannot be used.
    #[error("the private key {path} cannot be used: {detail}")]
    SshKey {
        /// The file.
        path: String,
        /// What is wrong with it.
        detail: String,
    },
    /// The file of known hosts cannot be used.
    #[error("the file of known hosts {path} cannot be used: {detail}")]
    KnownHosts {
        /// The file.
        path: String,
        /// What is wrong with it.
        detail: String,
    },
    /// The host of an SSH server is not known, so nothing was sent to it.
    #[error("{0}")]
    HostUnknown(Box<UnknownHost>),
    /// The host of an SSH server may not be believed, so nothing was sent to it.
    #[error("NOT CONNECTED to {url}: {detail}")]
    HostRefused {
        /// The repository.
        url: String,
        /// Why.
        detail: String,
    },
    /// There is no repository at this place.
    #[error("there is no git repository at {url}")]
    NoRepository {
        /// The place asked.
        url: String,
    },
    /// A commit or another object is not in the repository.
    #[error("commit {id} is not in the repository")]
    NoCommit {
        /// What was looked for.
        id: CommitId,
    },
    /// No commit in the repository begins like this.
    #[error("no commit in the repository begins with {prefix}")]
    NoSuchPrefix {
        /// What was looked for.
        prefix: CommitPrefix,
    },
    /// Several commits begin like this.
    #[error("several commits begin with {prefix}")]
    Ambiguous {
        /// What was looked for.
        prefix: CommitPrefix,
        /// What there is, one a line: the commits with their subjects.
        candidates: String,
    },
    /// The listing holds none of the refs asked for. Never to be read as "they were deleted".
    #[error("{url} lists none of {patterns}")]
    EmptyListing {
        /// The repository.
        url: String,
        /// What was asked for.
        patterns: String,
    },
    /// No answer could be had.
    #[error("{url} gives no answer: {detail}")]
    Unavailable {
        /// The repository.
        url: String,
        /// What went wrong on the way, in words.
        detail: String,
    },
    /// The server failed or asks for patience.
    #[error("{url} answered {status}")]
    Status {
        /// The repository.
        url: String,
        /// The HTTP status, such as 500, 503 or 429.
        status: u16,
        /// How many seconds it asks to wait, where it says so.
        retry_after: Option<u64>,
    },
    /// Something answered that is no git server, for instance a login page.
    #[error("{url} is not answered by a git server: {detail}")]
    NotGit {
        /// The repository.
        url: String,
        /// What came instead.
        detail: String,
    },
    /// The hard end of the operation passed.
    #[error("{url} did not finish within {seconds} s")]
    Deadline {
        /// The repository.
        url: String,
        /// The limit that was set.
        seconds: u64,
    },
    /// More came than the limits allow.
    #[error("{what} is larger than {most} bytes")]
    TooLarge {
        /// What was too large.
        what: String,
        /// The limit.
        most: u64,
    },
    /// The server answered with an error of its own.
    #[error("{url} refuses: {detail}")]
    Refused {
        /// The repository.
        url: String,
        /// The server's words.
        detail: String,
    },
    /// The update would rewrite what the ref holds.
    #[error("{name} cannot go to {}: it is no descendant of {}", .new.short(), .expected.short())]
    NotFastForward {
        /// The ref.
        name: RefName,
        /// Where it is.
        expected: CommitId,
        /// Where it was told to go.
        new: CommitId,
    },
    /// The repository has no full history.
    #[error("{place} is a shallow repository")]
    Shallow {
        /// The repository or cache.
        place: String,
    },
    /// Objects are damaged or missing.
    #[error("{place} is damaged: {detail}")]
    Corrupt {
        /// The repository or cache.
        place: String,
        /// What libgit2 says.
        detail: String,
    },
    /// A path inside a tree that no file can have.
    #[error("`{path}` is no path inside a repository")]
    Path {
        /// The path as given.
        path: String,
    },
    /// A text that is no ref name or pattern.
    #[error("`{text}` is no ref name")]
    RefName {
        /// The text as given.
        text: String,
    },
    /// Another process keeps the cache locked.
    #[error("another process holds the lock of {path}")]
    Locked {
        /// The lock file.
        path: String,
    },
    /// The disk failed.
    #[error("{path}: {source}")]
    Disk {
        /// The file or directory.
        path: String,
        /// The cause.
        source: std::io::Error,
    },
    /// The HTTP client cannot be set up, for instance because of a CA file.
    #[error(transparent)]
    Http {
        /// The cause.
        #[from]
        source: pilotage_http::HttpError,
    },
    /// Updates that contradict each other.
    #[error("{name} stands twice in one push")]
    Twice {
        /// The ref.
        name: RefName,
    },
    /// A commit could not be signed.
    #[error("the commit cannot be signed: {detail}")]
    Signing {
        /// What went wrong.
        detail: String,
    },
    /// libgit2 failed in a way that has no better name here.
    #[error("{doing}: {source}")]
    Git {
        /// What was being done.
        doing: &'static str,
        /// The cause.
        source: git2::Error,
    },
}

const DISK_FULL: &str = "free space on the disk and do it again; what was half written is not used";

impl Error {
    /// The kind of trouble.
    #[must_use]
    pub fn class(&self) -> Class {
        match self {
            Self::Auth { .. } | Self::Denied { .. } => Class::Auth,
            Self::NoRepository { .. } | Self::NoCommit { .. } | Self::EmptyListing { .. } => Class::NotFound,
            Self::Unavailable { .. } | Self::Status { .. } | Self::NotGit { .. } | Self::HostUnknown(_) => {
                Class::Unavailable
            }
            Self::Deadline { .. } => Class::Deadline,
            Self::Refused { .. } | Self::NotFastForward { .. } | Self::HostRefused { .. } => Class::Refused,
            Self::Shallow { .. } => Class::Shallow,
            Self::Corrupt { .. } | Self::TooLarge { .. } => Class::Corrupt,
            Self::Path { .. }
            | Self::RefName { .. }
            | Self::Http { .. }
            | Self::NoSshKey { .. }
            | Self::SshKey { .. }
            | Self::KnownHosts { .. }
            | Self::NoSuchPrefix { .. }
            | Self::Ambiguous { .. }
            | Self::Twice { .. }
            | Self::Signing { .. } => Class::Usage,
            Self::Locked { .. } | Self::Disk { .. } | Self::Git { .. } => Class::Local,
        }
    }

    /// Whether the same question may get another answer later.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Status { status, .. } => *status == 429 || *status >= 500,
            Self::Unavailable { .. } | Self::Deadline { .. } | Self::Locked { .. } => true,
            Self::Auth { .. }
            | Self::Denied { .. }
            | Self::NoSshKey { .. }
            | Self::SshKey { .. }
            | Self::KnownHosts { .. }
            | Self::HostUnknown(_)
            | Self::HostRefused { .. }
            | Self::NoRepository { .. }
            | Self::NoCommit { .. }
            | Self::NoSuchPrefix { .. }
            | Self::Ambiguous { .. }
            | Self::EmptyListing { .. }
            | Self::NotGit { .. }
            | Self::TooLarge { .. }
            | Self::Refused { .. }
            | Self::NotFastForward { .. }
            | Self::Shallow { .. }
            | Self::Corrupt { .. }
            | Self::Path { .. }
            | Self::RefName { .. }
            | Self::Disk { .. }
            | Self::Http { .. }
            | Self::Twice { .. }
            | Self::Signing { .. }
            | Self::Git { .. } => false,
        }
    }

    /// What a person can do about it.
    #[must_use]
    pub fn help(&self) -> Option<&str> {
        match self {
            Self::HostUnknown(host) => Some(&host.advice),
            Self::Auth {
                credentials: true, ..
            } => Some(
                "check that the token is not expired and may read (and for the ledger write) this repository",
            ),
            Self::Auth {
                credentials: false, ..
            } => Some("give PILOTAGE_GIT_USER and PILOTAGE_GIT_PASSWORD (or PILOTAGE_GIT_PASSWORD_FILE)"),
            Self::Denied { .. } => Some(
                "register the key's public half with the server, as a deploy key that may read (and for the ledger write) this repository, and check the user in the address",
            ),
            Self::NoSshKey { .. } => Some(
                "name it by --ssh-key FILE (or PILOTAGE_SSH_KEY); nothing is taken from ~/.ssh or an agent",
            ),
            Self::HostRefused { .. } => Some(
                "somebody may be in between; ask the server's administrators whether its key was renewed, and change the file of known hosts only then",
            ),
            Self::NoRepository { url } if !url.contains("://") && !url.contains('@') => {
                Some("check the path; `git init --bare` or `pilotage init` makes a repository")
            }
            Self::NoRepository { .. } => Some(
                "check the address; many servers also answer so when the credentials may not see the repository",
            ),
            Self::NoSuchPrefix { .. } => Some(
                "give a commit that was pushed to a branch of the repository; `git rev-parse REVISION` prints one in full",
            ),
            Self::Ambiguous { candidates, .. } => Some(candidates),
            Self::NoCommit { .. } => Some("fetch first, or check that the commit was pushed"),
            Self::EmptyListing { .. } => Some(
                "check the address and the branch names; nothing is taken for deleted because of an empty answer",
            ),
            Self::Unavailable { .. } | Self::Status { .. } => Some(
                "see whether the server answers, and ask again; nothing was concluded from the missing answer",
            ),
            Self::NotGit { .. } => {
                Some("check the address: it must be the one `git clone` takes, over the smart HTTP protocol")
            }
            Self::Deadline { .. } => Some("allow more time, or find out why the server is slow"),
            Self::TooLarge { .. } => Some("make it smaller, or raise the limit"),
            Self::Refused { .. } => Some("the words are the server's own; its rules or hooks decided"),
            Self::NotFastForward { .. } => {
                Some("fetch and build on the newest commit; history is never rewritten here")
            }
            Self::Shallow { .. } => Some("use a full clone (`git fetch --unshallow`)"),
            Self::Corrupt { .. } => {
                Some("a cache may be deleted and is built anew; a repository needs `git fsck`")
            }
            Self::Locked { .. } => Some("wait for the other process to end"),
            Self::Disk { source, .. } if source.kind() == std::io::ErrorKind::StorageFull => Some(DISK_FULL),
            // libgit2 has no code for it, only the words of the system.
            Self::Git { source, .. } if source.message().contains("No space left on device") => {
                Some(DISK_FULL)
            }
            Self::SshKey { .. }
            | Self::KnownHosts { .. }
            | Self::Path { .. }
            | Self::RefName { .. }
            | Self::Disk { .. }
            | Self::Http { .. }
            | Self::Twice { .. }
            | Self::Signing { .. }
            | Self::Git { .. } => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_to_do_fits_the_place_and_the_cause() {
        let nowhere = |url: &str| Error::NoRepository { url: url.to_owned() };
        assert!(nowhere("/srv/env.git").help().unwrap().contains("the path"));
        assert!(
            nowhere("https://git.example.com/env.git")
                .help()
                .unwrap()
                .contains("credentials")
        );
        let words = "failed to write out file: No space left on device";
        let full = Error::Git {
            doing: "write objects",
            source: git2::Error::new(git2::ErrorCode::GenericError, git2::ErrorClass::Os, words),
        };
        assert_eq!(full.help(), Some(DISK_FULL));
        let other = Error::Git {
            doing: "write objects",
            source: git2::Error::from_str("another trouble"),
        };
        assert_eq!(other.help(), None);
    }
}
