use pilotage_quantity::Duration;
use pilotage_yaml::Diagnostics;

use super::Rules;

/// A suite that fails so often fails.
const MOST_RETRIES: u32 = 10;

impl Rules<'_> {
    /// The regression suite.
    pub(super) fn regression(&self, found: &mut Diagnostics) {
        let Some(suite) = &self.descriptor.regression else {
            return;
        };
        if self.whole && suite.image.is_none() && suite.command.first().is_none_or(String::is_empty) {
            let error = self.error(
                "missing-key",
                "a suite needs an `image` or a `command`",
                self.key("regression"),
                "nothing to run",
            );
            found.push(
                error.help(
                    "write `image: …`, or `command: [PROGRAM, …]` where the environment grants commands",
                ),
            );
        }
        for (key, zero) in [
            ("timeout", suite.timeout == Duration::ZERO),
            ("idle", suite.idle == Some(Duration::ZERO)),
        ] {
            if zero {
                let span = self.value(&format!("regression.{key}"));
                found.push(
                    self.error(
                        "too-small",
                        format!("`{key}` cannot be zero"),
                        span,
                        "no time at all",
                    )
                    .help("write for example `20m`"),
                );
            }
        }
        if suite.retries > MOST_RETRIES {
            let span = self.value("regression.retries");
            let error = self.error(
                "too-large",
                format!("at most {MOST_RETRIES} retries of a suite"),
                span,
                "too many",
            );
            found.push(error.help("mend the suite, or quarantine the tests that are known to fail"));
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
