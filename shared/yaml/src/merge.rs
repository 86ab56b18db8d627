use crate::{Entry, Node, Value};

/// `base` with `overlay` over it: maps merge key by key, scalars and lists replace, null removes the key. Every part
/// keeps the place it came from.
#[must_use]
pub fn merge(base: &Node, overlay: &Node) -> Node {
    let Value::Mapping(over) = &overlay.value else {
        return overlay.clone();
    };
    let (entries, span, key_span) = match &base.value {
        Value::Mapping(entries) => (entries.as_slice(), base.span, base.key_span),
        Value::Scalar(_) | Value::Sequence(_) => (&[][..], overlay.span, overlay.key_span),
    };
    let mut merged: Vec<Entry> = Vec::with_capacity(entries.len() + over.len());
    for entry in entries {
        match over.iter().find(|other| other.key == entry.key) {
            None => merged.push(entry.clone()),
            Some(other) if other.value.is_null() => {}
            Some(other) => merged.push(merge_entry(&entry.value, other)),
        }
    }
    let empty = Node {
        value: Value::Mapping(Vec::new()),
        span: overlay.span,
        key_span: overlay.key_span,
    };
    for other in over {
        let known = entries.iter().any(|entry| entry.key == other.key);
        if !known && !other.value.is_null() {
            // Merged with nothing, a map loses the nulls in it: they have nothing to remove.
            merged.push(merge_entry(
                &Node {
                    span: other.value.span,
                    key_span: other.value.key_span,
                    ..empty.clone()
                },
                other,
            ));
        }
    }
    Node {
        value: Value::Mapping(merged),
        span,
        key_span,
    }
}

fn merge_entry(base: &Node, overlay: &Entry) -> Entry {
    let value = merge(base, &overlay.value);
    Entry {
        key: overlay.key.clone(),
        key_span: value.key_span.unwrap_or(overlay.key_span),
        value,
    }
}
