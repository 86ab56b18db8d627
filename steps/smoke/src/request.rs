use std::str::FromStr;

use pilotage_check::{Expression, GrammarError, HeaderName, JsonPath, Rule, StatusSet, VersionSource};
use pilotage_place::PortPlace;
use pilotage_quantity::Duration;
use serde_json::Value;

/// What was asked for on the command line; every part is valid by itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// What is asked.
    pub subject: Subject,
    /// The version that has to answer, where it was said.
    pub expect_version: Option<String>,
    /// How long, and how much at once.
    pub limits: Limits,
}

/// What is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Subject {
    /// The requests of a descriptor, with the places that were said for its ports.
    Descriptor(Vec<PortPlace>),
    /// URLs, a GET each.
    Urls(Vec<String>, Box<Want>),
}

/// What a URL has to answer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Want {
    /// Good statuses.
    pub status: StatusSet,
    /// A text in the body.
    pub contains: Option<String>,
    /// What the body has to match.
    pub matches: Option<Expression>,
    /// Headers of the answer.
    pub answer_headers: Vec<AnswerHeader>,
    /// Places of a JSON body.
    pub json: Vec<JsonValue>,
    /// Where the version stands; `$.version` of the body when nothing was said.
    pub version: Option<VersionSource>,
    /// How long the whole answer may take.
    pub within: Option<Duration>,
    /// The `Host` header.
    pub host: Option<String>,
    /// How many redirects are followed.
    pub redirects: u32,
    /// Further tries after a bad answer or none.
    pub retries: u32,
}

/// How long one try may take, and how many requests are under way at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The end of one try, its redirects included.
    pub try_timeout: Duration,
    /// Requests at once.
    pub parallel: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            try_timeout: Duration::from_secs(10),
            parallel: 16,
        }
    }
}

/// `NAME: TEXT`: the header is there, with this text in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AnswerHeader(pub HeaderName, pub Rule);

impl FromStr for AnswerHeader {
    type Err = GrammarError;

    fn from_str(text: &str) -> Result<Self, GrammarError> {
        let (name, value) = text.split_once(':').unwrap_or((text, ""));
        let rule = match value.trim() {
            "" => Rule::Exists(true),
            text => Rule::Contains(text.to_owned()),
        };
        Ok(Self(name.trim().parse()?, rule))
    }
}

/// `PATH=VALUE`: what stands at a place of a JSON body. The value is JSON (`3`, `true`, `"3"`), else a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JsonValue(pub JsonPath, pub Rule);

impl FromStr for JsonValue {
    type Err = GrammarError;

    fn from_str(text: &str) -> Result<Self, GrammarError> {
        // A quoted name in a path may hold the sign, too.
        for (at, _) in text.match_indices('=') {
            if let Ok(path) = text[..at].parse() {
                let written = &text[at + 1..];
                let value = match serde_json::from_str(written) {
                    Ok(value @ (Value::String(_) | Value::Number(_) | Value::Bool(_) | Value::Null)) => value,
                    _ => Value::from(written),
                };
                return Ok(Self(path, Rule::Is(value)));
            }
        }
        // What is wrong with the path, or that it stands alone.
        let path = text.split('=').next().unwrap_or_default().parse()?;
        Ok(Self(path, Rule::Exists(true)))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn expected_values_are_read() {
        for (text, path, rule) in [
            ("$.status=up", "$.status", Rule::Is(json!("up"))),
            ("$.n=3", "$.n", Rule::Is(json!(3))),
            ("$.n=\"3\"", "$.n", Rule::Is(json!("3"))),
            ("$['a=b']=c=d", "$['a=b']", Rule::Is(json!("c=d"))),
            ("$.a=[1]", "$.a", Rule::Is(json!("[1]"))),
            ("$.a", "$.a", Rule::Exists(true)),
        ] {
            assert_eq!(text.parse(), Ok(JsonValue(path.parse().unwrap(), rule)), "{text}");
        }
        assert!("status=up".parse::<JsonValue>().is_err() && "".parse::<JsonValue>().is_err());
        for (text, rule) in [
            ("Content-Type: text/html", Rule::Contains("text/html".into())),
            ("ETag", Rule::Exists(true)),
        ] {
            assert_eq!(text.parse::<AnswerHeader>().unwrap().1, rule, "{text}");
        }
        assert!("a b: c".parse::<AnswerHeader>().is_err());
    }
}
