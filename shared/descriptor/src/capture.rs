use std::collections::BTreeMap;

use pilotage_check::{CaptureSource, HeaderName, JsonPath, Pattern};
use pilotage_yaml::{Decode, Decoder, Fields, Node};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};

use crate::placeholder::is_capture_name;

/// A value of an answer that later requests use as `{{name}}`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Capture {
    /// Where the answer holds it.
    pub from: CaptureSource,
    /// Whether it is taken out of everything that is printed.
    pub secret: bool,
}

const CHOICES: &[&str] = &["json", "header", "cookie", "regex"];

impl Decode for Capture {
    fn decode(node: &Node, cx: &mut Decoder) -> Option<Self> {
        let mut fields = Fields::of(node, cx, "a capture")?;
        let choice = fields.one_of(CHOICES, cx);
        let secret = fields.or_else("secret", cx, || false);
        fields.finish(cx);
        let (key, value) = choice?;
        let text = String::decode(value, cx)?;
        let (noun, read) = match key {
            "json" => ("path in JSON", text.parse::<JsonPath>().map(CaptureSource::Json)),
            "header" => (
                "header name",
                text.parse::<HeaderName>().map(CaptureSource::Header),
            ),
            // A cookie's name has the grammar of a header's (RFC 6265, section 4.1.1).
            "cookie" => (
                "cookie name",
                text.parse::<HeaderName>()
                    .map(|_| CaptureSource::Cookie(text.clone())),
            ),
            _ => ("pattern", text.parse::<Pattern>().map(CaptureSource::Regex)),
        };
        match read {
            Ok(from) => Some(Self {
                from,
                secret: secret?,
            }),
            Err(reason) => {
                cx.invalid_value(value, noun, &text, reason);
                None
            }
        }
    }
}

/// Captures by their names.
pub(crate) fn captures(node: &Node, cx: &mut Decoder) -> Option<BTreeMap<String, Capture>> {
    let captures = BTreeMap::<String, Capture>::decode(node, cx);
    let mut good = true;
    for entry in node.entries().unwrap_or_default() {
        if !is_capture_name(&entry.key) {
            let shown = pilotage_diagnostic::printable(&entry.key);
            cx.error(
                "invalid-value",
                format!("`{shown}` is no name of a capture: lower-case letters, digits and underscores, at most 40"),
                entry.key_span,
                "no name of a capture",
            );
            good = false;
        }
    }
    captures.filter(|_| good)
}

impl Serialize for Capture {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        match &self.from {
            CaptureSource::Json(path) => map.serialize_entry("json", path)?,
            CaptureSource::Header(name) => map.serialize_entry("header", name)?,
            CaptureSource::Cookie(name) => map.serialize_entry("cookie", name)?,
            CaptureSource::Regex(pattern) => map.serialize_entry("regex", pattern)?,
        }
        if self.secret {
            map.serialize_entry("secret", &true)?;
        }
        map.end()
    }
}

impl JsonSchema for Capture {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Capture".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let one: Vec<_> = CHOICES
            .iter()
            .map(|choice| serde_json::json!({"required": [choice]}))
            .collect();
        json_schema!({
            "type": "object",
            "description": "A value of an answer that later requests use as `{{name}}`.",
            "properties": {
                "json": generator.subschema_for::<JsonPath>(),
                "header": generator.subschema_for::<HeaderName>(),
                "cookie": {"type": "string", "minLength": 1, "description": "The name of a cookie that the answer sets."},
                "regex": {"type": "string", "minLength": 1, "description": "A regular expression whose only group encloses the value in the body."},
                "secret": {"type": "boolean", "description": "Whether it is taken out of everything that is printed."},
            },
            "oneOf": one,
            "additionalProperties": false,
        })
    }
}
