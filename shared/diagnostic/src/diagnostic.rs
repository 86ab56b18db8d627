use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{DiagnosticData, Source, Span, printable};

/// How bad a problem is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Severity {
    /// The input cannot be used.
    Error,
    /// The input can be used, but is probably not what was meant.
    Warning,
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Error => "error",
            Self::Warning => "warning",
        })
    }
}

/// A remark at one place of a source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Label {
    /// The text.
    pub source: Source,
    /// The place in it.
    pub span: Span,
    /// The remark; may be empty.
    pub message: String,
    /// Whether this is *the* place of the problem, and not one that explains it.
    pub primary: bool,
}

/// One problem, as data.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// A stable kebab-case name of the kind of problem, such as `unknown-key`.
    pub code: String,
    /// How bad it is.
    pub severity: Severity,
    /// What is wrong, in one sentence without a period.
    pub message: String,
    /// Where. The first primary label is the place of the problem.
    pub labels: Vec<Label>,
    /// What to do about it, one sentence each.
    pub help: Vec<String>,
}

impl Diagnostic {
    /// A problem that makes the input unusable.
    #[must_use]
    pub fn error(code: impl Into<String>, message: impl Into<String>) -> Self {
        Self::new(Severity::Error, code.into(), message.into())
    }

    /// A problem that leaves the input usable.
    #[must_use]
    pub fn warning(code: impl Into<String>, message: impl Into<String>) -> Self {
        Self::new(Severity::Warning, code.into(), message.into())
    }

    fn new(severity: Severity, code: String, message: String) -> Self {
        Self {
            code,
            severity,
            message,
            labels: Vec::new(),
            help: Vec::new(),
        }
    }

    /// Adds the place of the problem.
    #[must_use]
    pub fn at(self, source: &Source, span: Span, label: impl Into<String>) -> Self {
        self.label(source, span, label.into(), true)
    }

    /// Adds a place that explains the problem.
    #[must_use]
    pub fn also(self, source: &Source, span: Span, label: impl Into<String>) -> Self {
        self.label(source, span, label.into(), false)
    }

    /// Adds a way out.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help.push(help.into());
        self
    }

    fn label(mut self, source: &Source, span: Span, message: String, primary: bool) -> Self {
        self.labels.push(Label {
            source: source.clone(),
            span,
            message,
            primary,
        });
        self
    }

    /// Whether the input is unusable because of it.
    #[must_use]
    pub fn is_error(&self) -> bool {
        self.severity == Severity::Error
    }

    /// The place of the problem: the first primary label, else the first.
    #[must_use]
    pub fn place(&self) -> Option<&Label> {
        self.labels
            .iter()
            .find(|label| label.primary)
            .or_else(|| self.labels.first())
    }

    /// One line for logs and editors: `file:line:column: error[code]: message`, without the place when there is none.
    #[must_use]
    pub fn line(&self) -> String {
        let problem = format!(
            "{}[{}]: {}",
            self.severity,
            printable(&self.code),
            printable(&self.message)
        );
        match self.place() {
            Some(label) => {
                let (line, column) = label.source.line_column(label.span.start);
                format!("{}:{line}:{column}: {problem}", printable(label.source.name()))
            }
            None => problem,
        }
    }

    /// The JSON twin.
    #[must_use]
    pub fn to_data(&self) -> DiagnosticData {
        DiagnosticData::from(self)
    }
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.line())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_is_one_line_whatever_the_text() {
        let source = Source::new("a\nb", "x: y");
        let problem = Diagnostic::error("bad", "no \u{1b}[31m\nred").at(&source, Span::at(3), "");
        assert_eq!(problem.line(), r"a\nb:1:4: error[bad]: no \u{1b}[31m\nred");
        assert_eq!(Diagnostic::warning("odd", "hm").to_string(), "warning[odd]: hm");
    }

    #[test]
    fn the_primary_label_is_the_place() {
        let source = Source::new("f", "a: 1\na: 2\n");
        let problem = Diagnostic::error("twice", "twice")
            .also(&source, Span::new(0, 1), "first")
            .at(&source, Span::new(5, 6), "again");
        assert_eq!(problem.place().map(|label| label.span.start), Some(5));
    }
}
