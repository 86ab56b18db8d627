//! Collects what a check finds. Pure.

use std::collections::BTreeSet;

use pilotage_config::Config;
use pilotage_descriptor::path_of;
use pilotage_diagnostic::{Diagnostic, Diagnostics, printable};
use pilotage_gate::Decision;
use pilotage_name::{EnvironmentName, ServiceName};
use pilotage_outcome::{Outcome, StepReport};
use serde_json::{Value, json};

/// What a check found, so far.
#[derive(Clone, Debug, Default)]
pub struct Findings {
    /// The environments that were looked at.
    pub environments: BTreeSet<EnvironmentName>,
    /// How many descriptor files were read.
    pub descriptors: usize,
    /// How many configurations were read.
    pub configurations: usize,
    /// Whether the ledger can be believed, where that was looked at.
    pub ledger: Option<LedgerTrust>,
    /// How the gates would decide, where that was asked.
    pub decisions: Vec<Decision>,
    /// What a reader should know besides, one sentence each.
    pub notes: Vec<String>,
    problems: Vec<Problem>,
}

/// One problem, and the other branches that have the same.
#[derive(Clone, Debug)]
struct Problem {
    diagnostic: Diagnostic,
    /// The place of the problem without its branch.
    file: String,
    also_on: Vec<String>,
}

/// What the ledger's events rest on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LedgerTrust {
    /// Hidden refs that everybody who can push can write.
    Open,
    /// A repository of its own.
    Apart(String),
    /// Signed by this many keys.
    Signed(usize),
}

impl LedgerTrust {
    /// What the configuration says of it.
    #[must_use]
    pub fn of(config: &Config) -> Self {
        match (&config.ledger.repository, config.ledger.keys.len()) {
            (None, 0) => Self::Open,
            (Some(url), 0) => Self::Apart(url.clone()),
            (_, keys) => Self::Signed(keys),
        }
    }

    /// In words; where nothing protects it, a warning says so wherever something rests on it.
    fn text(&self) -> Option<String> {
        Some(match self {
            Self::Open => return None,
            Self::Apart(url) => {
                format!(
                    "the ledger is a repository of its own, {}: whoever can push there can write it",
                    printable(url)
                )
            }
            Self::Signed(1) => "the ledger believes what its one key has signed".to_owned(),
            Self::Signed(keys) => format!("the ledger believes what one of its {keys} keys has signed"),
        })
    }

    fn data(&self) -> Value {
        match self {
            Self::Open => json!({"place": "repository", "signed": false}),
            Self::Apart(url) => json!({"place": url, "signed": false}),
            Self::Signed(keys) => json!({"signed": true, "keys": keys}),
        }
    }
}

impl Findings {
    /// Takes in problems of one branch, or of none in particular. A file that has the same problem on several branches
    /// is told of once.
    pub fn add(&mut self, branch: Option<&str>, problems: impl IntoIterator<Item = Diagnostic>) {
        for diagnostic in problems {
            let name = diagnostic.place().map_or("", |label| label.source.name());
            let prefix = branch.map(|branch| format!("{branch}:")).unwrap_or_default();
            let file = name.strip_prefix(&prefix).unwrap_or(name).to_owned();
            let known = self
                .problems
                .iter_mut()
                .find(|known| known.file == file && same(&known.diagnostic, &diagnostic));
            match (known, branch) {
                (None, _) => self.problems.push(Problem {
                    diagnostic,
                    file,
                    also_on: Vec::new(),
                }),
                (Some(known), Some(branch)) => known.also_on.push(branch.to_owned()),
                (Some(_), None) => {}
            }
        }
    }

    /// Only what is about these services, when there are any.
    #[must_use]
    pub fn only(mut self, services: &[ServiceName]) -> Self {
        if services.is_empty() {
            return self;
        }
        let lists = services.iter().map(pilotage_quarantine::path_of);
        let paths: Vec<String> = services.iter().map(path_of).chain(lists).collect();
        self.problems.retain(|problem| {
            paths.iter().any(|path| {
                let mut names = problem.diagnostic.labels.iter().map(|label| label.source.name());
                names.any(|name| name.ends_with(path.as_str()))
            })
        });
        self.decisions
            .retain(|decision| services.contains(&decision.service));
        self
    }

    /// Everything that was found, by file and place.
    #[must_use]
    pub fn diagnostics(&self) -> Diagnostics {
        let told = self.problems.iter().map(|problem| {
            let mut also_on = problem.also_on.clone();
            also_on.dedup();
            match also_on.as_slice() {
                [] => problem.diagnostic.clone(),
                branches => problem
                    .diagnostic
                    .clone()
                    .help(format!("the same stands on {}", branches.join(", "))),
            }
        });
        told.collect::<Diagnostics>().sorted()
    }

    /// The report: invalid when there is an error.
    #[must_use]
    pub fn report(self) -> StepReport {
        let diagnostics = self.diagnostics();
        let errors = diagnostics.iter().filter(|found| found.is_error()).count();
        let warnings = diagnostics.len() - errors;
        let outcome = match errors {
            0 => Outcome::Passed,
            _ => Outcome::Invalid,
        };
        let summary = self.summary(errors, warnings);
        let mut text = String::new();
        for decision in &self.decisions {
            text.push_str(&decision.explain());
            text.push('\n');
        }
        let ledger = self.ledger.as_ref().and_then(LedgerTrust::text);
        for note in self.notes.iter().chain(&ledger) {
            text.push_str(&format!("note: {}\n", printable(note)));
        }
        text.push_str(&format!("{summary}\n"));
        let result = json!({
            "environments": self.environments,
            "descriptors": self.descriptors,
            "errors": errors,
            "warnings": warnings,
            "ledger": self.ledger.as_ref().map(LedgerTrust::data),
            "decisions": self.decisions,
            "notes": self.notes,
        });
        StepReport::new(outcome)
            .summary(summary)
            .diagnostics(diagnostics)
            .result(result)
            .text(text)
            .output("errors", errors.to_string())
            .output("warnings", warnings.to_string())
    }

    fn summary(&self, errors: usize, warnings: usize) -> String {
        let mut checked = Vec::new();
        if !self.environments.is_empty() {
            checked.push(count(self.environments.len(), "environment"));
        }
        if self.configurations > 0 && self.descriptors == 0 {
            checked.push(count(self.configurations, "configuration"));
        }
        if self.descriptors > 0 || checked.is_empty() {
            checked.push(count(self.descriptors, "descriptor"));
        }
        let mut found = match errors {
            0 => "no problems".to_owned(),
            errors => count(errors, "problem"),
        };
        if warnings > 0 {
            found.push_str(&format!(", {}", count(warnings, "warning")));
        }
        format!("checked {}: {found}", checked.join(", "))
    }
}

fn count(number: usize, noun: &str) -> String {
    match number {
        1 => format!("1 {noun}"),
        number => format!("{number} {noun}s"),
    }
}

/// Whether two branches have the same problem: the same words at the same place of the same text.
fn same(one: &Diagnostic, other: &Diagnostic) -> bool {
    let place = |problem: &Diagnostic| {
        problem
            .place()
            .map(|label| (label.span, label.source.text().to_owned()))
    };
    one.code == other.code && one.message == other.message && place(one) == place(other)
}

#[cfg(test)]
mod tests {
    use pilotage_diagnostic::{Source, Span};

    use super::*;

    #[test]
    fn a_problem_of_several_branches_is_told_once() {
        let problem = |branch: &str, text: &str| {
            let source = Source::new(format!("{branch}:services/shop.yaml"), text);
            Diagnostic::error("bad", "no").at(&source, Span::at(0), "")
        };
        let mut findings = Findings {
            descriptors: 3,
            ..Findings::default()
        };
        findings.add(Some("qa"), [problem("qa", "a: 1")]);
        findings.add(Some("stage"), [problem("stage", "a: 1")]);
        findings.add(Some("prod"), [problem("prod", "a: 2")]);
        let found = findings.diagnostics();
        let lines: Vec<String> = found.iter().map(Diagnostic::line).collect();
        assert_eq!(
            lines,
            [
                "prod:services/shop.yaml:1:1: error[bad]: no",
                "qa:services/shop.yaml:1:1: error[bad]: no"
            ]
        );
        assert_eq!(found.as_slice()[1].help, ["the same stands on stage"]);
        let report = findings.report();
        assert_eq!(report.summary, "checked 3 descriptors: 2 problems");
        assert_eq!(report.outcome, Outcome::Invalid);
    }
}
