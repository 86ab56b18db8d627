//! `{{name}}` in the texts of a smoke request: a value that an earlier request captured.

use std::ops::Range;

/// The placeholders of a text, each with its place (braces included) and its name. Anything else in braces is text.
pub fn placeholders(text: &str) -> impl Iterator<Item = (Range<usize>, &str)> {
    let mut from = 0;
    std::iter::from_fn(move || {
        while let Some(found) = text[from..].find("{{") {
            let start = from + found;
            // The next brace may open it as well: `{{{name}}}`.
            from = start + 1;
            let rest = &text[start + 2..];
            let name = rest.find("}}").map(|end| &rest[..end]);
            if let Some(name) = name.filter(|name| is_capture_name(name.trim_matches(' '))) {
                from = start + name.len() + 4;
                return Some((start..from, name.trim_matches(' ')));
            }
        }
        None
    })
}

/// The text with every placeholder replaced by what `value` has for its name; a placeholder it has nothing for stays.
pub fn fill<'v>(text: &str, mut value: impl FnMut(&str) -> Option<&'v str>) -> String {
    let mut filled = String::with_capacity(text.len());
    let mut done = 0;
    for (place, name) in placeholders(text) {
        if let Some(value) = value(name) {
            filled.push_str(&text[done..place.start]);
            filled.push_str(value);
            done = place.end;
        }
    }
    filled.push_str(&text[done..]);
    filled
}

/// Lower-case letters, digits and underscores after a letter, at most 40.
pub(crate) fn is_capture_name(text: &str) -> bool {
    let good = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_';
    text.len() <= 40 && text.starts_with(|c: char| c.is_ascii_lowercase()) && text.bytes().all(good)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_in_double_braces_are_placeholders_and_nothing_else_is() {
        let names = |text| {
            placeholders(text)
                .map(|(_, name)| name.to_owned())
                .collect::<Vec<_>>()
        };
        assert_eq!(names("/a/{{id}}?t={{ token_2 }}"), ["id", "token_2"]);
        assert_eq!(names("{{{id}}}"), ["id"]);
        for plain in [
            "",
            "{id}",
            "{{}}",
            "{{Id}}",
            "{{a b}}",
            "{{id",
            "{\"a\":{\"b\":1}}",
            "{{1}}",
            "{{\u{e9}}}",
        ] {
            assert_eq!(names(plain), Vec::<String>::new(), "{plain}");
        }
    }

    #[test]
    fn values_are_filled_in_once() {
        let value = |name: &str| match name {
            "id" => Some("{{token}}"),
            "token" => Some("t"),
            _ => None,
        };
        assert_eq!(
            fill("a {{id}} {{token}}{{other}} é", value),
            "a {{token}} t{{other}} é"
        );
    }
}
