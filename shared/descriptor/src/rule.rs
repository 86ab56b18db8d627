//! What the values of an answer have to be, as a smoke request writes it.

use std::fmt::Display;
use std::str::FromStr;

use pilotage_check::{Expression, GrammarError, HeaderName, JsonPath, Rule};
use pilotage_yaml::{Decode, Decoder, Fields, Node, Resolved};
use serde_json::Value;

/// Rules for headers, by their names.
pub(crate) fn headers(node: &Node, cx: &mut Decoder) -> Option<Vec<(HeaderName, Rule)>> {
    rules(
        node,
        cx,
        "a map from header names to what they have to be",
        "header name",
        |node, cx| {
            // Every header is a text, so that a number without quotes is a slip.
            String::decode(node, cx).map(Value::from)
        },
    )
}

/// Rules for places of a JSON body, by their paths.
pub(crate) fn json(node: &Node, cx: &mut Decoder) -> Option<Vec<(JsonPath, Rule)>> {
    rules(
        node,
        cx,
        "a map from paths such as `$.status` to what they have to be",
        "path in JSON",
        scalar,
    )
}

fn rules<K: FromStr<Err = GrammarError> + Display>(
    node: &Node,
    cx: &mut Decoder,
    expected: &str,
    noun: &str,
    exact: fn(&Node, &mut Decoder) -> Option<Value>,
) -> Option<Vec<(K, Rule)>> {
    let Some(entries) = node.entries() else {
        cx.wrong_type(node, expected);
        return None;
    };
    let read: Vec<Option<(K, Rule)>> = entries
        .iter()
        .map(|entry| {
            let key = entry.key.parse();
            let rule = rule(&entry.value, cx, exact);
            match key {
                Ok(key) => Some((key, rule?)),
                Err(reason) => {
                    let shown = pilotage_diagnostic::printable(&entry.key);
                    cx.error(
                        "invalid-value",
                        format!("`{shown}` is no {noun}: {reason}"),
                        entry.key_span,
                        format!("no {noun}"),
                    );
                    None
                }
            }
        })
        .collect();
    // Their order means nothing.
    let mut rules: Vec<(K, Rule)> = read.into_iter().collect::<Option<_>>()?;
    rules.sort_by_cached_key(|(key, _)| key.to_string());
    Some(rules)
}

fn rule(node: &Node, cx: &mut Decoder, exact: fn(&Node, &mut Decoder) -> Option<Value>) -> Option<Rule> {
    if node.entries().is_none() {
        return exact(node, cx).map(Rule::Is);
    }
    let mut fields = Fields::of(node, cx, "a rule of an answer")?;
    let choice = fields.one_of(&["contains", "matches", "exists"], cx);
    fields.finish(cx);
    let (key, value) = choice?;
    match key {
        "contains" => String::decode(value, cx).map(Rule::Contains),
        "exists" => bool::decode(value, cx).map(Rule::Exists),
        _ => expression(value, cx).map(Rule::Matches),
    }
}

pub(crate) fn expression(node: &Node, cx: &mut Decoder) -> Option<Expression> {
    let text = String::decode(node, cx)?;
    match text.parse() {
        Ok(expression) => Some(expression),
        Err(reason) => {
            cx.invalid_value(node, "pattern", &text, reason);
            None
        }
    }
}

/// A text, number, truth value or null, by the type it has in YAML.
fn scalar(node: &Node, cx: &mut Decoder) -> Option<Value> {
    let Some(scalar) = node.scalar() else {
        cx.wrong_type(node, "a text, a number, `true`, `false` or `null`");
        return None;
    };
    match scalar.resolved {
        Resolved::Null => Some(Value::Null),
        Resolved::Bool => bool::decode(node, cx).map(Value::from),
        Resolved::Int => i64::decode(node, cx).map(Value::from),
        Resolved::Float => match scalar.text.parse::<f64>() {
            Ok(number) if number.is_finite() => Some(Value::from(number)),
            _ => {
                cx.invalid_value(
                    node,
                    "number of JSON",
                    &scalar.text,
                    "write it in decimal, or quote it",
                );
                None
            }
        },
        Resolved::Str => String::decode(node, cx).map(Value::from),
    }
}
