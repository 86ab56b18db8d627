use std::fmt::Display;
use std::str::FromStr;

use crate::decoder::shorten;
use crate::scalar::misread;
use crate::{Decode, DecodeKey, Decoder, Diagnostic, Node, Scalar, Span, Style};

/// A type written as one text with a grammar; it is decodable as a value and as a key of a map.
pub trait FromText: FromStr<Err: Display> {
    /// What it is, without an article: `service name`.
    const NOUN: &'static str;

    /// Whether a plain number or boolean stands for its text (`status: 200`). Otherwise it has to be quoted, lest
    /// `1.10` becomes `1.1` elsewhere. The schema of a type that says yes must accept numbers too.
    const PLAIN: bool = false;
}

impl<T: FromText> Decode for T {
    fn decode(node: &Node, cx: &mut Decoder) -> Option<Self> {
        let scalar = text_scalar(node, cx, T::NOUN)?;
        let value = match scalar.text.parse() {
            Ok(value) => value,
            Err(reason) => {
                cx.invalid_value(node, T::NOUN, &scalar.text, reason);
                return None;
            }
        };
        (T::PLAIN || unambiguous(node, scalar, cx, T::NOUN)).then_some(value)
    }
}

impl<T: FromText + Ord> DecodeKey for T {
    fn decode_key(key: &str, span: Span, cx: &mut Decoder) -> Option<Self> {
        match key.parse() {
            Ok(value) => Some(value),
            Err(reason) => {
                let message = format!("`{}` is no {}: {reason}", shorten(key), T::NOUN);
                cx.error("invalid-value", message, span, format!("no {}", T::NOUN));
                None
            }
        }
    }
}

/// The scalar of a node that should hold a `noun`; null, maps and lists are a `wrong-type` error.
pub(crate) fn text_scalar<'n>(node: &'n Node, cx: &mut Decoder, noun: &str) -> Option<&'n Scalar> {
    match node.scalar() {
        Some(scalar) if !node.is_null() => Some(scalar),
        Some(scalar) if !scalar.text.is_empty() => {
            quote_it(node, scalar, cx, noun, "as null");
            None
        }
        _ => {
            cx.wrong_type(node, &with_article(noun));
            None
        }
    }
}

/// Whether every YAML reader takes the scalar for a text; a `quote-it` error when not.
pub(crate) fn unambiguous(node: &Node, scalar: &Scalar, cx: &mut Decoder, noun: &str) -> bool {
    if scalar.style != Style::Plain {
        return true;
    }
    match misread(&scalar.text) {
        Some(how) => {
            quote_it(node, scalar, cx, noun, how);
            false
        }
        None => true,
    }
}

fn quote_it(node: &Node, scalar: &Scalar, cx: &mut Decoder, noun: &str, how: &str) {
    // What YAML reads as a number, a boolean or null holds no character that needs an escape.
    let text = shorten(&scalar.text);
    let message = format!("`{text}` is read {how} where {} is expected", with_article(noun));
    let error = Diagnostic::error("quote-it", message)
        .at(cx.source(), node.span, "quote it")
        .help(format!("write `\"{text}\"`"));
    cx.report(error);
}

pub(crate) fn with_article(noun: &str) -> String {
    let article = if noun.starts_with(['a', 'e', 'i', 'o', 'A', 'E', 'I', 'O']) {
        "an"
    } else {
        "a"
    };
    format!("{article} {noun}")
}
