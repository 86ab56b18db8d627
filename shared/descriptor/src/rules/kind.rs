use pilotage_yaml::Diagnostics;

use super::Rules;
use crate::{Ask, Kind, State};

impl Rules<'_> {
    /// What each kind of service has and has not.
    pub(super) fn kind(&self, found: &mut Diagnostics) {
        if !self.knows("kind") {
            return;
        }
        match self.descriptor.kind {
            Kind::Service => self.service_kind(found),
            Kind::Worker => {
                self.without(
                    found,
                    "ports",
                    !self.descriptor.ports.is_empty(),
                    "a worker listens on nothing",
                );
                self.without(
                    found,
                    "domain",
                    self.descriptor.domain.is_some(),
                    "a worker listens on nothing",
                );
            }
            Kind::Job => {
                const RUNS: &str = "a job listens on nothing";
                self.without(found, "ports", !self.descriptor.ports.is_empty(), RUNS);
                self.without(found, "domain", self.descriptor.domain.is_some(), RUNS);
                self.without(
                    found,
                    "smoke",
                    self.descriptor.smoke.iter().any(|request| !request.is_url()),
                    RUNS,
                );
                let health = self.descriptor.healthcheck.is_some();
                self.without(
                    found,
                    "healthcheck",
                    health,
                    "a job is well when it ends with exit 0",
                );
                if self.descriptor.resources.replicas != 1 {
                    let span = self.value("resources.replicas");
                    let error = self.error(
                        "kind-mismatch",
                        "a job runs once, so it has one replica",
                        span,
                        "more or less than one",
                    );
                    found.push(error.help("remove `replicas`, or write `kind: worker`"));
                }
            }
        }
        self.without_port(found);
    }

    fn service_kind(&self, found: &mut Diagnostics) {
        let active = self.whole && self.descriptor.state == State::Active;
        if active && self.knows("ports") && self.descriptor.ports.is_empty() {
            let warning = self.warning(
                "no-ports",
                "a service without ports listens on nothing",
                self.key("kind"),
                "a service, unless `kind` says otherwise",
            );
            found.push(warning.help("add `ports`, or write `kind: worker`"));
        } else if active && self.knows("healthcheck") && self.descriptor.healthcheck.is_none() {
            let warning = self.warning(
                "no-healthcheck",
                "without `healthcheck` a new version counts as healthy as soon as it runs",
                self.key("ports"),
                "nothing asks these ports",
            );
            found.push(warning.help("add for example `healthcheck: {endpoints: [{http: /health}]}`"));
        }
    }

    fn without(&self, found: &mut Diagnostics, key: &str, present: bool, why: &str) {
        if present {
            let message = format!("{why}, so `{key}` may not stand here");
            let error = self.error("kind-mismatch", message, self.key(key), "may not stand here");
            let error = match self.node.get("kind") {
                Some(kind) => error.also(
                    self.source,
                    kind.span,
                    format!("because this is a {}", self.descriptor.kind),
                ),
                None => error,
            };
            found.push(error.help(format!("remove `{key}`, or write `kind: service`")));
        }
    }

    /// A worker can be asked by a command only.
    fn without_port(&self, found: &mut Diagnostics) {
        if self.descriptor.kind != Kind::Worker {
            return;
        }
        let endpoints = self
            .descriptor
            .healthcheck
            .iter()
            .flat_map(|check| &check.endpoints);
        for (index, endpoint) in endpoints.enumerate() {
            if !matches!(endpoint.ask, Ask::Exec { .. }) {
                let span = self.value(&format!("healthcheck.endpoints[{index}]"));
                let error = self.error(
                    "kind-mismatch",
                    "a worker listens on nothing that could be asked",
                    span,
                    "needs a port",
                );
                found.push(error.help("ask by a command in the instance: `{exec: [PROGRAM, ARGUMENT]}`, or write `kind: service`"));
            }
        }
    }
}
