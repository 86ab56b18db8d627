//! The environment repository as one listing shows it: policy of the config branch and the tips of the environments.

use std::collections::BTreeMap;

use pilotage_config::Config;
use pilotage_diagnostic::{Diagnostic, Diagnostics, Source};
use pilotage_gitrepo::{Cache, File, Listing, Remote, Repository};
use pilotage_name::{CommitId, EnvironmentName};

use crate::error::Error;

/// The file that holds policy, at the root of the config branch.
pub const CONFIG_FILE: &str = "pilotage.yaml";

/// So many commits of the config branch are looked through for a pilotage.yaml that can be read.
const MOST_SEARCHED: usize = 1000;

/// The largest pilotage.yaml, in bytes.
const LARGEST_CONFIG: u64 = 1024 * 1024;

/// Policy and tips at one moment.
#[derive(Clone, Debug)]
pub struct Sight {
    /// The commit of the config branch.
    pub config_commit: CommitId,
    /// Its pilotage.yaml.
    pub config: Config,
    /// The text of pilotage.yaml.
    pub config_source: Source,
    /// What is worth a word in pilotage.yaml though it is no error.
    pub warnings: Diagnostics,
    /// The tip of each environment whose branch is there.
    pub tips: BTreeMap<EnvironmentName, CommitId>,
}

impl Sight {
    /// The names of all environments, in the order of pilotage.yaml.
    #[must_use]
    pub fn environments(&self) -> Vec<EnvironmentName> {
        self.config
            .environments
            .iter()
            .map(|environment| environment.name.clone())
            .collect()
    }

    /// The tip of an environment.
    ///
    /// # Errors
    /// pilotage.yaml has no such environment, or its branch is gone.
    pub fn tip(&self, environment: &EnvironmentName) -> Result<&CommitId, Error> {
        let Some(known) = self.config.environment(environment) else {
            return Err(Error::Environment {
                environment: environment.clone(),
                known: self.environments(),
            });
        };
        self.tips.get(environment).ok_or_else(|| Error::NoBranch {
            environment: environment.clone(),
            branch: known.branch.clone(),
        })
    }

    /// The ref patterns that one listing needs to see whether anything here moved.
    #[must_use]
    pub fn patterns(&self, config_branch: &str) -> Vec<String> {
        let branches = self
            .config
            .environments
            .iter()
            .map(|environment| environment.branch.as_str());
        let mut patterns: Vec<String> = std::iter::once(config_branch)
            .chain(branches)
            .map(|branch| format!("refs/heads/{branch}"))
            .collect();
        patterns.sort();
        patterns.dedup();
        patterns
    }
}

/// Looks at the repository: lists, fetches what moved, reads policy. `before` is an earlier sight whose branches are
/// asked for at once, so that a look costs one listing as long as pilotage.yaml names the same branches.
///
/// # Errors
/// The remote or the cache cannot be read, or pilotage.yaml is missing or has errors.
pub fn look(
    remote: &Remote,
    cache: &mut Cache,
    config_branch: &str,
    before: Option<&Sight>,
) -> Result<Sight, Error> {
    let patterns = match before {
        Some(before) => before.patterns(config_branch),
        None => vec![format!("refs/heads/{config_branch}")],
    };
    let patterns: Vec<&str> = patterns.iter().map(String::as_str).collect();
    let listing = match remote.list(&patterns) {
        // Whoever looks for the first time may have named another branch than they meant.
        Err(empty @ pilotage_gitrepo::Error::EmptyListing { .. }) if before.is_none() => {
            let all = remote.list_or_empty(&["refs/heads/"])?;
            return Err(match all.refs.is_empty() {
                true => empty.into(),
                false => Error::no_config_branch(config_branch, &all),
            });
        }
        listing => listing?,
    };
    look_listed(remote, cache, config_branch, &listing)
}

/// As [`look`], for a listing that was made before: no request where nothing moved. It may hold more than is needed
/// here.
///
/// # Errors
/// As [`look`].
pub fn look_listed(
    remote: &Remote,
    cache: &mut Cache,
    config_branch: &str,
    listing: &Listing,
) -> Result<Sight, Error> {
    let mut listing = cache.fetch_listed(remote, listing)?.listing;
    loop {
        let sight = read(cache, &listing, config_branch)?;
        let wanted = sight.patterns(config_branch);
        let listed = |wanted: &String| listing.patterns.iter().any(|known| known.as_str() == wanted);
        if wanted.iter().all(listed) {
            return Ok(sight);
        }
        let wanted: Vec<&str> = wanted.iter().map(String::as_str).collect();
        listing = cache.fetch(remote, &wanted)?.listing;
    }
}

/// As [`look`], for somebody who only wants to know how things stand: while pilotage.yaml cannot be read, the newest one of
/// the config branch that can is taken, and what is wrong is said beside it.
///
/// # Errors
/// The remote or the cache cannot be read, or the config branch never held a pilotage.yaml that can be read.
pub fn look_past(
    remote: &Remote,
    cache: &mut Cache,
    config_branch: &str,
) -> Result<(Sight, Option<Error>), Error> {
    let wrong = match look(remote, cache, config_branch, None) {
        Ok(sight) => return Ok((sight, None)),
        Err(wrong @ (Error::Config { .. } | Error::NoConfig { .. })) => wrong,
        Err(error) => return Err(error),
    };
    let listing = cache
        .fetch(remote, &[&format!("refs/heads/{config_branch}")])?
        .listing;
    let Some(tip) = listing.branch(config_branch) else {
        return Err(wrong);
    };
    let mut before = cache.entry(tip, CONFIG_FILE)?;
    for commit in cache.first_parent_range(None, tip)?.iter().take(MOST_SEARCHED) {
        let there = cache.entry(commit, CONFIG_FILE)?;
        if there == before || there.is_none() {
            continue;
        }
        before = there;
        match read_at(cache, &listing, commit.clone(), config_branch) {
            Ok(sight) => {
                let patterns = sight.patterns(config_branch);
                let patterns: Vec<&str> = patterns.iter().map(String::as_str).collect();
                let listing = cache.fetch(remote, &patterns)?.listing;
                return Ok((
                    read_at(cache, &listing, commit.clone(), config_branch)?,
                    Some(wrong),
                ));
            }
            Err(Error::Config { .. } | Error::NoConfig { .. }) => {}
            Err(error) => return Err(error),
        }
    }
    Err(wrong)
}

/// Reads policy and tips from refs that are in the repository already; for a working copy or a cache.
///
/// # Errors
/// pilotage.yaml is missing or has errors.
pub fn read(repository: &Repository, listing: &Listing, config_branch: &str) -> Result<Sight, Error> {
    let config_commit = listing
        .branch(config_branch)
        .cloned()
        .ok_or_else(|| Error::no_config_branch(config_branch, listing))?;
    read_at(repository, listing, config_commit, config_branch)
}

fn read_at(
    repository: &Repository,
    listing: &Listing,
    config_commit: CommitId,
    config_branch: &str,
) -> Result<Sight, Error> {
    let (config, config_source, warnings) = config_at(repository, &config_commit, config_branch)?;
    let tips = config
        .environments
        .iter()
        .filter_map(|environment| {
            Some((
                environment.name.clone(),
                listing.branch(&environment.branch)?.clone(),
            ))
        })
        .collect();
    Ok(Sight {
        config_commit,
        config,
        config_source,
        warnings,
        tips,
    })
}

/// Reads pilotage.yaml at a commit.
///
/// # Errors
/// It is missing or has errors.
pub fn config_at(
    repository: &Repository,
    commit: &CommitId,
    branch: &str,
) -> Result<(Config, Source, Diagnostics), Error> {
    let failed = |diagnostic: Diagnostic| {
        let mut diagnostics = Diagnostics::default();
        diagnostics.push(diagnostic);
        Error::Config { diagnostics }
    };
    let blob = match repository.blob(commit, CONFIG_FILE, LARGEST_CONFIG)? {
        File::Blob(blob) => blob,
        File::TooLarge { size, most } => {
            let message = format!("pilotage.yaml has {size} bytes, at most {most} are read");
            return Err(failed(Diagnostic::error("too-large", message)));
        }
        File::Missing | File::NotRegular(_) => {
            return Err(Error::NoConfig {
                branch: branch.to_owned(),
            });
        }
    };
    let source =
        pilotage_yaml::source_from_bytes(CONFIG_FILE, &blob.bytes).map_err(|error| failed(*error))?;
    let (config, diagnostics) = pilotage_config::parse(&source);
    match config {
        Some(config) if !diagnostics.has_errors() => Ok((config, source, diagnostics)),
        _ => Err(Error::Config { diagnostics }),
    }
}
