//! A whole repository, read from its refs: configuration, every environment branch, ledger.

use pilotage_config::Config;
use pilotage_decision::fault::{of_git, other_config_branch};
use pilotage_decision::sight::{CONFIG_FILE, config_at};
use pilotage_decision::{Access, Desk, Error};
use pilotage_descriptor::FOLDER;
use pilotage_diagnostic::{Diagnostic, Source};
use pilotage_gitrepo::{Cache, File, Listing, Remote, Repository};
use pilotage_name::{CommitId, CommitPrefix, EnvironmentName};
use pilotage_outcome::Fault;
use pilotage_step::Context;

use super::findings::{Findings, LedgerTrust};
use super::folder::Folder;
use super::{gates, judge, ledger};
use crate::args::Check;

/// Refs under which forges keep the commits of pull requests, forks included.
const PULL_REQUESTS: [&str; 2] = ["refs/pull/", "refs/merge-requests/"];

/// Checks the repository that `--repo` names.
pub(super) fn examine(wish: &Check, cx: &Context) -> Result<Findings, Fault> {
    if wish.against.is_some() && wish.repository.commit.is_none() {
        return Err(Fault::usage("--against needs --commit")
            .help("`--commit ID` is the commit that the pull request brings"));
    }
    let mut access = Access::of(&wish.repository, &wish.config_branch, cx)?;
    // Nothing is written here, so nothing is to be signed.
    access.ledger_key = None;
    let remote = access.remote().map_err(of_git)?;
    let mut cache = Cache::open(&access.cache_dir, &remote).map_err(of_git)?;
    let listing = cache.fetch(&remote, &["refs/heads/"]).map_err(of_git)?.listing;
    let commit = match &wish.repository.commit {
        Some(commit) => Some(bring(&remote, &mut cache, commit)?),
        None => None,
    };

    let mut findings = Findings::default();
    let policy = configuration(&cache, &listing, &wish.config_branch, &mut findings)?;
    let config = policy.as_ref().map(|(_, config)| config);
    let places = places(&cache, &listing, wish, commit.as_ref(), config, &mut findings)?;
    let known = known(config);
    let today = cx.clock.now().to_zoned(jiff::tz::TimeZone::UTC).date();
    for place in &places {
        let folder = Folder::at(&cache, &place.commit, &place.called)?;
        findings.descriptors += folder.len();
        findings.environments.extend(place.environments.iter().cloned());
        let judged = judge(&folder, &known, &place.environments, config, today);
        findings.add(Some(&place.called), judged.problems);
    }

    let Some(config) = config else { return Ok(findings) };
    findings.ledger = Some(LedgerTrust::of(config));
    let needs_ledger = wish.against.is_some() || !config.ledger.keys.is_empty();
    if needs_ledger {
        let environments: Vec<EnvironmentName> = findings.environments.iter().cloned().collect();
        match Desk::open(access) {
            Ok(mut desk) => {
                findings.add(None, ledger::doubts(&mut desk, &environments));
                if let (Some(branch), Some(commit)) = (&wish.against, &commit) {
                    gates::with_ledger(&mut desk, branch, commit, cx.clock.now(), &mut findings)?;
                }
            }
            Err(error) => {
                let problem = format!("the ledger cannot be read: {error}");
                let help = "nothing is concluded from that; ask again, or check `ledger` in pilotage.yaml";
                findings.add(None, [Diagnostic::warning("no-ledger", problem).help(help)]);
                if let (Some(branch), Some(commit)) = (&wish.against, &commit) {
                    let clone = gates::Clone {
                        repository: &cache,
                        listing: &listing,
                        config,
                        config_branch: &wish.config_branch,
                    };
                    gates::without_ledger(&clone, branch, commit, cx.clock.now(), &mut findings)?;
                }
            }
        }
    }
    Ok(findings)
}

/// One folder of descriptors to be judged.
struct Place {
    /// How messages call it: its branch, or the commit.
    called: String,
    commit: CommitId,
    environments: Vec<EnvironmentName>,
}

/// Makes a commit readable that no branch may hold.
fn bring(remote: &Remote, cache: &mut Cache, commit: &CommitPrefix) -> Result<CommitId, Fault> {
    use pilotage_gitrepo::Error as Git;
    let here = |cache: &Cache| match cache.resolve(commit) {
        Ok(id) => Ok(Some(id).filter(|id| cache.has_commit(id))),
        Err(Git::NoSuchPrefix { .. }) => Ok(None),
        Err(error) => Err(of_git(error)),
    };
    if let Some(id) = here(cache)? {
        return Ok(id);
    }
    let listing = remote.list_or_empty(&PULL_REQUESTS).map_err(of_git)?;
    if !listing.refs.is_empty() {
        cache.fetch_listed(remote, &listing).map_err(of_git)?;
    }
    here(cache)?.ok_or_else(|| {
        Fault::unavailable(format!("no branch and no pull request holds the commit {commit}"))
            .help("push it first, `git push origin HEAD:refs/heads/NAME`")
    })
}

/// Reads pilotage.yaml, its problems going to the findings.
pub(super) fn configuration(
    repository: &Repository,
    listing: &Listing,
    branch: &str,
    findings: &mut Findings,
) -> Result<Option<(CommitId, Config)>, Fault> {
    let missing = |message: String| {
        let names = listing.refs.keys().filter_map(|name| name.branch_name());
        let others: Vec<String> = names.filter(|name| *name != branch).map(str::to_owned).collect();
        [Diagnostic::error("no-configuration", message).help(other_config_branch(branch, &others))]
    };
    let Some(commit) = listing.branch(branch) else {
        findings.add(
            None,
            missing(format!(
                "there is no branch `{branch}` to read pilotage.yaml from"
            )),
        );
        return Ok(None);
    };
    findings.configurations += 1;
    match config_at(repository, commit, branch) {
        Ok((config, source, warnings)) => {
            findings.add(None, warnings);
            findings.add(None, templates(repository, commit, &config, &source)?);
            Ok(Some((commit.clone(), config)))
        }
        Err(Error::Config { diagnostics }) => {
            findings.add(None, diagnostics);
            Ok(None)
        }
        Err(error @ Error::NoConfig { .. }) => {
            findings.add(None, missing(error.to_string()));
            Ok(None)
        }
        Err(error) => Err(error.into()),
    }
}

/// Templates that pilotage.yaml names and the config branch does not hold.
fn templates(
    repository: &Repository,
    commit: &CommitId,
    config: &Config,
    source: &Source,
) -> Result<Vec<Diagnostic>, Fault> {
    const LARGEST: u64 = 1024 * 1024;
    let mut found = Vec::new();
    for (event, path) in &config.templates {
        if matches!(repository.blob(commit, path, LARGEST), Ok(File::Blob(_))) {
            continue;
        }
        let (node, _) = pilotage_yaml::parse(source, &pilotage_config::LIMITS);
        let place = format!("templates.{event}");
        let span = node
            .as_ref()
            .and_then(|node| node.at(&place))
            .map_or(pilotage_diagnostic::Span::at(0), |node| node.span);
        let shown = pilotage_diagnostic::printable(path);
        found.push(
            Diagnostic::error(
                "missing-file",
                format!("{CONFIG_FILE} names a template `{shown}` that is not there"),
            )
            .at(source, span, "not found in the config branch")
            .help(format!(
                "commit `{shown}` to the config branch, or remove the line to use ours"
            )),
        );
    }
    Ok(found)
}

/// The names of all environments; none when the configuration does not say.
pub(super) fn known(config: Option<&Config>) -> Vec<EnvironmentName> {
    let environments = config
        .map(|config| config.environments.as_slice())
        .unwrap_or_default();
    environments.iter().map(|known| known.name.clone()).collect()
}

fn places(
    repository: &Repository,
    listing: &Listing,
    wish: &Check,
    commit: Option<&CommitId>,
    config: Option<&Config>,
    findings: &mut Findings,
) -> Result<Vec<Place>, Fault> {
    let Some(config) = config else {
        return guessed(repository, listing, wish);
    };
    let wanted = wanted(config, wish)?;
    if let Some(commit) = commit {
        return Ok(vec![Place {
            called: commit.short().to_owned(),
            commit: commit.clone(),
            environments: wanted.iter().map(|known| known.name.clone()).collect(),
        }]);
    }
    let mut places = Vec::new();
    for environment in wanted {
        let branch = &environment.branch;
        match listing.branch(branch) {
            Some(commit) => places.push(Place {
                called: branch.clone(),
                commit: commit.clone(),
                environments: vec![environment.name.clone()],
            }),
            None => findings.add(
                None,
                [Diagnostic::warning(
                    "no-branch",
                    format!("the branch `{branch}` of {} is not there", environment.name),
                )
                .help(format!(
                    "push it, or write another `branch:` for {} in {CONFIG_FILE}",
                    environment.name
                ))],
            ),
        }
    }
    Ok(places)
}

/// The environments that are asked for: one by `--env` or `--against`, else all.
pub(super) fn wanted<'a>(
    config: &'a Config,
    wish: &Check,
) -> Result<Vec<&'a pilotage_config::Environment>, Fault> {
    if let Some(name) = &wish.repository.environment {
        let found = config.environment(name).ok_or_else(|| Error::Environment {
            environment: name.clone(),
            known: known(Some(config)),
        });
        return Ok(vec![found?]);
    }
    if let Some(branch) = &wish.against {
        return Ok(vec![gates::environment_of(config, branch)?]);
    }
    Ok(config.environments.iter().collect())
}

/// While pilotage.yaml cannot be read, every branch with descriptors is taken for one of an environment.
fn guessed(repository: &Repository, listing: &Listing, wish: &Check) -> Result<Vec<Place>, Fault> {
    let mut places = Vec::new();
    for (name, commit) in &listing.refs {
        let Some(branch) = name.branch_name() else {
            continue;
        };
        let named = wish
            .repository
            .environment
            .as_ref()
            .is_none_or(|wanted| wanted.as_str() == branch);
        if named && repository.entry(commit, FOLDER).map_err(of_git)?.is_some() {
            places.push(Place {
                called: branch.to_owned(),
                commit: commit.clone(),
                environments: branch.parse().into_iter().collect(),
            });
        }
    }
    Ok(places)
}
