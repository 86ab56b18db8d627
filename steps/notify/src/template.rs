//! The templates: ours, and those of the config branch over them.
//!
//! Every format has an environment of its own, whose one formatter writes every value. So a template cannot switch the
//! escaping off, and cannot switch to the escaping of another format.

use std::collections::BTreeMap;
use std::path::Path;
use std::{fs, io};

use minijinja::syntax::SyntaxConfig;
use minijinja::value::Value;
use minijinja::{AutoEscape, Environment, ErrorKind, UndefinedBehavior};
use pilotage_diagnostic::{Diagnostic, Diagnostics, Source, Span, nearest, printable};
use pilotage_message::Event;

use crate::context::Context;
use crate::format::{Format, tidy, written};
use crate::{html, mrkdwn};

/// What no template gets to use up: some thousand times what ours need.
const FUEL: u64 = 200_000;
/// The templates by file name.
#[derive(Clone, Debug)]
pub(crate) struct Templates {
    files: BTreeMap<String, Source>,
}

macro_rules! ours {
    ($($name:literal),+ $(,)?) => {
        [$(($name, include_str!(concat!("../templates/", $name)))),+]
    };
}

const OURS: [(&str, &str); 40] = ours![
    "started.txt",
    "succeeded.txt",
    "failed.txt",
    "cancelled.txt",
    "refused.txt",
    "waiting.txt",
    "frozen.txt",
    "thawed.txt",
    "_change.txt",
    "_reasons.txt",
    "_services.txt",
    "_stages.txt",
    "_end.txt",
    "started.slack",
    "succeeded.slack",
    "failed.slack",
    "cancelled.slack",
    "refused.slack",
    "waiting.slack",
    "frozen.slack",
    "thawed.slack",
    "_change.slack",
    "_reasons.slack",
    "_services.slack",
    "_stages.slack",
    "_end.slack",
    "started.html",
    "succeeded.html",
    "failed.html",
    "cancelled.html",
    "refused.html",
    "waiting.html",
    "frozen.html",
    "thawed.html",
    "_page.html",
    "_change.html",
    "_reasons.html",
    "_services.html",
    "_stages.html",
    "_end.html",
];

impl Templates {
    /// Ours, with those of a directory over them where one is named.
    ///
    /// # Errors
    /// As [`Templates::with_directory`].
    pub(crate) fn of(directory: Option<&Path>) -> Result<Self, TemplateError> {
        directory.map_or_else(|| Ok(Self::ours()), Self::with_directory)
    }

    /// The templates that come with the step.
    #[must_use]
    pub(crate) fn ours() -> Self {
        Self {
            files: OURS
                .iter()
                .map(|(name, text)| ((*name).to_owned(), Source::new(*name, *text)))
                .collect(),
        }
    }

    /// Ours, with those of a directory over them: `<event>.slack`, `<event>.txt`, `<event>.html`, and `_<anything>` to be included by
    /// those.
    ///
    /// # Errors
    /// When the directory cannot be read, or holds a file with another name: a misspelt one would be ignored in silence.
    pub(crate) fn with_directory(directory: &Path) -> Result<Self, TemplateError> {
        let unreadable = |path: &Path, source| TemplateError::Unreadable {
            path: path.display().to_string(),
            source,
        };
        let mut templates = Self::ours();
        let mut problems = Diagnostics::default();
        let mut paths = Vec::new();
        for entry in fs::read_dir(directory).map_err(|error| unreadable(directory, error))? {
            paths.push(entry.map_err(|error| unreadable(directory, error))?.path());
        }
        paths.sort();
        for path in paths {
            let name = path
                .file_name()
                .unwrap_or_default()
                .to_string_lossy()
                .into_owned();
            if name.starts_with('.') {
                continue;
            }
            let known = known_names();
            if !name.starts_with('_') && !known.contains(&name) {
                let mut problem = Diagnostic::error(
                    "template-name",
                    format!("no event asks for the template `{}`", printable(&name)),
                );
                problem = match nearest(&name, known.iter().map(String::as_str)) {
                    Some(near) => problem.help(format!("did you mean `{near}`?")),
                    None => problem.help(format!("the names are {}", known.join(", "))),
                };
                problems.push(problem);
                continue;
            }
            let text = fs::read_to_string(&path).map_err(|error| unreadable(&path, error))?;
            templates
                .files
                .insert(name, Source::new(path.display().to_string(), text));
        }
        if problems.is_empty() {
            Ok(templates)
        } else {
            Err(TemplateError::Invalid(problems))
        }
    }

    /// What the template of this event says in this format.
    ///
    /// # Errors
    /// With the place in the template that went wrong.
    pub(crate) fn render(
        &self,
        event: Event,
        format: Format,
        context: &Context,
    ) -> Result<String, TemplateError> {
        let environment = self.environment(format)?;
        let name = file_name(event, format);
        let context = context.to_value(format);
        environment
            .get_template(&name)
            .and_then(|template| template.render(context))
            .map(|text| tidy(&text))
            .map_err(|error| self.invalid(&error))
    }

    fn environment(&self, format: Format) -> Result<Environment<'_>, TemplateError> {
        let mut environment = Environment::new();
        environment.set_undefined_behavior(UndefinedBehavior::Strict);
        environment.set_fuel(Some(FUEL));
        environment.set_debug(true);
        let syntax = SyntaxConfig::builder()
            .trim_blocks(true)
            .lstrip_blocks(true)
            .build();
        environment.set_syntax(syntax.map_err(|error| self.invalid(&error))?);
        // What a block captures was written by the formatter already; this marks it so.
        environment.set_auto_escape_callback(move |_| AutoEscape::Custom(format.ending().into()));
        environment.set_formatter(move |out, _, value| {
            out.write_str(&written(format, value))
                .map_err(minijinja::Error::from)
        });
        // Escaping is not the template's to do, nor to leave out.
        environment.remove_filter("safe");
        environment.add_filter("escape", move |value: &Value| {
            Value::from_safe_string(written(format, value))
        });
        environment.add_filter("e", move |value: &Value| {
            Value::from_safe_string(written(format, value))
        });
        environment.add_filter("link", move |url: &str, label: &str| {
            Value::from_safe_string(match format {
                Format::Slack => mrkdwn::link(url, label),
                Format::Html => html::link(url, label),
                Format::Text => match mrkdwn::web_url(url) {
                    Some(url) => format!("{}: {}", printable(label), printable(url.as_str())),
                    None => printable(label),
                },
            })
        });
        for (name, source) in &self.files {
            environment
                .add_template(name, source.text())
                .map_err(|error| self.invalid(&error))?;
        }
        Ok(environment)
    }

    fn invalid(&self, error: &minijinja::Error) -> TemplateError {
        // An include wraps what went wrong inside of it; the innermost error knows the place.
        let mut innermost = error;
        while let Some(inner) = std::error::Error::source(innermost).and_then(|source| source.downcast_ref())
        {
            innermost = inner;
        }
        let told = match innermost.kind() {
            ErrorKind::OutOfFuel => "the template does too much work".to_owned(),
            ErrorKind::UndefinedError => "there is no such value".to_owned(),
            kind => kind.to_string(),
        };
        let mut problem = Diagnostic::error("template-invalid", told);
        if let Some(source) = innermost.name().and_then(|name| self.files.get(name)) {
            let span = innermost.range().map_or_else(
                || Span::at(line_start(source.text(), innermost.line().unwrap_or(1))),
                Span::from,
            );
            problem = problem.at(source, span, printable(innermost.detail().unwrap_or("here")));
        } else if let Some(detail) = innermost.detail() {
            problem = problem.help(printable(detail));
        }
        let mut problems = Diagnostics::default();
        problems.push(problem);
        TemplateError::Invalid(problems)
    }
}

/// Why a template is of no use.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TemplateError {
    /// It, or its directory, cannot be read.
    #[error("the template `{path}` cannot be read")]
    Unreadable {
        /// Which one.
        path: String,
        /// What the system said.
        source: io::Error,
    },
    /// It is wrong; the diagnostics say where.
    #[error("a template is invalid")]
    Invalid(Diagnostics),
}

fn file_name(event: Event, format: Format) -> String {
    format!("{event}.{}", format.ending())
}

fn known_names() -> Vec<String> {
    Format::ALL
        .iter()
        .flat_map(|format| Event::ALL.iter().map(|event| file_name(*event, *format)))
        .collect()
}

fn line_start(text: &str, line: usize) -> usize {
    text.split_inclusive('\n')
        .take(line.saturating_sub(1))
        .map(str::len)
        .sum()
}

#[cfg(test)]
mod tests;
