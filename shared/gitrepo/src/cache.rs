use std::io::ErrorKind;
use std::ops::Deref;
use std::path::{Path, PathBuf};

use git2::{ErrorCode, ObjectType, Oid};
use pilotage_name::CommitId;
use tokio::time::Instant;

use crate::compact::compact;
use crate::lock::{FileLock, sweep};
use crate::operation::Operation;
use crate::remote::Reach;
use crate::seed::seed;
use crate::{Class, Error, Limits, Listing, RefName, RefPattern, Remote, Repository, fetch, machine};

/// A ref that stands elsewhere than at the last fetch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Moved {
    /// The ref.
    pub name: RefName,
    /// Where it was in the cache; `None`: it is new.
    pub old: Option<CommitId>,
    /// Where it is.
    pub new: CommitId,
}

/// A ref that the remote no longer has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Vanished {
    /// The ref.
    pub name: RefName,
    /// Where it was in the cache. The commit stays readable until the cache is built anew.
    pub old: CommitId,
}

/// What a fetch found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fetched {
    /// The refs as they are in the cache now, all of which can be read.
    pub listing: Listing,
    /// Those that moved or are new.
    pub moved: Vec<Moved>,
    /// Those that are gone.
    pub vanished: Vec<Vanished>,
}

/// A bare copy of a remote on this machine, with the remote's own ref names. It can be deleted at any time and is built
/// anew; several processes may share it. Objects once fetched stay, also when a ref was rewritten or deleted.
#[derive(Debug)]
pub struct Cache {
    repository: Repository,
    directory: PathBuf,
    limits: Limits,
}

impl Deref for Cache {
    type Target = Repository;

    fn deref(&self) -> &Repository {
        &self.repository
    }
}

/// The file that tells a cache from any other repository, and its first line.
const MARKER: &str = "pilotage-cache";
const FORMAT: &str = "1";

impl Cache {
    /// Opens the cache of `remote` below `root` (one directory per address), making it when there is none and making it
    /// anew when it is damaged or belongs to another address. Nothing is fetched yet.
    pub fn open(root: &Path, remote: &Remote) -> Result<Self, Error> {
        machine::prepare();
        let address = address(remote);
        let directory = root.join(directory_name(&address));
        std::fs::create_dir_all(root).map_err(|source| disk(root, source))?;
        let limits = remote.limits();
        let _lock = FileLock::take(&lock_path(&directory), limits.operation)?;
        let marker = format!("{FORMAT}\n{address}\n");
        let repository = match usable(&directory, &marker) {
            Some(repository) => {
                for path in sweep(&directory) {
                    tracing::info!(path = %path.display(), "removed what an interrupted fetch left in the cache");
                }
                repository
            }
            None => create(&directory, &marker)?,
        };
        Ok(Self {
            repository,
            directory,
            limits,
        })
    }

    /// Another handle on the same cache, for another thread.
    pub fn reopen(&self) -> Result<Self, Error> {
        Ok(Self {
            repository: open(&self.directory)?,
            directory: self.directory.clone(),
            limits: self.limits,
        })
    }

    /// Where the cache is.
    #[must_use]
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// Lists the refs and brings the cache to that state: nothing more than the listing is asked when nothing moved.
    /// Refs that the patterns mean and the remote no longer has are removed. An empty listing is an error.
    pub fn fetch(&mut self, remote: &Remote, patterns: &[&str]) -> Result<Fetched, Error> {
        let listing = remote.list(patterns)?;
        self.fetch_listed(remote, &listing)
    }

    /// Brings the cache to a state listed before ([`Remote::list`] or [`Remote::list_or_empty`]). When objects have to
    /// be fetched for that, the refs may have moved on meanwhile: the listing in the answer is the one that holds.
    pub fn fetch_listed(&mut self, remote: &Remote, listing: &Listing) -> Result<Fetched, Error> {
        let _lock = FileLock::take(&lock_path(&self.directory), self.limits.operation)?;
        let fetched = match self.bring(remote, listing) {
            Err(error) if error.class() == Class::Corrupt && !matches!(error, Error::TooLarge { .. }) => {
                tracing::warn!(%error, "the cache is built anew");
                self.make_anew()?;
                self.bring(remote, listing)
            }
            other => other,
        }?;
        if let Err(error) = compact(&self.git) {
            // What was fetched is there, and the next fetch tries again.
            tracing::warn!(%error, "the packs of the cache are not made one");
        }
        Ok(fetched)
    }

    /// Throws the content away. The next fetch brings everything again; use it when reading says
    /// [`Error::Corrupt`].
    pub fn rebuild(&mut self) -> Result<(), Error> {
        let _lock = FileLock::take(&lock_path(&self.directory), self.limits.operation)?;
        self.make_anew()
    }

    fn make_anew(&mut self) -> Result<(), Error> {
        let marker = self.directory.join(MARKER);
        let text = std::fs::read_to_string(&marker).map_err(|source| disk(&marker, source))?;
        self.repository = create(&self.directory, &text)?;
        Ok(())
    }

    fn bring(&mut self, remote: &Remote, listing: &Listing) -> Result<Fetched, Error> {
        // Another process may have made the cache anew since it was opened here.
        self.repository = open(&self.directory)?;
        let mut listing = listing.clone();
        self.seed(remote)?;
        if self.lacks(&listing)? {
            listing = self.download(remote, &listing.patterns)?;
            // An answer without any ref after a listing with some is no reason to forget them.
            if listing.refs.is_empty() {
                return Err(Error::EmptyListing {
                    url: remote.url().to_string(),
                    patterns: listing
                        .patterns
                        .iter()
                        .map(RefPattern::as_str)
                        .collect::<Vec<_>>()
                        .join(", "),
                });
            }
        }
        self.move_refs(listing)
    }

    /// Whether something that the listing names is not here.
    fn lacks(&self, listing: &Listing) -> Result<bool, Error> {
        let odb = self
            .git
            .odb()
            .map_err(|error| self.failed("open the objects", error))?;
        let mut ids = listing.refs.values().map(|id| self.oid(id));
        Ok(ids.any(|oid| oid.is_ok_and(|oid| !odb.exists(oid))))
    }

    /// Begins a cache of a repository on this machine with that one's object files, where that can be done. Whatever an
    /// earlier beginning that was cut off has left, no ref names it yet.
    fn seed(&mut self, remote: &Remote) -> Result<(), Error> {
        let Reach::Path(path) = remote.reach() else {
            return Ok(());
        };
        let begun = self
            .git
            .references()
            .map_or(true, |mut refs| refs.next().is_some());
        if begun {
            return Ok(());
        }
        let source = Repository::open(path)?;
        source.shallow_refused()?;
        let end = Instant::now() + self.limits.operation;
        let (from, to) = (
            source.git.commondir().join("objects"),
            self.directory.join("objects"),
        );
        match seed(&from, &to, &|| Instant::now() >= end) {
            Ok(true) => {}
            // Some of the objects without what they name are worse than none.
            Ok(false) => self.make_anew()?,
            Err(error) if error.kind() == ErrorKind::TimedOut => return Err(self.too_slow(remote)),
            Err(error) => return Err(disk(&to, error)),
        }
        self.repository = open(&self.directory)?;
        Ok(())
    }

    fn too_slow(&self, remote: &Remote) -> Error {
        Error::Deadline {
            url: remote.url().to_string(),
            seconds: self.limits.operation.as_secs(),
        }
    }

    fn download(&self, remote: &Remote, patterns: &[RefPattern]) -> Result<Listing, Error> {
        match remote.reach() {
            Reach::Server(server) => {
                let operation = Operation::start(server, self.limits.operation);
                match fetch::download(&self.git, &operation, patterns) {
                    // What libgit2 says of its own objects may be damage here.
                    Err(Error::Git { doing, source }) => Err(self.failed(doing, source)),
                    other => other,
                }
            }
            Reach::Path(path) => {
                let source = Repository::open(path)?;
                source.shallow_refused()?;
                let path = source
                    .git
                    .commondir()
                    .canonicalize()
                    .map_err(|error| disk(path, error))?;
                let url = url::Url::from_file_path(&path).map_err(|()| Error::NoRepository {
                    url: path.display().to_string(),
                })?;
                let end = Instant::now() + self.limits.operation;
                fetch::download_from(&self.git, url.as_str(), patterns, move || Instant::now() >= end)
                    .map_err(|error| {
                        if Instant::now() >= end {
                            return self.too_slow(remote);
                        }
                        self.failed("fetch", error)
                    })
            }
        }
    }

    /// Makes the refs of the cache equal to the listing. Removals come first: `a` may have to make room for `a/b`.
    fn move_refs(&self, listing: Listing) -> Result<Fetched, Error> {
        let failed = |error| self.failed("move a ref of the cache", error);
        let before = self.refs_matching(&listing.patterns)?;
        let mut vanished = Vec::new();
        for (name, old) in &before.refs {
            if !listing.refs.contains_key(name) {
                self.git
                    .find_reference(name.as_str())
                    .and_then(|mut found| found.delete())
                    .map_err(failed)?;
                vanished.push(Vanished {
                    name: name.clone(),
                    old: old.clone(),
                });
            }
        }
        let odb = self.git.odb().map_err(failed)?;
        let mut moved = Vec::new();
        for (name, new) in &listing.refs {
            let old = before.refs.get(name);
            if old == Some(new) {
                continue;
            }
            let oid = self.oid(new)?;
            if !odb.exists(oid) {
                return Err(Error::Corrupt {
                    place: self.place.clone(),
                    detail: format!("{new} was fetched and is not there"),
                });
            }
            self.git
                .reference(name.as_str(), oid, true, "pilotage: fetch")
                .map_err(failed)?;
            moved.push(Moved {
                name: name.clone(),
                old: old.cloned(),
                new: new.clone(),
            });
        }
        Ok(Fetched {
            listing,
            moved,
            vanished,
        })
    }
}

/// The address that a cache belongs to. Paths are made absolute, so that one repository has one cache.
fn address(remote: &Remote) -> String {
    match remote.reach() {
        Reach::Path(path) => path
            .canonicalize()
            .unwrap_or_else(|_| path.clone())
            .display()
            .to_string(),
        Reach::Server(_) => remote.url().to_string(),
    }
}

/// A readable name that differs between any two addresses.
fn directory_name(address: &str) -> String {
    let last = address
        .rsplit('/')
        .find(|part| !part.is_empty())
        .unwrap_or("repository");
    let readable: String = last
        .trim_end_matches(".git")
        .chars()
        .filter(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_'))
        .take(40)
        .collect();
    let digest = Oid::hash_object(ObjectType::Blob, address.as_bytes()).map(|oid| oid.to_string());
    let digest = digest.unwrap_or_default();
    format!("{readable}-{}.git", digest.get(..16).unwrap_or_default())
}

fn lock_path(directory: &Path) -> PathBuf {
    let mut name = directory.as_os_str().to_owned();
    name.push(".lock");
    PathBuf::from(name)
}

fn disk(path: &Path, source: std::io::Error) -> Error {
    Error::Disk {
        path: path.display().to_string(),
        source,
    }
}

fn open(directory: &Path) -> Result<Repository, Error> {
    let place = directory.display().to_string();
    match git2::Repository::open_bare(directory) {
        Ok(git) => Ok(Repository { git, place }),
        Err(error) => Err(Error::Corrupt {
            place,
            detail: error.message().to_owned(),
        }),
    }
}

/// The cache in `directory`, if it is one, belongs to the address and holds what its refs name.
fn usable(directory: &Path, marker: &str) -> Option<Repository> {
    if std::fs::read_to_string(directory.join(MARKER)).ok()? != marker {
        return None;
    }
    let repository = open(directory).ok()?;
    let whole = {
        let odb = repository.git.odb().ok()?;
        let mut refs = repository.git.references().ok()?;
        refs.all(|reference| match reference {
            Ok(reference) => reference.target().is_none_or(|oid| odb.exists(oid)),
            Err(error) => error.code() == ErrorCode::NotFound,
        })
    };
    whole.then_some(repository)
}

fn create(directory: &Path, marker: &str) -> Result<Repository, Error> {
    if directory.exists() {
        tracing::warn!(directory = %directory.display(), "a cache that cannot be used is removed");
        std::fs::remove_dir_all(directory).map_err(|source| disk(directory, source))?;
    }
    let mut options = git2::RepositoryInitOptions::new();
    options
        .bare(true)
        .external_template(false)
        .mkpath(true)
        .initial_head("main");
    let git = git2::Repository::init_opts(directory, &options).map_err(|source| Error::Git {
        doing: "make a cache",
        source,
    })?;
    // Written last: a directory without it is half made and is made again.
    let path = directory.join(MARKER);
    std::fs::write(&path, marker).map_err(|source| disk(&path, source))?;
    Ok(Repository {
        git,
        place: directory.display().to_string(),
    })
}
