use std::fmt;
use std::time::Duration;

use crate::certificate::Certificate;
use crate::judge::excerpt;
use crate::verdict::{Class, Said, Verdict};

/// What a gRPC server answered to the question for its health.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GrpcAnswer {
    /// What it said.
    pub said: GrpcSaid,
    /// Its certificate, where the connection was encrypted.
    pub certificate: Option<Certificate>,
    /// From the start of the try to the end of the answer.
    pub elapsed: Duration,
}

/// What a gRPC server can say of its health: <https://github.com/grpc/grpc/blob/master/doc/health-checking.md>.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GrpcSaid {
    /// `SERVING`.
    Serving,
    /// `NOT_SERVING`.
    NotServing,
    /// `UNKNOWN`, or a state that the protocol does not have.
    Unknown,
    /// `SERVICE_UNKNOWN`, which belongs to another call of the protocol, and is said by some servers all the same.
    ServiceUnknown,
    /// The call ended with another status than OK.
    Status(GrpcCode, String),
    /// An HTTP answer that is no gRPC, by its status: something in front of the server, or another server.
    Http(u16),
}

/// The status of a gRPC call: <https://grpc.io/docs/guides/status-codes/>.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct GrpcCode(pub i32);

impl GrpcCode {
    const NOT_FOUND: Self = Self(5);
    const PERMISSION_DENIED: Self = Self(7);
    const UNIMPLEMENTED: Self = Self(12);
    const UNAUTHENTICATED: Self = Self(16);
}

const CODES: [&str; 17] = [
    "OK",
    "CANCELLED",
    "UNKNOWN",
    "INVALID_ARGUMENT",
    "DEADLINE_EXCEEDED",
    "NOT_FOUND",
    "ALREADY_EXISTS",
    "PERMISSION_DENIED",
    "RESOURCE_EXHAUSTED",
    "FAILED_PRECONDITION",
    "ABORTED",
    "OUT_OF_RANGE",
    "UNIMPLEMENTED",
    "INTERNAL",
    "UNAVAILABLE",
    "DATA_LOSS",
    "UNAUTHENTICATED",
];

impl fmt::Display for GrpcCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match usize::try_from(self.0).ok().and_then(|code| CODES.get(code)) {
            Some(name) => f.write_str(name),
            None => write!(f, "{}", self.0),
        }
    }
}

/// How an answer stands to the expectation that `service` (the whole server, where it is empty) serves.
pub(crate) fn serving(service: &str, said: &GrpcSaid) -> Verdict {
    let whom = match service {
        "" => "the server".to_owned(),
        service => format!("`{}`", excerpt(service.as_bytes(), 100)),
    };
    let state = |word: &str| {
        bad(
            word,
            format!("{whom} is {word} where SERVING is expected"),
            Class::Transient,
        )
    };
    match said {
        GrpcSaid::Serving => Verdict::Good {
            said: Said {
                key: "SERVING".to_owned(),
                text: "SERVING".to_owned(),
            },
            version: None,
        },
        GrpcSaid::NotServing => state("NOT_SERVING"),
        GrpcSaid::Unknown => state("UNKNOWN"),
        GrpcSaid::ServiceUnknown => unknown(&whom, "SERVICE_UNKNOWN", ""),
        GrpcSaid::Status(GrpcCode::NOT_FOUND, message) => unknown(&whom, "NOT_FOUND", message),
        GrpcSaid::Status(code @ GrpcCode::UNIMPLEMENTED, message) => bad(
            &code.to_string(),
            format!(
                "{code}: the server does not offer the health protocol (grpc.health.v1.Health){}",
                added(message)
            ),
            Class::Terminal,
        ),
        GrpcSaid::Status(code, message) => {
            let class = match *code {
                GrpcCode::PERMISSION_DENIED | GrpcCode::UNAUTHENTICATED => Class::Terminal,
                _ => Class::Transient,
            };
            bad(
                // UNKNOWN is a state of the protocol, too.
                &format!("status {code}"),
                format!("the call ended with {code}{}", added(message)),
                class,
            )
        }
        GrpcSaid::Http(status) => {
            let class = match status {
                401 | 403 => Class::Terminal,
                404 | 410 => Class::Grace,
                _ => Class::Transient,
            };
            bad(
                &format!("http {status}"),
                format!("an HTTP answer with status {status} that is no gRPC"),
                class,
            )
        }
    }
}

fn unknown(whom: &str, word: &str, message: &str) -> Verdict {
    bad(
        word,
        format!("{word}: the server knows nothing of {whom}{}", added(message)),
        Class::Terminal,
    )
}

fn added(message: &str) -> String {
    match message.trim() {
        "" => String::new(),
        message => format!(": {}", excerpt(message.as_bytes(), 200)),
    }
}

fn bad(key: &str, text: String, class: Class) -> Verdict {
    Verdict::Bad(
        Said {
            key: key.to_owned(),
            text,
        },
        class,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_serving_is_good_and_each_other_answer_is_told() {
        let status = |code: i32, message: &str| GrpcSaid::Status(GrpcCode(code), message.to_owned());
        for (said, key, text, class) in [
            (
                GrpcSaid::NotServing,
                "NOT_SERVING",
                "`shop.Orders` is NOT_SERVING where SERVING is expected",
                Class::Transient,
            ),
            (
                GrpcSaid::Unknown,
                "UNKNOWN",
                "`shop.Orders` is UNKNOWN where SERVING is expected",
                Class::Transient,
            ),
            (
                status(5, "unknown service"),
                "NOT_FOUND",
                "NOT_FOUND: the server knows nothing of `shop.Orders`: unknown service",
                Class::Terminal,
            ),
            (
                GrpcSaid::ServiceUnknown,
                "SERVICE_UNKNOWN",
                "SERVICE_UNKNOWN: the server knows nothing of `shop.Orders`",
                Class::Terminal,
            ),
            (
                status(12, ""),
                "UNIMPLEMENTED",
                "UNIMPLEMENTED: the server does not offer the health protocol (grpc.health.v1.Health)",
                Class::Terminal,
            ),
            (
                status(14, "db\u{1b}[2J"),
                "status UNAVAILABLE",
                "the call ended with UNAVAILABLE: db\\u{1b}[2J",
                Class::Transient,
            ),
            (
                status(2, ""),
                "status UNKNOWN",
                "the call ended with UNKNOWN",
                Class::Transient,
            ),
            (
                status(16, ""),
                "status UNAUTHENTICATED",
                "the call ended with UNAUTHENTICATED",
                Class::Terminal,
            ),
            (
                status(99, ""),
                "status 99",
                "the call ended with 99",
                Class::Transient,
            ),
            (
                GrpcSaid::Http(502),
                "http 502",
                "an HTTP answer with status 502 that is no gRPC",
                Class::Transient,
            ),
            (
                GrpcSaid::Http(404),
                "http 404",
                "an HTTP answer with status 404 that is no gRPC",
                Class::Grace,
            ),
        ] {
            let verdict = serving("shop.Orders", &said);
            assert_eq!(
                (
                    verdict.said().key.as_str(),
                    verdict.said().text.as_str(),
                    verdict.class()
                ),
                (key, text, Some(class))
            );
        }
        assert!(serving("", &GrpcSaid::Serving).is_good());
        assert_eq!(
            serving("", &GrpcSaid::NotServing).said().text,
            "the server is NOT_SERVING where SERVING is expected"
        );
    }
}
