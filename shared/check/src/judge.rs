use std::fmt::Write as _;

use crate::certificate::lasting;
use crate::command::exited;
use crate::grpc::serving;
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
        (Expectation::Tls { min_days }, Observation::Secured { certificate, .. }) => lasting(
            good("connected", "connected".to_owned(), None),
            Some(*min_days),
            Some(certificate),
        ),
        (Expectation::Http(expected), Observation::Http(answer)) => lasting(
            http(expected, answer),
            expected.min_days,
            answer.certificate.as_ref(),
        ),
        (Expectation::Grpc(expected), Observation::Grpc(answer)) => lasting(
            serving(&expected.service, &answer.said),
            expected.min_days,
            answer.certificate.as_ref(),
        ),
        (Expectation::Exit, Observation::Exited { code, output, .. }) => exited(*code, output),
        // A prober that answers another question than it was asked has proved nothing.
        (
            Expectation::Tcp
            | Expectation::Tls { .. }
            | Expectation::Http(_)
            | Expectation::Grpc(_)
            | Expectation::Exit,
            Observation::Connected { .. }
            | Observation::Secured { .. }
            | Observation::Http(_)
            | Observation::Grpc(_)
            | Observation::Exited { .. },
        ) => bad(
            "another answer",
            "the answer to another question than was asked".to_owned(),
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
        | NoAnswer::Protocol
        | NoAnswer::NotRunning => Class::Transient,
    };
    let key = cause.to_string();
    let mut text = key.clone();
    if !detail.is_empty() {
        let _ = write!(text, ": {}", excerpt(detail.as_bytes(), 200));
    }
    if cause == NoAnswer::Tls(TlsProblem::UnknownAuthority) {
        text.push_str("; --ca-file FILE trusts the authority that signed it");
    }
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
pub(crate) fn excerpt(bytes: &[u8], most: usize) -> String {
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

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::VersionSource;

    fn answer(status: u16, body: &str) -> Observation {
        Observation::Http(HttpAnswer {
            status,
            body: body.as_bytes().to_vec(),
            ..HttpAnswer::default()
        })
    }

    fn of_version(wanted: &str) -> Expectation {
        Expectation::Http(HttpExpectation {
            version: Some((
                VersionSource::Json("$.version".parse().unwrap()),
                wanted.to_owned(),
            )),
            ..HttpExpectation::default()
        })
    }

    fn told(verdict: &Verdict) -> (&str, &str, Option<Class>) {
        let said = verdict.said();
        (&said.key, &said.text, verdict.class())
    }

    #[test]
    fn a_good_answer_names_the_version_that_gave_it() {
        let verdict = judge(&of_version("1.4.2"), &answer(200, r#"{"version":"1.4.2"}"#));
        assert_eq!(told(&verdict), ("200", "200, version 1.4.2", None));
        assert!(matches!(verdict, Verdict::Good { version: Some(version), .. } if version == "1.4.2"));
    }

    #[test]
    fn the_old_version_is_not_good_and_may_go_away() {
        let verdict = judge(&of_version("1.4.2"), &answer(200, r#"{"version":"1.4.20"}"#));
        assert_eq!(
            told(&verdict),
            (
                "version 1.4.20",
                "200, but version 1.4.20 answered where 1.4.2 is expected",
                Some(Class::Transient)
            )
        );
        let verdict = judge(&of_version("1.4.2"), &answer(200, "up"));
        assert_eq!(told(&verdict).0, "no version");
    }

    #[test]
    fn statuses_are_told_with_what_came_along() {
        let expectation = Expectation::Http(HttpExpectation::default());
        for (status, class) in [
            (401, Class::Terminal),
            (403, Class::Terminal),
            (404, Class::Grace),
            (410, Class::Grace),
            (429, Class::Transient),
            (500, Class::Transient),
            (503, Class::Transient),
        ] {
            let verdict = judge(&expectation, &answer(status, "starting\u{1b}[2J\nup"));
            let text = format!("{status} where 200-299 is expected; body: `starting\\u{{1b}}[2J\\nup`");
            assert_eq!(
                told(&verdict),
                (status.to_string().as_str(), text.as_str(), Some(class))
            );
        }
        let redirect = Observation::Http(HttpAnswer {
            status: 302,
            headers: vec![("location".to_owned(), "/login\u{202e}".to_owned())],
            ..HttpAnswer::default()
        });
        assert_eq!(
            told(&judge(&expectation, &redirect)).1,
            "302 to `/login\\u{202e}` (redirects are not followed) where 200-299 is expected"
        );
    }

    #[test]
    fn a_status_that_is_asked_for_is_good_whatever_it_is() {
        let expectation = Expectation::Http(HttpExpectation {
            status: "404".parse().unwrap(),
            ..HttpExpectation::default()
        });
        assert!(judge(&expectation, &answer(404, "")).is_good());
        assert!(!judge(&expectation, &answer(200, "")).is_good());
    }

    #[test]
    fn a_text_must_be_in_what_was_read() {
        let expectation = Expectation::Http(HttpExpectation {
            contains: Some("Shop".to_owned()),
            ..HttpExpectation::default()
        });
        assert!(judge(&expectation, &answer(200, "<h1>Shop</h1>")).is_good());
        let verdict = judge(&expectation, &answer(200, &"x".repeat(101)));
        assert_eq!(
            told(&verdict).1,
            format!(
                "200, but the body does not contain `Shop`; body: `{}…`",
                "x".repeat(100)
            )
        );
        let cut = Observation::Http(HttpAnswer {
            status: 200,
            body: b"abc".to_vec(),
            truncated: true,
            ..HttpAnswer::default()
        });
        assert!(
            told(&judge(&expectation, &cut))
                .1
                .contains("the first 3 bytes of the body do not contain")
        );
    }

    #[test]
    fn silence_is_terminal_only_where_waiting_cannot_help() {
        let class = |cause| {
            let observation = Observation::NoAnswer {
                cause,
                detail: String::new(),
                elapsed: Duration::ZERO,
            };
            let verdict = judge(&Expectation::Tcp, &observation);
            assert!(!verdict.is_answer());
            verdict.class().unwrap()
        };
        for cause in [
            NoAnswer::Refused,
            NoAnswer::Reset,
            NoAnswer::Dns,
            NoAnswer::Timeout,
            NoAnswer::Unreachable,
            NoAnswer::NoRoute,
            NoAnswer::Protocol,
            NoAnswer::Tls(TlsProblem::Handshake),
        ] {
            assert_eq!(class(cause), Class::Transient, "{cause}");
        }
        for problem in [
            TlsProblem::UnknownAuthority,
            TlsProblem::WrongName,
            TlsProblem::Expired,
            TlsProblem::NotYetValid,
            TlsProblem::Revoked,
            TlsProblem::BadCertificate,
            TlsProblem::NotTls,
        ] {
            assert_eq!(class(NoAnswer::Tls(problem)), Class::Terminal, "{problem:?}");
        }
    }

    #[test]
    fn an_answer_to_another_question_proves_nothing() {
        let connected = Observation::Connected {
            elapsed: Duration::ZERO,
        };
        assert!(judge(&Expectation::Tcp, &connected).is_good());
        assert!(!judge(&of_version("1"), &connected).is_good());
        assert!(!judge(&Expectation::Tcp, &answer(200, "")).is_good());
    }
}
