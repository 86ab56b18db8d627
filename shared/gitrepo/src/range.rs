use git2::{ErrorCode, Sort};
use pilotage_name::CommitId;

use crate::repository::commit_id;
use crate::{Error, Repository};

impl Repository {
    /// The commits of `to` that are not in `from`, newest first, whichever parent they came by. `from: None` means all.
    pub fn range(&self, from: Option<&CommitId>, to: &CommitId) -> Result<Vec<CommitId>, Error> {
        self.walk(from, to, false)
    }

    /// The same, following first parents only: what was brought to the branch, merge by merge, newest first. Ends at the
    /// first commit that `from` already has.
    pub fn first_parent_range(&self, from: Option<&CommitId>, to: &CommitId) -> Result<Vec<CommitId>, Error> {
        self.walk(from, to, true)
    }

    /// Whether `ancestor` is `commit` or in its history.
    pub fn is_ancestor(&self, ancestor: &CommitId, commit: &CommitId) -> Result<bool, Error> {
        self.shallow_refused()?;
        self.find_commit(ancestor)?;
        self.find_commit(commit)?;
        self.descends(self.oid(commit)?, self.oid(ancestor)?)
    }

    /// The best common ancestor, if the histories meet at all.
    pub fn merge_base(&self, one: &CommitId, two: &CommitId) -> Result<Option<CommitId>, Error> {
        self.shallow_refused()?;
        self.find_commit(one)?;
        self.find_commit(two)?;
        match self.git.merge_base(self.oid(one)?, self.oid(two)?) {
            Ok(base) => Ok(Some(commit_id(base))),
            Err(error) if error.code() == ErrorCode::NotFound => Ok(None),
            Err(error) => Err(self.failed("find a merge base", error)),
        }
    }

    fn descends(&self, commit: git2::Oid, ancestor: git2::Oid) -> Result<bool, Error> {
        if commit == ancestor {
            return Ok(true);
        }
        self.git
            .graph_descendant_of(commit, ancestor)
            .map_err(|error| self.failed("compare two histories", error))
    }

    fn walk(
        &self,
        from: Option<&CommitId>,
        to: &CommitId,
        first_parent: bool,
    ) -> Result<Vec<CommitId>, Error> {
        Ok(self
            .walk_oids(from, to, first_parent)?
            .into_iter()
            .map(commit_id)
            .collect())
    }

    pub(crate) fn walk_oids(
        &self,
        from: Option<&CommitId>,
        to: &CommitId,
        first_parent: bool,
    ) -> Result<Vec<git2::Oid>, Error> {
        self.shallow_refused()?;
        self.find_commit(to)?;
        let git = |error| self.failed("walk the history", error);
        let mut walk = self.git.revwalk().map_err(git)?;
        walk.set_sorting(Sort::TOPOLOGICAL).map_err(git)?;
        if first_parent {
            walk.simplify_first_parent().map_err(git)?;
        }
        walk.push(self.oid(to)?).map_err(git)?;
        if let Some(from) = from {
            self.find_commit(from)?;
            walk.hide(self.oid(from)?).map_err(git)?;
        }
        walk.collect::<Result<Vec<_>, _>>().map_err(git)
    }
}
