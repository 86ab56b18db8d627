//! What a good answer looks like, and how it is asked for: the parts that endpoints and smoke requests share.

use std::collections::BTreeMap;

use pilotage_check::{HeaderName, HttpExpectation, JsonPath, Pattern, StatusSet, VersionSource};
use pilotage_yaml::{Decode, Decoder, Diagnostic, Fields, Node};
use schemars::SchemaGenerator;
use serde::ser::SerializeMap;
use serde_json::{Value, json};

use crate::Host;

/// What a good answer to an HTTP request looks like, and what the request carries.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Answer {
    /// Good statuses, 200-299 when nothing was written.
    pub status: StatusSet,
    /// Where the answer says its version, which has to be the descriptor's.
    pub version: Option<VersionSource>,
    /// A text the body has to contain.
    pub contains: Option<String>,
    /// Request headers.
    pub headers: BTreeMap<String, String>,
    /// The Host header, when it is not the address or the route's.
    pub host: Option<Host>,
}

impl Answer {
    /// What the answer has to be when `version` is asked; of no importance where the answer says no version.
    #[must_use]
    pub fn expectation(&self, version: &str) -> HttpExpectation {
        HttpExpectation {
            status: self.status.clone(),
            contains: self.contains.clone(),
            version: self.version.clone().map(|source| (source, version.to_owned())),
            min_days: None,
        }
    }

    /// The request's headers, as names and values.
    pub fn headers(&self) -> impl Iterator<Item = (&str, &str)> {
        self.headers
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// Writes what is not left at its default.
    pub(crate) fn serialize<M: SerializeMap>(&self, map: &mut M) -> Result<(), M::Error> {
        let Self {
            status,
            version,
            contains,
            headers,
            host,
        } = self;
        if *status != StatusSet::default() {
            map.serialize_entry("status", status)?;
        }
        if let Some(version) = version {
            map.serialize_entry("version", version)?;
        }
        if let Some(contains) = contains {
            map.serialize_entry("contains", contains)?;
        }
        if !headers.is_empty() {
            map.serialize_entry("headers", headers)?;
        }
        if let Some(host) = host {
            map.serialize_entry("host", host)?;
        }
        Ok(())
    }

    pub(crate) fn take(fields: &mut Fields<'_>, cx: &mut Decoder) -> Option<Self> {
        let answer_status = fields.take("status", cx, status, || Some(StatusSet::default()));
        let answer_version = fields.take(
            "version",
            cx,
            |node, cx| version(node, cx).map(Some),
            || Some(None),
        );
        let contains = fields.required("contains", cx);
        let request_headers = fields.take("headers", cx, headers, || Some(BTreeMap::new()));
        let host = fields.required("host", cx);
        Some(Self {
            status: answer_status?,
            version: answer_version?,
            contains: contains?,
            headers: request_headers?,
            host: host?,
        })
    }

    /// The keys of [`Answer::take`].
    pub(crate) const KEYS: [&'static str; 5] = ["status", "version", "contains", "headers", "host"];

    pub(crate) fn schema(generator: &mut SchemaGenerator) -> Vec<(&'static str, Value)> {
        let mut status = generator.subschema_for::<StatusSet>().to_value();
        let mut version = generator.subschema_for::<VersionSource>().to_value();
        let mut host = generator.subschema_for::<Host>().to_value();
        describe(&mut status, "Good statuses, `200-299` when nothing is written.");
        describe(
            &mut version,
            "Where the answer says its version, which has to be the descriptor's.",
        );
        describe(&mut host, "The Host header, when it is not the address.");
        vec![
            ("status", status),
            ("version", version),
            (
                "contains",
                json!({"type": "string", "description": "A text the body has to contain."}),
            ),
            (
                "headers",
                json!({"type": "object", "additionalProperties": {"type": "string"}, "description": "Request headers."}),
            ),
            ("host", host),
        ]
    }
}

fn describe(schema: &mut Value, description: &str) {
    if let Value::Object(schema) = schema {
        schema.insert("description".to_owned(), description.into());
    }
}

/// A set of statuses; a plain number is one.
fn status(node: &Node, cx: &mut Decoder) -> Option<StatusSet> {
    let Some(scalar) = node.scalar().filter(|_| !node.is_null()) else {
        cx.wrong_type(node, "a status such as `200`, or several such as `200-299`");
        return None;
    };
    match scalar.text.parse() {
        Ok(status) => Some(status),
        Err(reason) => {
            cx.invalid_value(node, "set of statuses", &scalar.text, reason);
            None
        }
    }
}

fn version(node: &Node, cx: &mut Decoder) -> Option<VersionSource> {
    if node.entries().is_none() {
        let word = String::decode(node, cx)?;
        if word == "body" {
            return Some(VersionSource::Body);
        }
        let error = Diagnostic::error(
            "invalid-value",
            format!(
                "`{}` is no place of a version",
                pilotage_diagnostic::printable(&word)
            ),
        )
        .at(cx.source(), node.span, "no place of a version")
        .help("write `body`, `{json: $.version}`, `{header: X-Version}` or `{regex: 'v([0-9.]+)'}`");
        cx.report(error);
        return None;
    }
    let mut fields = Fields::of(node, cx, "the place of a version")?;
    let choice = fields.one_of(&["json", "header", "regex"], cx);
    fields.finish(cx);
    let (key, value) = choice?;
    let text = String::decode(value, cx)?;
    let (noun, read) = match key {
        "json" => ("path in JSON", text.parse::<JsonPath>().map(VersionSource::Json)),
        "header" => (
            "header name",
            text.parse::<HeaderName>().map(VersionSource::Header),
        ),
        _ => ("pattern", text.parse::<Pattern>().map(VersionSource::Regex)),
    };
    match read {
        Ok(source) => Some(source),
        Err(reason) => {
            cx.invalid_value(value, noun, &text, reason);
            None
        }
    }
}

fn headers(node: &Node, cx: &mut Decoder) -> Option<BTreeMap<String, String>> {
    let headers = BTreeMap::<String, String>::decode(node, cx)?;
    let mut good = true;
    for entry in node.entries().unwrap_or_default() {
        if let Err(reason) = entry.key.parse::<HeaderName>() {
            let shown = pilotage_diagnostic::printable(&entry.key);
            cx.error(
                "invalid-value",
                format!("`{shown}` is no header name: {reason}"),
                entry.key_span,
                "no header name",
            );
            good = false;
        }
        if headers
            .get(&entry.key)
            .is_some_and(|value| value.chars().any(char::is_control))
        {
            cx.error(
                "invalid-value",
                "a header's value is one line without control characters",
                entry.value.span,
                "not one line",
            );
            good = false;
        }
    }
    good.then_some(headers)
}

/// A path with an optional query, as a request line holds it (RFC 9112, section 3.2.1).
pub(crate) fn is_request_path(text: &str) -> bool {
    text.starts_with('/') && text.len() <= 2_000 && text.chars().all(|c| c.is_ascii_graphic() && c != '#')
}

pub(crate) fn request_path(node: &Node, cx: &mut Decoder) -> Option<String> {
    let text = String::decode(node, cx)?;
    if is_request_path(&text) {
        return Some(text);
    }
    cx.invalid_value(
        node,
        "path of a request",
        &text,
        "begin with `/`, and write spaces and other special characters as `%20`",
    );
    None
}
