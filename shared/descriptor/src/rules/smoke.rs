use pilotage_quantity::Duration;
use pilotage_yaml::Diagnostics;

use super::Rules;
use crate::Kind;
use crate::normal::{Choice, asked_by_default};

impl Rules<'_> {
    /// Smoke requests and the regression suite.
    pub(super) fn smoke(&self, found: &mut Diagnostics) {
        for (index, request) in self.descriptor.smoke.iter().enumerate() {
            let path = format!("smoke[{index}]");
            let label = request.label();
            let earlier = self.descriptor.smoke[..index]
                .iter()
                .position(|other| request.name.is_some() && other.label() == label);
            if let Some(other) = earlier {
                let message = format!(
                    "two smoke requests have the name `{}`",
                    pilotage_diagnostic::printable(&label)
                );
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
        }
        if let Some(suite) = &self.descriptor.regression {
            if suite.timeout == Duration::ZERO {
                let span = self.value("regression.timeout");
                found.push(
                    self.error("too-small", "`timeout` cannot be zero", span, "no time at all")
                        .help("write for example `20m`"),
                );
            }
            for (index, glob) in suite.reports.iter().enumerate() {
                if let Some(reason) = crate::file::unclean_relative(glob) {
                    let span = self.value(&format!("regression.reports[{index}]"));
                    let error = self.error("unclean-path", reason, span, "not below the suite's folder");
                    found.push(
                        error.help("write a path below the suite's working folder, such as `out/**/*.xml`"),
                    );
                }
            }
        }
    }
}
