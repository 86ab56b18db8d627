use std::fmt;
use std::time::Duration;

use crate::{Certificate, GrpcAnswer, HeaderName};

/// What one try of one endpoint at one address saw.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Observation {
    /// A TCP connection was accepted.
    Connected {
        /// From the start of the try.
        elapsed: Duration,
    },
    /// An encrypted connection came up.
    Secured {
        /// What the other side proved itself with.
        certificate: Certificate,
        /// From the start of the try.
        elapsed: Duration,
    },
    /// An HTTP answer came, good or not.
    Http(HttpAnswer),
    /// A gRPC server, or something in front of it, answered.
    Grpc(GrpcAnswer),
    /// A command came to its end.
    Exited {
        /// Its exit code; none when a signal ended it.
        code: Option<i32>,
        /// The last it said, on both of its outputs.
        output: String,
        /// From the start of the try.
        elapsed: Duration,
    },
    /// Nothing came that could be judged.
    NoAnswer {
        /// The kind of silence.
        cause: NoAnswer,
        /// What the network or the TLS library said of it; may be empty.
        detail: String,
        /// From the start of the try.
        elapsed: Duration,
    },
}

impl Observation {
    /// From the start of the try to its end.
    #[must_use]
    pub fn elapsed(&self) -> Duration {
        match self {
            Self::Connected { elapsed }
            | Self::Secured { elapsed, .. }
            | Self::Exited { elapsed, .. }
            | Self::NoAnswer { elapsed, .. } => *elapsed,
            Self::Http(answer) => answer.elapsed,
            Self::Grpc(answer) => answer.elapsed,
        }
    }
}

/// An HTTP answer, bounded: what a hostile or broken endpoint sends beyond the prober's limits is left unread.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HttpAnswer {
    /// The status, 100 to 999.
    pub status: u16,
    /// Header names in lower case, and their values with whatever is not text replaced.
    pub headers: Vec<(String, String)>,
    /// The body, or its beginning.
    pub body: Vec<u8>,
    /// Whether the body went on after what is kept.
    pub truncated: bool,
    /// The certificate of the other side, where the connection was encrypted.
    pub certificate: Option<Certificate>,
    /// From the start of the try to the end of the body.
    pub elapsed: Duration,
}

impl HttpAnswer {
    /// The first value of a header.
    #[must_use]
    pub fn header(&self, name: &HeaderName) -> Option<&str> {
        self.headers
            .iter()
            .find(|(key, _)| name.is(key))
            .map(|(_, value)| value.as_str())
    }

    /// Where a redirect points to.
    #[must_use]
    pub fn location(&self) -> Option<&str> {
        self.headers
            .iter()
            .find(|(key, _)| key.eq_ignore_ascii_case("location"))
            .map(|(_, value)| value.as_str())
    }
}

/// Why there was no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum NoAnswer {
    /// Nobody listens there.
    Refused,
    /// The connection was closed or reset before the answer was complete.
    Reset,
    /// The name has no address, or its server did not say one.
    Dns,
    /// The encrypted connection could not be made.
    Tls(TlsProblem),
    /// The time for one try was over.
    Timeout,
    /// The network says that the host cannot be reached.
    Unreachable,
    /// This machine has no way to that kind of address, such as IPv6 on a host without it.
    NoRoute,
    /// What came back is no HTTP.
    Protocol,
    /// There is no running instance in which it could be asked.
    NotRunning,
}

/// Why an encrypted connection could not be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TlsProblem {
    /// The certificate was issued by nobody we trust.
    UnknownAuthority,
    /// The certificate is for other names.
    WrongName,
    /// The certificate is past its end.
    Expired,
    /// The certificate is before its start.
    NotYetValid,
    /// The certificate was taken back.
    Revoked,
    /// The certificate cannot be accepted for another reason.
    BadCertificate,
    /// The other side does not speak TLS on this port.
    NotTls,
    /// The handshake ended before a certificate could be judged; a server that is starting may do so.
    Handshake,
}

impl fmt::Display for NoAnswer {
    /// A short word for a histogram.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Refused => "refused",
            Self::Reset => "reset",
            Self::Dns => "dns",
            Self::Tls(TlsProblem::UnknownAuthority) => "tls: unknown authority",
            Self::Tls(TlsProblem::WrongName) => "tls: wrong name",
            Self::Tls(TlsProblem::Expired) => "tls: expired",
            Self::Tls(TlsProblem::NotYetValid) => "tls: not yet valid",
            Self::Tls(TlsProblem::Revoked) => "tls: revoked",
            Self::Tls(TlsProblem::BadCertificate) => "tls: bad certificate",
            Self::Tls(TlsProblem::NotTls) => "tls: not spoken",
            Self::Tls(TlsProblem::Handshake) => "tls: handshake",
            Self::Timeout => "timeout",
            Self::Unreachable => "unreachable",
            Self::NoRoute => "no route",
            Self::Protocol => "no http",
            Self::NotRunning => "not running",
        })
    }
}
