//! What an error here means for the step it ends.

use pilotage_outcome::{Class, Fault};

use crate::error::Error;

impl From<Error> for Fault {
    fn from(error: Error) -> Self {
        match error {
            Error::Repository(error) => of_git(error),
            Error::Ledger(error) => of_ledger(error),
            Error::Config { diagnostics } => {
                let mut fault = Self::from(diagnostics);
                fault.message = "pilotage.yaml of the config branch has errors".to_owned();
                fault
            }
            Error::NoConfigBranch {
                ref branch,
                ref known,
            } => Self::invalid(error.to_string()).help(other_config_branch(branch, known)),
            Error::NoConfig { .. } => Self::invalid(error.to_string()).help(NO_CONFIG),
            Error::Environment {
                ref environment,
                ref known,
            } => {
                let names: Vec<&str> = known.iter().map(pilotage_name::EnvironmentName::as_str).collect();
                let help = match pilotage_diagnostic::nearest(environment.as_str(), names.iter().copied()) {
                    Some(near) => format!("did you mean `{near}`?"),
                    None => format!("it knows {}", names.join(", ")),
                };
                Self::usage(error.to_string()).help(help)
            }
            Error::Template { .. } => Self::invalid(error.to_string())
                .help("commit it to the config branch, as a text of at most 64 KiB"),
            Error::NoBranch { .. } | Error::Machine(_) => Self::unavailable(error.to_string()),
            Error::LedgerUrl(_) | Error::LedgerKey(_) => Self::invalid(error.to_string()),
            Error::Record(_) => Self::internal(error.to_string()).caused_by(error),
        }
    }
}

const NO_CONFIG: &str =
    "`pilotage init` makes an environment repository that works; `--config-branch` names another branch";

/// What is to be said where things are told by the pilotage.yaml of an earlier commit, whose short id is `by`.
#[must_use]
pub fn unreadable_policy(wrong: &Error, by: &str) -> String {
    let places = match wrong {
        Error::Config { diagnostics } => {
            let errors = diagnostics.iter().filter(|problem| problem.is_error());
            errors.map(|problem| problem.line()).collect()
        }
        _ => Vec::new(),
    };
    let mut said = format!("{wrong}, so nothing is decided or released; this is told by that of {by}");
    for place in places.iter().take(MOST_PLACES) {
        said.push_str(&format!("\n{place}"));
    }
    if let Some(more) = places.len().checked_sub(MOST_PLACES).filter(|more| *more > 0) {
        said.push_str(&format!("\nand {more} more"));
    }
    said
}

/// So many errors of pilotage.yaml are told beside something else.
const MOST_PLACES: usize = 3;

/// So many branches are named to somebody who asked for one that is not there.
const MOST_NAMED: usize = 20;

/// What somebody may have meant by a config branch that is not there.
#[must_use]
pub fn other_config_branch(branch: &str, known: &[String]) -> String {
    let shown = |name: &str| pilotage_diagnostic::printable(name);
    match pilotage_diagnostic::nearest(branch, known.iter().map(String::as_str)) {
        Some(near) => format!("did you mean `--config-branch {}`?", shown(near)),
        None if known.is_empty() => NO_CONFIG.to_owned(),
        None => {
            let some: Vec<String> = known.iter().take(MOST_NAMED).map(|name| shown(name)).collect();
            format!(
                "`--config-branch` names the one that holds it; there are {}",
                some.join(", ")
            )
        }
    }
}

/// The fault behind an error of a repository.
#[must_use]
pub fn of_git(error: pilotage_gitrepo::Error) -> Fault {
    use pilotage_gitrepo::Class as Git;
    let class = match error.class() {
        Git::Usage => Class::Usage,
        Git::Refused => Class::Refused,
        Git::Deadline
        | Git::Auth
        | Git::NotFound
        | Git::Unavailable
        | Git::Corrupt
        | Git::Shallow
        | Git::Local => Class::Unavailable,
    };
    let fault = Fault::new(class, error.to_string());
    match error.help() {
        Some(help) => fault.help(help),
        None => fault,
    }
    .caused_by(error)
}

/// The fault behind an error of the ledger.
#[must_use]
pub fn of_ledger(error: pilotage_ledger::LedgerError) -> Fault {
    use pilotage_ledger::LedgerError as L;
    let help = error.help();
    let fault = match error {
        L::Git(error) => return of_git(error),
        L::Refused { .. } | L::Unbelieved { .. } | L::OtherProject { .. } => {
            Fault::refused(error.to_string())
        }
        L::Event(_) | L::Record(_) | L::Twice { .. } => Fault::internal(error.to_string()),
        L::Chain(_) | L::Unsettled { .. } | L::Contended { .. } => Fault::unavailable(error.to_string()),
    };
    match help {
        Some(help) => fault.help(help),
        None => fault,
    }
}
