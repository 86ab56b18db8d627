use std::borrow::Cow;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};
use serde_json::Value;

use crate::Expression;

/// What one value of an answer (a header, a place of a JSON body) has to be. In a file it is the value itself, or
/// `{contains: …}`, `{matches: …}`, `{exists: true}`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Rule {
    /// Exactly this text, number, truth value or null.
    Is(Value),
    /// A text with this in it.
    Contains(String),
    /// A text that the expression finds something in.
    Matches(Expression),
    /// There at all, or not.
    Exists(bool),
}

impl Rule {
    /// Whether `found` (nothing, when there is no value) is as it has to be.
    #[must_use]
    pub fn holds(&self, found: Option<&Value>) -> bool {
        match (self, found) {
            (Self::Exists(wanted), found) => found.is_some() == *wanted,
            (_, None) => false,
            (Self::Is(wanted), Some(found)) => equal(wanted, found),
            (Self::Contains(text), Some(found)) => {
                plain(found).is_some_and(|found| found.contains(text.as_str()))
            }
            (Self::Matches(expression), Some(found)) => {
                plain(found).is_some_and(|found| expression.is_in(&found))
            }
        }
    }
}

/// `3` and `3.0` are one number, whoever wrote them.
fn equal(wanted: &Value, found: &Value) -> bool {
    match (wanted, found) {
        (Value::Number(wanted), Value::Number(found)) => wanted == found || wanted.as_f64() == found.as_f64(),
        _ => wanted == found,
    }
}

/// The text of a scalar.
fn plain(value: &Value) -> Option<Cow<'_, str>> {
    match value {
        Value::String(text) => Some(Cow::Borrowed(text)),
        Value::Number(_) | Value::Bool(_) => Some(Cow::Owned(value.to_string())),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

impl fmt::Display for Rule {
    /// Reads well after "expected ".
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Is(Value::String(text)) => write!(f, "`{text}`"),
            Self::Is(value) => write!(f, "`{value}`"),
            Self::Contains(text) => write!(f, "a text that contains `{text}`"),
            Self::Matches(expression) => write!(f, "a text that matches `{expression}`"),
            Self::Exists(true) => f.write_str("any value"),
            Self::Exists(false) => f.write_str("no value"),
        }
    }
}

impl Serialize for Rule {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if let Self::Is(value) = self {
            return value.serialize(serializer);
        }
        let mut map = serializer.serialize_map(Some(1))?;
        match self {
            Self::Is(_) => {}
            Self::Contains(text) => map.serialize_entry("contains", text)?,
            Self::Matches(expression) => map.serialize_entry("matches", expression)?,
            Self::Exists(wanted) => map.serialize_entry("exists", wanted)?,
        }
        map.end()
    }
}

impl JsonSchema for Rule {
    fn schema_name() -> Cow<'static, str> {
        "Rule".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "What a value has to be.",
            "anyOf": [
                {"type": ["string", "number", "boolean", "null"]},
                {"type": "object", "required": ["contains"], "additionalProperties": false,
                 "properties": {"contains": {"type": "string", "description": "A text with this in it."}}},
                {"type": "object", "required": ["matches"], "additionalProperties": false,
                 "properties": {"matches": {"type": "string", "description": "A text that this regular expression finds something in."}}},
                {"type": "object", "required": ["exists"], "additionalProperties": false,
                 "properties": {"exists": {"type": "boolean", "description": "There at all, or not."}}},
            ],
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_rule_holds_for_what_it_says() {
        let matches = |text: &str| Rule::Matches(text.parse().unwrap());
        let contains = |text: &str| Rule::Contains(text.to_owned());
        for (rule, found, holds) in [
            (Rule::Is(json!("up")), Some(json!("up")), true),
            (Rule::Is(json!("up")), Some(json!("upper")), false),
            (Rule::Is(json!(3)), Some(json!(3.0)), true),
            (Rule::Is(json!(3)), Some(json!("3")), false),
            (Rule::Is(json!(null)), Some(json!(null)), true),
            (Rule::Is(json!(null)), None, false),
            (contains("pp"), Some(json!("upper")), true),
            (contains("1"), Some(json!(12)), true),
            (contains("1"), Some(json!([1])), false),
            (matches("^u.$"), Some(json!("up")), true),
            (matches("^u.$"), Some(json!("upper")), false),
            (matches("."), None, false),
            (Rule::Exists(true), Some(json!(null)), true),
            (Rule::Exists(true), None, false),
            (Rule::Exists(false), None, true),
            (Rule::Exists(false), Some(json!(1)), false),
        ] {
            assert_eq!(rule.holds(found.as_ref()), holds, "{rule} {found:?}");
        }
    }

    #[test]
    fn the_written_form_is_the_descriptors() {
        for (rule, written) in [
            (Rule::Is(json!("up")), json!("up")),
            (Rule::Contains("x".into()), json!({"contains": "x"})),
            (Rule::Matches("^x".parse().unwrap()), json!({"matches": "^x"})),
            (Rule::Exists(false), json!({"exists": false})),
        ] {
            assert_eq!(serde_json::to_value(&rule).unwrap(), written);
        }
    }
}
