//! Which commits answer for what a branch asks of each service: where its range starts, and who is in it.

use std::collections::{BTreeMap, BTreeSet};

use pilotage_descriptor::path_of;
use pilotage_gate::{FirstSight, Seen};
use pilotage_name::{CommitId, ServiceName};

use crate::collect::Question;
use crate::descriptors::{self, Resolved};
use crate::error::Error;
use crate::past::ServicePast;

/// So many descriptors of a range are read to see whether they ask for what was accepted though they are written
/// differently. Further back only the very same files do.
const MOST_READ: usize = 100;

/// The commits of one service's range, oldest first.
#[derive(Clone, Debug, Default)]
pub(crate) struct Commits {
    /// Where the range starts.
    pub(crate) since: Option<CommitId>,
    /// Those that brought its changes to the branch.
    pub(crate) brought: Vec<CommitId>,
    /// Those that are accountable for them, on whichever side of a merge.
    pub(crate) accountable: Vec<CommitId>,
    /// The newest one that announces a storm, whatever it changes.
    pub(crate) announced: Option<CommitId>,
}

impl Question<'_> {
    /// The commits of each service's range. Services whose range starts at the same commit are walked together.
    /// Whoever announces a storm is looked for only where there is one, as `is_storm` says.
    pub(crate) fn commits(
        &self,
        asked: &[(&ServiceName, Resolved)],
        is_storm: bool,
    ) -> Result<Vec<Commits>, Error> {
        // Many services were accepted at one commit, and how far that is from here is asked of the whole history.
        let mut starts: BTreeMap<&CommitId, Option<CommitId>> = BTreeMap::new();
        let mut open: BTreeMap<Option<CommitId>, Vec<usize>> = BTreeMap::new();
        for (index, (service, _)) in asked.iter().enumerate() {
            let since = match self.start(service) {
                None => None,
                Some(start) => match starts.get(start) {
                    Some(known) => known.clone(),
                    None => {
                        let since = self.since(start)?;
                        starts.insert(start, since.clone());
                        since
                    }
                },
            };
            open.entry(since).or_default().push(index);
        }
        let mut found = vec![Commits::default(); asked.len()];
        while let Some((since, indices)) = open.pop_first() {
            let walked = self.walk(since.as_ref(), &indices, asked, is_storm)?;
            for (index, commits) in indices.into_iter().zip(walked) {
                let (service, resolved) = &asked[index];
                let again = match self.removed(service, resolved, &commits)? {
                    Some(removed) => Some(removed),
                    None => self.restored(service, resolved, &commits)?,
                };
                match again {
                    Some(again) => open.entry(Some(again)).or_default().push(index),
                    None => found[index] = self.since_rejected(service, resolved, commits)?,
                }
            }
        }
        Ok(found)
    }

    /// The ranges of some of the services, which all start at `since`.
    fn walk(
        &self,
        since: Option<&CommitId>,
        indices: &[usize],
        asked: &[(&ServiceName, Resolved)],
        is_storm: bool,
    ) -> Result<Vec<Commits>, Error> {
        let paths: Vec<Vec<String>> = indices
            .iter()
            .map(|index| self.paths(asked[*index].0, &asked[*index].1))
            .collect();
        let groups: Vec<Vec<&str>> = paths
            .iter()
            .map(|group| group.iter().map(String::as_str).collect())
            .collect();
        let groups: Vec<&[&str]> = groups.iter().map(Vec::as_slice).collect();
        let mut accountable = self.repository.accountable_each(since, self.commit, &groups)?;
        let announced = match since {
            Some(since) if is_storm => self.announced(since)?,
            _ => None,
        };
        // At first sight the whole history lies in the range; the last change is the one to answer for. Where the
        // range has no start because the branch was rewritten altogether, everybody answers.
        if since.is_none() && self.past.first_sight != FirstSight::Known {
            for commits in &mut accountable {
                commits.truncate(1);
            }
        }
        let brought = match since {
            Some(since) => self.repository.brought_each(since, self.commit, &groups)?,
            None => accountable.clone(),
        };
        let mut found = Vec::with_capacity(indices.len());
        for (((index, group), mut brought), mut accountable) in
            indices.iter().zip(&groups).zip(brought).zip(accountable)
        {
            if let Some(first) = self.never_decided_well(asked[*index].0, since, group)? {
                brought.push(first.clone());
                accountable.push(first);
            }
            brought.reverse();
            accountable.reverse();
            found.push(Commits {
                since: since.cloned(),
                brought,
                accountable,
                announced: announced.clone(),
            });
        }
        Ok(found)
    }

    fn known(&self, service: &ServiceName) -> Option<&ServicePast> {
        self.past.services.get(service)
    }

    /// Whether nothing of the service was ever accepted here, as far as it counts, and nothing of it runs.
    fn is_new(&self, service: &ServiceName) -> bool {
        self.known(service)
            .is_none_or(|past| past.accepted.is_none() && past.running.is_none())
    }

    /// The newest commit of the range that has no descriptor of a service of which nothing was ever accepted: there the
    /// branch asked for exactly what was accepted, nothing. Whoever brought the descriptor back since answers for all of it.
    fn removed(
        &self,
        service: &ServiceName,
        resolved: &Resolved,
        commits: &Commits,
    ) -> Result<Option<CommitId>, Error> {
        if !self.is_new(service) || matches!(resolved, Resolved::Absent) {
            return Ok(None);
        }
        let path = path_of(service);
        for id in commits.brought.iter().rev() {
            if self.repository.entry(id, &path)?.is_none() {
                return Ok(Some(id.clone()));
            }
        }
        Ok(None)
    }

    /// The newest commit of the range at which the branch asked again for exactly what was accepted: whoever changed it
    /// before that changed nothing that is still asked for. None where the branch asks for it now, or where what was
    /// accepted is to be decided anew under another policy.
    fn restored(
        &self,
        service: &ServiceName,
        resolved: &Resolved,
        commits: &Commits,
    ) -> Result<Option<CommitId>, Error> {
        let known = self.known(service).filter(|past| past.outdated.is_none());
        let Some((past, accepted)) = known.and_then(|past| Some((past, past.accepted.as_ref()?))) else {
            return Ok(None);
        };
        if let Resolved::Valid(valid) = resolved
            && valid.digest == accepted.digest
        {
            return Ok(None);
        }
        let files: BTreeSet<String> = past.files.iter().cloned().collect();
        let content = |id: &CommitId| descriptors::content(self.repository, id, service, &files);
        let wanted = match self.repository.has_commit(&accepted.commit) {
            true => content(&accepted.commit)?,
            false => None,
        };
        let environments = self.sight.environments();
        let mut others = BTreeSet::new();
        for id in commits.brought.iter().rev() {
            let Some(found) = content(id)? else { continue };
            if wanted.as_ref() == Some(&found) {
                return Ok(Some(id.clone()));
            }
            if others.len() >= MOST_READ || !others.insert(found) {
                continue;
            }
            let read = descriptors::read(self.repository, id, self.environment, service, &environments)?;
            if matches!(read, Resolved::Valid(valid) if valid.digest == accepted.digest) {
                return Ok(Some(id.clone()));
            }
        }
        Ok(None)
    }

    /// What a rejected release had in it ends no hold, wherever the range starts; nor does it bring back exactly what was
    /// rejected, where the branch was set back to that.
    fn since_rejected(
        &self,
        service: &ServiceName,
        resolved: &Resolved,
        mut commits: Commits,
    ) -> Result<Commits, Error> {
        let rejected = self
            .known(service)
            .map(|past| rejected(past, resolved))
            .unwrap_or_default();
        if rejected.is_empty() {
            return Ok(commits);
        }
        for id in &commits.brought {
            let mut before = false;
            for commit in &rejected {
                before = before
                    || (self.repository.has_commit(commit) && self.repository.is_ancestor(id, commit)?);
            }
            if !before {
                return Ok(commits);
            }
        }
        commits.brought.clear();
        commits.accountable.clear();
        Ok(commits)
    }

    /// The change that answered for a service when the environment was seen for the first time, as long as nothing of it
    /// was ever accepted: what was refused then is not washed clean by what came on top.
    fn never_decided_well(
        &self,
        service: &ServiceName,
        since: Option<&CommitId>,
        paths: &[&str],
    ) -> Result<Option<CommitId>, Error> {
        let Some(since) = since.filter(|_| self.is_new(service)) else {
            return Ok(None);
        };
        if self.repository.entry(since, &path_of(service))?.is_none() {
            return Ok(None);
        }
        let all = self.repository.accountable(None, since, paths)?;
        Ok(all.into_iter().next())
    }

    /// The newest commit that was brought to the branch since with a `Storm` trailer.
    fn announced(&self, since: &CommitId) -> Result<Option<CommitId>, Error> {
        for id in self.repository.first_parent_range(Some(since), self.commit)? {
            let trailers = self.repository.commit(&id)?.trailers;
            if trailers
                .iter()
                .any(|trailer| trailer.key.eq_ignore_ascii_case("Storm"))
            {
                return Ok(Some(id));
            }
        }
        Ok(None)
    }

    /// Where the range of a service starts: at its last accepted decision, else where the environment was first seen.
    fn start(&self, service: &ServiceName) -> Option<&CommitId> {
        let accepted = self.known(service).and_then(|past| past.accepted.as_ref());
        accepted.map(|seen| &seen.commit).or(self.past.base.as_ref())
    }

    /// The same as far as the branch has it now.
    fn since(&self, start: &CommitId) -> Result<Option<CommitId>, Error> {
        // A start that was rewritten away altogether is nowhere in the range.
        if !self.repository.has_commit(start) {
            return Ok(None);
        }
        // After an accepted rewrite the old start is no ancestor any more; then the range starts where they meet.
        if self.repository.is_ancestor(start, self.commit)? {
            Ok(Some(start.clone()))
        } else {
            Ok(self.repository.merge_base(start, self.commit)?)
        }
    }

    fn paths(&self, service: &ServiceName, resolved: &Resolved) -> Vec<String> {
        let mut paths = vec![path_of(service)];
        if let Resolved::Valid(valid) = resolved {
            paths.extend(valid.files.iter().cloned());
        }
        if let Some(past) = self.known(service) {
            paths.extend(past.files.iter().cloned());
        }
        paths.sort();
        paths.dedup();
        paths
    }
}

/// The commits whose rejection stands in the way: of what is held, else of exactly what is asked, unless that runs.
fn rejected<'a>(past: &'a ServicePast, resolved: &Resolved) -> Vec<&'a CommitId> {
    if let Some(held) = &past.held {
        return vec![&held.rejected.commit];
    }
    let Resolved::Valid(asked) = resolved else {
        return Vec::new();
    };
    let is_it = |seen: &&Seen| seen.digest == asked.digest;
    if past.running.as_ref().is_some_and(|running| is_it(&running)) {
        return Vec::new();
    }
    past.rejected
        .iter()
        .filter(is_it)
        .map(|seen| &seen.commit)
        .collect()
}
