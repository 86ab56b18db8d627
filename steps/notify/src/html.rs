//! HTML as mail readers show it: five characters are special, in text and in quoted attributes alike.

use pilotage_diagnostic::printable;

use crate::mrkdwn::web_url;

/// A text as HTML shows it literally, in an element or in a quoted attribute.
#[must_use]
pub(crate) fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            '\n' => escaped.push_str("<br>"),
            other => escaped.push(other),
        }
    }
    escaped
}

/// A link with its label. A URL that is not http or https, or that holds a password, shows as its label alone.
#[must_use]
pub(crate) fn link(url: &str, label: &str) -> String {
    let label = escape(&printable(label));
    match web_url(url) {
        Some(url) => format!("<a href=\"{}\">{label}</a>", escape(url.as_str())),
        None => label,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_value_leaves_its_place() {
        assert_eq!(
            escape("<b onclick='x'>&amp;\"\n"),
            "&lt;b onclick=&#39;x&#39;&gt;&amp;amp;&quot;<br>"
        );
        assert_eq!(
            link("https://x.example/?a=1&b='\"", "<i>"),
            "<a href=\"https://x.example/?a=1&amp;b=%27%22\">&lt;i&gt;</a>"
        );
        assert_eq!(link("javascript:alert(1)", "x"), "x");
    }
}
