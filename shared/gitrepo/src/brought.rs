use pilotage_name::CommitId;

use crate::differ::Differ;
use crate::repository::commit_id;
use crate::{Error, Repository};

impl Repository {
    /// The first-parent commits of `from..to` that change one of a group's paths against their first parent, newest
    /// first, for each group: what was brought to the branch, by whoever committed it there. A merge counts when it
    /// brings such a change.
    ///
    /// # Errors
    /// The repository is shallow, or a commit cannot be read.
    pub fn brought_each(
        &self,
        from: &CommitId,
        to: &CommitId,
        groups: &[&[&str]],
    ) -> Result<Vec<Vec<CommitId>>, Error> {
        let failed = |error| self.failed("compare commits", error);
        let differ = Differ::new(self, groups)?;
        let mut found = vec![Vec::new(); groups.len()];
        for oid in self.walk_oids(Some(from), to, true)? {
            let commit = self.git.find_commit(oid).map_err(failed)?;
            let parent = commit.parents().next().map(|parent| parent.tree_id());
            let changed = differ.groups(parent, Some(commit.tree_id())).map_err(failed)?;
            for group in changed {
                found[group].push(commit_id(oid));
            }
        }
        Ok(found)
    }
}
