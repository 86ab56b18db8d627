use pilotage_diagnostic::Diagnostics;
use pilotage_gitrepo::Listing;
use pilotage_name::EnvironmentName;

/// Why no decision could be reached. A refusal is no error; see `pilotage_gate::Verdict`.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The repository could not be read or written.
    #[error(transparent)]
    Repository(#[from] pilotage_gitrepo::Error),
    /// The ledger could not be read or written.
    #[error(transparent)]
    Ledger(#[from] pilotage_ledger::LedgerError),
    /// The config branch is not there.
    #[error("the repository has no branch `{branch}` to read pilotage.yaml from")]
    NoConfigBranch {
        /// The branch that was asked for.
        branch: String,
        /// The branches there are.
        known: Vec<String>,
    },
    /// The config branch holds no pilotage.yaml.
    #[error("the branch `{branch}` holds no readable pilotage.yaml")]
    NoConfig {
        /// The branch that was read.
        branch: String,
    },
    /// pilotage.yaml has errors.
    #[error("pilotage.yaml has errors")]
    Config {
        /// Every problem, placed.
        diagnostics: Diagnostics,
    },
    /// pilotage.yaml names a message template that cannot be read.
    #[error("pilotage.yaml names the template `{path}`, which cannot be read")]
    Template {
        /// Its path in the config branch.
        path: String,
    },
    /// There is no such environment.
    #[error("pilotage.yaml knows no environment `{environment}`")]
    Environment {
        /// What was asked for.
        environment: EnvironmentName,
        /// What there is.
        known: Vec<EnvironmentName>,
    },
    /// The environment's branch is gone.
    #[error("the branch `{branch}` of {environment} is not there")]
    NoBranch {
        /// Whose branch.
        environment: EnvironmentName,
        /// Its name.
        branch: String,
    },
    /// pilotage.yaml names a ledger that cannot be addressed.
    #[error("the ledger's repository cannot be used: {0}")]
    LedgerUrl(pilotage_gitrepo::UrlError),
    /// A key of the ledger cannot be read.
    #[error("a key of the ledger cannot be used: {0}")]
    LedgerKey(pilotage_gitrepo::KeyError),
    /// This machine does not say which boot it is in, so no lease could be held.
    #[error("this machine cannot be identified: {0}")]
    Machine(std::io::Error),
    /// What was recorded of a decision cannot be written.
    #[error("a decision cannot be recorded: {0}")]
    Record(#[from] serde_json::Error),
}

impl Error {
    /// The config branch is not among the branches that are listed.
    pub(crate) fn no_config_branch(branch: &str, listing: &Listing) -> Self {
        let names = listing.refs.keys().filter_map(|name| name.branch_name());
        Self::NoConfigBranch {
            branch: branch.to_owned(),
            known: names.map(str::to_owned).collect(),
        }
    }
}
