use std::collections::{HashMap, HashSet};

use crate::{Entry, Node, Value};

/// `base` with `overlay` over it: maps merge key by key, scalars and lists replace, null removes the key. Every part
/// keeps the place it came from.
#[must_use]
pub fn merge(base: &Node, overlay: &Node) -> Node {
    let Value::Mapping(over) = &overlay.value else {
        return overlay.clone();
    };
    let (entries, place) = match &base.value {
        Value::Mapping(entries) => (entries.as_slice(), base),
        // Merged with nothing, a map loses the nulls in it: they have nothing to remove.
        Value::Scalar(_) | Value::Sequence(_) => (&[][..], overlay),
    };
    let over_by_key: HashMap<&str, &Entry> = over.iter().map(|entry| (entry.key.as_str(), entry)).collect();
    let known: HashSet<&str> = entries.iter().map(|entry| entry.key.as_str()).collect();
    let kept = entries
        .iter()
        .filter_map(|entry| match over_by_key.get(entry.key.as_str()) {
            None => Some(entry.clone()),
            Some(other) => merge_entry(&entry.value, other),
        });
    let added = over
        .iter()
        .filter(|other| !known.contains(other.key.as_str()))
        .filter_map(|other| merge_entry(&other.value.nothing(), other));
    Node {
        value: Value::Mapping(kept.chain(added).collect()),
        span: place.span,
        key_span: place.key_span,
    }
}

fn merge_entry(base: &Node, overlay: &Entry) -> Option<Entry> {
    if overlay.value.is_null() {
        return None;
    }
    let value = merge(base, &overlay.value);
    Some(Entry {
        key: overlay.key.clone(),
        key_span: value.key_span.unwrap_or(overlay.key_span),
        value,
    })
}

impl Node {
    /// An empty list in the place of this node: what a map that is new is merged with.
    fn nothing(&self) -> Self {
        Self {
            value: Value::Sequence(Vec::new()),
            span: self.span,
            key_span: self.key_span,
        }
    }
}
