//! A person as people write one.

use pilotage_message::Who;

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
