//! What is wrong with a folder of descriptors: each on its own, and together in each environment. Pure.

use jiff::civil::Date;
use pilotage_config::Config;
use pilotage_descriptor::{Descriptor, parse};
use pilotage_diagnostic::{Diagnostic, Source};
use pilotage_name::{EnvironmentName, ServiceName};

use super::folder::{Entry, Folder};

/// What came out.
#[derive(Clone, Debug, Default)]
pub struct Judged {
    /// Every problem.
    pub problems: Vec<Diagnostic>,
}

/// Judges a folder. `known` are the environments that exist, none when that is not known; `wanted` are those whose rules
/// are asked, on `today`. A file that is broken stops no other.
#[must_use]
pub fn judge(
    folder: &Folder,
    known: &[EnvironmentName],
    wanted: &[EnvironmentName],
    config: Option<&Config>,
    today: Date,
) -> Judged {
    let mut judged = Judged::default();
    for entry in &folder.quarantine {
        match entry {
            Entry::Refused(problem) => judged.problems.push((**problem).clone()),
            Entry::OfService(_, source) => judged.problems.extend(pilotage_quarantine::check(source, today)),
        }
    }
    let mut good = Vec::new();
    for entry in &folder.entries {
        match entry {
            Entry::Refused(problem) => judged.problems.push((**problem).clone()),
            Entry::OfService(service, source) => {
                let parsed = parse(source).for_service(service);
                let problems = parsed.check(known);
                if !problems.has_errors() {
                    good.push((service, source, parsed));
                }
                judged.problems.extend(problems);
            }
        }
    }
    for environment in wanted {
        let mut resolved: Vec<(ServiceName, Source, Descriptor)> = Vec::with_capacity(good.len());
        for (service, source, parsed) in &good {
            match parsed.resolve_with(environment, |path| folder.files.get(path).cloned()) {
                Ok(descriptor) => resolved.push(((*service).clone(), (*source).clone(), descriptor)),
                Err(problems) => judged.take(problems.into_iter().filter(Diagnostic::is_error)),
            }
        }
        if let Some(config) = config {
            judged.take(config.cross_check(environment, &resolved));
        }
    }
    judged
}

impl Judged {
    /// Several environments may have the same problem.
    fn take(&mut self, problems: impl IntoIterator<Item = Diagnostic>) {
        for problem in problems {
            if !self.problems.contains(&problem) {
                self.problems.push(problem);
            }
        }
    }
}
