use pilotage_name::CommitId;

use crate::{Error, ObjectId, Repository};

/// How a path changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Changed {
    /// It is new.
    Added,
    /// Its content, mode or kind is another.
    Modified,
    /// It is gone.
    Deleted,
}

/// One path that differs between two commits. A rename is a deletion and an addition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// The path, with replacement characters where it is not valid UTF-8.
    pub path: String,
    /// Whether the path had to be approximated; such a file is never a descriptor.
    pub lossy: bool,
    /// How.
    pub changed: Changed,
    /// The object before.
    pub old: Option<ObjectId>,
    /// The object after.
    pub new: Option<ObjectId>,
}

impl Repository {
    /// What differs between the files of two commits, by path. `from: None` compares with no files at all.
    pub fn changed_paths(&self, from: Option<&CommitId>, to: &CommitId) -> Result<Vec<Change>, Error> {
        let git = |error| self.failed("compare two trees", error);
        let old = match from {
            Some(from) => Some(self.find_commit(from)?.tree().map_err(git)?),
            None => None,
        };
        let new = self.find_commit(to)?.tree().map_err(git)?;
        let mut options = git2::DiffOptions::new();
        options
            .ignore_submodules(false)
            .include_typechange(true)
            .skip_binary_check(true);
        let diff = self
            .git
            .diff_tree_to_tree(old.as_ref(), Some(&new), Some(&mut options))
            .map_err(git)?;
        let mut changes = Vec::with_capacity(diff.deltas().len());
        for delta in diff.deltas() {
            let changed = match delta.status() {
                git2::Delta::Added => Changed::Added,
                git2::Delta::Deleted => Changed::Deleted,
                _ => Changed::Modified,
            };
            let file = if changed == Changed::Deleted {
                delta.old_file()
            } else {
                delta.new_file()
            };
            let bytes = file.path_bytes().unwrap_or_default();
            let object = |oid: git2::Oid| (!oid.is_zero()).then(|| ObjectId(oid.to_string()));
            changes.push(Change {
                path: String::from_utf8_lossy(bytes).into_owned(),
                lossy: std::str::from_utf8(bytes).is_err(),
                changed,
                old: object(delta.old_file().id()),
                new: object(delta.new_file().id()),
            });
        }
        Ok(changes)
    }
}
