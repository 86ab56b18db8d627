use pilotage_diagnostic::nearest;
use pilotage_name::{EnvironmentName, ServiceName};
use pilotage_yaml::{DecodeKey, Decoder, Diagnostic, Diagnostics, Limits, Node, Source, Span, Value};

use crate::rules::{Rules, place};
use crate::salvage::salvage;
use crate::{Descriptor, FileSource, normal, view};

/// How much of a descriptor is looked at before it is refused: 256 KiB, 32 levels, 20,000 nodes.
pub const LIMITS: Limits = Limits {
    bytes: 256 * 1024,
    depth: 32,
    nodes: 20_000,
};

/// A descriptor file, read but not yet resolved for an environment.
#[derive(Clone, Debug)]
pub struct Parsed {
    source: Source,
    /// The file without `environments`.
    base: Option<Node>,
    overlays: Vec<Overlay>,
    /// What is wrong with the file whatever the environment.
    problems: Diagnostics,
    service: Option<ServiceName>,
}

#[derive(Clone, Debug)]
struct Overlay {
    environment: EnvironmentName,
    key: Span,
    node: Node,
}

/// Reads a descriptor file. Nothing is lost when it is broken: [`Parsed::check`] tells every problem.
#[must_use]
pub fn parse(source: &Source) -> Parsed {
    let (root, mut problems) = pilotage_yaml::parse(source, &LIMITS);
    let mut overlays = Vec::new();
    let base = root.map(|mut root| {
        let mut cx = Decoder::new(source);
        overlays = take_overlays(&mut root, &mut cx);
        problems.extend(cx.finish());
        root
    });
    if base.is_none() && !problems.has_errors() {
        let empty = Diagnostic::error("empty-file", "the descriptor is empty")
            .at(source, Span::at(0), "nothing stands here")
            .help("begin with `version: \"1.0.0\"` and `image: …`");
        problems.push(empty);
    }
    Parsed {
        source: source.clone(),
        base,
        overlays,
        problems,
        service: None,
    }
}

const ENVIRONMENTS: &str = "environments";

fn take_overlays(root: &mut Node, cx: &mut Decoder) -> Vec<Overlay> {
    let Value::Mapping(entries) = &mut root.value else {
        return Vec::new();
    };
    let Some(index) = entries.iter().position(|entry| entry.key == ENVIRONMENTS) else {
        // The type of a resolved descriptor does not know the word, so it cannot suggest it.
        if let Some(slip) = entries
            .iter()
            .position(|entry| nearest(&entry.key, [ENVIRONMENTS]).is_some())
        {
            let key = entries.remove(slip);
            let shown = pilotage_diagnostic::printable(&key.key);
            let error = Diagnostic::error("unknown-key", format!("unknown key `{shown}`"))
                .at(
                    cx.source(),
                    key.key_span,
                    format!("did you mean `{ENVIRONMENTS}`?"),
                )
                .help(format!("write `{ENVIRONMENTS}`, or remove the key"));
            cx.report(error);
        }
        return Vec::new();
    };
    let environments = entries.remove(index).value;
    let Value::Mapping(entries) = environments.value else {
        cx.wrong_type(&environments, "a map from environments to what differs there");
        return Vec::new();
    };
    let mut overlays = Vec::new();
    for mut entry in entries {
        let name = EnvironmentName::decode_key(&entry.key, entry.key_span, cx);
        let Value::Mapping(keys) = &mut entry.value.value else {
            cx.wrong_type(&entry.value, "an overlay (a map)");
            continue;
        };
        keys.retain(|key| match key.key.as_str() {
            "version" => {
                let error = Diagnostic::error("version-in-overlay", "`version` may not differ by environment")
                    .at(cx.source(), key.key_span, "a version reaches an environment through its branch")
                    .help("remove it here, and change `version` at the top of the file in that environment's branch");
                cx.report(error);
                false
            }
            "environments" => {
                cx.error("unknown-key", "an overlay has no `environments` of its own", key.key_span, "remove it");
                false
            }
            _ => true,
        });
        if let Some(environment) = name {
            overlays.push(Overlay {
                environment,
                key: entry.key_span,
                node: entry.value,
            });
        }
    }
    if let Value::Mapping(base) = &root.value {
        let base = Node {
            value: Value::Mapping(base.clone()),
            ..root.clone()
        };
        for overlay in &overlays {
            nulls(&overlay.node, Some(&base), cx);
        }
    }
    overlays
}

/// A null of an overlay that removes nothing is a slip of the hand that nothing else would notice.
fn nulls(overlay: &Node, base: Option<&Node>, cx: &mut Decoder) {
    for entry in overlay.entries().unwrap_or_default() {
        let below = base.and_then(|base| base.get(&entry.key));
        if !entry.value.is_null() {
            nulls(&entry.value, below, cx);
        } else if below.is_none() {
            let key = pilotage_diagnostic::printable(&entry.key);
            let known = base.and_then(Node::entries).unwrap_or_default();
            let error = Diagnostic::error("nothing-to-remove", format!("`{key}: null` removes nothing"));
            let error = match nearest(&entry.key, known.iter().map(|entry| entry.key.as_str())) {
                Some(near) => error
                    .at(cx.source(), entry.key_span, format!("did you mean `{near}`?"))
                    .help(format!("write `{near}: null`, or remove the line")),
                None => error
                    .at(
                        cx.source(),
                        entry.key_span,
                        "the file has no such key outside `environments`",
                    )
                    .help("remove the line"),
            };
            cx.report(error);
        }
    }
}

impl Parsed {
    /// The same file as the descriptor of `service`: rules that need the name are checked too.
    #[must_use]
    pub fn for_service(mut self, service: &ServiceName) -> Self {
        self.service = Some(service.clone());
        self
    }

    /// Every problem of the file, in every environment, in reading order. `environments` are those that exist; when
    /// none is given, they are taken as unknown and any may have an overlay.
    #[must_use]
    pub fn check(&self, environments: &[EnvironmentName]) -> Diagnostics {
        let mut all: Vec<Diagnostic> = self.problems.clone().into_vec();
        if !environments.is_empty() {
            let strangers = self
                .overlays
                .iter()
                .filter(|overlay| !environments.contains(&overlay.environment));
            all.extend(strangers.map(|overlay| self.unknown_environment(overlay, environments)));
        }
        let (_, base) = self.evaluate(None);
        let mut seen = base.into_vec();
        let of_base = seen.len();
        for overlay in &self.overlays {
            let (_, problems) = self.evaluate(Some(overlay));
            for problem in problems {
                match seen.iter().position(|known| same(known, &problem)) {
                    Some(known) if known < of_base => {}
                    Some(known) => {
                        let told = seen.remove(known);
                        seen.insert(known, overlay.blame(&self.source, told));
                    }
                    None => seen.push(overlay.blame(&self.source, problem)),
                }
            }
        }
        all.extend(seen);
        all.into_iter().collect::<Diagnostics>().sorted()
    }

    /// The warnings among [`Parsed::check`].
    #[must_use]
    pub fn warnings(&self) -> Diagnostics {
        self.check(&[])
            .into_iter()
            .filter(|problem| !problem.is_error())
            .collect()
    }

    /// The descriptor in `environment`, overlay applied, short forms written out.
    ///
    /// # Errors
    ///
    /// Every problem that the file has in this environment, warnings included, when one of them is an error.
    pub fn resolve(&self, environment: &EnvironmentName) -> Result<Descriptor, Diagnostics> {
        if self.problems.has_errors() {
            return Err(self.problems.clone().sorted());
        }
        let (descriptor, problems) = self.evaluate(self.overlay(environment));
        match descriptor {
            Some(descriptor) if !problems.has_errors() => Ok(descriptor),
            _ => Err(problems.sorted()),
        }
    }

    /// As [`Parsed::resolve`], with every file named by `from` replaced by the content that `read` has for its path
    /// in the repository.
    ///
    /// # Errors
    ///
    /// As [`Parsed::resolve`], and a problem at every `from` that `read` has nothing for.
    pub fn resolve_with(
        &self,
        environment: &EnvironmentName,
        mut read: impl FnMut(&str) -> Option<String>,
    ) -> Result<Descriptor, Diagnostics> {
        let mut descriptor = self.resolve(environment)?;
        let mut problems = Diagnostics::new();
        for (target, file) in &mut descriptor.files {
            let FileSource::From(path) = file else { continue };
            match read(path) {
                Some(content) => *file = FileSource::Content(content),
                None => {
                    let span = self.place(environment, &format!("files[\"{target}\"].from"));
                    let shown = pilotage_diagnostic::printable(path);
                    problems.push(
                        Diagnostic::error(
                            "missing-file",
                            format!("there is no file `{shown}` in the repository"),
                        )
                        .at(&self.source, span, "not found in this commit")
                        .help(format!(
                            "add `{shown}` to the branch, or write the text itself as `content: …`"
                        )),
                    );
                }
            }
        }
        if problems.is_empty() {
            Ok(descriptor)
        } else {
            Err(problems.sorted())
        }
    }

    /// Where the value of a path such as `ports[0].routes[1].host` of the resolved descriptor stands in the file; the
    /// nearest place around it when it was not written.
    #[must_use]
    pub fn place(&self, environment: &EnvironmentName, path: &str) -> Span {
        match (&self.base, self.overlay(environment)) {
            (Some(base), Some(overlay)) => place(&view::view(base, &overlay.node), path),
            (Some(base), None) => place(base, path),
            (None, _) => Span::at(0),
        }
    }

    /// The environments that have an overlay, in the order of the file.
    pub fn overlays(&self) -> impl Iterator<Item = &EnvironmentName> {
        self.overlays.iter().map(|overlay| &overlay.environment)
    }

    /// The text it was read from.
    #[must_use]
    pub const fn source(&self) -> &Source {
        &self.source
    }

    fn overlay(&self, environment: &EnvironmentName) -> Option<&Overlay> {
        self.overlays
            .iter()
            .find(|overlay| overlay.environment == *environment)
    }

    /// Decodes and checks the base, or the base with an overlay.
    fn evaluate(&self, overlay: Option<&Overlay>) -> (Option<Descriptor>, Diagnostics) {
        let Some(base) = &self.base else {
            return (None, Diagnostics::new());
        };
        let merged = overlay.map(|overlay| view::view(base, &overlay.node));
        let node = merged.as_ref().unwrap_or(base);
        let salvaged = salvage::<Descriptor>(
            node,
            &self.source,
            &[("version", "0")],
            &["env", "files", "secrets"],
        );
        let mut problems = salvaged.problems.clone();
        let Some(descriptor) = &salvaged.value else {
            return (None, problems);
        };
        let rules = Rules {
            node,
            source: &self.source,
            descriptor,
            dropped: &salvaged.dropped,
            service: self.service.as_ref(),
            whole: (overlay.is_some() || self.overlays.is_empty()) && !salvaged.problems.has_errors(),
        };
        problems.extend(rules.check());
        let descriptor = (!problems.has_errors()).then(|| {
            let mut descriptor = descriptor.clone();
            normal::normalise(&mut descriptor);
            descriptor
        });
        (descriptor, problems)
    }

    fn unknown_environment(&self, overlay: &Overlay, environments: &[EnvironmentName]) -> Diagnostic {
        let error = Diagnostic::error(
            "unknown-environment",
            format!("there is no environment `{}`", overlay.environment),
        );
        let known: Vec<&str> = environments.iter().map(EnvironmentName::as_str).collect();
        match nearest(overlay.environment.as_str(), known.iter().copied()) {
            Some(near) => error
                .at(&self.source, overlay.key, format!("did you mean `{near}`?"))
                .help(format!(
                    "write `{near}`, or add `{}` to `environments` in pilotage.yaml",
                    overlay.environment
                )),
            None => error
                .at(&self.source, overlay.key, "no such environment")
                .help(format!(
                    "the environments of pilotage.yaml are `{}`",
                    known.join("`, `")
                )),
        }
    }
}

impl Overlay {
    /// Names this overlay as the cause of a problem that stands outside of it and that the base alone does not have.
    fn blame(&self, source: &Source, problem: Diagnostic) -> Diagnostic {
        let inside = |span: Span| self.node.span.start <= span.start && span.end <= self.node.span.end;
        if problem
            .labels
            .iter()
            .any(|label| inside(label.span) || label.span == self.key)
        {
            return problem;
        }
        problem.also(
            source,
            self.key,
            format!(
                "in the environment `{}`, with what differs there",
                self.environment
            ),
        )
    }
}

/// Whether two environments have the same problem.
fn same(a: &Diagnostic, b: &Diagnostic) -> bool {
    let place = |problem: &Diagnostic| problem.place().map(|label| label.span);
    a.code == b.code && a.message == b.message && place(a) == place(b)
}

impl Descriptor {
    /// Reads a resolved descriptor: a file without `environments`, as [`Descriptor::to_yaml`] writes it.
    ///
    /// # Errors
    ///
    /// Every problem of the file; an `environments` key is one.
    pub fn read(source: &Source) -> Result<Self, Diagnostics> {
        let parsed = parse(source);
        if let Some(overlay) = parsed.overlays.first() {
            let error = Diagnostic::error("not-resolved", "a resolved descriptor has no `environments`")
                .at(source, overlay.key, "this has still to be applied")
                .help("give the environment, so that its overlay is applied");
            return Err(error.into());
        }
        if parsed.problems.has_errors() {
            return Err(parsed.problems);
        }
        let (descriptor, problems) = parsed.evaluate(None);
        descriptor.ok_or_else(|| problems.sorted())
    }
}
