use std::path::Path;

use git2::ErrorCode;
use pilotage_name::CommitId;

use crate::{Error, Listing, RefName, RefPattern, machine};

/// A repository on this machine, read object by object. A [`crate::Cache`] is one; a clone or a bare repository of the
/// user can be opened too. `Send`, but one thread at a time: open it once per thread.
pub struct Repository {
    pub(crate) git: git2::Repository,
    /// How messages call it.
    pub(crate) place: String,
}

impl std::fmt::Debug for Repository {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Repository").field("place", &self.place).finish()
    }
}

impl Repository {
    /// Opens the repository at `path`: a bare one, a clone, or a linked working tree.
    pub fn open(path: &Path) -> Result<Self, Error> {
        machine::prepare();
        let place = path.display().to_string();
        match git2::Repository::open(path) {
            Ok(git) => Ok(Self { git, place }),
            Err(error) if error.code() == ErrorCode::NotFound => Err(Error::NoRepository { url: place }),
            Err(error) => Err(Error::Corrupt {
                place,
                detail: error.message().to_owned(),
            }),
        }
    }

    /// Finds the repository that `path` is in, going up from it.
    pub fn discover(path: &Path) -> Result<Self, Error> {
        machine::prepare();
        let place = path.display().to_string();
        match git2::Repository::discover(path) {
            Ok(git) => Ok(Self { git, place }),
            Err(error) if error.code() == ErrorCode::NotFound => Err(Error::NoRepository { url: place }),
            Err(error) => Err(Error::Corrupt {
                place,
                detail: error.message().to_owned(),
            }),
        }
    }

    /// Makes an empty bare repository at `path`, whose HEAD names the branch `head`. Nothing of this machine's git
    /// templates goes into it.
    pub fn create(path: &Path, head: &str) -> Result<Self, Error> {
        machine::prepare();
        let mut options = git2::RepositoryInitOptions::new();
        options
            .bare(true)
            .external_template(false)
            .no_reinit(true)
            .mkpath(true)
            .initial_head(head);
        let git = git2::Repository::init_opts(path, &options).map_err(|source| Error::Git {
            doing: "make a repository",
            source,
        })?;
        let place = path.display().to_string();
        Ok(Self { git, place })
    }

    /// The commit that is checked out, and its branch when one is. `None`: nothing was ever committed.
    pub fn head(&self) -> Result<Option<(Option<RefName>, CommitId)>, Error> {
        let head = match self.git.head() {
            Ok(head) => head,
            Err(error) if matches!(error.code(), ErrorCode::UnbornBranch | ErrorCode::NotFound) => {
                return Ok(None);
            }
            Err(error) => return Err(self.failed("read HEAD", error)),
        };
        let branch = head.name().ok().and_then(|name| name.parse().ok());
        Ok(head.target().map(|oid| (branch, commit_id(oid))))
    }

    /// Whether history is cut off. Questions about ranges are refused then.
    #[must_use]
    pub fn is_shallow(&self) -> bool {
        self.git.is_shallow()
    }

    /// Where a ref stands in this repository.
    pub fn tip(&self, name: &RefName) -> Result<Option<CommitId>, Error> {
        match self.git.refname_to_id(name.as_str()) {
            Ok(oid) => Ok(Some(commit_id(oid))),
            Err(error) if error.code() == ErrorCode::NotFound => Ok(None),
            Err(error) => Err(self.failed("read a ref", error)),
        }
    }

    /// The refs of this repository that the patterns mean; the same words as [`crate::Remote::list`].
    pub fn refs(&self, patterns: &[&str]) -> Result<Listing, Error> {
        self.refs_matching(&RefPattern::parse_all(patterns)?)
    }

    pub(crate) fn refs_matching(&self, patterns: &[RefPattern]) -> Result<Listing, Error> {
        let failed = |error| self.failed("list the refs", error);
        let mut listing = Listing::empty(patterns);
        let mut take = |reference: Result<git2::Reference<'_>, git2::Error>| {
            let reference = match reference {
                Ok(reference) => reference,
                // A ref that vanished while the list was read is no ref.
                Err(error) if error.code() == ErrorCode::NotFound => return Ok(()),
                Err(error) => return Err(failed(error)),
            };
            let target = match reference.target() {
                Some(target) => Some(target),
                None => reference.resolve().ok().and_then(|resolved| resolved.target()),
            };
            if let Some(target) = target {
                listing.take(reference.name_bytes(), &target.to_string());
            }
            Ok(())
        };
        // Only what is asked for is read: a ledger has thousands of refs, and most questions are about one.
        for pattern in patterns {
            if pattern.is_prefix() {
                let all = self.git.references_glob(&format!("{}*", pattern.as_str()));
                all.map_err(failed)?.try_for_each(&mut take)?;
            } else {
                take(self.git.find_reference(pattern.as_str()))?;
            }
        }
        Ok(listing)
    }

    pub(crate) fn shallow_refused(&self) -> Result<(), Error> {
        if self.git.is_shallow() {
            return Err(Error::Shallow {
                place: self.place.clone(),
            });
        }
        Ok(())
    }

    /// The object id of a commit that must be here.
    pub(crate) fn oid(&self, id: &CommitId) -> Result<git2::Oid, Error> {
        git2::Oid::from_str(id.as_str()).map_err(|_| Error::NoCommit { id: id.clone() })
    }

    pub(crate) fn find_commit(&self, id: &CommitId) -> Result<git2::Commit<'_>, Error> {
        match self.git.find_commit(self.oid(id)?) {
            Ok(commit) => Ok(commit),
            Err(error) if error.code() == ErrorCode::NotFound => Err(Error::NoCommit { id: id.clone() }),
            Err(error) => Err(self.failed("read a commit", error)),
        }
    }

    /// Gives an error of libgit2 its name: what is wrong with the data is told apart from the rest.
    pub(crate) fn failed(&self, doing: &'static str, source: git2::Error) -> Error {
        use git2::ErrorClass;
        let damaged = matches!(
            source.class(),
            ErrorClass::Odb
                | ErrorClass::Zlib
                | ErrorClass::Object
                | ErrorClass::Tree
                | ErrorClass::Indexer
                | ErrorClass::Sha1
        ) || source.code() == ErrorCode::HashsumMismatch;
        if damaged {
            Error::Corrupt {
                place: self.place.clone(),
                detail: source.message().to_owned(),
            }
        } else {
            Error::Git { doing, source }
        }
    }
}

/// libgit2 prints ids as forty lower-case digits, which is the grammar of a commit id.
#[expect(clippy::expect_used, reason = "an object id prints as 40 hexadecimal digits")]
pub(crate) fn commit_id(oid: git2::Oid) -> CommitId {
    oid.to_string().parse().expect("an object id is a commit id")
}
