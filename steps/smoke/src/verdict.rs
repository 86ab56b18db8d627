//! What an answer is worth: whether it is as expected, and the values captured from it.

use pilotage_check::{
    Assertion, Expectation, HttpAnswer, HttpExpectation, Observation, Said, Verdict, judge, unmet,
};
use pilotage_secret::{Redactor, Secret};

use crate::RequestPlan;
use crate::outgoing::Values;

/// A captured value longer than this is something else.
const LONGEST: usize = 8 * 1024;

/// One try, judged.
pub(crate) struct Judged {
    /// Whether everything is as expected.
    pub(crate) good: bool,
    /// Whether anything answered.
    pub(crate) answered: bool,
    /// Short, for a histogram.
    pub(crate) key: String,
    /// What is wrong, else what was seen.
    pub(crate) texts: Vec<String>,
    /// The values found.
    pub(crate) captured: Values,
}

impl Judged {
    /// Something that is wrong with a try before there is an answer to judge.
    pub(crate) fn bad(key: &str, text: String) -> Self {
        Self {
            good: false,
            answered: true,
            key: key.to_owned(),
            texts: vec![text],
            captured: Values::new(),
        }
    }
}

/// Judges what one try saw. Secrets among the captured values are registered before a word is said about the answer.
pub(crate) fn judged(
    plan: &RequestPlan,
    expected: &(HttpExpectation, Vec<Assertion>),
    observation: &Observation,
    redactor: &Redactor,
) -> Judged {
    let Observation::Http(answer) = observation else {
        let verdict = judge(&Expectation::Http(expected.0.clone()), observation);
        return Judged {
            answered: verdict.is_answer(),
            ..Judged::bad(&verdict.said().key, verdict.said().text.clone())
        };
    };
    let (captured, missing) = captures(plan, answer, redactor);
    let shown = without_secrets(answer, redactor);
    let mut found = problems(expected, answer);
    if !found.is_empty()
        && let Some(shown) = &shown
    {
        // An excerpt could cut a secret in two, and no redactor would know the half.
        found = match problems(expected, shown) {
            told if told.is_empty() => vec![Said {
                key: found[0].key.clone(),
                text: format!("{}, and what is wrong with it holds a secret", answer.status),
            }],
            told => told,
        };
    }
    if let (true, Some(first)) = (found.is_empty(), missing.first()) {
        found.push(Said {
            key: "capture".to_owned(),
            text: format!("{}, but {first}", answer.status),
        });
    }
    let good = found.is_empty();
    Judged {
        good,
        answered: true,
        key: found
            .first()
            .map_or_else(|| answer.status.to_string(), |said| said.key.clone()),
        texts: match good {
            true => vec![answer.status.to_string()],
            false => found.into_iter().map(|said| said.text).collect(),
        },
        captured: match good {
            true => captured,
            false => Values::new(),
        },
    }
}

/// Everything that is not as expected: a wrong status explains the rest, so that it is told alone.
fn problems(expected: &(HttpExpectation, Vec<Assertion>), answer: &HttpAnswer) -> Vec<Said> {
    let (http, assertions) = expected;
    let ask = |expectation: HttpExpectation| match judge(
        &Expectation::Http(expectation),
        &Observation::Http(answer.clone()),
    ) {
        Verdict::Good { .. } => None,
        Verdict::Bad(said, _) | Verdict::NoAnswer(said, _) => Some(said),
    };
    let status = HttpExpectation {
        status: http.status.clone(),
        ..HttpExpectation::default()
    };
    if let Some(said) = ask(status.clone()) {
        return vec![said];
    }
    let version = http.version.is_some().then(|| HttpExpectation {
        version: http.version.clone(),
        ..status.clone()
    });
    let contains = http.contains.is_some().then(|| HttpExpectation {
        contains: http.contains.clone(),
        ..status
    });
    let mut found: Vec<Said> = version.into_iter().chain(contains).filter_map(ask).collect();
    found.extend(unmet(assertions, answer).into_iter().map(|said| Said {
        text: format!("{}, but {}", answer.status, said.text),
        key: said.key,
    }));
    found
}

/// The values found, and what is missing of the others.
fn captures(plan: &RequestPlan, answer: &HttpAnswer, redactor: &Redactor) -> (Values, Vec<String>) {
    let mut captured = Values::new();
    let mut missing = Vec::new();
    for (name, capture) in &plan.captures {
        let value = match capture.from.find(answer) {
            Ok(value) if value.is_empty() => Err(format!("{} is empty", capture.from)),
            Ok(value) if value.len() > LONGEST => {
                Err(format!("{} is longer than {LONGEST} bytes", capture.from))
            }
            other => other,
        };
        match value {
            Ok(value) => {
                if capture.secret
                    && redactor.register_named(name, &Secret::new(value.clone()))
                        == pilotage_secret::Coverage::TooShort
                {
                    tracing::warn!(
                        "the captured secret `{name}` is too short to be taken out of logs and reports"
                    );
                }
                captured.insert(name.clone(), value);
            }
            Err(what) => missing.push(format!("`{name}` could not be captured: {what}")),
        }
    }
    (captured, missing)
}

/// The answer with its secrets masked, where it holds any.
fn without_secrets(answer: &HttpAnswer, redactor: &Redactor) -> Option<HttpAnswer> {
    let body = redactor.redact_bytes(&answer.body);
    let headers: Vec<(String, String)> = answer
        .headers
        .iter()
        .map(|(name, value)| (name.clone(), redactor.redact(value).into_owned()))
        .collect();
    (*body != *answer.body || headers != answer.headers).then(|| HttpAnswer {
        body: body.into_owned(),
        headers,
        ..answer.clone()
    })
}
