//! What the parts of pilotage.yaml mean together, checked on the tree so that every finding has a place.

mod environments;
mod mail;
mod people;
mod places;
mod targets;

use pilotage_diagnostic::{nearest, printable};
use pilotage_yaml::{Diagnostic, Diagnostics, Node, Source, Span};

use crate::file::ConfigFile;

/// A decoded configuration with its tree.
pub(crate) struct Rules<'a> {
    pub(crate) node: &'a Node,
    pub(crate) source: &'a Source,
    pub(crate) file: &'a ConfigFile,
    /// Keys that could not be read in full: nothing is concluded from what they lack.
    pub(crate) dropped: &'a [String],
}

impl Rules<'_> {
    pub(crate) fn check(&self) -> Diagnostics {
        let mut found = Diagnostics::new();
        self.targets(&mut found);
        self.environments(&mut found);
        self.people(&mut found);
        self.places(&mut found);
        self.mail(&mut found);
        found
    }

    /// Whether a key is as it was written, so that what it lacks means something.
    fn knows(&self, key: &str) -> bool {
        !self.dropped.iter().any(|dropped| dropped == key)
    }

    /// Where the value of a path stands, or the nearest place around it.
    fn value(&self, path: &str) -> Span {
        let mut path = path;
        loop {
            match self.node.at(path) {
                Some(found) if path.is_empty() => return Span::at(found.span.start),
                Some(found) => return found.span,
                None => {
                    path = match path.strip_suffix("\"]") {
                        Some(quoted) => quoted.rfind("[\"").map_or("", |at| &path[..at]),
                        None => path.rfind(['.', '[']).map_or("", |at| &path[..at]),
                    };
                }
            }
        }
    }

    /// Where the key of a path stands.
    fn key(&self, path: &str) -> Span {
        self.node
            .at(path)
            .map_or_else(|| self.value(path), Node::name_span)
    }

    fn error(
        &self,
        code: &str,
        message: impl Into<String>,
        span: Span,
        label: impl Into<String>,
    ) -> Diagnostic {
        Diagnostic::error(code, message).at(self.source, span, label)
    }

    fn warning(
        &self,
        code: &str,
        message: impl Into<String>,
        span: Span,
        label: impl Into<String>,
    ) -> Diagnostic {
        Diagnostic::warning(code, message).at(self.source, span, label)
    }

    /// The error of a name that nothing under `section` has. `noun` is what it should be: `target`.
    fn unknown(&self, noun: &str, name: &str, path: &str, known: &[&str], section: &str) -> Diagnostic {
        let shown = printable(name);
        let message = format!("there is no {noun} `{shown}`");
        let code = format!("unknown-{}", noun.split(' ').next().unwrap_or(noun));
        match nearest(name, known.iter().copied()) {
            Some(near) => self
                .error(
                    &code,
                    message,
                    self.value(path),
                    format!("did you mean `{near}`?"),
                )
                .help(format!("write `{near}`, or add `{shown}` to {section}")),
            None if known.is_empty() => self
                .error(&code, message, self.value(path), format!("no such {noun}"))
                .help(format!("add `{shown}` to {section}, which has none yet")),
            None => self
                .error(&code, message, self.value(path), format!("no such {noun}"))
                .help(format!("the names under {section} are {}", ticked(known))),
        }
    }
}

/// Words in backticks, with commas between them.
pub(crate) fn ticked(words: &[&str]) -> String {
    let words: Vec<String> = words
        .iter()
        .map(|word| format!("`{}`", printable(word)))
        .collect();
    words.join(", ")
}
