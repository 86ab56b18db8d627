//! The evidence of a push: what the branch asks for now, who brought it, and what is known of before.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use pilotage_descriptor::path_of;
use pilotage_diagnostic::Diagnostics;
use pilotage_gate::{Asked, Change, Decision, Evidence, FirstSight, Identity, Seen, Storm, decide};
use pilotage_gitrepo::Repository;
use pilotage_name::{CommitId, EnvironmentName, ServiceName};

use crate::descriptors::{self, Resolved};
use crate::error::Error;
use crate::keyring::Keyring;
use crate::past::{EnvironmentPast, ServicePast};
use crate::sight::Sight;

/// This many services make no storm, whatever pilotage.yaml says.
const NO_STORM: usize = 1;

/// One question: these services of this environment, at this commit.
pub struct Question<'a> {
    /// The cache or working repository.
    pub repository: &'a Repository,
    /// Policy and names.
    pub sight: &'a Sight,
    /// The environment.
    pub environment: &'a EnvironmentName,
    /// The commit that is asked about; the branch's tip, or an ancestor of it.
    pub commit: &'a CommitId,
    /// What the ledger knows.
    pub past: &'a EnvironmentPast,
    /// The wall time of the question.
    pub now: Timestamp,
}

/// A decision and what it was reached from, for whoever acts on it.
#[derive(Clone, Debug)]
pub struct Decided {
    /// The decision, as it is recorded.
    pub decision: Decision,
    /// The descriptor as it stood.
    pub resolved: Resolved,
}

impl Question<'_> {
    /// Decides each of the services. One that cannot be read refuses itself and no other.
    ///
    /// # Errors
    /// The repository cannot be read.
    pub fn decide(&self, services: &[ServiceName]) -> Result<Vec<Decided>, Error> {
        let environments = self.sight.environments();
        let mut asked: Vec<(&ServiceName, Resolved)> = Vec::with_capacity(services.len());
        for service in services {
            let resolved = descriptors::read(
                self.repository,
                self.commit,
                self.environment,
                service,
                &environments,
            )?;
            asked.push((service, self.allowed(service, resolved)));
        }
        let storm = self.storm(&asked)?;
        let brought = self.commits(&asked)?;
        let keyring = Keyring::of(&self.sight.config);
        let mut decided = Vec::with_capacity(asked.len());
        for ((service, resolved), commits) in asked.into_iter().zip(brought) {
            let evidence = self.evidence(service, &resolved, &commits, &keyring, storm)?;
            let decision = decide(&self.sight.config, evidence, self.now);
            decided.push(Decided { decision, resolved });
        }
        Ok(decided)
    }

    /// What the environment does not grant is an error of the descriptor. Collisions with other services are not looked
    /// for here: they are no reason to refuse the one that was there first.
    fn allowed(&self, service: &ServiceName, resolved: Resolved) -> Resolved {
        let Resolved::Valid(valid) = resolved else {
            return resolved;
        };
        let alone = [(service.clone(), valid.source.clone(), valid.descriptor.clone())];
        let found = self.sight.config.cross_check(self.environment, &alone);
        let about_itself = |code: &str| !matches!(code, "unknown-service" | "circle");
        let mut diagnostics = Diagnostics::new();
        diagnostics.extend(found.into_vec().into_iter().filter(|d| about_itself(&d.code)));
        if diagnostics.has_errors() {
            Resolved::Broken { diagnostics }
        } else {
            Resolved::Valid(valid)
        }
    }

    fn past_of(&self, service: &ServiceName) -> ServicePast {
        self.past.services.get(service).cloned().unwrap_or_default()
    }

    fn storm(&self, asked: &[(&ServiceName, Resolved)]) -> Result<Storm, Error> {
        let changing = asked.iter().filter(|(service, resolved)| match resolved {
            Resolved::Valid(valid) => {
                let past = self.past.services.get(*service);
                let accepted = past
                    .and_then(|past| past.accepted.as_ref())
                    .map(|seen| seen.digest.as_str());
                accepted != Some(valid.digest.as_str())
            }
            Resolved::Broken { .. } | Resolved::Absent => false,
        });
        let changing = u32::try_from(changing.count()).unwrap_or(u32::MAX);
        let total = descriptors::list(self.repository, self.commit)?.found.len();
        Ok(Storm {
            changing,
            total: u32::try_from(total).unwrap_or(u32::MAX),
        })
    }

    /// The commits of each service's range: those that brought its changes, and those accountable for them. Services
    /// whose range starts at the same commit are walked together.
    fn commits(&self, asked: &[(&ServiceName, Resolved)]) -> Result<Vec<Commits>, Error> {
        let mut by_start: BTreeMap<Option<CommitId>, Vec<usize>> = BTreeMap::new();
        for (index, (service, _)) in asked.iter().enumerate() {
            by_start.entry(self.since(service)?).or_default().push(index);
        }
        let mut found = vec![Commits::default(); asked.len()];
        for (since, indices) in by_start {
            let paths: Vec<Vec<String>> = indices
                .iter()
                .map(|index| self.paths(asked[*index].0, &asked[*index].1))
                .collect();
            let groups_of: BTreeMap<usize, Vec<String>> =
                indices.iter().copied().zip(paths.iter().cloned()).collect();
            let groups: Vec<Vec<&str>> = paths
                .iter()
                .map(|group| group.iter().map(String::as_str).collect())
                .collect();
            let groups: Vec<&[&str]> = groups.iter().map(Vec::as_slice).collect();
            let accountable = self
                .repository
                .accountable_each(since.as_ref(), self.commit, &groups)?;
            let announced = self.announced(since.as_ref(), asked.len())?;
            let mut accountable = accountable;
            // At first sight the whole history lies in the range; the last change is the one to answer for. Where the
            // range has no start because the branch was rewritten altogether, everybody answers.
            if since.is_none() && self.past.first_sight != FirstSight::Known {
                for commits in &mut accountable {
                    commits.truncate(1);
                }
            }
            let brought = match &since {
                Some(since) => self.repository.brought_each(since, self.commit, &groups)?,
                None => accountable.clone(),
            };
            for ((index, mut brought), mut accountable) in indices.into_iter().zip(brought).zip(accountable) {
                if let Some(first) =
                    self.never_decided_well(asked[index].0, since.as_ref(), &groups_of[&index])?
                {
                    brought.push(first.clone());
                    accountable.push(first);
                }
                brought.reverse();
                accountable.reverse();
                found[index] = Commits {
                    since: since.clone(),
                    brought,
                    accountable,
                    announced: announced.clone(),
                };
            }
        }
        Ok(found)
    }

    /// The change that answered for a service when the environment was seen for the first time, as long as nothing of it
    /// was ever accepted: what was refused then is not washed clean by what came on top.
    fn never_decided_well(
        &self,
        service: &ServiceName,
        since: Option<&CommitId>,
        paths: &[String],
    ) -> Result<Option<CommitId>, Error> {
        let past = self.past.services.get(service);
        let decided = past.is_some_and(|past| past.accepted.is_some() || past.running.is_some());
        let (Some(since), false) = (since, decided) else {
            return Ok(None);
        };
        if self.repository.entry(since, &path_of(service))?.is_none() {
            return Ok(None);
        }
        let paths: Vec<&str> = paths.iter().map(String::as_str).collect();
        let all = self.repository.accountable(None, since, &paths)?;
        Ok(all.into_iter().next())
    }

    /// The newest commit that was brought to the branch since with a `Storm` trailer; not looked for where so few services
    /// are asked about that there can be no storm.
    fn announced(&self, since: Option<&CommitId>, asked: usize) -> Result<Option<CommitId>, Error> {
        let (Some(since), true) = (since, asked > NO_STORM) else {
            return Ok(None);
        };
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
    fn since(&self, service: &ServiceName) -> Result<Option<CommitId>, Error> {
        let accepted = self
            .past
            .services
            .get(service)
            .and_then(|past| past.accepted.as_ref());
        let start = accepted.map(|seen| &seen.commit).or(self.past.base.as_ref());
        // A start that was rewritten away altogether is nowhere in the range.
        let Some(start) = start.filter(|start| self.repository.has_commit(start)) else {
            return Ok(None);
        };
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
        if let Some(past) = self.past.services.get(service) {
            paths.extend(past.files.iter().cloned());
        }
        paths.sort();
        paths.dedup();
        paths
    }

    fn evidence(
        &self,
        service: &ServiceName,
        resolved: &Resolved,
        commits: &Commits,
        keyring: &Keyring,
        storm: Storm,
    ) -> Result<Evidence, Error> {
        let past = self.past_of(service);
        let files = match resolved {
            Resolved::Valid(valid) => valid.files.clone(),
            Resolved::Broken { .. } | Resolved::Absent => BTreeSet::new(),
        };
        let change = |id: &CommitId| self.change(id, service, &files, keyring);
        let changes = |ids: &[CommitId]| -> Result<Vec<Change>, Error> { ids.iter().map(change).collect() };
        Ok(Evidence {
            environment: self.environment.clone(),
            service: service.clone(),
            tip: self.commit.clone(),
            since: commits.since.clone(),
            history: self.past.history.clone(),
            first_sight: self.past.first_sight,
            asked: asked(resolved, self.commit),
            accepted: past.accepted,
            running: past.running,
            under_way: past.under_way,
            unsettled: past.unsettled,
            held: past.held,
            rejected: past.rejected,
            brought: changes(&commits.brought)?,
            accountable: changes(&commits.accountable)?,
            carried: past.carried,
            storm,
            announced: commits.announced.as_ref().map(change).transpose()?,
            unreadable: past.unreadable,
        })
    }

    fn change(
        &self,
        id: &CommitId,
        service: &ServiceName,
        files: &BTreeSet<String>,
        keyring: &Keyring,
    ) -> Result<Change, Error> {
        let info = self.repository.commit(id)?;
        let lossy = info.lossy;
        let identity = |person: &pilotage_gitrepo::Person| Identity {
            name: person.name.clone(),
            // Approximated text must match nobody.
            email: if lossy {
                format!("{} (not valid UTF-8)", person.email)
            } else {
                person.email.clone()
            },
        };
        Ok(Change {
            commit: id.clone(),
            author: identity(&info.author),
            committer: identity(&info.committer),
            when: info.committer.when,
            subject: info.subject,
            body: info.body,
            trailers: info
                .trailers
                .into_iter()
                .map(|trailer| (trailer.key, trailer.value))
                .collect(),
            merge: info.parents.len() > 1,
            content: descriptors::content(self.repository, id, service, files)?,
            signature: keyring.verify(self.repository, id, self.now)?,
        })
    }
}

#[derive(Clone, Debug, Default)]
struct Commits {
    since: Option<CommitId>,
    brought: Vec<CommitId>,
    accountable: Vec<CommitId>,
    announced: Option<CommitId>,
}

/// How many problems of one descriptor a decision repeats. Whoever resolved it has them all.
const MOST_PROBLEMS: usize = 10;

fn asked(resolved: &Resolved, commit: &CommitId) -> Asked {
    match resolved {
        Resolved::Valid(valid) => Asked::Valid(Seen {
            commit: commit.clone(),
            version: valid.descriptor.version.to_string(),
            digest: valid.digest.clone(),
        }),
        Resolved::Broken { diagnostics } => {
            let errors = || diagnostics.iter().filter(|problem| problem.is_error());
            Asked::Broken {
                diagnostics: diagnostics
                    .iter()
                    .take(MOST_PROBLEMS)
                    .filter_map(|problem| serde_json::to_value(problem.to_data()).ok())
                    .collect(),
                lines: errors()
                    .take(MOST_PROBLEMS)
                    .map(|problem| problem.line())
                    .collect(),
                more: errors().count().saturating_sub(MOST_PROBLEMS),
            }
        }
        Resolved::Absent => Asked::Absent,
    }
}
