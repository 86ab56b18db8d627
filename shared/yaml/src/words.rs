use pilotage_diagnostic::nearest;
use schemars::Schema;
use serde_json::{Value, json};

use crate::decoder::shorten;
use crate::fields::ticked;
use crate::record::description;
use crate::{Decoder, Diagnostic, Node};

/// Defines a closed set of words as an enum, once: documentation, `Copy + Eq + Ord + Hash`, `ALL`, `as_str`, `Display`,
/// `FromStr`, serde, `JsonSchema` and [`crate::Decode`]. The crate's first page shows it in use.
#[macro_export]
macro_rules! words {
    (
        $(#[doc = $doc:expr])*
        $vis:vis enum $name:ident {
            $($(#[doc = $word_doc:expr])* $variant:ident = $word:literal),+ $(,)?
        }
    ) => {
        $(#[doc = $doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        $vis enum $name {
            $($(#[doc = $word_doc])* $variant,)+
        }

        impl $name {
            /// Every one of them, in order.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];
            const WORDS: &'static [&'static str] = &[$($word),+];

            /// The word in a file.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $word,)+
                }
            }
        }

        impl ::core::fmt::Display for $name {
            fn fmt(&self, f: &mut ::core::fmt::Formatter<'_>) -> ::core::fmt::Result {
                f.pad(self.as_str())
            }
        }

        impl ::core::str::FromStr for $name {
            type Err = $crate::UnknownWord;

            fn from_str(text: &str) -> ::core::result::Result<Self, $crate::UnknownWord> {
                match text {
                    $($word => ::core::result::Result::Ok(Self::$variant),)+
                    _ => ::core::result::Result::Err($crate::UnknownWord::new(text, Self::WORDS)),
                }
            }
        }

        impl $crate::Decode for $name {
            fn decode(node: &$crate::Node, cx: &mut $crate::Decoder) -> ::core::option::Option<Self> {
                $crate::__private::decode_word(node, cx, Self::WORDS)?.parse().ok()
            }
        }

        impl $crate::__private::serde::Serialize for $name {
            fn serialize<S: $crate::__private::serde::Serializer>(
                &self,
                serializer: S,
            ) -> ::core::result::Result<S::Ok, S::Error> {
                serializer.serialize_str(self.as_str())
            }
        }

        impl<'de> $crate::__private::serde::Deserialize<'de> for $name {
            fn deserialize<D: $crate::__private::serde::Deserializer<'de>>(
                deserializer: D,
            ) -> ::core::result::Result<Self, D::Error> {
                let text = <::std::string::String as $crate::__private::serde::Deserialize>::deserialize(deserializer)?;
                text.parse().map_err($crate::__private::serde::de::Error::custom)
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
                _: &mut $crate::__private::schemars::SchemaGenerator,
            ) -> $crate::__private::schemars::Schema {
                $crate::__private::words_schema(&[$($doc),*], &[$(($word, &[$($word_doc),*] as &[&str])),+])
            }
        }
    };
}

/// A text that is none of the words of a set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownWord {
    text: String,
    words: &'static [&'static str],
}

impl UnknownWord {
    #[doc(hidden)]
    #[must_use]
    pub fn new(text: &str, words: &'static [&'static str]) -> Self {
        Self {
            text: text.to_owned(),
            words,
        }
    }
}

impl std::fmt::Display for UnknownWord {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "`{}` is not one of {}",
            shorten(&self.text),
            ticked(self.words)
        )
    }
}

impl std::error::Error for UnknownWord {}

/// The text of a scalar that is one of `words`, or an `unknown-word` error. A word needs no quotes, even `off`: it is
/// only ever compared.
#[doc(hidden)]
pub fn decode_word<'n>(node: &'n Node, cx: &mut Decoder, words: &'static [&'static str]) -> Option<&'n str> {
    let Some(scalar) = node.scalar().filter(|_| !node.is_null()) else {
        cx.wrong_type(node, &format!("one of {}", ticked(words)));
        return None;
    };
    let text = scalar.text.as_str();
    if words.contains(&text) {
        return Some(text);
    }
    let error = Diagnostic::error("unknown-word", UnknownWord::new(text, words).to_string());
    cx.report(match nearest(text, words.iter().copied()) {
        Some(word) => {
            let error = error.at(cx.source(), node.span, format!("did you mean `{word}`?"));
            error.help(format!("write `{word}`"))
        }
        None => error.at(cx.source(), node.span, "not one of them"),
    });
    None
}

/// The JSON schema of a set of words with their documentation.
#[doc(hidden)]
#[must_use]
pub fn words_schema(doc: &[&str], words: &[(&str, &[&str])]) -> Schema {
    let branches: Vec<Value> = words
        .iter()
        .map(|(word, doc)| json!({"const": word, "description": description(doc)}))
        .collect();
    schemars::json_schema!({"type": "string", "description": description(doc), "oneOf": branches})
}
