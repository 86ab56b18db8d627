use std::fmt;

use pilotage_retry::Retryable;

use crate::port::ChannelFailure;

/// A mail server, as the rules of delivery see it.
pub(crate) trait PostOffice {
    /// Hands over a mail to its one recipient.
    async fn send(&self, mail: &lettre::Message) -> Result<(), MailFailure>;

    /// Connects, encrypts and logs in as for a mail, and sends none.
    async fn greet(&self) -> Result<(), MailFailure>;
}

/// How far a conversation with a mail server came.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Stage {
    /// The connection and the server's greeting.
    Connect,
    /// The encryption.
    Tls,
    /// The login.
    Login,
    /// The mail itself.
    Deliver,
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Connect => "connecting",
            Self::Tls => "encrypting",
            Self::Login => "logging in",
            Self::Deliver => "delivering",
        })
    }
}

/// Why a mail server did not take a mail.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum MailFailure {
    /// It says: not now (4xx).
    #[error("{stage}: the mail server says not now: {told}")]
    NotNow {
        /// Where.
        stage: Stage,
        /// Code and text.
        told: String,
    },
    /// It says no (5xx).
    #[error("{stage}: the mail server says no: {told}")]
    No {
        /// Where.
        stage: Stage,
        /// Code and text.
        told: String,
    },
    /// The connection cannot be protected as asked.
    #[error("{stage}: {told}")]
    Unsafe {
        /// Where.
        stage: Stage,
        /// What is missing.
        told: String,
    },
    /// No answer came, or one that is none.
    #[error("{stage}: {told}")]
    NoAnswer {
        /// Where.
        stage: Stage,
        /// What happened.
        told: String,
    },
    /// The mail cannot be sent by this server at all.
    #[error("{0}")]
    Unusable(String),
}

impl MailFailure {
    /// Whether the mail may have arrived all the same.
    pub(crate) fn maybe_done(&self) -> bool {
        matches!(
            self,
            Self::NoAnswer {
                stage: Stage::Deliver,
                ..
            }
        )
    }

    /// What to do about it, for the failures people meet.
    pub(crate) fn fix(&self) -> Option<&'static str> {
        match self {
            Self::Unsafe { told, .. } if told.contains("STARTTLS") => Some(
                "let the server offer STARTTLS, or write `tls: smtps` (port 465) under `mail` in pilotage.yaml",
            ),
            Self::Unsafe { .. } => Some("give the authority of the mail server's certificate by --ca-file"),
            Self::No {
                stage: Stage::Login, ..
            }
            | Self::Unusable(_) => {
                Some("check PILOTAGE_SMTP_USER and PILOTAGE_SMTP_PASSWORD (or PILOTAGE_SMTP_PASSWORD_FILE)")
            }
            Self::NoAnswer {
                stage: Stage::Connect,
                ..
            } => Some("check `mail.host` and `mail.port` in pilotage.yaml"),
            _ => None,
        }
    }
}

impl ChannelFailure for MailFailure {
    /// A mail is sent again even where it may have arrived, as mail servers do among themselves: it carries the same
    /// `Message-ID`, by which readers know it.
    fn retryable(&self, _: bool) -> Retryable {
        match self {
            Self::NotNow { .. } | Self::NoAnswer { .. } => Retryable::Yes,
            Self::No { .. } | Self::Unsafe { .. } | Self::Unusable(_) => Retryable::No,
        }
    }

    fn out_of_time() -> Self {
        Self::NoAnswer {
            stage: Stage::Deliver,
            told: "the time for all channels is over".to_owned(),
        }
    }
}
