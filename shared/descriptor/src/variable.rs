/// Whether a text can be the name of an environment variable (POSIX, base definitions, 8.1, with lower case).
pub(crate) fn is_variable(text: &str) -> bool {
    text.bytes()
        .next()
        .is_some_and(|b| b.is_ascii_alphabetic() || b == b'_')
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

#[cfg(test)]
mod tests {
    use super::is_variable;

    #[test]
    fn names_are_words() {
        for good in ["A", "_", "log_level", "X1"] {
            assert!(is_variable(good), "{good}");
        }
        for bad in ["", "1A", "A-B", "A B", "A=B", "é"] {
            assert!(!is_variable(bad), "{bad:?}");
        }
    }
}
