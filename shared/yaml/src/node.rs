use serde::ser::{Serialize, SerializeMap, SerializeSeq, Serializer};

use crate::{Resolved, Span};

/// A value of a YAML text with its place.
#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    /// What it is.
    pub value: Value,
    /// Its bytes in the source.
    pub span: Span,
    /// The bytes of its key, when it is the value of a map's entry.
    pub key_span: Option<Span>,
}

/// What a node is.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// A single text, number, boolean or null.
    Scalar(Scalar),
    /// A list.
    Sequence(Vec<Node>),
    /// A map; its keys are texts and differ from each other.
    Mapping(Vec<Entry>),
}

/// A scalar as it was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scalar {
    /// The text, escapes resolved.
    pub text: String,
    /// How it was written.
    pub style: Style,
    /// What YAML's core schema reads in it.
    pub resolved: Resolved,
}

/// How a scalar was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    /// Without quotes: the one style in which a scalar can be a number, a boolean or null.
    Plain,
    /// In single or double quotes.
    Quoted,
    /// As a `|` or `>` block.
    Block,
}

/// A key with its value.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// The key.
    pub key: String,
    /// Its bytes.
    pub key_span: Span,
    /// The value.
    pub value: Node,
}

impl Node {
    /// The scalar, when it is one.
    #[must_use]
    pub fn scalar(&self) -> Option<&Scalar> {
        match &self.value {
            Value::Scalar(scalar) => Some(scalar),
            Value::Sequence(_) | Value::Mapping(_) => None,
        }
    }

    /// The items, when it is a list.
    #[must_use]
    pub fn items(&self) -> Option<&[Self]> {
        match &self.value {
            Value::Sequence(items) => Some(items),
            Value::Scalar(_) | Value::Mapping(_) => None,
        }
    }

    /// The entries, when it is a map.
    #[must_use]
    pub fn entries(&self) -> Option<&[Entry]> {
        match &self.value {
            Value::Mapping(entries) => Some(entries),
            Value::Scalar(_) | Value::Sequence(_) => None,
        }
    }

    /// The value of a key, when it is a map that has the key.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&Self> {
        let entry = self.entries()?.iter().find(|entry| entry.key == key)?;
        Some(&entry.value)
    }

    /// Whether it is null: `null`, `~`, or nothing at all behind a key.
    #[must_use]
    pub fn is_null(&self) -> bool {
        self.scalar()
            .is_some_and(|scalar| scalar.resolved == Resolved::Null)
    }

    /// What it is, with an article, for messages: `a list`.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match &self.value {
            Value::Sequence(_) => "a list",
            Value::Mapping(_) => "a map",
            Value::Scalar(scalar) => scalar.resolved.kind(),
        }
    }

    /// The key with its value, when it stands in a map, else the value: the place for a remark about both.
    #[must_use]
    pub fn entry_span(&self) -> Span {
        self.key_span.map_or(self.span, |key| key.to(self.span))
    }

    /// The key when there is one, else the value: the place for "this should not be here".
    #[must_use]
    pub fn name_span(&self) -> Span {
        self.key_span.unwrap_or(self.span)
    }

    /// The same data without places, read by YAML's core schema.
    #[must_use]
    pub fn to_json(&self) -> serde_json::Value {
        match &self.value {
            Value::Scalar(scalar) => scalar.to_json(),
            Value::Sequence(items) => items.iter().map(Self::to_json).collect(),
            Value::Mapping(entries) => entries
                .iter()
                .map(|entry| (entry.key.clone(), entry.value.to_json()))
                .collect(),
        }
    }
}

impl Scalar {
    /// The same datum; a number that JSON cannot hold stays a text.
    #[must_use]
    pub fn to_json(&self) -> serde_json::Value {
        match self.resolved {
            Resolved::Null => serde_json::Value::Null,
            Resolved::Bool => self.text.eq_ignore_ascii_case("true").into(),
            Resolved::Int => match crate::scalar::integer(&self.text) {
                Some(number) => i64::try_from(number)
                    .map(Into::into)
                    .or_else(|_| u64::try_from(number).map(Into::into))
                    .unwrap_or_else(|_| self.text.clone().into()),
                None => self.text.clone().into(),
            },
            Resolved::Float => match self
                .text
                .parse::<f64>()
                .ok()
                .and_then(serde_json::Number::from_f64)
            {
                Some(number) => number.into(),
                None => self.text.clone().into(),
            },
            Resolved::Str => self.text.clone().into(),
        }
    }
}

impl Serialize for Node {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match &self.value {
            Value::Scalar(scalar) => scalar.to_json().serialize(serializer),
            Value::Sequence(items) => {
                let mut list = serializer.serialize_seq(Some(items.len()))?;
                for item in items {
                    list.serialize_element(item)?;
                }
                list.end()
            }
            Value::Mapping(entries) => {
                let mut map = serializer.serialize_map(Some(entries.len()))?;
                for entry in entries {
                    map.serialize_entry(&entry.key, &entry.value)?;
                }
                map.end()
            }
        }
    }
}

impl schemars::JsonSchema for Node {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "AnyValue".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        true.into()
    }
}
