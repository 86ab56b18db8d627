//! The evidence of a push: what the branch asks for now, who brought it, and what is known of before.

use std::collections::BTreeSet;

use jiff::Timestamp;
use pilotage_command_line::CommandLines;
use pilotage_diagnostic::Diagnostics;
use pilotage_gate::{Asked, Change, Decision, Evidence, Held, Seen, Storm, decide};
use pilotage_gitrepo::Repository;
use pilotage_name::{CommitId, EnvironmentName, ServiceName};

use crate::change::change;
use crate::descriptors::{self, Resolved};
use crate::error::Error;
use crate::keyring::Keyring;
use crate::past::{EnvironmentPast, ServicePast};
use crate::range::Commits;
use crate::sight::Sight;

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
    /// The commands that people are told to type.
    pub commands: &'a CommandLines,
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
        let is_storm = self.sight.config.storm.is_one(storm.changing, storm.total);
        let brought = self.commits(&asked, is_storm)?;
        let keyring = Keyring::of(&self.sight.config);
        let mut decided = Vec::with_capacity(asked.len());
        for ((service, resolved), commits) in asked.into_iter().zip(brought) {
            let evidence = self.evidence(service, &resolved, &commits, &keyring, storm)?;
            let decision = decide(&self.sight.config, evidence, self.commands, self.now);
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

    fn evidence(
        &self,
        service: &ServiceName,
        resolved: &Resolved,
        commits: &Commits,
        keyring: &Keyring,
        storm: Storm,
    ) -> Result<Evidence, Error> {
        let past = self.past_of(service);
        let (held, rejected) = self.standing_rejections(&past)?;
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
            outdated: past.outdated,
            running: past.running,
            under_way: past.under_way,
            unsettled: past.unsettled,
            held,
            rejected,
            brought: changes(&commits.brought)?,
            accountable: changes(&commits.accountable)?,
            carried: past.carried,
            storm,
            announced: commits.announced.as_ref().map(change).transpose()?,
            unreadable: past.unreadable,
        })
    }

    /// The hold and the rejections as far as nothing was accepted since: what was is open work, however often its release
    /// was cut off, and not what was rejected before it.
    fn standing_rejections(&self, past: &ServicePast) -> Result<(Option<Held>, Vec<Seen>), Error> {
        let mut held = past.held.clone();
        let Some(accepted) = past.outdated.as_ref().or(past.accepted.as_ref()) else {
            return Ok((held, past.rejected.clone()));
        };
        if let Some(hold) = &held {
            // What else was accepted last was accepted after the rejected, which had to be accepted for its own release.
            if hold.rejected.digest != accepted.digest || self.comes_after(accepted, &hold.rejected)? {
                held = None;
            }
        }
        let mut standing = Vec::with_capacity(past.rejected.len());
        for seen in &past.rejected {
            if seen.digest != accepted.digest || !self.comes_after(accepted, seen)? {
                standing.push(seen.clone());
            }
        }
        Ok((held, standing))
    }

    /// Whether the commit of `newer` was made on top of that of `older`.
    fn comes_after(&self, newer: &Seen, older: &Seen) -> Result<bool, Error> {
        let (newer, older) = (&newer.commit, &older.commit);
        Ok(newer != older
            && self.repository.has_commit(newer)
            && self.repository.has_commit(older)
            && self.repository.is_ancestor(older, newer)?)
    }

    fn change(
        &self,
        id: &CommitId,
        service: &ServiceName,
        files: &BTreeSet<String>,
        keyring: &Keyring,
    ) -> Result<Change, Error> {
        Ok(Change {
            content: descriptors::content(self.repository, id, service, files)?,
            signature: keyring.verify(self.repository, id, self.now)?,
            ..change(self.repository, id)?
        })
    }
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
