use std::error::Error;
use std::fmt;
use std::io;

use rustls::{CertificateError, InvalidMessage};

/// What kept a request from its answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FailureKind {
    /// The name has no address, or no name server answered.
    Dns,
    /// Nothing listens there.
    Refused,
    /// No way leads there.
    Unreachable,
    /// The connection came up, but no trusted TLS on it.
    Tls(TlsProblem),
    /// Not in time.
    Timeout,
    /// The other side closed or reset the connection before its answer was complete.
    Reset,
    /// What came back is no HTTP.
    Protocol,
    /// The proxy did not let us through.
    Proxy,
    /// Too many redirects, or one that leads nowhere.
    Redirect,
    /// The request itself is malformed: its URL, a header.
    Request,
    /// Anything else; the detail says what.
    Other,
}

/// What was wrong with TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TlsProblem {
    /// Signed by nobody we trust. A CA file helps.
    UnknownIssuer,
    /// The certificate's time is over.
    Expired,
    /// The certificate's time has not begun; or our clock is wrong.
    NotYetValid,
    /// The certificate is for other names.
    WrongName,
    /// The certificate was withdrawn.
    Revoked,
    /// The certificate is broken, or not one for a server.
    BadCertificate,
    /// The other side speaks no TLS on this port.
    NotTls,
    /// The two sides have no version or algorithm in common, or the other one broke off.
    Handshake,
}

/// A failed request: the kind for programs, the detail for people, and whether it may have had an effect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// What it was.
    pub kind: FailureKind,
    /// The innermost cause in the words of who found it, one line, without the URL (which may hold a token).
    pub detail: String,
    /// Whether the request may have reached the other side: then a request that is not safe to repeat must not be
    /// repeated blindly.
    pub maybe_sent: bool,
}

impl Failure {
    /// Reads an error of the HTTP library.
    #[must_use]
    pub fn of(error: &reqwest::Error) -> Self {
        let kind = kind(error);
        Self {
            kind,
            detail: detail(error),
            maybe_sent: !(error.is_connect() || error.is_builder()),
        }
    }

    /// Reads an error that came out of reading or writing a body.
    #[must_use]
    pub fn of_io(error: &io::Error) -> Self {
        let kind = chain(error).find_map(from_cause).unwrap_or(FailureKind::Other);
        Self {
            kind,
            detail: detail(error),
            maybe_sent: true,
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.kind)?;
        if !self.detail.is_empty() {
            write!(f, ": {}", self.detail)?;
        }
        Ok(())
    }
}

impl Error for Failure {}

impl fmt::Display for FailureKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Dns => "the host name has no address",
            Self::Refused => "connection refused",
            Self::Unreachable => "the host cannot be reached",
            Self::Tls(problem) => return write!(f, "{problem}"),
            Self::Timeout => "no answer in time",
            Self::Reset => "the connection was closed before the answer was complete",
            Self::Protocol => "the answer is no HTTP",
            Self::Proxy => "the proxy refused",
            Self::Redirect => "too many redirects",
            Self::Request => "the request is malformed",
            Self::Other => "the request failed",
        })
    }
}

impl fmt::Display for TlsProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::UnknownIssuer => {
                "the TLS certificate is signed by an unknown authority (--ca-file adds one)"
            }
            Self::Expired => "the TLS certificate has expired",
            Self::NotYetValid => "the TLS certificate is not valid yet",
            Self::WrongName => "the TLS certificate is for another host name",
            Self::Revoked => "the TLS certificate was revoked",
            Self::BadCertificate => "the TLS certificate is not usable",
            Self::NotTls => "the other side does not speak TLS on this port",
            Self::Handshake => "the TLS handshake failed",
        })
    }
}

fn kind(error: &reqwest::Error) -> FailureKind {
    // A time-out and a failed look-up wrap whatever else was going on, so they come first.
    if error.is_dns() {
        return FailureKind::Dns;
    }
    if error.is_timeout() {
        return FailureKind::Timeout;
    }
    if let Some(kind) = chain(error).find_map(from_cause) {
        return kind;
    }
    if error.is_builder() {
        FailureKind::Request
    } else if error.is_redirect() {
        FailureKind::Redirect
    } else if error.is_connect() && chain(error).any(|cause| cause.to_string().contains("tunnel")) {
        // The type of a refused CONNECT is not public.
        FailureKind::Proxy
    } else if error.is_decode() {
        FailureKind::Protocol
    } else {
        FailureKind::Other
    }
}

fn from_cause(cause: &(dyn Error + 'static)) -> Option<FailureKind> {
    if let Some(error) = cause.downcast_ref::<rustls::Error>() {
        return Some(FailureKind::Tls(tls_problem(error)));
    }
    if let Some(error) = cause.downcast_ref::<hyper::Error>() {
        if error.is_timeout() {
            return Some(FailureKind::Timeout);
        }
        if error.is_incomplete_message() || error.is_closed() || error.is_canceled() {
            return Some(FailureKind::Reset);
        }
        if error.is_parse() {
            return Some(FailureKind::Protocol);
        }
        return None;
    }
    let error = cause.downcast_ref::<io::Error>()?;
    // What it wraps knows better; it comes later in the chain.
    if error
        .get_ref()
        .is_some_and(|inner| inner.is::<rustls::Error>() || inner.source().is_some())
    {
        return None;
    }
    match error.kind() {
        io::ErrorKind::ConnectionRefused => Some(FailureKind::Refused),
        io::ErrorKind::ConnectionReset
        | io::ErrorKind::ConnectionAborted
        | io::ErrorKind::BrokenPipe
        | io::ErrorKind::UnexpectedEof
        | io::ErrorKind::NotConnected => Some(FailureKind::Reset),
        io::ErrorKind::HostUnreachable
        | io::ErrorKind::NetworkUnreachable
        | io::ErrorKind::NetworkDown
        | io::ErrorKind::AddrNotAvailable => Some(FailureKind::Unreachable),
        io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock => Some(FailureKind::Timeout),
        _ => None,
    }
}

fn tls_problem(error: &rustls::Error) -> TlsProblem {
    match error {
        rustls::Error::InvalidCertificate(certificate) => match certificate {
            // An authority of a name we know with a key we do not know: one that was made anew, say.
            CertificateError::UnknownIssuer | CertificateError::BadSignature => TlsProblem::UnknownIssuer,
            CertificateError::Expired | CertificateError::ExpiredContext { .. } => TlsProblem::Expired,
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
                TlsProblem::NotYetValid
            }
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
                TlsProblem::WrongName
            }
            CertificateError::Revoked => TlsProblem::Revoked,
            _ => TlsProblem::BadCertificate,
        },
        rustls::Error::InvalidMessage(InvalidMessage::InvalidContentType) => TlsProblem::NotTls,
        _ => TlsProblem::Handshake,
    }
}

/// The error and everything below it. An `io::Error` hides what it wraps from `source`, so it is opened by hand.
fn chain<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(error), |cause| {
        let cause: &'a (dyn Error + 'static) = *cause;
        let inner = cause.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        match inner {
            Some(inner) => Some(inner),
            None => cause.source(),
        }
    })
}

/// The last text of the chain. The outermost one of the library holds the URL, so it is never taken. Control characters go:
/// the text ends up in logs, and one with a NUL in an `io::Error` that passes libgit2 aborts the process.
fn detail(error: &(dyn Error + 'static)) -> String {
    let last = chain(error).filter(|cause| !cause.is::<reqwest::Error>()).last();
    let text = last.map_or_else(String::new, ToString::to_string);
    text.chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .take(300)
        .collect()
}
