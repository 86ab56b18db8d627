use std::collections::BTreeMap;

use pilotage_diagnostic::{nearest, printable};
use pilotage_quantity::Duration;
use pilotage_yaml::Diagnostics;

use super::Rules;
use crate::normal::{Choice, asked_by_default};
use crate::smoke::MOST_REDIRECTS;
use crate::{Kind, SmokeRequest};

impl Rules<'_> {
    /// Smoke requests.
    pub(super) fn smoke(&self, found: &mut Diagnostics) {
        for (index, request) in self.descriptor.smoke.iter().enumerate() {
            let path = format!("smoke[{index}]");
            let label = request.label();
            let earlier = self.descriptor.smoke[..index]
                .iter()
                .position(|other| request.name.is_some() && other.label() == label);
            if let Some(other) = earlier {
                let message = format!("two smoke requests have the name `{}`", printable(&label));
                self.twice(
                    found,
                    "duplicate-name",
                    message,
                    &format!("smoke[{other}].name"),
                    &format!("{path}.name"),
                );
            }
            if request.is_url() {
                if request.port.is_some() {
                    let span = self.key(&format!("{path}.port"));
                    let error = self.error(
                        "port-of-url",
                        "a request to a whole URL has no port of the service",
                        span,
                        "says nothing",
                    );
                    found.push(error.help("remove `port`, or write the path alone"));
                }
            } else if self.knows("ports") && self.descriptor.kind != Kind::Job {
                match &request.port {
                    Some(name) if self.descriptor.port(name).is_none() => {
                        found.push(self.unknown_port(name, &format!("{path}.port")));
                    }
                    None if asked_by_default(&self.descriptor.ports, Choice::User).is_none() => {
                        found.push(self.which_port(&path, "this request"));
                    }
                    Some(_) | None => {}
                }
            }
            self.effects(request, &path, found);
            self.limits(request, &path, found);
        }
        self.captures(found);
    }

    /// What changes something says so, and is not asked twice by accident.
    fn effects(&self, request: &SmokeRequest, path: &str, found: &mut Diagnostics) {
        let method = request.method.token();
        if !request.method.is_safe() && !request.changes {
            let span = self.key(&format!("{path}.{}", request.method));
            let error = self.error(
                "unsafe-method",
                format!("a {method} may change something, also in production"),
                span,
                "not declared",
            );
            found.push(error.help("write `unsafe: true` beside it if it may be sent after every release"));
        }
        if request.retries > 0 && !request.method.is_idempotent() {
            let span = self.key(&format!("{path}.retries"));
            let error = self.error(
                "retries-of-unsafe",
                format!("a {method} that is sent again may do twice what it does"),
                span,
                "cannot be retried",
            );
            found.push(error.help("remove `retries`"));
        }
    }

    fn limits(&self, request: &SmokeRequest, path: &str, found: &mut Diagnostics) {
        if request.within == Some(Duration::ZERO) {
            let span = self.value(&format!("{path}.within"));
            let error = self.error("too-small", "`within` cannot be zero", span, "no time at all");
            found.push(error.help("write for example `500ms`"));
        }
        if request.redirects > MOST_REDIRECTS {
            let span = self.value(&format!("{path}.redirects"));
            let message = format!("more than {MOST_REDIRECTS} redirects are a circle");
            let error = self.error("too-large", message, span, "too many");
            found.push(error.help(format!("write {MOST_REDIRECTS} or less")));
        }
    }

    /// A value is captured once, and before it is needed.
    fn captures(&self, found: &mut Diagnostics) {
        let requests = &self.descriptor.smoke;
        let mut owners: BTreeMap<&str, usize> = BTreeMap::new();
        for (index, request) in requests.iter().enumerate() {
            for name in request.captures.keys() {
                if let Some(other) = owners.insert(name, index) {
                    owners.insert(name, other);
                    self.twice(
                        found,
                        "duplicate-name",
                        format!("two smoke requests capture `{name}`"),
                        &format!("smoke[{other}].captures.{name}"),
                        &format!("smoke[{index}].captures.{name}"),
                    );
                }
            }
        }
        for (index, request) in requests.iter().enumerate() {
            let mut told: Vec<&str> = Vec::new();
            for (key, name) in request.needs() {
                let owner = owners.get(name).copied();
                if owner.is_some_and(|owner| owner < index) || told.contains(&name) {
                    continue;
                }
                told.push(name);
                let span = self.value(&format!("smoke[{index}].{key}"));
                found.push(match owner {
                    Some(owner) => self
                        .error(
                            "unknown-capture",
                            format!(
                                "`{name}` is captured by `{}` only",
                                printable(&requests[owner].label())
                            ),
                            span,
                            "not known by then",
                        )
                        .help(match owner == index {
                            true => "a request cannot use what it captures itself",
                            false => "move this request behind the one that captures it",
                        }),
                    None => {
                        let near = nearest(name, owners.keys().copied());
                        let label = near.map_or("no such capture".to_owned(), |near| {
                            format!("did you mean `{near}`?")
                        });
                        self.error(
                            "unknown-capture",
                            format!("no earlier request captures `{name}`"),
                            span,
                            label,
                        )
                        .help(format!("capture it: `captures: {{{name}: {{json: $.{name}}}}}`"))
                    }
                });
            }
        }
    }
}
