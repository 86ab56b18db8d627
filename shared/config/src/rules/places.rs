use jiff::Timestamp;
use pilotage_diagnostic::printable;
use pilotage_yaml::{Diagnostics, Span};

use super::Rules;
use crate::{NotifyRoute, NotifyRoutes};

impl Rules<'_> {
    /// Services, freezes, routes of messages and addresses.
    pub(super) fn places(&self, found: &mut Diagnostics) {
        self.services(found);
        self.freezes(found);
        self.routes(found, &self.file.notify, "notify");
        for (name, entry) in &self.file.environments {
            self.routes(found, &entry.notify, &format!("environments.{name}.notify"));
        }
        for (event, path) in &self.file.templates {
            let clean = !path.is_empty()
                && !path.starts_with('/')
                && path.split('/').all(|part| !matches!(part, "" | "." | ".."));
            if !clean || path.chars().any(char::is_control) {
                let message = format!("`{}` is no path in the config branch", printable(path));
                let error = self.error(
                    "unclean-path",
                    message,
                    self.value(&format!("templates.{event}")),
                    "no clean path",
                );
                found.push(error.help(format!(
                    "write a path from the repository's root, such as `templates/{event}.txt`"
                )));
            }
        }
        let storm = &self.file.storm;
        if storm.percent == 0 || storm.percent > 100 {
            let error = self.error(
                "invalid-value",
                "`percent` is from 1 to 100",
                self.value("storm.percent"),
                "no share",
            );
            found.push(error.help("write `percent: 20`"));
        }
        if let Some(jira) = &self.file.trackers.jira {
            self.url(found, &jira.url, "trackers.jira.url");
        }
        if let Some(forge) = &self.file.forge {
            self.url(found, &forge.url, "forge.url");
            let part = |part: &str| {
                !part.is_empty()
                    && part
                        .chars()
                        .all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'))
            };
            if !forge.repository.contains('/') || !forge.repository.split('/').all(part) {
                let message = format!("`{}` is no repository", printable(&forge.repository));
                found.push(
                    self.error(
                        "invalid-value",
                        message,
                        self.value("forge.repository"),
                        "no repository",
                    )
                    .help("write `owner/name`"),
                );
            }
        }
    }

    fn services(&self, found: &mut Diagnostics) {
        for (service, rules) in &self.file.services {
            let path = format!("services.{service}");
            for (index, owner) in rules.owners.iter().enumerate() {
                self.person_exists(found, owner, &format!("{path}.owners[{index}]"), true);
            }
            if let Some(target) = &rules.target {
                self.target_exists(found, target, &format!("{path}.target"));
            }
            for (environment, place) in &rules.environments {
                let path = format!("{path}.environments.{environment}");
                if self.knows("environments") && !self.file.environments.contains_key(environment) {
                    // The place of an entry's name is its key.
                    let known: Vec<&str> = self.file.environments.keys().map(|name| name.as_str()).collect();
                    let mut unknown = self.unknown(
                        "environment",
                        environment.as_str(),
                        &path,
                        &known,
                        "`environments`",
                    );
                    for label in &mut unknown.labels {
                        label.span = self.key(&path);
                    }
                    found.push(unknown);
                }
                if let Some(target) = &place.target {
                    self.target_exists(found, target, &format!("{path}.target"));
                }
            }
        }
    }

    fn freezes(&self, found: &mut Diagnostics) {
        for (index, freeze) in self.file.freezes.iter().enumerate() {
            let path = format!("freezes[{index}]");
            for (at, environment) in freeze.environments.iter().enumerate() {
                self.environment_exists(found, environment, &format!("{path}.environments[{at}]"));
            }
            let (from, to) = (format!("{path}.from"), format!("{path}.to"));
            let moments = (
                self.moment(found, &freeze.from, self.value(&from)),
                self.moment(found, &freeze.to, self.value(&to)),
            );
            if let (Some(first), Some(end)) = moments
                && first >= end
            {
                let error = self
                    .error(
                        "empty-freeze",
                        "this freeze ends before it begins",
                        self.value(&to),
                        "its end",
                    )
                    .also(self.source, self.value(&from), "its first moment");
                found.push(error.help("change `from` or `to`"));
            }
            if freeze.reason.trim().is_empty() {
                let error = self.error(
                    "no-reason",
                    "a freeze says why",
                    self.value(&format!("{path}.reason")),
                    "no reason",
                );
                found.push(error.help("write the reason for whoever waits, such as `reason: stocktaking`"));
            }
        }
    }

    fn moment(&self, found: &mut Diagnostics, text: &str, span: Span) -> Option<Timestamp> {
        let moment = text.parse().ok();
        if moment.is_none() {
            let error = self.error(
                "invalid-value",
                format!("`{}` is no moment", printable(text)),
                span,
                "no moment",
            );
            found.push(error.help(
                "write day, time and offset, such as `2026-12-23T18:00:00Z` or `2026-12-23T18:00:00+01:00`",
            ));
        }
        moment
    }

    fn routes(&self, found: &mut Diagnostics, routes: &NotifyRoutes, path: &str) {
        self.channels(found, &routes.slack, &format!("{path}.slack"), |to| {
            let name = to.trim_start_matches('#');
            (name.is_empty() || to.chars().any(|c| c.is_whitespace() || c.is_control()) || to.contains("://"))
                .then_some(("Slack channel", "write `\"#releases\"` (in quotes, because `#` begins a comment) or a channel's id; tokens and webhooks come from the environment"))
        });
        self.channels(found, &routes.email, &format!("{path}.email"), |to| {
            (!pilotage_descriptor::is_email(to))
                .then_some(("mail address", "write for example `ops@example.com`"))
        });
    }

    fn channels(
        &self,
        found: &mut Diagnostics,
        routes: &[NotifyRoute],
        path: &str,
        wrong: impl Fn(&str) -> Option<(&'static str, &'static str)>,
    ) {
        for (index, route) in routes.iter().enumerate() {
            let path = format!("{path}[{index}]");
            if route.to.is_empty() {
                let error = self.error(
                    "nobody",
                    "this route leads to nobody",
                    self.value(&path),
                    "nobody",
                );
                found.push(error.help("add `to: […]`, or remove the route"));
            }
            for (at, to) in route.to.iter().enumerate() {
                if let Some((noun, help)) = wrong(to) {
                    let span = self.value(&format!("{path}.to[{at}]"));
                    // A webhook's URL is a secret: it is not repeated.
                    found.push(
                        self.error(
                            "invalid-value",
                            format!("this is no {noun}"),
                            span,
                            format!("no {noun}"),
                        )
                        .help(help),
                    );
                }
            }
        }
    }

    fn url(&self, found: &mut Diagnostics, url: &str, path: &str) {
        let rest = url
            .strip_prefix("https://")
            .or_else(|| url.strip_prefix("http://"));
        let host = rest.and_then(|rest| rest.split('/').next()).unwrap_or_default();
        if host.is_empty() || !url.chars().all(|c| c.is_ascii_graphic()) {
            let error = self.error(
                "invalid-value",
                "this is no http(s) URL",
                self.value(path),
                "no URL",
            );
            found.push(error.help("write for example `https://jira.example.com`"));
        } else if host.contains('@') {
            let error = self.error(
                "password-in-url",
                "user and password do not belong into a URL",
                self.value(path),
                "holds a user",
            );
            found.push(error.help("write the URL alone; credentials come from the environment of the step"));
        }
    }
}
