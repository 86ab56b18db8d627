use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde_json::{Map, Value, json};

/// Defines a struct that is read from a map, once: documentation, `Clone + Debug + PartialEq`, [`crate::Decode`],
/// `Serialize` and `JsonSchema` come from the one definition. The crate's first page shows it in use.
///
/// - `pub name: Type,` is a required key, unless the type says what its absence means ([`crate::Decode::absent`]:
///   `Option`, `Vec` and `BTreeMap` do).
/// - `= expr` is the default.
/// - `as "keyInTheFile"` stands before the colon.
/// - `=> decode` reads the field by a function `fn(&Node, &mut Decoder) -> Option<Type>`; it is then required unless it
///   has a default.
/// - `struct Name: Eq, Hash` adds derives.
///
/// A field that holds its default (or is an absent `Option` or an empty collection) is not serialized, so that a hash
/// over the JSON stays the same when a field is added.
#[macro_export]
macro_rules! record {
    (
        $(#[doc = $doc:expr])*
        $vis:vis struct $name:ident $(: $($derive:ident),+)? {
            $(
                $(#[doc = $field_doc:expr])*
                $field_vis:vis $field:ident $(as $key:literal)? : $type:ty $(= $default:expr)? $(=> $decode:expr)?
            ),* $(,)?
        }
    ) => {
        $(#[doc = $doc])*
        #[derive(Clone, Debug, PartialEq $($(, $derive)+)?)]
        $vis struct $name {
            $($(#[doc = $field_doc])* $field_vis $field: $type,)*
        }

        impl $crate::Decode for $name {
            fn decode(node: &$crate::Node, cx: &mut $crate::Decoder) -> ::core::option::Option<Self> {
                let noun = $crate::__private::noun(&[$($doc),*]);
                let mut fields = $crate::Fields::of(node, cx, &noun)?;
                $(let $field: ::core::option::Option<$type> = fields.take(
                    $crate::__record_part!(@key $field $($key)?),
                    cx,
                    $crate::__record_part!(@decode $type, [$($decode)?]),
                    || $crate::__record_part!(@absent $type, [$($default)?], [$($decode)?]),
                );)*
                fields.finish(cx);
                ::core::option::Option::Some(Self { $($field: $field?,)* })
            }
        }

        impl $crate::__private::serde::Serialize for $name {
            fn serialize<S: $crate::__private::serde::Serializer>(
                &self,
                serializer: S,
            ) -> ::core::result::Result<S::Ok, S::Error> {
                use $crate::__private::serde::ser::SerializeMap as _;
                #[allow(unused_mut, reason = "a record may have no fields")]
                let mut map = serializer.serialize_map(::core::option::Option::None)?;
                $({
                    let absent: ::core::option::Option<$type> =
                        $crate::__record_part!(@absent $type, [$($default)?], [$($decode)?]);
                    if absent.as_ref() != ::core::option::Option::Some(&self.$field) {
                        map.serialize_entry($crate::__record_part!(@key $field $($key)?), &self.$field)?;
                    }
                })*
                map.end()
            }
        }

        impl $crate::__private::schemars::JsonSchema for $name {
            fn schema_name() -> ::std::borrow::Cow<'static, str> {
                ::core::stringify!($name).into()
            }

            fn schema_id() -> ::std::borrow::Cow<'static, str> {
                ::core::concat!(::core::module_path!(), "::", ::core::stringify!($name)).into()
            }

            fn json_schema(
                generator: &mut $crate::__private::schemars::SchemaGenerator,
            ) -> $crate::__private::schemars::Schema {
                #[allow(unused_mut, reason = "a record may have no fields")]
                let mut schema = $crate::__private::RecordSchema::new(&[$($doc),*]);
                $({
                    let absent: ::core::option::Option<$type> =
                        $crate::__record_part!(@absent $type, [$($default)?], [$($decode)?]);
                    schema.property(
                        $crate::__record_part!(@key $field $($key)?),
                        &[$($field_doc),*],
                        absent.as_ref(),
                        generator,
                    );
                })*
                schema.finish()
            }
        }
    };
}

/// The parts of [`record!`] that depend on what a field says.
#[doc(hidden)]
#[macro_export]
macro_rules! __record_part {
    (@key $field:ident) => {
        ::core::stringify!($field)
    };
    (@key $field:ident $key:literal) => {
        $key
    };
    (@decode $type:ty, []) => {
        <$type as $crate::Decode>::decode
    };
    (@decode $type:ty, [$decode:expr]) => {
        $decode
    };
    (@absent $type:ty, [$default:expr], [$($decode:expr)?]) => {
        ::core::option::Option::<$type>::Some($default)
    };
    (@absent $type:ty, [], []) => {
        <$type as $crate::Decode>::absent()
    };
    (@absent $type:ty, [], [$decode:expr]) => {
        ::core::option::Option::<$type>::None
    };
}

/// The JSON schema of a record while its fields are added.
#[doc(hidden)]
#[derive(Debug)]
pub struct RecordSchema {
    description: String,
    properties: Map<String, Value>,
    required: Vec<&'static str>,
}

impl RecordSchema {
    /// A record with the documentation `doc` and no fields.
    #[must_use]
    pub fn new(doc: &[&str]) -> Self {
        Self {
            description: description(doc),
            properties: Map::new(),
            required: Vec::new(),
        }
    }

    /// Adds a field that is required unless it has a value when `absent`.
    pub fn property<T: JsonSchema + serde::Serialize>(
        &mut self,
        key: &'static str,
        doc: &[&str],
        absent: Option<&T>,
        generator: &mut SchemaGenerator,
    ) {
        let mut schema = as_decoded(generator.subschema_for::<T>().to_value());
        let description = description(doc);
        if !description.is_empty() {
            schema.insert("description".to_owned(), description.into());
        }
        match absent {
            None => self.required.push(key),
            Some(value) => {
                let default = serde_json::to_value(value).unwrap_or_default();
                let empty = default.is_null() || default == json!([]) || default == json!({});
                if !empty {
                    schema.insert("default".to_owned(), default);
                }
            }
        }
        self.properties.insert(key.to_owned(), schema.into());
    }

    /// The whole schema.
    #[must_use]
    pub fn finish(self) -> Schema {
        let mut schema = schemars::json_schema!({
            "type": "object",
            "properties": self.properties,
            "additionalProperties": false,
        });
        if !self.required.is_empty() {
            schema.insert("required".to_owned(), json!(self.required));
        }
        if !self.description.is_empty() {
            schema.insert("description".to_owned(), self.description.into());
        }
        schema
    }
}

/// What is decoded of what the type's schema allows: an `Option` is a key that may be left out, and never null, and a port
/// has a number from 1.
fn as_decoded(schema: Value) -> Map<String, Value> {
    let Value::Object(mut schema) = schema else {
        // `true`, the schema of any value.
        return Map::new();
    };
    if let Some(Value::Array(types)) = schema.get_mut("type") {
        types.retain(|name| name != "null");
        if let [only] = types.as_slice() {
            let only = only.clone();
            schema.insert("type".to_owned(), only);
        }
    }
    // As it is decoded: the number of a port.
    if schema.get("format") == Some(&json!("uint16")) {
        schema.insert("minimum".to_owned(), json!(1));
    }
    if let Some(Value::Array(branches)) = schema.get_mut("anyOf") {
        branches.retain(|branch| *branch != json!({"type": "null"}));
        if let [Value::Object(only)] = branches.as_slice() {
            let only = only.clone();
            schema.remove("anyOf");
            schema.extend(only);
        }
    }
    schema
}

/// The text of doc comments, one line after the other.
#[must_use]
pub(crate) fn description(doc: &[&str]) -> String {
    let lines: Vec<&str> = doc
        .iter()
        .map(|line| line.strip_prefix(' ').unwrap_or(line))
        .collect();
    lines.join("\n").trim().to_owned()
}

/// What a record describes, for messages: the first sentence of its documentation up to its first pause when it begins
/// with an article (`One port.` is `one port`), else `this map`.
#[doc(hidden)]
#[must_use]
pub fn noun(doc: &[&str]) -> String {
    let text = description(doc);
    let end = text.find([':', ';', ',', '.', '\n', '(']).unwrap_or(text.len());
    let sentence = text[..end].trim();
    match sentence.split_once(' ') {
        Some((article @ ("A" | "An" | "The" | "One"), rest)) => format!("{} {rest}", article.to_lowercase()),
        _ => "this map".to_owned(),
    }
}
