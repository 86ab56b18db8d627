//! The templates: ours, and those of the config branch over them.
//!
//! Every format has an environment of its own, whose one formatter writes every value. So a template cannot switch the
//! escaping off, and cannot switch to the escaping of another format.

use std::collections::BTreeMap;
use std::path::Path;
use std::{fs, io};

use minijinja::syntax::SyntaxConfig;
use minijinja::value::{Value, ValueKind};
use minijinja::{AutoEscape, Environment, ErrorKind, UndefinedBehavior};
use pilotage_diagnostic::{Diagnostic, Diagnostics, Source, Span, nearest, printable};
use pilotage_message::Event;

use crate::context::Context;
use crate::mrkdwn;

/// What a template is written in, and what its values are escaped for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Format {
    /// Plain text for a terminal or a log.
    Text,
    /// Slack's mrkdwn.
    Slack,
}

impl Format {
    /// Both of them.
    pub(crate) const ALL: [Self; 2] = [Self::Text, Self::Slack];

    /// The ending of its files.
    #[must_use]
    pub(crate) const fn ending(self) -> &'static str {
        match self {
            Self::Text => "txt",
            Self::Slack => "slack",
        }
    }

    fn write(self, text: &str) -> String {
        match self {
            Self::Text => text.to_owned(),
            Self::Slack => mrkdwn::escape(text),
        }
    }
}

/// What no template gets to use up: some thousand times what ours need.
const FUEL: u64 = 200_000;
/// A single value is cut here, so that one long line cannot push the rest out of the message.
const LONGEST_VALUE: usize = 1_000;

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

const OURS: [(&str, &str); 26] = ours![
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
];

impl Templates {
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

    /// Ours, with those of a directory over them: `<event>.slack`, `<event>.txt`, and `_<anything>` to be included by
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

/// Without what conditions leave behind: spaces at the end of lines, more than one empty line.
fn tidy(text: &str) -> String {
    let mut tidy = String::with_capacity(text.len());
    for line in text.lines().map(str::trim_end) {
        if !line.is_empty() || !(tidy.is_empty() || tidy.ends_with("\n\n")) {
            tidy.push_str(line);
            tidy.push('\n');
        }
    }
    tidy.truncate(tidy.trim_end().len());
    tidy
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

/// A value as the format writes it: control characters spelt out, empty lines closed up, long ones cut, special characters
/// escaped once. What a filter of ours has written already stays as it is.
fn written(format: Format, value: &Value) -> String {
    if value.kind() == ValueKind::None {
        return String::new();
    }
    let text = value.to_string();
    if value.is_safe() {
        return text;
    }
    let lines: Vec<String> = text
        .lines()
        .filter(|line| !line.trim().is_empty() || text.trim().is_empty())
        .map(printable)
        .collect();
    let mut text = lines.join("\n");
    if let Some((cut, _)) = text.char_indices().nth(LONGEST_VALUE) {
        let missing = text[cut..].chars().count();
        text.truncate(cut);
        text.push_str(&format!("… ({missing} more characters)"));
    }
    format.write(&text)
}

fn line_start(text: &str, line: usize) -> usize {
    text.split_inclusive('\n')
        .take(line.saturating_sub(1))
        .map(str::len)
        .sum()
}

#[cfg(test)]
mod tests {
    use pilotage_message::Message;
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    /// A release with something in every field.
    fn full() -> serde_json::Value {
        json!({
            "schema": "notify-message/v1", "project": "acme", "environment": "prod", "service": "shop",
            "version": {"from": "1.2.0", "to": "1.3.0"},
            "commit": "0123456789abcdef0123456789abcdef01234567",
            "subject": "Take prices from the new service (a -> b)",
            "author": {"name": "Bo Lind", "email": "bo@example.com"},
            "committer": {"name": "Ana Costa", "email": "Ana@Example.com"},
            "release": "prod.shop.17",
            "outcome": "failed",
            "reasons": ["healthcheck: /health answered 503 (13×), expected 200-299", "gate people: \"Bo\" <bo@example.com> is not in release-managers"],
            "satisfy": ["a commit by one of: ana, cem"],
            "stages": [
                {"name": "deploy", "outcome": "passed", "duration": "12s"},
                {"name": "healthcheck", "outcome": "failed", "duration": "1m", "detail": "timeout 60s reached"},
                {"name": "smoke", "outcome": "skipped"},
            ],
            "duration": "1m15s",
            "held": {"running": "1.2.0", "rejected": "1.3.0", "until": "a new commit"},
            "links": [{"label": "Build", "url": "https://ci.example.com/job/shop/17/?a=1&b=2"}, {"label": "log", "url": "file:///etc/passwd"}],
        })
    }

    fn smallest() -> serde_json::Value {
        json!({"schema": "notify-message/v1", "project": "acme", "environment": "qa", "service": "cart"})
    }

    fn facts(event: Event, message: &serde_json::Value, member: Option<&str>) -> Context {
        let message: Message = serde_json::from_value(message.clone()).unwrap();
        Context::new(event, &message, None).with_member(member)
    }

    #[test]
    fn a_version_that_runs_already_is_not_said_to_have_been_another() {
        let mut message = smallest();
        message["version"] = json!({"from": "1.1.0", "to": "1.1.0"});
        let line = |event: Event| {
            let format = Format::Text;
            let text = Templates::ours().render(event, format, &facts(event, &message, None));
            text.unwrap().lines().next().unwrap_or_default().to_owned()
        };
        assert_eq!(
            line(Event::Started),
            "qa/cart: is being released as 1.1.0, the version that runs now"
        );
        assert_eq!(line(Event::Succeeded), "qa/cart: 1.1.0 is released");
    }

    #[test]
    fn our_messages_read_well() {
        let mut all = String::new();
        for (name, message) in [("full", full()), ("smallest", smallest())] {
            for format in Format::ALL {
                for event in Event::ALL {
                    let text = Templates::ours()
                        .render(event, format, &facts(event, &message, Some("U012AB")))
                        .unwrap();
                    all.push_str(&format!("=== {name} {event}.{}\n{text}\n\n", format.ending()));
                }
            }
        }
        insta::assert_snapshot!(all);
    }

    fn own(name: &str, text: &str) -> Templates {
        let mut templates = Templates::ours();
        templates.files.insert(name.to_owned(), Source::new(name, text));
        templates
    }

    fn said(text: &str) -> String {
        own("failed.slack", text)
            .render(
                Event::Failed,
                Format::Slack,
                &facts(Event::Failed, &full(), Some("U012AB")),
            )
            .unwrap()
    }

    #[test]
    fn a_template_cannot_switch_the_escaping_off() {
        for text in [
            "{{ subject }}",
            "{% autoescape false %}{{ subject }}{% endautoescape %}",
            "{{ subject | e }}",
            "{{ subject | escape | escape }}",
            "{% set kept %}{{ subject }}{% endset %}{{ kept }}",
            "{% macro m(x) %}{{ x }}{% endmacro %}{{ m(subject) }}",
            "{{ '' ~ subject }}",
        ] {
            assert_eq!(
                said(text),
                "Take prices from the new service (a -&gt; b)",
                "{text}"
            );
        }
        assert_eq!(said("{{ mention }} {{ mention | e }}"), "<@U012AB> <@U012AB>");
        assert_eq!(said("{{ '<!channel>' }}"), "&lt;!channel&gt;");
    }

    #[test]
    fn a_wrong_template_is_told_with_its_place() {
        let mut told = String::new();
        for text in [
            "a\n{{ subjekt }}",
            "{% if commit.author.name %}x{% endif %}",
            "a\nb {% if %}",
            "{{ subject | safe }}",
            "{% include 'gone.slack' %}",
            "{% for a in range(100000) %}{% for b in range(100000) %}x{% endfor %}{% endfor %}",
        ] {
            let error = own("failed.slack", text)
                .render(Event::Failed, Format::Slack, &facts(Event::Failed, &full(), None))
                .unwrap_err();
            let TemplateError::Invalid(problems) = error else {
                panic!("{error}")
            };
            for problem in problems.iter() {
                told.push_str(&problem.line());
                told.push('\n');
            }
        }
        // A mistake in an included file is told where it is.
        let mut templates = own("failed.slack", "{% include '_own' %}");
        templates
            .files
            .insert("_own".to_owned(), Source::new("_own", "x\n\n{{ nothing }}"));
        let TemplateError::Invalid(problems) = templates
            .render(Event::Failed, Format::Slack, &facts(Event::Failed, &full(), None))
            .unwrap_err()
        else {
            panic!("it cannot be read")
        };
        told.push_str(&problems.as_slice()[0].line());
        insta::assert_snapshot!(told);
    }

    #[test]
    fn a_directory_puts_its_templates_over_ours_and_a_misspelt_one_is_an_error() {
        let directory = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| std::fs::write(directory.path().join(name), text).unwrap();
        write("failed.slack", "{% include '_who' %} broke {{ service }}");
        write("_who", "{{ committer.name }}");
        write(".gitignore", "");
        let facts = facts(Event::Failed, &full(), None);
        let templates = Templates::with_directory(directory.path()).unwrap();
        assert_eq!(
            templates.render(Event::Failed, Format::Slack, &facts).unwrap(),
            "Ana Costa broke shop"
        );
        assert!(
            templates
                .render(Event::Failed, Format::Text, &facts)
                .unwrap()
                .contains("FAILED")
        );
        write("faild.slack", "");
        let Err(TemplateError::Invalid(problems)) = Templates::with_directory(directory.path()) else {
            panic!("it is misspelt")
        };
        assert_eq!(problems.as_slice()[0].help, ["did you mean `failed.slack`?"]);
        assert!(matches!(
            Templates::with_directory(Path::new("/no/such")),
            Err(TemplateError::Unreadable { .. })
        ));
    }

    #[test]
    fn who_brought_it_is_found_by_the_mail_address() {
        let message: Message = serde_json::from_value(full()).unwrap();
        let text = "apiVersion: pilotage/v1\nproject: acme\n\
            targets: {here: {process: {state: /s, command: [x], artifact: /a, listen: \"127.0.0.1:1\"}}}\n\
            environments: {qa: {target: here}}\n\
            people: {bo: {emails: [bo@example.com], slack: U0BO}, ana: {emails: [ana@example.com], slack: U0ANA}}\n";
        let (config, problems) = pilotage_config::parse(&Source::new("pilotage.yaml", text));
        let config = config.unwrap_or_else(|| panic!("{:?}", problems.to_data()));
        let facts = Context::new(Event::Failed, &message, Some(&config));
        let slack = own("failed.slack", "{{ mention }}")
            .render(Event::Failed, Format::Slack, &facts)
            .unwrap();
        assert_eq!(slack, "<@U0ANA>");
        let text = own("failed.txt", "{{ mention }}")
            .render(Event::Failed, Format::Text, &facts)
            .unwrap();
        assert_eq!(text, "Ana Costa");
    }

    fn hostile() -> impl Strategy<Value = String> {
        let piece = prop_oneof![
            Just("<!channel>".to_owned()),
            Just("<@U999>".to_owned()),
            Just("<https://evil.example|x>".to_owned()),
            Just("&lt;!here&gt;".to_owned()),
            Just("\n\n".to_owned()),
            Just("{{ 7 * 7 }}".to_owned()),
            Just("\u{1b}[2J\0\u{202e}".to_owned()),
            Just("|".to_owned()),
            "[ -~]{0,10}",
            any::<String>(),
        ];
        prop::collection::vec(piece, 0..6).prop_map(|pieces| pieces.concat())
    }

    proptest! {
        // Each case renders all messages.
        #![proptest_config(ProptestConfig::with_cases(48))]

        #[test]
        fn no_value_can_mention_anybody_or_make_a_link(text in hostile()) {
            let mut message = full();
            for place in ["/subject", "/author/name", "/committer/name", "/version/from", "/version/to", "/outcome",
                "/reasons/0", "/satisfy/0", "/stages/1/outcome", "/stages/1/detail", "/held/running", "/held/rejected",
                "/held/until", "/links/0/label", "/links/1/url", "/stages/0/name"] {
                *message.pointer_mut(place).unwrap() = json!(text);
            }
            for event in Event::ALL {
                let facts = facts(event, &message, Some("U012AB"));
                let slack = Templates::ours().render(event, Format::Slack, &facts).unwrap();
                let ours = slack.replace("<@U012AB>", "").replace("<https://ci.example.com/job/shop/17/?a=1&amp;b=2|", "");
                // What is left of our link is its closing bracket. Only links/1, an http URL by chance, may add another.
                let opened = ours.matches('<').count();
                prop_assert!(opened == 0 || mrkdwn::web_url(&text).is_some(), "{slack}");
                let bad = |c: char| c.is_control() && c != '\n';
                prop_assert!(!slack.contains(bad) && !slack.contains('\u{202e}'), "{slack:?}");
                prop_assert!(!slack.contains("49") || text.contains("49"), "a value was taken for a template: {slack}");
                let plain = Templates::ours().render(event, Format::Text, &facts).unwrap();
                prop_assert!(!plain.contains(bad) && !plain.contains('\u{202e}'), "{plain:?}");
            }
        }
    }
}
