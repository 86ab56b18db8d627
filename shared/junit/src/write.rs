//! XML as it is written: escaped, and without the characters that XML 1.0 does not know, of which one alone makes a
//! report unreadable.

/// ` name="value"`.
pub(crate) fn attribute(into: &mut String, name: &str, value: &str) {
    into.push(' ');
    into.push_str(name);
    into.push_str("=\"");
    for character in value.chars() {
        match character {
            '"' => into.push_str("&quot;"),
            '\n' => into.push_str("&#10;"),
            '\r' => into.push_str("&#13;"),
            '\t' => into.push_str("&#9;"),
            other => push(into, other),
        }
    }
    into.push('"');
}

/// Text of an element.
pub(crate) fn text(into: &mut String, text: &str) {
    into.reserve(text.len());
    for character in text.chars() {
        push(into, character);
    }
}

fn push(into: &mut String, character: char) {
    match character {
        '&' => into.push_str("&amp;"),
        '<' => into.push_str("&lt;"),
        '>' => into.push_str("&gt;"),
        // XML 1.0, section 2.2.
        '\t' | '\n' | '\r' | '\u{20}'..='\u{D7FF}' | '\u{E000}'..='\u{FFFD}' | '\u{10000}'.. => {
            into.push(character)
        }
        _ => {}
    }
}

pub(crate) fn seconds(seconds: f64) -> String {
    format!("{seconds:.3}")
}
