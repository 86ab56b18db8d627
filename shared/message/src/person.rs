//! Who does something and why, as people write it to a command.

use crate::Who;

/// Reads `Name <email>`.
///
/// # Errors
/// In words, when it is none.
pub fn person(text: &str) -> Result<Who, String> {
    let wrong = || "write it as `Name <email>`".to_owned();
    let (name, rest) = text.trim().split_once('<').ok_or_else(wrong)?;
    let email = rest.strip_suffix('>').ok_or_else(wrong)?;
    let clean =
        |text: &str| !text.is_empty() && !text.contains(['<', '>']) && !text.chars().any(char::is_control);
    let name = name.trim();
    if !clean(name) || !clean(email) || email.contains(char::is_whitespace) || !email.contains('@') {
        return Err(wrong());
    }
    Ok(Who {
        name: name.to_owned(),
        email: Some(email.to_owned()),
    })
}

/// Reads why somebody does something; it stands in commits and in the ledger, so it is text and there is some.
///
/// # Errors
/// In words, when it is none.
pub fn reason(text: &str) -> Result<String, String> {
    let text = text.trim();
    if text.is_empty() {
        return Err("say why".to_owned());
    }
    if text
        .chars()
        .any(|character| character.is_control() && character != '\n')
    {
        return Err("it holds control characters".to_owned());
    }
    Ok(text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_is_text_and_there_is_some() {
        assert_eq!(reason(" a slip\n"), Ok("a slip".to_owned()));
        for bad in ["", "  \n", "a\u{1b}[2J"] {
            assert!(reason(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_person_is_shown_as_it_is_written() {
        let shown = |text| person(text).map(|who| who.to_string());
        assert_eq!(
            shown(" Ana Costa <ana@example.com>"),
            Ok("Ana Costa <ana@example.com>".to_owned())
        );
        assert!(shown("ana").is_err());
    }
}
