//! Files and folders of a working tree, checked against the config branch of the repository they lie in.

use std::collections::BTreeMap;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use pilotage_config::Config;
use pilotage_decision::descriptors::{self, LARGEST_DESCRIPTOR, LARGEST_FILE};
use pilotage_decision::fault::of_git;
use pilotage_decision::sight::CONFIG_FILE;
use pilotage_descriptor::{FOLDER, Source};
use pilotage_diagnostic::{Diagnostic, Span, printable};
use pilotage_gitrepo::{EntryKind, Listing, RefName, Repository};
use pilotage_name::{CommitId, EnvironmentName};
use pilotage_outcome::Fault;
use pilotage_step::Context;

use super::findings::Findings;
use super::folder::{Entry, Folder};
use super::{gates, judge, repository};
use crate::args::Check;

/// The largest pilotage.yaml, in bytes.
const LARGEST_CONFIG: u64 = 1024 * 1024;

/// Checks the paths that were named, or this folder.
pub(super) fn examine(wish: &Check, cx: &Context) -> Result<Findings, Fault> {
    let here = [PathBuf::from(".")];
    let paths = match wish.paths.as_slice() {
        [] => here.as_slice(),
        paths => paths,
    };
    let mut findings = Findings::default();
    let checkout = Checkout::around(
        paths.first().map_or(Path::new("."), PathBuf::as_path),
        &wish.config_branch,
    )?;
    let config = policy(wish, checkout.as_ref(), &mut findings)?;
    let config = config.as_ref();

    let environments = environments(wish, checkout.as_ref(), config)?;
    if config.is_some() {
        findings.environments.extend(environments.iter().cloned());
    }
    for path in paths {
        let found = Found::at(path)?;
        for file in &found.configurations {
            findings.configurations += 1;
            // What policy says of itself; the policy that holds is that of the config branch.
            match source(file, LARGEST_CONFIG)? {
                Ok(source) => findings.add(None, pilotage_config::parse(&source).1),
                Err(problem) => findings.add(None, [*problem]),
            }
        }
        if let Some(folder) = found.folder {
            findings.descriptors += folder.len();
            let today = cx.clock.now().to_zoned(jiff::tz::TimeZone::UTC).date();
            let judged = judge(&folder, &repository::known(config), &environments, config, today);
            findings.add(None, judged.problems);
        }
    }
    if let Some(branch) = &wish.against {
        let (Some(checkout), Some(config)) = (&checkout, config) else {
            return Err(
                Fault::usage("--against needs a git checkout with the config branch in it")
                    .help("`git fetch origin main` brings the config branch"),
            );
        };
        let commit = match (&wish.repository.commit, &checkout.head) {
            (Some(commit), _) => checkout.repository.resolve(commit).map_err(of_git)?,
            (None, Some((_, commit))) => commit.clone(),
            (None, None) => return Err(Fault::usage("--against: nothing was committed here yet")),
        };
        let clone = gates::Clone {
            repository: &checkout.repository,
            listing: &checkout.listing,
            config,
            config_branch: &wish.config_branch,
        };
        gates::without_ledger(&clone, branch, &commit, cx.clock.now(), &mut findings)?;
    }
    Ok(findings)
}

/// The git checkout that something lies in.
struct Checkout {
    repository: Repository,
    /// Branches as the remote has them, as far as they were fetched; else those of the checkout itself.
    listing: Listing,
    head: Option<(Option<RefName>, CommitId)>,
}

impl Checkout {
    fn around(path: &Path, config_branch: &str) -> Result<Option<Self>, Fault> {
        let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
        let repository = match Repository::discover(&absolute) {
            Ok(repository) => repository,
            Err(pilotage_gitrepo::Error::NoRepository { .. }) => return Ok(None),
            Err(error) => return Err(of_git(error)),
        };
        const REMOTE: &str = "refs/remotes/origin/";
        let mut listing = repository.refs(&["refs/heads/"]).map_err(of_git)?;
        let remote = repository.refs(&[REMOTE]).map_err(of_git)?;
        for (name, commit) in remote.refs {
            // What was pushed counts; the own branch of that name may be anything.
            let branch = name.as_str().strip_prefix(REMOTE).unwrap_or_default();
            if let Ok(name) = RefName::branch(branch) {
                listing.refs.insert(name, commit);
            }
        }
        let head = repository.head().map_err(of_git)?;
        tracing::debug!(
            config_branch,
            here = listing.branch(config_branch).is_some(),
            "a git checkout"
        );
        Ok(Some(Self {
            repository,
            listing,
            head,
        }))
    }

    fn branch(&self) -> Option<&str> {
        self.head.as_ref()?.0.as_ref()?.branch_name()
    }
}

/// The policy: what `--config` names, else what stands in the config branch. Never what was pushed beside the
/// descriptors.
fn policy(
    wish: &Check,
    checkout: Option<&Checkout>,
    findings: &mut Findings,
) -> Result<Option<Config>, Fault> {
    if let Some(path) = &wish.config {
        let source = match source(path, LARGEST_CONFIG)? {
            Ok(source) => source,
            Err(problem) => {
                findings.add(None, [*problem]);
                return Ok(None);
            }
        };
        let (config, problems) = pilotage_config::parse(&source);
        findings.add(None, problems);
        return Ok(config);
    }
    let branch = &wish.config_branch;
    match checkout {
        Some(checkout) if checkout.listing.branch(branch).is_some() => {
            let mut its_own = Findings::default();
            let policy =
                repository::configuration(&checkout.repository, &checkout.listing, branch, &mut its_own)?;
            // Whoever changes a descriptor can do nothing about what is only worth a word in the policy.
            findings.add(
                None,
                its_own.diagnostics().into_iter().filter(Diagnostic::is_error),
            );
            Ok(policy.map(|(_, config)| config))
        }
        Some(_) => {
            findings.notes.push(format!(
                "the config branch `{branch}` was not fetched, so environments and rules are not known: `git fetch origin {branch}`, or --config FILE"
            ));
            Ok(None)
        }
        None => {
            findings.notes.push(
                "this is no git checkout, so environments and rules are not known: --config FILE names a pilotage.yaml"
                    .to_owned(),
            );
            Ok(None)
        }
    }
}

/// The environments whose rules are asked: by flag, else that of the branch that is checked out, else all.
fn environments(
    wish: &Check,
    checkout: Option<&Checkout>,
    config: Option<&Config>,
) -> Result<Vec<EnvironmentName>, Fault> {
    let Some(config) = config else {
        return Ok(wish.repository.environment.iter().cloned().collect());
    };
    if wish.repository.environment.is_none()
        && wish.against.is_none()
        && let Some(branch) = checkout.and_then(Checkout::branch)
        && let Some(environment) = config.environments.iter().find(|known| known.branch == branch)
    {
        return Ok(vec![environment.name.clone()]);
    }
    let wanted = repository::wanted(config, wish)?;
    Ok(wanted.into_iter().map(|known| known.name.clone()).collect())
}

/// What stands at a path.
#[derive(Default)]
struct Found {
    configurations: Vec<PathBuf>,
    folder: Option<Folder>,
}

impl Found {
    fn at(path: &Path) -> Result<Self, Fault> {
        let kind = kind(path)?;
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if kind != EntryKind::Directory {
            if name == CONFIG_FILE {
                return Ok(Self {
                    configurations: vec![path.to_owned()],
                    folder: None,
                });
            }
            let called = path.parent().unwrap_or(Path::new(""));
            let root = called.parent().unwrap_or(Path::new(""));
            let mut folder = Folder::default();
            take(&mut folder, called, &name, kind)?;
            with_files(&mut folder, root)?;
            return Ok(Self {
                configurations: Vec::new(),
                folder: Some(folder),
            });
        }
        // A folder of descriptors itself, or one that has it.
        let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
        let is_it = absolute.file_name().is_some_and(|name| name == FOLDER);
        let (root, services) = match is_it {
            true => (absolute.parent().unwrap_or(&absolute).to_owned(), path.to_owned()),
            false => (path.to_owned(), plain_join(path, FOLDER)),
        };
        let config = plain_join(path, CONFIG_FILE);
        let found = Self {
            configurations: config.is_file().then_some(config).into_iter().collect(),
            folder: match services.is_dir() {
                true => Some(read_folder(&services, &root)?),
                false => None,
            },
        };
        if found.configurations.is_empty() && found.folder.is_none() {
            let shown = printable(&path.to_string_lossy());
            return Err(Fault::usage(format!("there is nothing to check in `{shown}`"))
                .help("an environment branch holds `services/<service>.yaml`, the config branch `pilotage.yaml`")
                .help("`--repo URL` checks a whole repository"));
        }
        Ok(found)
    }
}

/// `services/shop.yaml` reads better than `./services/shop.yaml`.
fn plain_join(folder: &Path, name: &str) -> PathBuf {
    match folder == Path::new(".") {
        true => PathBuf::from(name),
        false => folder.join(name),
    }
}

fn read_folder(services: &Path, root: &Path) -> Result<Folder, Fault> {
    let mut names = BTreeMap::new();
    for entry in std::fs::read_dir(services).map_err(|error| unreadable(services, error))? {
        let entry = entry.map_err(|error| unreadable(services, error))?;
        let name = entry.file_name().to_string_lossy().into_owned();
        names.insert(name, kind(&entry.path())?);
    }
    let mut folder = Folder::default();
    for (name, kind) in names {
        take(&mut folder, services, &name, kind)?;
    }
    with_quarantine(&mut folder, root)?;
    with_files(&mut folder, root)?;
    Ok(folder)
}

/// Reads the lists of tests that are known to fail.
fn with_quarantine(folder: &mut Folder, root: &Path) -> Result<(), Fault> {
    let lists = plain_join(root, pilotage_quarantine::FOLDER);
    let Ok(entries) = std::fs::read_dir(&lists) else {
        return Ok(());
    };
    let mut names = BTreeMap::new();
    for entry in entries {
        let entry = entry.map_err(|error| unreadable(&lists, error))?;
        names.insert(
            entry.file_name().to_string_lossy().into_owned(),
            kind(&entry.path())?,
        );
    }
    for (name, kind) in names {
        let found = match descriptors::name(&lists.to_string_lossy(), &name, false, kind) {
            None => continue,
            Some(Err(problem)) => Entry::Refused(problem),
            Some(Ok(service)) => match source(&lists.join(&name), pilotage_quarantine::LARGEST)? {
                Ok(source) => Entry::OfService(service, source),
                Err(problem) => Entry::Refused(problem),
            },
        };
        folder.quarantine.push(found);
    }
    Ok(())
}

fn take(folder: &mut Folder, called: &Path, name: &str, kind: EntryKind) -> Result<(), Fault> {
    let path = called.join(name);
    let place = called.to_string_lossy();
    match descriptors::name(if place.is_empty() { "." } else { &place }, name, false, kind) {
        None => {}
        Some(Err(problem)) => folder.entries.push(Entry::Refused(problem)),
        Some(Ok(service)) => folder.entries.push(match source(&path, LARGEST_DESCRIPTOR)? {
            Ok(source) => Entry::OfService(service, source),
            Err(problem) => Entry::Refused(problem),
        }),
    }
    Ok(())
}

/// Reads the files that descriptors take content from. A symlink is none: it would not be one in the branch either.
fn with_files(folder: &mut Folder, root: &Path) -> Result<(), Fault> {
    for path in folder.wanted() {
        let file = root.join(&path);
        let regular = std::fs::symlink_metadata(&file)
            .is_ok_and(|found| found.is_file() && found.len() <= LARGEST_FILE);
        if regular && let Ok(text) = std::fs::read_to_string(&file) {
            folder.files.insert(path, text);
        }
    }
    Ok(())
}

fn kind(path: &Path) -> Result<EntryKind, Fault> {
    let found = std::fs::symlink_metadata(path).map_err(|error| unreadable(path, error))?;
    let kind = found.file_type();
    Ok(match (kind.is_symlink(), kind.is_dir(), kind.is_file()) {
        (true, _, _) => EntryKind::Symlink,
        (_, true, _) => EntryKind::Directory,
        (_, _, true) => EntryKind::File,
        _ => EntryKind::Unknown,
    })
}

/// Reads a file, at most so much of it.
fn source(path: &Path, most: u64) -> Result<Result<Source, Box<Diagnostic>>, Fault> {
    let name = path.to_string_lossy();
    let file = std::fs::File::open(path).map_err(|error| unreadable(path, error))?;
    let mut bytes = Vec::new();
    file.take(most + 1)
        .read_to_end(&mut bytes)
        .map_err(|error| unreadable(path, error))?;
    if bytes.len() as u64 > most {
        let source = Source::new(name, "");
        let problem = Diagnostic::error(
            "too-large",
            format!("it is larger than {most} bytes, which is the most that is read"),
        );
        return Ok(Err(Box::new(
            problem
                .at(&source, Span::at(0), "")
                .help("move long contents to files and name them under `files:`"),
        )));
    }
    Ok(pilotage_yaml::source_from_bytes(name, &bytes))
}

fn unreadable(path: &Path, error: std::io::Error) -> Fault {
    let shown = printable(&path.to_string_lossy());
    Fault::usage(format!("`{shown}` cannot be read")).caused_by(error)
}
