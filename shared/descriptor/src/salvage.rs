use pilotage_yaml::{
    Decode, Decoder, Diagnostic, Diagnostics, Entry, Node, Resolved, Scalar, Source, Span, Style, Value,
};

/// What could be decoded of a map.
#[derive(Clone, Debug)]
pub struct Salvaged<T> {
    /// The value; without errors in `problems` it is the whole of it, else what is left without the dropped keys.
    pub value: Option<T>,
    /// Every problem of the decoding.
    pub problems: Diagnostics,
    /// The keys of the map that were left out, whole or in part, because something in them was wrong or they were
    /// missing.
    pub dropped: Vec<String>,
}

impl<T> Salvaged<T> {
    /// Whether `key` was read as it was written.
    #[must_use]
    pub fn knows(&self, key: &str) -> bool {
        !self.dropped.iter().any(|dropped| dropped == key)
    }
}

/// Decodes a map; when entries of it are wrong, the others are decoded all the same, so that what they mean can be
/// checked and every problem of a file is told at once. `stand_ins` are texts for required keys; of a wrong entry whose
/// key is one of `maps`, only the wrong entries within are left out.
#[must_use]
pub fn salvage<T: Decode>(
    node: &Node,
    source: &Source,
    stand_ins: &[(&str, &str)],
    maps: &[&str],
) -> Salvaged<T> {
    let mut cx = Decoder::new(source);
    let value = T::decode(node, &mut cx);
    let problems = cx.finish();
    let Some(entries) = node.entries().filter(|_| value.is_none()) else {
        return Salvaged {
            value,
            problems,
            dropped: Vec::new(),
        };
    };
    let bad = |entry: &Entry| problems.iter().any(|problem| is_in(entry, node, problem));
    let mut kept: Vec<Entry> = Vec::new();
    let mut dropped: Vec<String> = Vec::new();
    for entry in entries {
        if !bad(entry) {
            kept.push(entry.clone());
            continue;
        }
        dropped.push(entry.key.clone());
        if let Value::Mapping(inner) = &entry.value.value
            && maps.contains(&entry.key.as_str())
        {
            let mut entry = entry.clone();
            entry.value.value = Value::Mapping(inner.iter().filter(|inner| !bad(inner)).cloned().collect());
            kept.push(entry);
        }
    }
    for (key, text) in stand_ins {
        if !kept.iter().any(|entry| entry.key == *key) {
            kept.push(stand_in(key, text, node.span));
            if !dropped.iter().any(|dropped| dropped == key) {
                dropped.push((*key).to_owned());
            }
        }
    }
    let rest = Node {
        value: Value::Mapping(kept),
        ..node.clone()
    };
    // Its problems were told above.
    let value = T::decode(&rest, &mut Decoder::new(source));
    Salvaged {
        value,
        problems,
        dropped,
    }
}

/// Whether a problem is about something in this entry of `map`.
fn is_in(entry: &Entry, map: &Node, problem: &Diagnostic) -> bool {
    let own = |label: &pilotage_diagnostic::Label| {
        // A key that the map itself lacks is told at the map's first line, where its first entry stands too.
        let of_map = problem.code == "missing-key"
            && label.span.start == map.span.start
            && !map
                .entries()
                .unwrap_or_default()
                .iter()
                .any(|entry| entry.key_span == label.span);
        !of_map && touches(entry.key_span, &entry.value, label.span)
    };
    problem.is_error() && problem.labels.iter().filter(|label| label.primary).any(own)
}

/// Whether `place` lies in the key, the value or, because a merged map has parts from elsewhere, in a part of it.
fn touches(key: Span, node: &Node, place: Span) -> bool {
    let holds = |span: Span| span.start <= place.start && place.start <= span.end && place.end <= span.end;
    holds(key)
        || holds(node.span)
        || match &node.value {
            Value::Scalar(_) => false,
            Value::Sequence(items) => items.iter().any(|item| touches(item.span, item, place)),
            Value::Mapping(entries) => entries
                .iter()
                .any(|entry| touches(entry.key_span, &entry.value, place)),
        }
}

fn stand_in(key: &str, text: &str, map: Span) -> Entry {
    let place = Span::at(map.start);
    Entry {
        key: key.to_owned(),
        key_span: place,
        value: Node {
            value: Value::Scalar(Scalar {
                text: text.to_owned(),
                style: Style::Quoted,
                resolved: Resolved::Str,
            }),
            span: place,
            key_span: Some(place),
        },
    }
}
