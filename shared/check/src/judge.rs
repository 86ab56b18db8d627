use crate::verdict::{Class, Said, Verdict};
use crate::{Expectation, Found, HttpAnswer, HttpExpectation, NoAnswer, Observation, TlsProblem};

/// How `observation` stands to `expectation`.
///
/// Of several things that are wrong the one that explains most is told: the status, then the version, then the body.
#[must_use]
pub fn judge(expectation: &Expectation, observation: &Observation) -> Verdict {
    match (expectation, observation) {
        (_, Observation::NoAnswer { cause, detail, .. }) => silence(*cause, detail),
        (Expectation::Tcp, Observation::Connected { .. }) => good("connected", "connected".to_owned(), None),
        (Expectation::Http(expected), Observation::Http(answer)) => http(expected, answer),
        // A prober that answers another question than it was asked has proved nothing.
        (Expectation::Tcp, Observation::Http(_)) => bad(
            "http",
            "an HTTP answer where a connection was asked for".to_owned(),
            Class::Transient,
        ),
        (Expectation::Http(_), Observation::Connected { .. }) => bad(
            "connected",
            "connected, and no HTTP answer was read".to_owned(),
            Class::Transient,
        ),
    }
}

fn good(key: &str, text: String, version: Option<String>) -> Verdict {
    Verdict::Good {
        said: Said {
            key: key.to_owned(),
            text,
        },
        version,
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

fn silence(cause: NoAnswer, detail: &str) -> Verdict {
    let class = match cause {
        // A certificate does not get better by waiting; a handshake that breaks off does, when the server is starting.
        NoAnswer::Tls(TlsProblem::Handshake) => Class::Transient,
        NoAnswer::Tls(_) => Class::Terminal,
        NoAnswer::Refused
        | NoAnswer::Reset
        | NoAnswer::Dns
        | NoAnswer::Timeout
        | NoAnswer::Unreachable
        | NoAnswer::NoRoute
        | NoAnswer::Protocol => Class::Transient,
    };
    let key = cause.to_string();
    let text = if detail.is_empty() {
        key.clone()
    } else {
        format!("{key}: {}", excerpt(detail.as_bytes(), 200))
    };
    Verdict::NoAnswer(Said { key, text }, class)
}

fn http(expected: &HttpExpectation, answer: &HttpAnswer) -> Verdict {
    let status = answer.status;
    if !expected.status.contains(status) {
        return wrong_status(expected, answer);
    }
    let mut version = None;
    if let Some((source, wanted)) = &expected.version {
        match source.find(answer) {
            Found::Version(found) if found == *wanted => version = Some(found),
            Found::Version(found) => {
                let found = excerpt(found.as_bytes(), 60);
                return bad(
                    &format!("version {found}"),
                    format!("{status}, but version {found} answered where {wanted} is expected"),
                    Class::Transient,
                );
            }
            Found::Missing(what) => {
                return bad(
                    "no version",
                    format!("{status}, but it does not say its version: {what}; {wanted} is expected"),
                    Class::Transient,
                );
            }
        }
    }
    if let Some(text) = &expected.contains
        && !contains(&answer.body, text.as_bytes())
    {
        let read = if answer.truncated {
            format!("the first {} bytes of the body do", answer.body.len())
        } else {
            "the body does".to_owned()
        };
        return bad(
            "body",
            format!(
                "{status}, but {read} not contain `{}`{}",
                excerpt(text.as_bytes(), 100),
                beginning(&answer.body)
            ),
            Class::Transient,
        );
    }
    let text = match &version {
        Some(version) => format!("{status}, version {version}"),
        None => status.to_string(),
    };
    good(&status.to_string(), text, version)
}

fn wrong_status(expected: &HttpExpectation, answer: &HttpAnswer) -> Verdict {
    let status = answer.status;
    let class = match status {
        // Credentials are not repaired by waiting.
        401 | 403 => Class::Terminal,
        // Routes may appear late.
        404 | 410 => Class::Grace,
        _ => Class::Transient,
    };
    let location = match answer.location() {
        Some(location) if (300..400).contains(&status) => {
            format!(
                " to `{}` (redirects are not followed)",
                excerpt(location.as_bytes(), 200)
            )
        }
        _ => String::new(),
    };
    bad(
        &status.to_string(),
        format!(
            "{status}{location} where {} is expected{}",
            expected.status,
            beginning(&answer.body)
        ),
        class,
    )
}

fn contains(body: &[u8], text: &[u8]) -> bool {
    text.is_empty() || body.windows(text.len()).any(|window| window == text)
}

/// The first bytes of a body, as the end of a sentence.
fn beginning(body: &[u8]) -> String {
    if body.is_empty() {
        String::new()
    } else {
        format!("; body: `{}`", excerpt(body, 100))
    }
}

/// At most `most` characters of hostile bytes, on one line and printable.
fn excerpt(bytes: &[u8], most: usize) -> String {
    let text = String::from_utf8_lossy(&bytes[..bytes.len().min(most * 4)]);
    let text = text.trim();
    let shown: String = text.chars().take(most).collect();
    let more = if text.len() > shown.len() || bytes.len() > most * 4 {
        "…"
    } else {
        ""
    };
    format!("{}{more}", pilotage_diagnostic::printable(&shown))
}
