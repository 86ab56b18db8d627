use std::time::Duration;

use serde_json::Value;

use crate::judge::excerpt;
use crate::{Expression, HeaderName, HttpAnswer, JsonPath, Rule, Said};

/// One thing that has to hold for an answer, beyond what [`crate::judge`] looks at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Assertion {
    /// The expression finds something in the body.
    Matches(Expression),
    /// A header is as said; of several values of one name one is enough.
    Header(HeaderName, Rule),
    /// A place of the JSON body is as said.
    Json(JsonPath, Rule),
    /// The whole answer came within this time.
    Within(Duration),
}

/// The assertions that do not hold, each with what was seen instead.
#[must_use]
pub fn unmet(assertions: &[Assertion], answer: &HttpAnswer) -> Vec<Said> {
    // Parsed once, and only where somebody asks.
    let mut parsed: Option<Option<Value>> = None;
    let mut said = Vec::new();
    for assertion in assertions {
        let problem = match assertion {
            Assertion::Matches(expression) => {
                let found = expression.is_in(&String::from_utf8_lossy(&answer.body));
                (!found).then(|| {
                    let text = format!(
                        "{} does not match `{}`",
                        read(answer),
                        excerpt(expression.to_string().as_bytes(), 100)
                    );
                    ("body", text)
                })
            }
            Assertion::Header(name, rule) => header(answer, name, rule).map(|text| ("header", text)),
            Assertion::Json(path, rule) => {
                let document = parsed.get_or_insert_with(|| serde_json::from_slice(&answer.body).ok());
                json(answer, document.as_ref(), path, rule).map(|text| ("json", text))
            }
            Assertion::Within(limit) => (answer.elapsed > *limit).then(|| {
                let text = format!(
                    "it took {} where {} are allowed",
                    millis(answer.elapsed),
                    millis(*limit)
                );
                ("slow", text)
            }),
        };
        said.extend(problem.map(|(key, text)| Said {
            key: key.to_owned(),
            text,
        }));
    }
    said
}

fn header(answer: &HttpAnswer, name: &HeaderName, rule: &Rule) -> Option<String> {
    let values: Vec<Value> = answer
        .headers
        .iter()
        .filter(|(key, _)| name.is(key))
        .map(|(_, value)| Value::from(value.trim()))
        .collect();
    let holds = match values.as_slice() {
        [] => rule.holds(None),
        values => values.iter().any(|value| rule.holds(Some(value))),
    };
    if holds {
        return None;
    }
    let expected = excerpt(rule.to_string().as_bytes(), 200);
    Some(match values.first() {
        None => format!("there is no header `{name}`; expected {expected}"),
        Some(value) => {
            let seen = excerpt(value.as_str().unwrap_or_default().as_bytes(), 100);
            format!("the header `{name}` is `{seen}`; expected {expected}")
        }
    })
}

fn json(answer: &HttpAnswer, document: Option<&Value>, path: &JsonPath, rule: &Rule) -> Option<String> {
    let expected = || excerpt(rule.to_string().as_bytes(), 200);
    let Some(document) = document else {
        return Some(format!(
            "{} is no JSON; expected {} at `{path}`",
            read(answer),
            expected()
        ));
    };
    let found = path.find(document);
    if rule.holds(found) {
        return None;
    }
    Some(match found {
        None => format!("there is no `{path}`; expected {}", expected()),
        Some(found) => {
            let seen = match found {
                Value::String(text) => excerpt(text.as_bytes(), 100),
                other => excerpt(other.to_string().as_bytes(), 100),
            };
            format!("`{path}` is `{seen}`; expected {}", expected())
        }
    })
}

/// What was read of the body, as the beginning of a sentence.
fn read(answer: &HttpAnswer) -> String {
    if answer.truncated {
        format!("the part of the body that was read ({} bytes)", answer.body.len())
    } else {
        "the body".to_owned()
    }
}

fn millis(time: Duration) -> String {
    format!("{:.1} ms", time.as_secs_f64() * 1e3)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn texts(assertions: &[Assertion], answer: &HttpAnswer) -> Vec<String> {
        unmet(assertions, answer)
            .into_iter()
            .map(|said| said.text)
            .collect()
    }

    #[test]
    fn everything_that_does_not_hold_is_told() {
        let answer = HttpAnswer {
            status: 200,
            headers: vec![
                ("content-type".into(), "text/html; charset=utf-8".into()),
                ("vary".into(), "accept".into()),
                ("vary".into(), "origin".into()),
            ],
            body: br#"{"status":"up","items":[{"id":7}],"none":null}"#.to_vec(),
            elapsed: Duration::from_millis(250),
            ..HttpAnswer::default()
        };
        let header = |name: &str, rule| Assertion::Header(name.parse().unwrap(), rule);
        let at = |path: &str, rule| Assertion::Json(path.parse().unwrap(), rule);
        let good = [
            Assertion::Matches(r#""status":\s*"up""#.parse().unwrap()),
            header("Content-Type", Rule::Contains("text/html".into())),
            header("vary", Rule::Is(json!("origin"))),
            header("x-powered-by", Rule::Exists(false)),
            at("$.status", Rule::Is(json!("up"))),
            at("$.items[0].id", Rule::Is(json!(7))),
            at("$.none", Rule::Is(json!(null))),
            at("$.gone", Rule::Exists(false)),
            Assertion::Within(Duration::from_millis(250)),
        ];
        assert_eq!(texts(&good, &answer), Vec::<String>::new());
        let bad = [
            Assertion::Matches("down".parse().unwrap()),
            header("vary", Rule::Is(json!("x"))),
            header("vary", Rule::Exists(false)),
            header("etag", Rule::Exists(true)),
            at("$.status", Rule::Is(json!("down"))),
            at("$.items", Rule::Contains("7".into())),
            at("$.gone", Rule::Is(json!(1))),
            Assertion::Within(Duration::from_millis(100)),
        ];
        assert_eq!(
            texts(&bad, &answer),
            [
                "the body does not match `down`",
                "the header `vary` is `accept`; expected `x`",
                "the header `vary` is `accept`; expected no value",
                "there is no header `etag`; expected any value",
                "`$.status` is `up`; expected `down`",
                "`$.items` is `[{\"id\":7}]`; expected a text that contains `7`",
                "there is no `$.gone`; expected `1`",
                "it took 250.0 ms where 100.0 ms are allowed",
            ]
        );
    }

    #[test]
    fn a_body_that_is_no_json_or_was_cut_is_told_as_such() {
        let answer = HttpAnswer {
            body: b"{\"a\": \x1b[31m".to_vec(),
            truncated: true,
            ..HttpAnswer::default()
        };
        let asked = [
            Assertion::Json("$.a".parse().unwrap(), Rule::Exists(true)),
            Assertion::Matches("z\u{7}".parse().unwrap()),
        ];
        assert_eq!(
            texts(&asked, &answer),
            [
                "the part of the body that was read (11 bytes) is no JSON; expected any value at `$.a`",
                "the part of the body that was read (11 bytes) does not match `z\\u{7}`",
            ]
        );
    }
}
