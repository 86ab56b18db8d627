//! The story in plain words, newest last, and how things are now. Pure.

use std::fmt::Write as _;

use pilotage_diagnostic::{printable, printable_lines};

use super::present::{Present, moment};
use super::story::Chapter;

/// The text for a terminal. What came from git is made printable.
#[must_use]
pub fn text(story: &[Chapter], earlier: usize, present: &Present) -> String {
    let mut text = String::new();
    // Writing to a String cannot fail.
    if earlier > 0 {
        let events = if earlier == 1 { "event" } else { "events" };
        let _ = writeln!(text, "({earlier} earlier {events}; --last 0 tells them all)");
    }
    let width = story
        .iter()
        .map(|chapter| chapter.kind.word().len())
        .max()
        .unwrap_or_default();
    for chapter in story {
        let (when, word) = (moment(chapter.at), chapter.kind.word());
        let indent = when.chars().count() + 2 + width + 2;
        let more = " ".repeat(indent + 2);
        let said = printable_lines(&chapter.said, &more);
        let _ = writeln!(text, "{when}  {word:<width$}  {said}");
        for line in &chapter.details {
            let _ = writeln!(text, "{:indent$}{}", "", printable_lines(line, &more));
        }
    }
    if story.is_empty() {
        text.push_str("nothing is recorded\n");
    }
    let _ = writeln!(text, "\nNow: {}", printable(&present.sentence()));
    let _ = writeln!(text, "     {}", printable(&present.asks_sentence()));
    for line in &present.why {
        let _ = writeln!(text, "     because {}", printable_lines(line, "       "));
    }
    for line in &present.satisfy {
        let _ = writeln!(text, "     needs {}", printable(line));
    }
    text
}
