use std::fmt;
use std::ops::Range;
use std::sync::Arc;

/// A range of bytes of a [`Source`]: `start` belongs to it, `end` does not. A span may be empty, and whoever reads it
/// against a text clamps it, so that a wrong span is never more than a wrong place.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Span {
    /// First byte.
    pub start: usize,
    /// The byte after the last; never before `start`.
    pub end: usize,
}

impl Span {
    /// From `start` to `end`; an `end` before the start makes an empty span.
    #[must_use]
    pub const fn new(start: usize, end: usize) -> Self {
        Self {
            start,
            end: if end < start { start } else { end },
        }
    }

    /// The empty span at `offset`.
    #[must_use]
    pub const fn at(offset: usize) -> Self {
        Self::new(offset, offset)
    }

    /// The smallest span that holds both.
    #[must_use]
    pub fn to(self, other: Self) -> Self {
        Self::new(self.start.min(other.start), self.end.max(other.end))
    }

    /// The same bytes as a range.
    #[must_use]
    pub const fn range(self) -> Range<usize> {
        self.start..self.end
    }

    /// Whether it covers no byte.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.start == self.end
    }
}

impl From<Range<usize>> for Span {
    fn from(range: Range<usize>) -> Self {
        Self::new(range.start, range.end)
    }
}

/// A text with the name people know it by (`services/shop.yaml`, `<stdin>`). Cheap to clone.
#[derive(Clone)]
pub struct Source {
    inner: Arc<Inner>,
}

struct Inner {
    name: String,
    text: String,
    /// Where each line begins; the first is 0. `\n`, `\r\n` and a lone `\r` end a line, as in YAML.
    lines: Vec<usize>,
}

impl Source {
    /// Names a text.
    #[must_use]
    pub fn new(name: impl Into<String>, text: impl Into<String>) -> Self {
        let text = text.into();
        let lines = line_starts(&text);
        Self {
            inner: Arc::new(Inner {
                name: name.into(),
                text,
                lines,
            }),
        }
    }

    /// The name people know the text by. Hostile when it comes from git: show it through [`crate::printable`].
    #[must_use]
    pub fn name(&self) -> &str {
        &self.inner.name
    }

    /// The whole text.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.inner.text
    }

    /// The text of `span`, clamped.
    #[must_use]
    pub fn slice(&self, span: Span) -> &str {
        &self.text()[self.clamp(span).range()]
    }

    /// The 1-based line and the 1-based column, counted in characters (a tab is one), of the character that holds
    /// `byte`. Past the end of the text it is the place after the last character.
    #[must_use]
    pub fn line_column(&self, byte: usize) -> (usize, usize) {
        let byte = self.floor(byte);
        let line = self.line_index(byte);
        let start = self.inner.lines[line];
        (line + 1, self.text()[start..byte].chars().count() + 1)
    }

    /// `span` moved onto character boundaries inside the text.
    #[must_use]
    pub fn clamp(&self, span: Span) -> Span {
        let start = self.floor(span.start);
        let mut end = span.end.min(self.text().len());
        while !self.text().is_char_boundary(end) {
            end += 1;
        }
        Span::new(start, end)
    }

    /// How many lines there are; an empty text has one.
    pub(crate) fn line_count(&self) -> usize {
        self.inner.lines.len()
    }

    /// The 0-based line that holds `byte`.
    pub(crate) fn line_index(&self, byte: usize) -> usize {
        self.inner.lines.partition_point(|start| *start <= byte) - 1
    }

    /// The bytes of a 0-based line without its end.
    pub(crate) fn line_span(&self, index: usize) -> Span {
        let (text, lines) = (self.text(), &self.inner.lines);
        let start = lines.get(index).copied().unwrap_or(text.len());
        let end = lines.get(index + 1).copied().unwrap_or(text.len());
        Span::new(
            start,
            start + text[start..end].trim_end_matches(['\r', '\n']).len(),
        )
    }

    fn floor(&self, byte: usize) -> usize {
        let mut byte = byte.min(self.text().len());
        while !self.text().is_char_boundary(byte) {
            byte -= 1;
        }
        byte
    }
}

fn line_starts(text: &str) -> Vec<usize> {
    let bytes = text.as_bytes();
    let mut starts = vec![0];
    for (index, byte) in bytes.iter().enumerate() {
        let lone_return = *byte == b'\r' && bytes.get(index + 1) != Some(&b'\n');
        if *byte == b'\n' || lone_return {
            starts.push(index + 1);
        }
    }
    starts
}

impl PartialEq for Source {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.inner, &other.inner) || (self.name() == other.name() && self.text() == other.text())
    }
}

impl Eq for Source {}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Source({:?}, {} bytes)", self.name(), self.text().len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_one_based_and_count_characters() {
        let source = Source::new("f", "aé\tb\r\nc\rd\n");
        let places = [0, 1, 2, 3, 4, 6, 7, 8, 9, 10, 11, 999].map(|byte| source.line_column(byte));
        let expected = [
            (1, 1),
            (1, 2),
            (1, 2),
            (1, 3),
            (1, 4),
            (1, 6),
            (2, 1),
            (2, 2),
            (3, 1),
            (3, 2),
            (4, 1),
            (4, 1),
        ];
        assert_eq!(places, expected);
    }

    #[test]
    fn clamping_never_leaves_the_text_or_splits_a_character() {
        let source = Source::new("f", "aé");
        assert_eq!(source.clamp(Span::new(2, 2)), Span::new(1, 3));
        assert_eq!(source.clamp(Span::new(7, usize::MAX)), Span::new(3, 3));
        assert_eq!(Span::new(5, 1), Span::at(5));
        assert_eq!(source.slice(Span::new(0, 99)), "aé");
        assert_eq!(Source::new("f", "").line_column(3), (1, 1));
    }
}
