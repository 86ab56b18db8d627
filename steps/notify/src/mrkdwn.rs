//! Slack's `mrkdwn`: three characters are special everywhere, and a message must end before Slack ends it.

use pilotage_diagnostic::printable;
use url::Url;

/// A text as Slack shows it literally: `&`, `<` and `>` become entities, nothing else does. Without a `<` of its own no
/// text can mention a person, a channel or everybody.
#[must_use]
pub(crate) fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            other => escaped.push(other),
        }
    }
    escaped
}

/// A link with its label. A URL that is not http or https, or that holds a password, shows as its label alone.
#[must_use]
pub(crate) fn link(url: &str, label: &str) -> String {
    let label = escape(&printable(label).replace('|', "/"));
    match web_url(url) {
        // A URL writes `<` and `>` percent-encoded; `|` would end it here.
        Some(url) => format!("<{}|{label}>", escape(&url.as_str().replace('|', "%7C"))),
        None => label,
    }
}

/// An http or https URL without credentials in it.
#[must_use]
pub(crate) fn web_url(url: &str) -> Option<Url> {
    let url = Url::parse(url).ok()?;
    let open = url.username().is_empty() && url.password().is_none();
    (matches!(url.scheme(), "http" | "https") && open).then_some(url)
}

/// A mention of a member, where the id has the form of one.
#[must_use]
pub(crate) fn mention(member: &str) -> Option<String> {
    let (first, rest) = member.split_at_checked(1)?;
    let good = matches!(first, "U" | "W")
        && (2..=30).contains(&rest.len())
        && rest
            .bytes()
            .all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit());
    good.then(|| format!("<@{member}>"))
}

/// At most `most` units of a written text, the end of it replaced by `…` and the number of characters left out. Entities,
/// links and mentions are kept whole or left out whole. Slack counts as JavaScript does, in UTF-16 units.
#[must_use]
pub(crate) fn truncate(text: &str, most: usize) -> String {
    if units(text) <= most {
        return text.to_owned();
    }
    // Room for the note on what is missing.
    let room = most.saturating_sub(40);
    let mut kept = 0;
    let mut used = 0;
    while let Some(piece) = next_piece(&text[kept..]) {
        used += units(piece);
        if used > room {
            break;
        }
        kept += piece.len();
    }
    format!(
        "{}… ({} more characters)",
        &text[..kept],
        text[kept..].chars().count()
    )
}

fn units(text: &str) -> usize {
    text.encode_utf16().count()
}

/// The next entity, angle-bracket markup or character.
fn next_piece(text: &str) -> Option<&str> {
    let first = text.chars().next()?;
    let end = match first {
        '&' => text.find(';').filter(|end| *end <= 5),
        '<' => text.find('>'),
        _ => None,
    };
    Some(&text[..end.map_or(first.len_utf8(), |end| end + 1)])
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn nothing_that_is_escaped_can_mention() {
        for (hostile, shown) in [
            ("<!channel>", "&lt;!channel&gt;"),
            ("<@U012>", "&lt;@U012&gt;"),
            ("a -> b && c", "a -&gt; b &amp;&amp; c"),
            ("&lt;!here&gt;", "&amp;lt;!here&amp;gt;"),
        ] {
            assert_eq!(escape(hostile), shown);
        }
    }

    #[test]
    fn links_hold_what_they_should_and_nothing_else() {
        assert_eq!(
            link("https://ci.example.com/job/1?a=1&b=2", "Build <1>"),
            "<https://ci.example.com/job/1?a=1&amp;b=2|Build &lt;1&gt;>"
        );
        assert_eq!(
            link("https://x.example/a|b>c<!here>", "a|b\nc"),
            "<https://x.example/a%7Cb%3Ec%3C!here%3E|a/b\\nc>"
        );
        assert_eq!(link("javascript:alert(1)", "Build"), "Build");
        assert_eq!(link("https://ana:hunter2@x.example/", "Build"), "Build");
        assert_eq!(link("no url <!here>", "<!here>"), "&lt;!here&gt;");
    }

    #[test]
    fn only_a_member_id_becomes_a_mention() {
        assert_eq!(mention("U012AB3CD"), Some("<@U012AB3CD>".to_owned()));
        for bad in ["", "U", "!channel", "u012", "U012>", "S012", "Ü012", "U012|x"] {
            assert_eq!(mention(bad), None, "{bad}");
        }
    }

    proptest! {
        #[test]
        fn a_cut_keeps_the_limit_and_cuts_no_entity(text in "[a&<>é😀 ]{0,200}", most in 41_usize..120) {
            let written = format!("{}{}", escape(&text), link("https://x.example/", &text));
            let cut = truncate(&written, most);
            prop_assert!(units(&cut) <= most, "{cut}");
            let mut rest = cut.as_str();
            while let Some(piece) = next_piece(rest) {
                prop_assert!(piece != "&" && piece != "<", "{cut:?} holds half an entity");
                rest = &rest[piece.len()..];
            }
            prop_assert!(units(&written) > most || cut == written);
        }

        #[test]
        fn no_escaped_text_has_markup(text in any::<String>()) {
            prop_assert!(!escape(&text).contains(['<', '>']));
        }
    }
}
