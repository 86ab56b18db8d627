use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use crate::printable::{printable, push_printable};
use crate::{Source, Span};

/// Longer lines are cut around what is pointed at.
const WIDEST: usize = 160;
/// Characters kept before it.
const BEFORE: usize = 40;

/// The lines of a source that a diagnostic points at, made printable: hostile characters are spelt out, long lines cut.
/// Lines keep their numbers and places their columns.
pub(crate) struct Excerpt {
    source: Source,
    name: String,
    text: String,
    /// By 0-based number in the source.
    lines: BTreeMap<usize, Line>,
    /// The 1-based column in the source of each place pointed at, by its byte in `text`.
    columns: BTreeMap<usize, usize>,
}

struct Line {
    /// Its bytes in [`Excerpt::text`], the line feed included.
    shown: Range<usize>,
    /// For each character kept, and for the end: its byte in the source, and in `text`.
    places: Vec<(usize, usize)>,
}

impl Excerpt {
    /// The lines on which `spans` start, and their neighbours, which are shown between two of them. The first span of a
    /// long line decides which part of it is shown.
    pub(crate) fn new(source: &Source, spans: impl Iterator<Item = Span>) -> Self {
        let mut excerpt = Self {
            source: source.clone(),
            name: printable(source.name()),
            text: String::new(),
            lines: BTreeMap::new(),
            columns: BTreeMap::new(),
        };
        let spans: Vec<Span> = spans.map(|span| source.clamp(span)).collect();
        let mut focus: BTreeMap<usize, usize> = BTreeMap::new();
        for span in &spans {
            focus.entry(source.line_index(span.start)).or_insert(span.start);
        }
        let around = |line: &usize| [line.saturating_sub(1), *line, line + 1];
        let wanted: BTreeSet<usize> = focus.keys().flat_map(around).collect();
        for line in wanted.range(..source.line_count()) {
            let content = source.line_span(*line);
            excerpt.push_line(*line, content, focus.get(line).copied().unwrap_or(content.start));
        }
        for span in spans {
            let shown = excerpt.place(span).start;
            excerpt
                .columns
                .entry(shown)
                .or_insert(source.line_column(span.start).1);
        }
        excerpt
    }

    fn push_line(&mut self, number: usize, content: Span, focus: usize) {
        let source = self.source.clone();
        let content_text = source.slice(content);
        let long = content_text.chars().count() > WIDEST;
        let before = source.slice(Span::new(content.start, focus)).chars().count();
        let skipped = if long { before.saturating_sub(BEFORE) } else { 0 };
        let start = self.text.len();
        let mut places = Vec::new();
        if skipped > 0 {
            self.text.push('…');
        }
        let mut end = content.start;
        for (at, c) in content_text.char_indices().skip(skipped).take(WIDEST) {
            places.push((content.start + at, self.text.len()));
            end = content.start + at + c.len_utf8();
            if c == '\t' {
                self.text.push(c);
            } else {
                push_printable(&mut self.text, c);
            }
        }
        places.push((end, self.text.len()));
        if end < content.end {
            self.text.push('…');
        }
        self.text.push('\n');
        let line = Line {
            shown: start..self.text.len(),
            places,
        };
        self.lines.insert(number, line);
    }

    /// Where `span` is shown: its part on its first line.
    pub(crate) fn place(&self, span: Span) -> Range<usize> {
        let span = self.source.clamp(span);
        let Some(line) = self.lines.get(&self.source.line_index(span.start)) else {
            return 0..0;
        };
        let shown = |byte: usize| {
            let after = line.places.partition_point(|(place, _)| *place < byte);
            let place = line.places.get(after).or_else(|| line.places.last());
            place.map_or(line.shown.start, |(_, shown)| *shown)
        };
        let start = shown(span.start);
        start..shown(span.end).max(start)
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    /// The 0-based number of the line that shows `byte`.
    pub(crate) fn line_index(&self, byte: usize) -> usize {
        let mut lines = self.lines.iter();
        let line = lines.find(|(_, line)| byte < line.shown.end);
        line.map_or(0, |(number, _)| *number)
    }

    pub(crate) fn line_range(&self, number: usize) -> Option<Range<usize>> {
        self.lines.get(&number).map(|line| line.shown.clone())
    }

    /// The 1-based column in the source of what is shown at `byte`.
    pub(crate) fn column(&self, byte: usize) -> usize {
        self.columns.get(&byte).copied().unwrap_or(1)
    }
}
