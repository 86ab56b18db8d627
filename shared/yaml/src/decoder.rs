use pilotage_diagnostic::printable;

use crate::{Diagnostic, Diagnostics, Node, Source, Span};

/// Collects the problems of one source while it is decoded.
#[derive(Debug)]
pub struct Decoder {
    problems: Problems,
}

impl Decoder {
    /// For nodes of `source`.
    #[must_use]
    pub fn new(source: &Source) -> Self {
        Self {
            problems: Problems::of(source),
        }
    }

    /// The text the nodes come from.
    #[must_use]
    pub fn source(&self) -> &Source {
        &self.problems.source
    }

    /// Adds a problem.
    pub fn report(&mut self, diagnostic: Diagnostic) {
        self.problems.push(diagnostic);
    }

    /// Adds an error at one place.
    pub fn error(&mut self, code: &str, message: impl Into<String>, span: Span, label: impl Into<String>) {
        let error = Diagnostic::error(code, message).at(self.source(), span, label);
        self.report(error);
    }

    /// Adds a `wrong-type` error: `expected` (with its article: `a list`) should stand where `node` is.
    pub fn wrong_type(&mut self, node: &Node, expected: &str) {
        let source = self.source().clone();
        let error = Diagnostic::error(
            "wrong-type",
            format!("expected {expected}, found {}", node.kind()),
        );
        self.report(if node.is_null() && node.key_span.is_some() {
            error
                .at(&source, node.entry_span(), format!("this needs {expected}"))
                .help("give it a value, or remove the key")
        } else {
            error.at(&source, node.span, format!("this is {}", node.kind()))
        });
    }

    /// Adds an `invalid-value` error: `node` holds `text`, which is no `noun` because of `reason`.
    pub fn invalid_value(&mut self, node: &Node, noun: &str, text: &str, reason: impl std::fmt::Display) {
        let shown = shorten(text);
        self.error(
            "invalid-value",
            format!("`{shown}` is no {noun}: {reason}"),
            node.span,
            format!("no {noun}"),
        );
    }

    /// How many problems were told so far.
    #[must_use]
    pub fn count(&self) -> usize {
        self.problems.count
    }

    /// All problems, in the order they were met.
    #[must_use]
    pub fn finish(self) -> Diagnostics {
        self.problems.finish()
    }
}

/// Problems of one source; beyond [`Problems::MOST`] they are counted and not kept, so that a hostile file cannot make
/// more work than it is worth.
#[derive(Debug)]
pub(crate) struct Problems {
    pub(crate) source: Source,
    list: Diagnostics,
    count: usize,
}

impl Problems {
    const MOST: usize = 100;

    pub(crate) fn of(source: &Source) -> Self {
        Self {
            source: source.clone(),
            list: Diagnostics::new(),
            count: 0,
        }
    }

    pub(crate) fn push(&mut self, diagnostic: Diagnostic) {
        self.count += 1;
        if self.count <= Self::MOST {
            self.list.push(diagnostic);
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.count == 0
    }

    pub(crate) fn is_full(&self) -> bool {
        self.count > Self::MOST
    }

    pub(crate) fn finish(mut self) -> Diagnostics {
        if self.is_full() {
            let more = self.count - Self::MOST;
            self.list.push(
                Diagnostic::error(
                    "too-many-problems",
                    format!("and at least {more} more problems in this file"),
                )
                .at(&self.source, Span::at(self.source.text().len()), "")
                .help("correct those above and look again"),
            );
        }
        self.list
    }
}

/// A text of the file, short and safe enough for a message.
pub(crate) fn shorten(text: &str) -> String {
    const MOST: usize = 60;
    match text.char_indices().nth(MOST) {
        Some((end, _)) => format!("{}…", printable(&text[..end])),
        None => printable(text),
    }
}
