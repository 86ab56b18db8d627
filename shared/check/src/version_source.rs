use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{HeaderName, HttpAnswer, JsonPath, Pattern};

/// Where an answer says which version answered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum VersionSource {
    /// At a place of the JSON body: `{json: $.version}`.
    Json(JsonPath),
    /// In a header: `{header: X-Version}`.
    Header(HeaderName),
    /// The whole body, without surrounding white space: `body`.
    Body,
    /// In the only group of a regular expression over the body: `{regex: 'v([0-9.]+)'}`.
    Regex(Pattern),
}

/// What a source holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found {
    /// A version, as it was written there.
    Version(String),
    /// None; the text says what was missing and reads well after "no version: ".
    Missing(String),
}

impl VersionSource {
    /// Looks for the version in `answer`.
    #[must_use]
    pub fn find(&self, answer: &HttpAnswer) -> Found {
        let missing = |text: String| {
            let cut = if answer.truncated {
                " in the part of the body that was read"
            } else {
                ""
            };
            Found::Missing(format!("{text}{cut}"))
        };
        match self {
            Self::Json(path) => {
                let Ok(document) = serde_json::from_slice::<serde_json::Value>(&answer.body) else {
                    return missing("the body is no JSON".to_owned());
                };
                match path.find(&document) {
                    Some(serde_json::Value::String(text)) => Found::Version(text.clone()),
                    Some(serde_json::Value::Number(number)) => Found::Version(number.to_string()),
                    Some(_) => missing(format!("`{path}` is no text")),
                    None => missing(format!("there is no `{path}`")),
                }
            }
            Self::Header(name) => match answer.header(name) {
                Some(value) => Found::Version(value.trim().to_owned()),
                None => Found::Missing(format!("there is no header `{name}`")),
            },
            Self::Body => match String::from_utf8_lossy(&answer.body).trim() {
                "" => Found::Missing("the body is empty".to_owned()),
                body => Found::Version(body.to_owned()),
            },
            Self::Regex(pattern) => match pattern.find(&String::from_utf8_lossy(&answer.body)) {
                Some(version) => Found::Version(version.to_owned()),
                None => missing(format!("`{pattern}` matches nothing")),
            },
        }
    }
}

impl fmt::Display for VersionSource {
    /// Reads well after "the version in ".
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Json(path) => write!(f, "`{path}` of the body"),
            Self::Header(name) => write!(f, "the header `{name}`"),
            Self::Body => f.write_str("the body"),
            Self::Regex(pattern) => write!(f, "`{pattern}` in the body"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(body: &str) -> HttpAnswer {
        HttpAnswer {
            status: 200,
            headers: vec![("x-version".to_owned(), " 1.4.2 ".to_owned())],
            body: body.as_bytes().to_vec(),
            ..HttpAnswer::default()
        }
    }

    #[test]
    fn each_source_finds_its_version() {
        let json = VersionSource::Json("$.version".parse().unwrap());
        let header = VersionSource::Header("X-Version".parse().unwrap());
        let regex = VersionSource::Regex("v([0-9.]+)".parse().unwrap());
        let version = |text: &str| Found::Version(text.to_owned());
        let missing = |text: &str| Found::Missing(text.to_owned());
        for (source, body, found) in [
            (&json, r#"{"version":"1.4.2"}"#, version("1.4.2")),
            (&json, r#"{"version":7}"#, version("7")),
            (&json, r#"{"version":null}"#, missing("`$.version` is no text")),
            (&json, r#"{"v":1}"#, missing("there is no `$.version`")),
            (&json, "<html>", missing("the body is no JSON")),
            (&header, "", version("1.4.2")),
            (&VersionSource::Body, "1.4.2\n", version("1.4.2")),
            (&VersionSource::Body, " \n", missing("the body is empty")),
            (&regex, "shop v1.4.2 up", version("1.4.2")),
            (&regex, "shop", missing("`v([0-9.]+)` matches nothing")),
        ] {
            assert_eq!(source.find(&answer(body)), found, "{source} {body}");
        }
        let other = VersionSource::Header("X-Build".parse().unwrap());
        assert_eq!(other.find(&answer("")), missing("there is no header `X-Build`"));
        let cut = HttpAnswer {
            truncated: true,
            ..answer("{")
        };
        assert_eq!(
            json.find(&cut),
            missing("the body is no JSON in the part of the body that was read")
        );
    }

    #[test]
    fn the_written_form_is_the_descriptors() {
        for (json, source) in [
            (r#"{"json":"$.version"}"#, "`$.version` of the body"),
            (r#"{"header":"X-Version"}"#, "the header `X-Version`"),
            (r#""body""#, "the body"),
            (r#"{"regex":"v(.)"}"#, "`v(.)` in the body"),
        ] {
            let read: VersionSource = serde_json::from_str(json).unwrap();
            assert_eq!(read.to_string(), source);
            assert_eq!(serde_json::to_string(&read).unwrap(), json);
        }
        for bad in [
            r#"{"json":"version"}"#,
            r#"{"header":"a b"}"#,
            r#"{"regex":"v"}"#,
            r#"{"regex":"("}"#,
        ] {
            assert!(serde_json::from_str::<VersionSource>(bad).is_err(), "{bad}");
        }
    }
}
