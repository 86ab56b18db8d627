use std::fmt;

use git2::build::TreeUpdateBuilder;
use git2::{ErrorCode, FileMode};
use pilotage_name::CommitId;

use crate::repository::commit_id;
use crate::tree::check_path;
use crate::{Error, Person, Repository, SigningKey};

/// One change to the files of a commit.
#[derive(Clone, PartialEq, Eq)]
pub enum Edit {
    /// The file holds these bytes.
    Write {
        /// The path inside the repository, with `/`.
        path: String,
        /// The whole content.
        bytes: Vec<u8>,
    },
    /// The file or directory is gone. Removing what is not there changes nothing.
    Remove {
        /// The path inside the repository, with `/`.
        path: String,
    },
}

impl fmt::Debug for Edit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Write { path, bytes } => write!(f, "Write({path}, {} bytes)", bytes.len()),
            Self::Remove { path } => write!(f, "Remove({path})"),
        }
    }
}

impl Edit {
    /// A file with this content.
    #[must_use]
    pub fn write(path: impl Into<String>, bytes: impl Into<Vec<u8>>) -> Self {
        Self::Write {
            path: path.into(),
            bytes: bytes.into(),
        }
    }

    /// No file at this path.
    #[must_use]
    pub fn remove(path: impl Into<String>) -> Self {
        Self::Remove { path: path.into() }
    }
}

/// A commit to be written. The same values give the same id.
#[derive(Clone, Debug)]
pub struct NewCommit<'a> {
    /// Whose files the edits start from; `None` starts with no files.
    pub base: Option<&'a CommitId>,
    /// The edits, in order.
    pub edits: &'a [Edit],
    /// The parents, the first parent first.
    pub parents: &'a [CommitId],
    /// The author, with the time.
    pub author: &'a Person,
    /// The committer, with the time.
    pub committer: &'a Person,
    /// The message. It is cleaned as git does: no trailing blanks, one newline at its end.
    pub message: &'a str,
    /// Signs the commit when given.
    pub sign: Option<&'a SigningKey>,
}

impl Repository {
    /// Writes the objects of a commit and returns its id. No ref moves; see [`crate::Remote::push`].
    pub fn write_commit(&self, new: &NewCommit<'_>) -> Result<CommitId, Error> {
        let tree = self.edited_tree(new)?;
        let parents = new
            .parents
            .iter()
            .map(|parent| self.find_commit(parent))
            .collect::<Result<Vec<_>, _>>()?;
        let parents: Vec<&git2::Commit<'_>> = parents.iter().collect();
        let git = |error| self.failed("write a commit", error);
        let author = signature(new.author).map_err(git)?;
        let committer = signature(new.committer).map_err(git)?;
        let message = git2::message_prettify(new.message, None).map_err(git)?;
        let Some(key) = new.sign else {
            let oid = self
                .git
                .commit(None, &author, &committer, &message, &tree, &parents)
                .map_err(git)?;
            return Ok(commit_id(oid));
        };
        let content = self
            .git
            .commit_create_buffer(&author, &committer, &message, &tree, &parents)
            .map_err(git)?;
        let content = String::from_utf8_lossy(&content).into_owned();
        let signature = key.sign(content.as_bytes())?;
        let oid = self.git.commit_signed(&content, &signature, None).map_err(git)?;
        Ok(commit_id(oid))
    }

    fn edited_tree(&self, new: &NewCommit<'_>) -> Result<git2::Tree<'_>, Error> {
        let git = |error| self.failed("write a tree", error);
        let mut tree = match new.base {
            Some(base) => self.find_commit(base)?.tree().map_err(git)?,
            None => {
                let empty = self
                    .git
                    .treebuilder(None)
                    .and_then(|builder| builder.write())
                    .map_err(git)?;
                self.git.find_tree(empty).map_err(git)?
            }
        };
        let mut update = TreeUpdateBuilder::new();
        let mut touched = std::collections::HashSet::new();
        for edit in new.edits {
            let (Edit::Write { path, .. } | Edit::Remove { path }) = edit;
            check_path(path)?;
            // libgit2 applies a batch in no promised order, so a second edit of one path starts a new batch.
            if !touched.insert(path.as_str()) {
                let oid = update.create_updated(&self.git, &tree).map_err(git)?;
                tree = self.git.find_tree(oid).map_err(git)?;
                update = TreeUpdateBuilder::new();
                touched.clear();
                touched.insert(path.as_str());
            }
            match edit {
                Edit::Write { bytes, .. } => {
                    let blob = self.git.blob(bytes).map_err(git)?;
                    update.upsert(path.as_str(), blob, FileMode::Blob);
                }
                Edit::Remove { .. } => match tree.get_path(std::path::Path::new(path)) {
                    Ok(_) => {
                        update.remove(path.as_str());
                    }
                    Err(error) if error.code() == ErrorCode::NotFound => {}
                    Err(error) => return Err(git(error)),
                },
            }
        }
        let oid = update.create_updated(&self.git, &tree).map_err(git)?;
        self.git.find_tree(oid).map_err(git)
    }
}

fn signature(person: &Person) -> Result<git2::Signature<'static>, git2::Error> {
    let time = git2::Time::new(person.when.as_second(), person.offset_minutes);
    git2::Signature::new(&person.name, &person.email, &time)
}
