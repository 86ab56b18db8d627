use pilotage_name::CommitId;

use crate::differ::Differ;
use crate::repository::commit_id;
use crate::{Error, Repository};

impl Repository {
    /// The commits of `from..to` that change one of `paths` (files or directories), newest first. A merge counts when
    /// its result differs from every parent for the paths; a first commit counts when it has one of them.
    pub fn accountable(
        &self,
        from: Option<&CommitId>,
        to: &CommitId,
        paths: &[&str],
    ) -> Result<Vec<CommitId>, Error> {
        let mut all = self.accountable_each(from, to, &[paths])?;
        Ok(all.pop().unwrap_or_default())
    }

    /// [`Repository::accountable`] for several groups of paths (one per service, say) in one walk over the history.
    pub fn accountable_each(
        &self,
        from: Option<&CommitId>,
        to: &CommitId,
        groups: &[&[&str]],
    ) -> Result<Vec<Vec<CommitId>>, Error> {
        let failed = |error| self.failed("compare commits", error);
        let differ = Differ::new(self, groups)?;
        let mut found = vec![Vec::new(); groups.len()];
        for oid in self.walk_oids(from, to, false)? {
            let commit = self.git.find_commit(oid).map_err(failed)?;
            let mut parents = commit.parents();
            let first = parents.next().map(|parent| parent.tree_id());
            let mut changed = differ.groups(first, Some(commit.tree_id())).map_err(failed)?;
            for parent in parents {
                if changed.is_empty() {
                    break;
                }
                let other = differ
                    .groups(Some(parent.tree_id()), Some(commit.tree_id()))
                    .map_err(failed)?;
                changed.retain(|group| other.contains(group));
            }
            for group in changed {
                found[group].push(commit_id(oid));
            }
        }
        Ok(found)
    }
}
