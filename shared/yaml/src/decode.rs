use std::collections::BTreeMap;
use std::path::PathBuf;

use crate::decoder::shorten;
use crate::scalar::integer;
use crate::text::{text_scalar, unambiguous};
use crate::{Decoder, Diagnostic, Node, Resolved, Span, Style};

/// A type that is read from a node.
pub trait Decode: Sized {
    /// Reads `node`. `None` means that at least one problem was told to `cx`; all others of the node were told too.
    fn decode(node: &Node, cx: &mut Decoder) -> Option<Self>;

    /// The value of a missing key; `None` makes the key a required one.
    #[must_use]
    fn absent() -> Option<Self> {
        None
    }
}

/// A type that a key of a map is read into.
pub trait DecodeKey: Sized + Ord {
    /// Reads `key`. `None` means that a problem was told to `cx`.
    fn decode_key(key: &str, span: Span, cx: &mut Decoder) -> Option<Self>;
}

impl DecodeKey for String {
    fn decode_key(key: &str, _: Span, _: &mut Decoder) -> Option<Self> {
        Some(key.to_owned())
    }
}

/// Any value, read later or not at all.
impl Decode for Node {
    fn decode(node: &Node, _: &mut Decoder) -> Option<Self> {
        Some(node.clone())
    }
}

impl Decode for String {
    fn decode(node: &Node, cx: &mut Decoder) -> Option<Self> {
        let scalar = text_scalar(node, cx, "text")?;
        unambiguous(node, scalar, cx, "text").then(|| scalar.text.clone())
    }
}

impl Decode for PathBuf {
    fn decode(node: &Node, cx: &mut Decoder) -> Option<Self> {
        let scalar = text_scalar(node, cx, "path")?;
        unambiguous(node, scalar, cx, "path").then(|| Self::from(&scalar.text))
    }
}

impl Decode for bool {
    fn decode(node: &Node, cx: &mut Decoder) -> Option<Self> {
        match node.scalar() {
            Some(scalar) if scalar.resolved == Resolved::Bool => {
                Some(scalar.text.eq_ignore_ascii_case("true"))
            }
            Some(scalar) if scalar.resolved == Resolved::Str => {
                let word = match scalar.text.to_ascii_lowercase().as_str() {
                    "true" | "yes" | "on" => "true",
                    "false" | "no" | "off" => "false",
                    _ => "true` or `false",
                };
                let error = Diagnostic::error("wrong-type", "expected `true` or `false`, found a text")
                    .at(cx.source(), node.span, "this is a text")
                    .help(format!("write `{word}`, without quotes"));
                cx.report(error);
                None
            }
            _ => {
                cx.wrong_type(node, "`true` or `false`");
                None
            }
        }
    }
}

macro_rules! whole_numbers {
    ($($type:ty),*) => {
        $(impl Decode for $type {
            fn decode(node: &Node, cx: &mut Decoder) -> Option<Self> {
                let number = whole_number(node, cx, i128::from(<$type>::MIN), i128::from(<$type>::MAX))?;
                Self::try_from(number).ok()
            }
        })*
    };
}
whole_numbers!(u8, u32, u64, i32, i64);

/// The number of a port: nothing else in our files has this width, and port 0 is none.
impl Decode for u16 {
    fn decode(node: &Node, cx: &mut Decoder) -> Option<Self> {
        let number = whole_number(node, cx, 1, i128::from(Self::MAX))?;
        Self::try_from(number).ok()
    }
}

fn whole_number(node: &Node, cx: &mut Decoder, least: i128, most: i128) -> Option<i128> {
    const EXPECTED: &str = "a whole number";
    let Some(scalar) = node.scalar() else {
        cx.wrong_type(node, EXPECTED);
        return None;
    };
    if scalar.resolved != Resolved::Int {
        let digits = !scalar.text.is_empty() && scalar.text.bytes().all(|b| b.is_ascii_digit());
        if scalar.style != Style::Plain && digits {
            let error = Diagnostic::error("wrong-type", "expected a whole number, found a text")
                .at(cx.source(), node.span, "this is a text")
                .help(format!("write `{}`, without quotes", shorten(&scalar.text)));
            cx.report(error);
        } else {
            cx.wrong_type(node, EXPECTED);
        }
        return None;
    }
    // `010` is eight to some readers and ten to others.
    let digits = scalar.text.trim_start_matches(['-', '+']);
    if digits.len() > 1 && digits.starts_with('0') {
        let message = format!(
            "`{}` is not the same number to every program",
            shorten(&scalar.text)
        );
        let error = Diagnostic::error("invalid-value", message)
            .at(cx.source(), node.span, "not plain decimal")
            .help("write it in decimal, without leading zeros");
        cx.report(error);
        return None;
    }
    match integer(&scalar.text) {
        Some(number) if (least..=most).contains(&number) => Some(number),
        _ => {
            let message = format!(
                "`{}` is out of range: expected {least} to {most}",
                shorten(&scalar.text)
            );
            cx.error("invalid-value", message, node.span, "out of range");
            None
        }
    }
}

/// A key that may be left out; null is not a way to leave it out.
impl<T: Decode> Decode for Option<T> {
    fn decode(node: &Node, cx: &mut Decoder) -> Option<Self> {
        T::decode(node, cx).map(Some)
    }

    fn absent() -> Option<Self> {
        Some(None)
    }
}

impl<T: Decode> Decode for Vec<T> {
    fn decode(node: &Node, cx: &mut Decoder) -> Option<Self> {
        list(T::decode)(node, cx)
    }

    fn absent() -> Option<Self> {
        Some(Self::new())
    }
}

impl<K: DecodeKey, T: Decode> Decode for BTreeMap<K, T> {
    fn decode(node: &Node, cx: &mut Decoder) -> Option<Self> {
        map(T::decode)(node, cx)
    }

    fn absent() -> Option<Self> {
        Some(Self::new())
    }
}

/// Decodes by `item` what may be left out: for the `=>` of a [`crate::record!`] field of a foreign type.
pub fn optional<T>(
    item: impl Fn(&Node, &mut Decoder) -> Option<T>,
) -> impl Fn(&Node, &mut Decoder) -> Option<Option<T>> {
    move |node, cx| item(node, cx).map(Some)
}

/// Decodes a list, each item by `item`.
pub fn list<T>(
    item: impl Fn(&Node, &mut Decoder) -> Option<T>,
) -> impl Fn(&Node, &mut Decoder) -> Option<Vec<T>> {
    move |node, cx| {
        let Some(items) = node.items() else {
            cx.wrong_type(node, "a list");
            return None;
        };
        // Every item is read before the first bad one ends it, so that all problems are told.
        let items: Vec<_> = items.iter().map(|node| item(node, cx)).collect();
        items.into_iter().collect()
    }
}

/// Decodes a map, each value by `item`.
pub fn map<K: DecodeKey, T>(
    item: impl Fn(&Node, &mut Decoder) -> Option<T>,
) -> impl Fn(&Node, &mut Decoder) -> Option<BTreeMap<K, T>> {
    move |node, cx| {
        let Some(entries) = node.entries() else {
            cx.wrong_type(node, "a map");
            return None;
        };
        let entries: Vec<_> = entries
            .iter()
            .map(|entry| {
                (
                    K::decode_key(&entry.key, entry.key_span, cx),
                    item(&entry.value, cx),
                )
            })
            .collect();
        entries
            .into_iter()
            .map(|(key, value)| Some((key?, value?)))
            .collect()
    }
}
