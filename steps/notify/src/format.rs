//! What templates are written in, and how values are written into them.

use minijinja::value::{Value, ValueKind};
use pilotage_diagnostic::printable;

use crate::{html, mrkdwn};

/// A single value is cut here, so that one long line cannot push the rest out of the message.
const LONGEST_VALUE: usize = 1_000;

/// What a template is written in, and what its values are escaped for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Format {
    /// Plain text for a terminal or a log.
    Text,
    /// Slack's mrkdwn.
    Slack,
    /// HTML for mail.
    Html,
}

impl Format {
    /// All of them.
    pub(crate) const ALL: [Self; 3] = [Self::Text, Self::Slack, Self::Html];

    /// The ending of its files.
    #[must_use]
    pub(crate) const fn ending(self) -> &'static str {
        match self {
            Self::Text => "txt",
            Self::Slack => "slack",
            Self::Html => "html",
        }
    }

    fn escaped(self, text: &str) -> String {
        match self {
            Self::Text => text.to_owned(),
            Self::Slack => mrkdwn::escape(text),
            Self::Html => html::escape(text),
        }
    }
}

/// Without what conditions leave behind: spaces at the end of lines, more than one empty line.
pub(crate) fn tidy(text: &str) -> String {
    let mut tidy = String::with_capacity(text.len());
    for line in text.lines().map(str::trim_end) {
        if !line.is_empty() || !(tidy.is_empty() || tidy.ends_with("\n\n")) {
            tidy.push_str(line);
            tidy.push('\n');
        }
    }
    tidy.truncate(tidy.trim_end().len());
    tidy
}

/// A value as the format writes it: control characters spelt out, empty lines closed up, long ones cut, special characters
/// escaped once. What a filter of ours has written already stays as it is.
pub(crate) fn written(format: Format, value: &Value) -> String {
    if value.kind() == ValueKind::None {
        return String::new();
    }
    let text = value.to_string();
    if value.is_safe() {
        return text;
    }
    let lines: Vec<String> = text
        .lines()
        .filter(|line| !line.trim().is_empty() || text.trim().is_empty())
        .map(printable)
        .collect();
    let mut text = lines.join("\n");
    if let Some((cut, _)) = text.char_indices().nth(LONGEST_VALUE) {
        let missing = text[cut..].chars().count();
        text.truncate(cut);
        text.push_str(&format!("… ({missing} more characters)"));
    }
    format.escaped(&text)
}
