use pilotage_diagnostic::nearest;

use crate::decoder::shorten;
use crate::{Decode, Decoder, Diagnostic, Entry, Node, Span};

/// The entries of a map while a record is decoded from it: each key is asked for by name, and [`Fields::finish`] tells
/// the keys nobody asked for.
#[derive(Debug)]
pub struct Fields<'n> {
    entries: &'n [Entry],
    /// Where a missing key is told.
    place: Span,
    noun: &'n str,
    asked: Vec<&'static str>,
}

impl<'n> Fields<'n> {
    /// The fields of `node`, or a `wrong-type` error when it is no map. `noun` says what the map describes, with its
    /// article: `a port`.
    pub fn of(node: &'n Node, cx: &mut Decoder, noun: &'n str) -> Option<Self> {
        let Some(entries) = node.entries() else {
            cx.wrong_type(node, &format!("{noun} (a map)"));
            return None;
        };
        Some(Self {
            entries,
            place: match node.key_span {
                Some(key) => key,
                None => one_line(cx, node.span),
            },
            noun,
            asked: Vec::new(),
        })
    }

    /// The node of a key, if the map has it.
    pub fn get(&mut self, key: &'static str) -> Option<&'n Node> {
        self.asked.push(key);
        let entry = self.entries.iter().find(|entry| entry.key == key)?;
        Some(&entry.value)
    }

    /// The value of a key. Missing, it is what [`Decode::absent`] says, or else a `missing-key` error.
    pub fn required<T: Decode>(&mut self, key: &'static str, cx: &mut Decoder) -> Option<T> {
        self.take(key, cx, T::decode, T::absent)
    }

    /// The value of a key, or `default` when the map does not have it. `None` means that it is there and wrong.
    pub fn or_else<T: Decode>(
        &mut self,
        key: &'static str,
        cx: &mut Decoder,
        default: impl FnOnce() -> T,
    ) -> Option<T> {
        self.take(key, cx, T::decode, || Some(default()))
    }

    /// The value of a key by `decode`; `absent` says what a missing key means, `None` being a `missing-key` error.
    pub fn take<T>(
        &mut self,
        key: &'static str,
        cx: &mut Decoder,
        decode: impl FnOnce(&Node, &mut Decoder) -> Option<T>,
        absent: impl FnOnce() -> Option<T>,
    ) -> Option<T> {
        if let Some(node) = self.get(key) {
            return decode(node, cx);
        }
        let value = absent();
        if value.is_none() {
            cx.error(
                "missing-key",
                format!("{} needs the key `{key}`", self.noun),
                self.place,
                format!("`{key}` is missing here"),
            );
        }
        value
    }

    /// The one key of `keys` that is present, with its node; none or several of them is an error.
    pub fn one_of(&mut self, keys: &[&'static str], cx: &mut Decoder) -> Option<(&'static str, &'n Node)> {
        let found: Vec<_> = keys
            .iter()
            .filter_map(|key| self.get(key).map(|node| (*key, node)))
            .collect();
        match found.as_slice() {
            [one] => Some(*one),
            [] => {
                let message = format!("{} needs one of the keys {}", self.noun, ticked(keys));
                cx.error("missing-key", message, self.place, "none of them is here");
                None
            }
            [first, others @ ..] => {
                let source = cx.source().clone();
                let message = format!("{} has only one of the keys {}", self.noun, ticked(keys));
                let error = Diagnostic::error("conflicting-keys", message);
                let error = error.also(
                    &source,
                    first.1.name_span(),
                    format!("`{}` is already here", first.0),
                );
                cx.report(others.iter().fold(error, |error, (key, node)| {
                    error.at(
                        &source,
                        node.name_span(),
                        format!("so `{key}` may not stand here"),
                    )
                }));
                None
            }
        }
    }

    /// Tells every key that was never asked for as `unknown-key`, with the nearest known key or a list of them.
    pub fn finish(self, cx: &mut Decoder) {
        for entry in self.entries {
            if !self.asked.contains(&entry.key.as_str()) {
                let error = unknown_key(cx, entry, &self.asked);
                cx.report(error);
            }
        }
    }
}

fn unknown_key(cx: &Decoder, entry: &Entry, known: &[&str]) -> Diagnostic {
    let error = Diagnostic::error("unknown-key", format!("unknown key `{}`", shorten(&entry.key)));
    match nearest(&entry.key, known.iter().copied()) {
        Some(key) => error
            .at(cx.source(), entry.key_span, format!("did you mean `{key}`?"))
            .help(format!("write `{key}`, or remove the key")),
        None => error
            .at(cx.source(), entry.key_span, "no such key here")
            .help(format!("the keys known here are {}", ticked(known))),
    }
}

/// Words in backticks, separated by commas.
pub(crate) fn ticked(words: &[&str]) -> String {
    let words: Vec<_> = words.iter().map(|word| format!("`{word}`")).collect();
    words.join(", ")
}

/// A map of one line is pointed at as a whole, a longer one by its beginning.
fn one_line(cx: &Decoder, span: Span) -> Span {
    if cx.source().slice(span).contains('\n') {
        Span::at(span.start)
    } else {
        span
    }
}
