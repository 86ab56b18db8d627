use pilotage_quantity::Duration;
use pilotage_yaml::Diagnostics;

use super::Rules;
use crate::normal::{Choice, asked_by_default};
use crate::{Ask, Healthcheck, Kind};

impl Rules<'_> {
    /// A health check can pass, asks ports that exist and runs as long as it says.
    pub(super) fn health(&self, found: &mut Diagnostics) {
        let Some(check) = &self.descriptor.healthcheck else {
            return;
        };
        self.endpoints(check, found);
        let mut positive = true;
        for (key, duration) in [
            ("timeout", check.timeout),
            ("interval", check.interval),
            ("try_timeout", check.try_timeout),
        ] {
            if duration == Duration::ZERO {
                positive = false;
                let span = self.value(&format!("healthcheck.{key}"));
                found.push(
                    self.error(
                        "too-small",
                        format!("`{key}` cannot be zero"),
                        span,
                        "no time at all",
                    )
                    .help("write for example `1s`"),
                );
            }
        }
        for (key, number) in [("threshold", Some(check.threshold)), ("retries", check.retries)] {
            if number == Some(0) {
                positive = false;
                let span = self.value(&format!("healthcheck.{key}"));
                found.push(
                    self.error("too-small", format!("`{key}` is at least 1"), span, "none at all")
                        .help(format!("write `{key}: 1`")),
                );
            }
        }
        if positive {
            self.times(check, found);
        }
    }

    fn times(&self, check: &Healthcheck, found: &mut Diagnostics) {
        let Healthcheck {
            timeout,
            interval,
            try_timeout,
            threshold,
            ..
        } = *check;
        // The default shrinks with the check.
        if try_timeout > timeout && self.node.at("healthcheck.try_timeout").is_some() {
            let message =
                format!("one try may take {try_timeout}, longer than the whole check with its {timeout}");
            let error = self.error(
                "try-timeout-too-long",
                message,
                self.value("healthcheck.try_timeout"),
                "longer than `timeout`",
            );
            found.push(
                self.beside(error, "healthcheck.timeout", "the whole check")
                    .help(format!("write `try_timeout: {timeout}` or less")),
            );
        }
        // Good answers in a row come an interval apart, the first of them at once.
        let needed = times(interval, threshold.saturating_sub(1));
        if needed > timeout {
            let message = format!(
                "{threshold} good answers, one every {interval}, take at least {needed}, longer than the {timeout} of the check"
            );
            let error = self.error(
                "threshold-out-of-reach",
                message,
                self.value("healthcheck.threshold"),
                "cannot be reached in time",
            );
            let error = self.beside(error, "healthcheck.timeout", "the whole check");
            found.push(error.help(format!(
                "write `timeout: {}` or more, or a smaller threshold",
                times(needed, 2)
            )));
        }
        if let Some(retries) = check.retries {
            let early = times(interval, retries);
            if early < timeout {
                let message = format!(
                    "`retries: {retries}` may end the check after {early}, before its timeout of {timeout}"
                );
                let warning = self.warning(
                    "ends-before-timeout",
                    message,
                    self.value("healthcheck.retries"),
                    "ends the check early",
                );
                let warning = self.beside(warning, "healthcheck.timeout", "this is not reached");
                found.push(warning.help("remove `retries`: `timeout` alone ends the check"));
            }
        }
    }

    /// Adds the place of a value, when it was written.
    fn beside(
        &self,
        diagnostic: pilotage_yaml::Diagnostic,
        path: &str,
        label: &str,
    ) -> pilotage_yaml::Diagnostic {
        match self.node.at(path) {
            Some(node) => diagnostic.also(self.source, node.span, label),
            None => diagnostic,
        }
    }

    fn endpoints(&self, check: &Healthcheck, found: &mut Diagnostics) {
        if check.endpoints.is_empty() {
            let error = self.error(
                "no-endpoints",
                "a health check asks at least one endpoint",
                self.key("healthcheck"),
                "nothing is asked",
            );
            found.push(error.help("add for example `endpoints: [{http: /health}]`"));
        }
        // A worker's or job's endpoints are told by the rules of its kind.
        if !self.knows("ports") || self.descriptor.kind != Kind::Service {
            return;
        }
        for (index, endpoint) in check.endpoints.iter().enumerate() {
            let path = format!("healthcheck.endpoints[{index}]");
            let (key, choice) = match endpoint.ask {
                Ask::Http { .. } => ("port", Choice::Http),
                Ask::Grpc { .. } => ("port", Choice::Grpc),
                Ask::Tcp => ("tcp", Choice::User),
                Ask::Exec { .. } => continue,
            };
            match &endpoint.port {
                Some(name) if self.descriptor.port(name).is_none() => {
                    found.push(self.unknown_port(name, &format!("{path}.{key}")));
                }
                None if asked_by_default(&self.descriptor.ports, choice).is_none() => {
                    found.push(self.which_port(&path, "this endpoint"));
                }
                Some(_) | None => {}
            }
        }
    }

    /// The error of something that asks a port, and does not say which.
    pub(super) fn which_port(&self, path: &str, what: &str) -> pilotage_yaml::Diagnostic {
        let names: Vec<&str> = self
            .descriptor
            .ports
            .iter()
            .map(|port| port.name.as_str())
            .collect();
        match names.as_slice() {
            [] => self
                .error(
                    "which-port",
                    format!("{what} asks a port, but there is none"),
                    self.value(path),
                    "asks a port",
                )
                .help("add it: `ports: [{name: http, port: 8080}]`"),
            [first, ..] => self
                .error(
                    "which-port",
                    format!("{what} does not say which port it asks"),
                    self.value(path),
                    "which port?",
                )
                .help(format!(
                    "add for example `port: {first}`; the ports are `{}`",
                    names.join("`, `")
                )),
        }
    }
}

fn times(duration: Duration, count: u32) -> Duration {
    Duration::from_millis(duration.as_millis().saturating_mul(u64::from(count)))
}
