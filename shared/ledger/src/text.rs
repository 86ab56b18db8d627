//! Text from the record, made fit for one line of a commit message or an error.

const LONGEST: usize = 300;

/// One line without control or direction-changing characters, at most 300 characters.
pub(crate) fn one_line(text: &str) -> String {
    let mut line = String::with_capacity(text.len().min(LONGEST));
    for (count, character) in text.chars().enumerate() {
        if count == LONGEST {
            line.push('…');
            break;
        }
        match character {
            '\n' | '\r' | '\t' => line.push(' '),
            c if c.is_control() || is_direction_mark(c) => line.extend(c.escape_unicode()),
            c => line.push(c),
        }
    }
    line.trim().to_owned()
}

/// Characters that change how neighbouring text is shown, so that a name could look like another one.
fn is_direction_mark(character: char) -> bool {
    matches!(character, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hostile_text_stays_one_plain_line() {
        assert_eq!(one_line("a\nb\u{1b}[31mc\u{202e}"), "a b\\u{1b}[31mc\\u{202e}");
        assert_eq!(one_line(&"x".repeat(400)).chars().count(), LONGEST + 1);
    }
}
