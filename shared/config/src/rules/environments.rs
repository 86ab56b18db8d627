use std::collections::BTreeMap;

use pilotage_diagnostic::printable;
use pilotage_name::EnvironmentName;
use pilotage_quantity::Duration;
use pilotage_yaml::Diagnostics;

use super::Rules;
use crate::environment::EnvironmentEntry;
use crate::{OnFailure, StepName, Target};

impl Rules<'_> {
    /// Environments name things that exist, and stand in no circle.
    pub(super) fn environments(&self, found: &mut Diagnostics) {
        let slip = |key: &str| pilotage_diagnostic::nearest(key, ["environments"]).is_some();
        let entries = self.node.entries().unwrap_or_default();
        let written = entries
            .iter()
            .any(|entry| entry.key != "environments" && slip(&entry.key));
        if self.knows("environments") && self.file.environments.is_empty() && !written {
            let error = self.error(
                "no-environments",
                "there is no environment, so nothing can be released",
                self.key("environments"),
                "none here",
            );
            found.push(error.help("add for example `environments: {qa: {target: …}}`"));
        }
        let mut branches: BTreeMap<&str, &EnvironmentName> = BTreeMap::new();
        for name in self.in_order() {
            let Some(entry) = self.file.environments.get(name) else {
                continue;
            };
            let path = format!("environments.{name}");
            self.references(found, name, entry, &path);
            self.branch(found, name, entry, &path, &mut branches);
            self.pipeline(found, entry, &path);
            for (index, recipient) in entry.seal.iter().enumerate() {
                if !recipient.starts_with("age1")
                    || !recipient
                        .bytes()
                        .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit())
                {
                    let message = format!("`{}` is no age recipient", printable(recipient));
                    let error = self.error(
                        "invalid-value",
                        message,
                        self.value(&format!("{path}.seal[{index}]")),
                        "no recipient",
                    );
                    found.push(
                        error.help("write the public key that `age-keygen` prints: it begins with `age1`"),
                    );
                }
            }
        }
        self.circles(found);
    }

    /// In the order of the file.
    fn in_order(&self) -> Vec<&EnvironmentName> {
        let mut names: Vec<&EnvironmentName> = self.file.environments.keys().collect();
        names.sort_by_key(|name| self.key(&format!("environments.{name}")).start);
        names
    }

    fn references(
        &self,
        found: &mut Diagnostics,
        name: &EnvironmentName,
        entry: &EnvironmentEntry,
        path: &str,
    ) {
        self.target_exists(found, &entry.target, &format!("{path}.target"));
        if let Some(from) = &entry.from {
            let path = format!("{path}.from");
            if from == name {
                let error = self.error(
                    "circle",
                    format!("`{name}` cannot come from itself"),
                    self.value(&path),
                    "this environment",
                );
                found.push(error.help("name the environment before it, or remove `from`"));
            } else {
                self.environment_exists(found, from, &path);
            }
        }
        let Some(policy) = &entry.policy else { return };
        let path = format!("{path}.policy");
        if !self.file.policies.contains_key(policy) {
            if self.knows("policies") {
                let known: Vec<&str> = self.file.policies.keys().map(String::as_str).collect();
                found.push(self.unknown("policy", policy, &path, &known, "`policies`"));
            }
        } else if let Some(Target::Process(_)) = self.file.targets.get(&entry.target) {
            let message = format!(
                "`{name}` has a policy, but its target runs processes on the machine of the step: it is meant for development"
            );
            let warning = self
                .warning(
                    "process-under-policy",
                    message,
                    self.value(&path),
                    "asks for care",
                )
                .also(
                    self.source,
                    self.key(&format!("targets[\"{}\"]", entry.target)),
                    "runs plain processes",
                );
            found.push(warning.help("use a target of kind `docker` or `kubernetes` where it matters"));
        }
    }

    pub(super) fn target_exists(&self, found: &mut Diagnostics, target: &str, path: &str) {
        if self.knows("targets") && !self.file.targets.contains_key(target) {
            let known: Vec<&str> = self.file.targets.keys().map(String::as_str).collect();
            found.push(self.unknown("target", target, path, &known, "`targets`"));
        }
    }

    pub(super) fn environment_exists(&self, found: &mut Diagnostics, name: &EnvironmentName, path: &str) {
        if self.knows("environments") && !self.file.environments.contains_key(name) {
            let known: Vec<&str> = self
                .file
                .environments
                .keys()
                .map(EnvironmentName::as_str)
                .collect();
            found.push(self.unknown("environment", name.as_str(), path, &known, "`environments`"));
        }
    }

    fn branch<'f>(
        &'f self,
        found: &mut Diagnostics,
        name: &'f EnvironmentName,
        entry: &'f EnvironmentEntry,
        path: &str,
        branches: &mut BTreeMap<&'f str, &'f EnvironmentName>,
    ) {
        let branch = entry.branch.as_deref().unwrap_or(name.as_str());
        let place = |name: &EnvironmentName| {
            let path = format!("environments.{name}.branch");
            if self.node.at(&path).is_some() {
                self.value(&path)
            } else {
                self.key(&format!("environments.{name}"))
            }
        };
        if !is_branch(branch) {
            let message = format!("`{}` is no name of a branch", printable(branch));
            let error = self.error(
                "invalid-value",
                message,
                self.value(&format!("{path}.branch")),
                "no branch",
            );
            found.push(
                error.help("write the name alone, such as `prod` or `env/prod`, without `refs/heads/`"),
            );
        }
        match branches.get(branch) {
            Some(other) => {
                let message = format!("`{other}` and `{name}` have one branch, `{}`", printable(branch));
                let error = self.error("one-branch", message, place(name), "again here").also(
                    self.source,
                    place(other),
                    "first here",
                );
                found.push(error.help("give each environment a branch of its own with `branch`"));
            }
            None => {
                branches.insert(branch, name);
            }
        }
    }

    fn pipeline(&self, found: &mut Diagnostics, entry: &EnvironmentEntry, path: &str) {
        let Some(stages) = &entry.pipeline else { return };
        let path = format!("{path}.pipeline");
        if stages.is_empty() {
            let error = self.error(
                "empty-pipeline",
                "a pipeline has at least one stage",
                self.key(&path),
                "no stage",
            );
            found.push(error.help("remove `pipeline` for the default one, or write `[deploy, healthcheck]`"));
        }
        let deploy = stages
            .iter()
            .position(|stage| stage.long.step == StepName::Deploy);
        for (index, stage) in stages.iter().enumerate() {
            let here = format!("{path}[{index}]");
            if stage.long.step == StepName::Deploy && deploy.is_some_and(|first| first < index) {
                let error = self
                    .error(
                        "two-deploys",
                        "a release deploys once",
                        self.value(&here),
                        "again here",
                    )
                    .also(
                        self.source,
                        self.value(&format!("{path}[{}]", deploy.unwrap_or_default())),
                        "first here",
                    );
                found.push(error.help("remove one of them"));
            }
            if stage.long.on_failure == Some(OnFailure::Undo) && deploy.is_none_or(|deploy| deploy > index) {
                let span = self.value(&format!("{here}.on_failure"));
                let error = self.error(
                    "nothing-to-undo",
                    "nothing was deployed before this stage, so there is nothing to undo",
                    span,
                    "undoes nothing",
                );
                found.push(error.help("write `on_failure: stop`, or move the stage behind `deploy`"));
            }
            if stage.long.deadline == Some(Duration::ZERO) {
                let span = self.value(&format!("{here}.deadline"));
                found.push(
                    self.error("too-small", "`deadline` cannot be zero", span, "no time at all")
                        .help("write for example `5m`"),
                );
            }
        }
    }

    fn circles(&self, found: &mut Diagnostics) {
        let from = |name: &EnvironmentName| {
            self.file
                .environments
                .get(name)
                .and_then(|entry| entry.from.as_ref())
        };
        let mut told: Vec<&EnvironmentName> = Vec::new();
        for start in self.in_order() {
            let mut way = vec![start];
            while let Some(next) = way.last().and_then(|name| from(name)) {
                if let Some(first) = way.iter().position(|name| *name == next) {
                    let circle = &way[first..];
                    // One environment alone is told where it names itself.
                    if circle.len() > 1 && !circle.iter().any(|name| told.contains(name)) {
                        let names: Vec<&str> =
                            circle.iter().chain([&next]).map(|name| name.as_str()).collect();
                        let span = self.value(&format!("environments.{}.from", circle[0]));
                        let message = format!(
                            "environments come from each other in a circle: {}",
                            names.join(" from ")
                        );
                        found.push(
                            self.error("circle", message, span, "begins here")
                                .help("remove `from` at the first environment"),
                        );
                    }
                    told.extend(circle.iter().copied());
                    break;
                }
                way.push(next);
            }
        }
    }
}

/// The grammar of a branch's name (git-check-ref-format), and nothing that looks like a flag or a full ref.
fn is_branch(text: &str) -> bool {
    let component = |part: &str| !part.is_empty() && !part.starts_with('.') && !part.ends_with(".lock");
    !text.starts_with(['-', '/'])
        && !text.starts_with("refs/")
        && !text.ends_with('.')
        && text != "@"
        && text != "HEAD"
        && text.len() <= 200
        && !text.contains("..")
        && !text.contains("@{")
        && text.split('/').all(component)
        && !text.chars().any(|c| {
            c.is_control() || c.is_whitespace() || matches!(c, '~' | '^' | ':' | '?' | '*' | '[' | '\\')
        })
}

#[cfg(test)]
mod tests {
    use super::is_branch;

    #[test]
    fn branches_follow_gits_grammar() {
        for good in ["prod", "env/prod", "release-1.x", "übung"] {
            assert!(is_branch(good), "{good}");
        }
        for bad in [
            "",
            "-x",
            "/a",
            "a/",
            "a//b",
            "a..b",
            "a b",
            "a~1",
            "refs/heads/prod",
            "a.lock",
            ".a",
            "a.",
            "@",
            "HEAD",
            "a@{1}",
            "a\nb",
            "*",
        ] {
            assert!(!is_branch(bad), "{bad:?}");
        }
    }
}
