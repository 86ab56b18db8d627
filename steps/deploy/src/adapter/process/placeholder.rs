//! `{name}` in the command and the artifact's path of a process target. Nothing here ever meets a shell.

use crate::error::TargetError;

/// Fills in every `{name}` by what `value` says of it. A brace that begins no placeholder stays as it is.
///
/// # Errors
/// When `value` knows no such name.
pub(crate) fn fill(text: &str, value: impl Fn(&str) -> Option<String>) -> Result<String, TargetError> {
    let mut filled = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(open) = rest.find('{') {
        let (before, tail) = rest.split_at(open);
        filled.push_str(before);
        let name = tail[1..].split('}').next().unwrap_or_default();
        let closed = tail.len() > name.len() + 1;
        let placeholder = !name.is_empty()
            && name
                .bytes()
                .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'.' | b'-' | b'_'));
        if closed && placeholder {
            filled.push_str(&value(name).ok_or_else(|| TargetError::Placeholder {
                name: name.to_owned(),
                reason: "stands for nothing here",
            })?);
            rest = &tail[name.len() + 2..];
        } else {
            filled.push('{');
            rest = &tail[1..];
        }
    }
    filled.push_str(rest);
    Ok(filled)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known(name: &str) -> Option<String> {
        (name == "port.http").then(|| "8080".to_owned())
    }

    #[test]
    fn placeholders_are_filled_and_other_braces_stay() {
        assert_eq!(fill("--port={port.http}", known).unwrap(), "--port=8080");
        assert_eq!(fill("{\"a\": {}} {", known).unwrap(), "{\"a\": {}} {");
        assert_eq!(fill("{ {port.http}}", known).unwrap(), "{ 8080}");
    }

    #[test]
    fn an_unknown_placeholder_is_named() {
        let error = fill("{prot}", known).unwrap_err();
        assert_eq!(
            error.to_string(),
            "the target's command asks for `{prot}`, which stands for nothing here"
        );
    }
}
