use pilotage_yaml::{Decode, Decoder, Limits, Node, Source, Span, Style};
use serde_json::Value;

use crate::Descriptor;

impl Descriptor {
    /// A descriptor file without `environments` that parses back to an equal descriptor, here and in any YAML reader.
    #[must_use]
    pub fn to_yaml(&self) -> String {
        // By way of JSON, because YAML would write an enum as a tag, which no file may hold. Writing plain data cannot
        // fail; an empty text would not parse back and be noticed.
        let plain = serde_json::to_value(self).unwrap_or_default();
        quote_ambiguous(&plain, serde_yaml::to_string(&plain).unwrap_or_default())
    }
}

/// The writer follows YAML 1.2 and leaves `yes` and `12:30` plain, which older readers take for something else and our
/// own refuses: those are quoted.
fn quote_ambiguous(value: &Value, text: String) -> String {
    let limits = Limits {
        bytes: usize::MAX,
        depth: usize::MAX,
        nodes: usize::MAX,
    };
    let source = Source::new("", text);
    let (Some(root), _) = pilotage_yaml::parse(&source, &limits) else {
        return source.text().to_owned();
    };
    let mut spans = Vec::new();
    ambiguous(value, &root, &source, &mut spans);
    spans.sort_unstable();
    let mut quoted = String::with_capacity(source.text().len());
    let mut done = 0;
    for span in spans {
        quoted.push_str(&source.text()[done..span.start]);
        quoted.push_str(&Value::from(source.slice(span)).to_string());
        done = span.end;
    }
    quoted.push_str(&source.text()[done..]);
    quoted
}

fn ambiguous(value: &Value, node: &Node, source: &Source, spans: &mut Vec<Span>) {
    match value {
        Value::String(_) => {
            let plain = node.scalar().is_some_and(|scalar| scalar.style == Style::Plain);
            if plain && String::decode(node, &mut Decoder::new(source)).is_none() {
                spans.push(node.span);
            }
        }
        Value::Array(values) => {
            for (value, node) in values.iter().zip(node.items().unwrap_or_default()) {
                ambiguous(value, node, source, spans);
            }
        }
        Value::Object(values) => {
            for (key, value) in values {
                if let Some(node) = node.get(key) {
                    ambiguous(value, node, source, spans);
                }
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}
