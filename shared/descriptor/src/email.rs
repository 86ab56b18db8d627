/// Whether a text can be a mail address: one `@` between two parts without spaces, brackets or control characters, and
/// a domain without empty labels. Whether mail arrives is known only by sending it.
#[must_use]
pub fn is_email(text: &str) -> bool {
    let plain = |c: char| {
        !c.is_whitespace() && !c.is_control() && !matches!(c, '<' | '>' | ',' | ';' | '"' | '(' | ')')
    };
    match text.split_once('@') {
        Some((local, domain)) => {
            !local.is_empty()
                && text.len() <= 254
                && text.chars().all(plain)
                && !domain.contains('@')
                && domain.split('.').all(|label| !label.is_empty())
        }
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::is_email;

    #[test]
    fn addresses_are_told_from_other_texts() {
        for good in [
            "ana@example.com",
            "a+b@localhost",
            "1234+ana@users.noreply.github.com",
        ] {
            assert!(is_email(good), "{good}");
        }
        for bad in [
            "",
            "ana",
            "@x",
            "a@",
            "a@b@c",
            "Ana <a@b>",
            "a b@c",
            "a@b..c",
            "a@b\n",
        ] {
            assert!(!is_email(bad), "{bad:?}");
        }
    }
}
