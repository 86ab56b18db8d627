use pilotage_diagnostic::printable;
use pilotage_quantity::Duration;
use pilotage_yaml::{Diagnostics, Span};

use super::Rules;
use crate::file::{unclean_absolute, unclean_relative};
use crate::variable::is_variable;
use crate::{FileSource, SecretSource};

/// What an instance is told by Pilotage itself.
const RESERVED: &str = "PILOTAGE_";

impl Rules<'_> {
    /// Environment variables, files, secrets and amounts.
    pub(super) fn values(&self, found: &mut Diagnostics) {
        for section in ["env", "secrets", "regression.env"] {
            self.names(section, found);
        }
        for name in self
            .descriptor
            .env
            .keys()
            .filter(|name| self.descriptor.secrets.contains_key(*name))
        {
            let (plain, secret) = (format!("env[\"{name}\"]"), format!("secrets[\"{name}\"]"));
            let message = format!("`{}` stands in `env` and in `secrets`", printable(name));
            let error = self
                .error("duplicate-name", message, self.key(&secret), "a secret here")
                .also(self.source, self.key(&plain), "a plain value here");
            found.push(error.help("keep the secret and remove it from `env`"));
        }
        self.files(found);
        self.secrets(found);
        self.amounts(found);
    }

    fn names(&self, section: &str, found: &mut Diagnostics) {
        let entries = self
            .node
            .at(section)
            .and_then(|node| node.entries())
            .unwrap_or_default();
        for entry in entries {
            let shown = printable(&entry.key);
            if !is_variable(&entry.key) {
                let message = format!(
                    "`{shown}` is no name of an environment variable: use letters, digits and `_`, no digit first"
                );
                let error = self.error("invalid-value", message, entry.key_span, "no variable's name");
                let near: String = entry
                    .key
                    .chars()
                    .map(|c| if c.is_ascii_alphanumeric() { c } else { '_' })
                    .collect();
                found.push(if is_variable(&near) {
                    error.help(format!("write `{near}`"))
                } else {
                    error
                });
            } else if entry.key.starts_with(RESERVED) {
                let message = format!("`{shown}` is set by Pilotage itself");
                let error = self.error("reserved-name", message, entry.key_span, "reserved");
                found.push(error.help(format!("choose a name that does not begin with `{RESERVED}`")));
            }
        }
        for (name, value) in self.descriptor.env.iter().filter(|_| section == "env") {
            if value.contains('\0') {
                let span = self.value(&format!("env[\"{name}\"]"));
                found.push(self.error(
                    "invalid-value",
                    "an environment variable cannot hold a NUL",
                    span,
                    "holds a NUL",
                ));
            }
        }
    }

    fn files(&self, found: &mut Diagnostics) {
        for (target, file) in &self.descriptor.files {
            let entry = format!("files[\"{target}\"]");
            if let Some(reason) = unclean_absolute(target) {
                self.path(found, target, reason, self.key(&entry));
            }
            if let FileSource::From(path) = file
                && let Some(reason) = unclean_relative(path)
            {
                self.path(found, path, reason, self.value(&format!("{entry}.from")));
            }
        }
    }

    fn secrets(&self, found: &mut Diagnostics) {
        for (name, secret) in &self.descriptor.secrets {
            match secret {
                SecretSource::Env(variable) => {
                    let prefix = match self.service {
                        Some(service) => SecretSource::env_prefix(service),
                        None => "PILOTAGE_SECRET_".to_owned(),
                    };
                    let rest = variable.strip_prefix(&prefix);
                    if rest.is_none_or(str::is_empty) || !is_variable(variable) {
                        let message = format!(
                            "a secret of this service comes from a variable whose name begins with `{prefix}`"
                        );
                        let span = self.value(&format!("secrets[\"{name}\"].env"));
                        let error = self.error("foreign-secret", message, span, "may not be read");
                        found.push(
                            error.help(format!("write for example `env: {prefix}{}`", printable(name))),
                        );
                    }
                }
                SecretSource::File(path) => {
                    if let Some(reason) = unclean_absolute(path) {
                        let reason = if path.starts_with('/') {
                            reason
                        } else {
                            "a secret's file has an absolute path"
                        };
                        self.path(
                            found,
                            path,
                            reason,
                            self.value(&format!("secrets[\"{name}\"].file")),
                        );
                    }
                }
                SecretSource::Sealed(_) | SecretSource::Secret { .. } => {}
            }
        }
    }

    fn path(&self, found: &mut Diagnostics, path: &str, reason: &str, span: Span) {
        let error = self.error(
            "unclean-path",
            format!("`{}` is refused: {reason}", printable(path)),
            span,
            "not clean",
        );
        let parts: Vec<&str> = path
            .split('/')
            .filter(|part| !matches!(*part, "" | "." | ".."))
            .collect();
        let root = if path.starts_with('/') { "/" } else { "" };
        let clean = format!("{root}{}", parts.join("/"));
        let plain = clean.chars().all(|c| c.is_ascii_graphic() && c != '\\');
        // `..` is no slip: what was meant is not known.
        let known = plain && !parts.is_empty() && clean != path && !path.split('/').any(|part| part == "..");
        found.push(if known {
            error.help(format!("write `{clean}`"))
        } else {
            error
        });
    }

    fn amounts(&self, found: &mut Diagnostics) {
        let resources = &self.descriptor.resources;
        let zero = [
            (
                "resources.cpu",
                resources.cpu.is_some_and(|cpu| cpu.as_millicores() == 0),
                "500m",
            ),
            (
                "resources.memory",
                resources.memory.is_some_and(|memory| memory.as_bytes() == 0),
                "256Mi",
            ),
        ];
        for (path, _, example) in zero.iter().filter(|(_, zero, _)| *zero) {
            let key = path.rsplit('.').next().unwrap_or(path);
            let error = self.error(
                "too-small",
                format!("`{key}` cannot be zero"),
                self.value(path),
                "nothing at all",
            );
            found.push(error.help(format!(
                "write for example `{example}`, or remove it to set no limit"
            )));
        }
        if resources.replicas == 0 {
            let error = self.error(
                "too-small",
                "`replicas` is at least 1",
                self.value("resources.replicas"),
                "no instance at all",
            );
            found.push(error.help("to stop the service, write `state: retired`"));
        }
        if self.descriptor.stop.grace > Duration::from_secs(3_600) {
            let message = format!(
                "an instance may take {} to end, and the release waits for it",
                self.descriptor.stop.grace
            );
            let warning = self.warning(
                "long-grace",
                message,
                self.value("stop.grace"),
                "more than an hour",
            );
            found.push(warning.help("write for example `grace: 30s`"));
        }
    }
}
