//! What the parts of a descriptor mean together, checked on the resolved tree so that every finding has a place.

mod health;
mod image;
mod kind;
mod people;
mod ports;
mod regression;
mod smoke;
mod values;

use pilotage_diagnostic::nearest;
use pilotage_name::ServiceName;
use pilotage_yaml::{Diagnostic, Diagnostics, Node, Source, Span};

use crate::Descriptor;

/// A decoded descriptor with its tree.
pub(crate) struct Rules<'a> {
    pub(crate) node: &'a Node,
    pub(crate) source: &'a Source,
    pub(crate) descriptor: &'a Descriptor,
    /// Keys that could not be read: nothing is concluded from their absence.
    pub(crate) dropped: &'a [String],
    pub(crate) service: Option<&'a ServiceName>,
    /// Whether what is missing is missed: a base with overlays may leave things to them, and a key with a typo is there.
    pub(crate) whole: bool,
}

impl Rules<'_> {
    pub(crate) fn check(&self) -> Diagnostics {
        let mut found = Diagnostics::new();
        self.kind(&mut found);
        self.image(&mut found);
        self.ports(&mut found);
        self.health(&mut found);
        self.smoke(&mut found);
        self.regression(&mut found);
        self.values(&mut found);
        self.people(&mut found);
        found
    }

    /// Whether a key is as it was written, so that its absence means something.
    fn knows(&self, key: &str) -> bool {
        !self.dropped.iter().any(|dropped| dropped == key)
    }

    /// Where the value of a path stands.
    fn value(&self, path: &str) -> Span {
        place(self.node, path)
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

    /// The error of a name that nothing has.
    fn unknown_port(&self, name: &str, path: &str) -> Diagnostic {
        let shown = pilotage_diagnostic::printable(name);
        let names: Vec<&str> = self
            .descriptor
            .ports
            .iter()
            .map(|port| port.name.as_str())
            .collect();
        let message = format!("no port has the name `{shown}`");
        match nearest(name, names.iter().copied()) {
            Some(near) => self
                .error(
                    "unknown-port",
                    message,
                    self.value(path),
                    format!("did you mean `{near}`?"),
                )
                .help(format!("write `{near}`, or add a port with this name to `ports`")),
            None if names.is_empty() => self
                .error("unknown-port", message, self.value(path), "there are no ports")
                .help(format!("add it: `ports: [{{name: {shown}, port: 8080}}]`")),
            None => {
                // A number in a name's place is the likeliest slip that is no typo.
                let by_number = self
                    .descriptor
                    .ports
                    .iter()
                    .find(|port| port.port.to_string() == name);
                let error = self.error("unknown-port", message, self.value(path), "no such port");
                match by_number {
                    Some(port) => error.help(format!("write the name of that port, `{}`", port.name)),
                    None => error.help(format!("the ports are `{}`", names.join("`, `"))),
                }
            }
        }
    }
}

/// The place of a path in a tree, or the nearest place around it.
pub(crate) fn place(node: &Node, path: &str) -> Span {
    let mut path = path;
    loop {
        if let Some(found) = node.at(path) {
            return if path.is_empty() {
                Span::at(found.span.start)
            } else {
                found.span
            };
        }
        // A quoted key may hold dots and brackets itself.
        path = match path.strip_suffix("\"]") {
            Some(quoted) => quoted.rfind("[\"").map_or("", |at| &path[..at]),
            None => path.rfind(['.', '[']).map_or("", |at| &path[..at]),
        };
    }
}
