use crate::{Diagnostic, DiagnosticData};

/// All problems of one input, in the order they were found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Diagnostics {
    list: Vec<Diagnostic>,
}

impl Diagnostics {
    /// None yet.
    #[must_use]
    pub const fn new() -> Self {
        Self { list: Vec::new() }
    }

    /// Adds one.
    pub fn push(&mut self, diagnostic: Diagnostic) {
        self.list.push(diagnostic);
    }

    /// Whether one of them makes the input unusable.
    #[must_use]
    pub fn has_errors(&self) -> bool {
        self.list.iter().any(Diagnostic::is_error)
    }

    /// Whether there is none at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// How many there are, warnings included.
    #[must_use]
    pub fn len(&self) -> usize {
        self.list.len()
    }

    /// All of them.
    pub fn iter(&self) -> std::slice::Iter<'_, Diagnostic> {
        self.list.iter()
    }

    /// All of them.
    #[must_use]
    pub fn as_slice(&self) -> &[Diagnostic] {
        &self.list
    }

    /// All of them.
    #[must_use]
    pub fn into_vec(self) -> Vec<Diagnostic> {
        self.list
    }

    /// In reading order: by file, then by place; those without a place first. One that stands twice is kept once.
    #[must_use]
    pub fn sorted(mut self) -> Self {
        self.list.sort_by(|a, b| key(a).cmp(&key(b)));
        self.list.dedup();
        self
    }

    /// Their JSON twins.
    #[must_use]
    pub fn to_data(&self) -> Vec<DiagnosticData> {
        self.list.iter().map(Diagnostic::to_data).collect()
    }
}

fn key(diagnostic: &Diagnostic) -> Option<(&str, usize, usize)> {
    diagnostic
        .place()
        .map(|label| (label.source.name(), label.span.start, label.span.end))
}

impl From<Diagnostic> for Diagnostics {
    fn from(diagnostic: Diagnostic) -> Self {
        Self {
            list: vec![diagnostic],
        }
    }
}

impl Extend<Diagnostic> for Diagnostics {
    fn extend<I: IntoIterator<Item = Diagnostic>>(&mut self, diagnostics: I) {
        self.list.extend(diagnostics);
    }
}

impl FromIterator<Diagnostic> for Diagnostics {
    fn from_iter<I: IntoIterator<Item = Diagnostic>>(diagnostics: I) -> Self {
        Self {
            list: diagnostics.into_iter().collect(),
        }
    }
}

impl IntoIterator for Diagnostics {
    type Item = Diagnostic;
    type IntoIter = std::vec::IntoIter<Diagnostic>;

    fn into_iter(self) -> Self::IntoIter {
        self.list.into_iter()
    }
}

impl<'a> IntoIterator for &'a Diagnostics {
    type Item = &'a Diagnostic;
    type IntoIter = std::slice::Iter<'a, Diagnostic>;

    fn into_iter(self) -> Self::IntoIter {
        self.list.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Source, Span};

    #[test]
    fn sorting_is_by_file_and_place_and_drops_repeats() {
        let (a, b) = (Source::new("a", "xyz"), Source::new("b", "xyz"));
        let at = |source: &Source, byte| Diagnostic::error("e", "m").at(source, Span::at(byte), "");
        let all: Diagnostics = [
            at(&b, 0),
            at(&a, 2),
            Diagnostic::warning("w", "m"),
            at(&a, 1),
            at(&a, 2),
        ]
        .into_iter()
        .collect();
        let lines: Vec<_> = all.sorted().iter().map(Diagnostic::line).collect();
        assert_eq!(
            lines,
            [
                "warning[w]: m",
                "a:1:2: error[e]: m",
                "a:1:3: error[e]: m",
                "b:1:1: error[e]: m"
            ]
        );
    }
}
