/// `text` on one line, with every character escaped that would not show as itself: control characters (an ESC could
/// drive the terminal), bidirectional marks (they reorder what is read) and invisible ones. Printable text of any
/// script stays as it is.
///
/// ```
/// assert_eq!(pilotage_diagnostic::printable("né\n\u{1b}[2J\u{202e}"), r"né\n\u{1b}[2J\u{202e}");
/// ```
#[must_use]
pub fn printable(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        push_printable(&mut shown, c);
    }
    shown
}

/// `text` as [`printable`] shows it, with its own line breaks kept: every line after the first begins with `indent`, so that
/// none can be taken for a line of somebody else.
///
/// ```
/// assert_eq!(pilotage_diagnostic::printable_lines("it said:\nno\u{1b}\n", "  "), "it said:\n  no\\u{1b}");
/// ```
#[must_use]
pub fn printable_lines(text: &str, indent: &str) -> String {
    let lines: Vec<String> = text.trim_end().lines().map(printable).collect();
    lines.join(&format!("\n{indent}"))
}

/// Appends one character as [`printable`] shows it.
pub(crate) fn push_printable(shown: &mut String, c: char) {
    if is_plain(c) {
        shown.push(c);
    } else {
        match c {
            '\n' => shown.push_str("\\n"),
            '\r' => shown.push_str("\\r"),
            '\t' => shown.push_str("\\t"),
            _ => shown.extend(c.escape_unicode()),
        }
    }
}

/// Whether a character shows as itself. The lists are Unicode's bidirectional controls (UAX #9), line separators,
/// zero-width and other default-ignorable format characters, tags, private use and noncharacters.
fn is_plain(c: char) -> bool {
    !(c.is_control()
        || matches!(c,
            '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{180b}'..='\u{180f}'
            | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{3164}'
            | '\u{e000}'..='\u{f8ff}' | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}' | '\u{fffe}' | '\u{ffff}'
            | '\u{e0000}'..='\u{e0fff}' | '\u{f0000}'..='\u{10ffff}'))
}

#[cfg(test)]
mod tests {
    use super::{printable, printable_lines};

    #[test]
    fn what_can_be_read_stays() {
        for plain in ["a b", "Grüße, 世界", "🚢", "\\n", "عربي"] {
            assert_eq!(printable(plain), plain);
        }
    }

    #[test]
    fn lines_stay_lines_and_nothing_else_passes() {
        assert_eq!(printable_lines("a\r\n\tb\n\nc\n\n", "  "), "a\n  \\tb\n  \n  c");
        assert_eq!(printable_lines("a\u{2028}b\rc", "  "), "a\\u{2028}b\\rc");
        assert_eq!(printable_lines("", "  "), "");
    }

    #[test]
    fn what_can_deceive_is_spelt_out() {
        for (hostile, shown) in [
            ("\0", r"\u{0}"),
            ("\u{7f}\u{9b}", r"\u{7f}\u{9b}"),
            ("\u{2066}\u{200b}\u{feff}", r"\u{2066}\u{200b}\u{feff}"),
            ("\t\r", r"\t\r"),
            ("\u{e0041}", r"\u{e0041}"),
            ("\u{2028}", r"\u{2028}"),
        ] {
            assert_eq!(printable(hostile), shown);
        }
    }
}
