use codespan_reporting::diagnostic as codespan;
use codespan_reporting::term::termcolor::Buffer;
use codespan_reporting::term::{Config, Styles, StylesWriter, emit_to_string, emit_to_write_style};

use crate::excerpt::Excerpt;
use crate::{Diagnostic, Severity, Source, printable};

/// All of them as people read them: the message, the lines concerned with carets under them, the ways out; one blank
/// line between two. With `color`, ANSI colours mark what belongs together.
#[must_use]
pub fn render_terminal(diagnostics: &[Diagnostic], color: bool) -> String {
    let rendered: Vec<_> = diagnostics
        .iter()
        .map(|diagnostic| render(diagnostic, color))
        .collect();
    rendered.join("\n")
}

fn render(diagnostic: &Diagnostic, color: bool) -> String {
    let mut sources: Vec<&Source> = Vec::new();
    for label in &diagnostic.labels {
        if !sources.contains(&&label.source) {
            sources.push(&label.source);
        }
    }
    let excerpts = Excerpts(
        sources
            .iter()
            .map(|source| {
                let here = || diagnostic.labels.iter().filter(|label| label.source == **source);
                let primary = here().filter(|label| label.primary);
                let others = here().filter(|label| !label.primary);
                Excerpt::new(source, primary.chain(others).map(|label| label.span))
            })
            .collect(),
    );
    let labels = diagnostic.labels.iter().filter_map(|label| {
        let id = sources.iter().position(|source| **source == label.source)?;
        let range = excerpts.0.get(id)?.place(label.span);
        let shown = if label.primary {
            codespan::Label::primary(id, range)
        } else {
            codespan::Label::secondary(id, range)
        };
        Some(shown.with_message(printable(&label.message)))
    });
    let shown = codespan::Diagnostic::new(match diagnostic.severity {
        Severity::Error => codespan::Severity::Error,
        Severity::Warning => codespan::Severity::Warning,
    })
    .with_code(printable(&diagnostic.code))
    .with_message(printable(&diagnostic.message))
    .with_labels_iter(labels)
    .with_notes_iter(
        diagnostic
            .help
            .iter()
            .map(|help| format!("help: {}", printable(help))),
    );
    // The renderer may refuse a place; the problem is told all the same.
    let text = emit(&excerpts, &shown, color).unwrap_or_else(|| format!("{diagnostic}\n"));
    // It pads its last lines with spaces and ends with an empty one.
    let lines: Vec<_> = text.trim_end().lines().map(str::trim_end).collect();
    format!("{}\n", lines.join("\n"))
}

fn emit(excerpts: &Excerpts, diagnostic: &codespan::Diagnostic<usize>, color: bool) -> Option<String> {
    let config = Config::default();
    if color {
        let styles = Styles::default();
        let mut buffer = Buffer::ansi();
        emit_to_write_style(
            &mut StylesWriter::new(&mut buffer, &styles),
            &config,
            excerpts,
            diagnostic,
        )
        .ok()?;
        String::from_utf8(buffer.into_inner()).ok()
    } else {
        let mut text = String::new();
        emit_to_string(&mut text, &config, excerpts, diagnostic).ok()?;
        Some(text)
    }
}

/// The excerpts of one diagnostic, by the order of its sources.
struct Excerpts(Vec<Excerpt>);

impl Excerpts {
    fn get(&self, id: usize) -> Result<&Excerpt, codespan_reporting::files::Error> {
        self.0
            .get(id)
            .ok_or(codespan_reporting::files::Error::FileMissing)
    }
}

impl<'a> codespan_reporting::files::Files<'a> for Excerpts {
    type FileId = usize;
    type Name = &'a str;
    type Source = &'a str;

    fn name(&'a self, id: usize) -> Result<&'a str, codespan_reporting::files::Error> {
        Ok(self.get(id)?.name())
    }

    fn source(&'a self, id: usize) -> Result<&'a str, codespan_reporting::files::Error> {
        Ok(self.get(id)?.text())
    }

    fn line_index(&'a self, id: usize, byte: usize) -> Result<usize, codespan_reporting::files::Error> {
        Ok(self.get(id)?.line_index(byte))
    }

    fn column_number(
        &'a self,
        id: usize,
        _: usize,
        byte: usize,
    ) -> Result<usize, codespan_reporting::files::Error> {
        Ok(self.get(id)?.column(byte))
    }

    fn line_range(
        &'a self,
        id: usize,
        line: usize,
    ) -> Result<std::ops::Range<usize>, codespan_reporting::files::Error> {
        let range = self.get(id)?.line_range(line);
        range.ok_or(codespan_reporting::files::Error::LineTooLarge {
            given: line,
            max: line,
        })
    }
}
