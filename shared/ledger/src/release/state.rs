//! What a release chain says now: a pure fold over its events.

use jiff::Timestamp;
use pilotage_name::{CommitId, EnvironmentName, ProjectName, ReleaseId, ServiceName};

use super::event::{
    Abandoned, Begun, Brought, Effects, EndWord, Event, Finished, Proof, TriggerKind, Undone, What,
};

/// What a release chain says now.
///
/// The fold takes any sequence of events: one that does not fit (a second begin while one runs, an end of a release
/// that does not run) changes nothing and is listed in `misfits`.
#[derive(Clone, Debug, PartialEq)]
pub struct ReleaseState {
    /// The environment the chain belongs to.
    pub environment: EnvironmentName,
    /// The service the chain belongs to.
    pub service: ServiceName,
    /// The project named by the newest event that names one.
    pub project: Option<ProjectName>,
    /// Count of begins; never goes down.
    pub fence: u64,
    /// The release that runs now.
    pub running: Option<Release>,
    /// What was last proved to run.
    pub proved: Option<Proved>,
    /// The environment does not run what git asks for, because that was rejected.
    pub held: Option<Held>,
    /// Versions that nothing automatic may release again, oldest first; a proved release of the same descriptor
    /// lifts its rejections.
    pub rejections: Vec<Rejection>,
    /// The newest release that may have changed the target and left no proof: what runs now must be looked up there.
    pub unsettled: Option<ReleaseId>,
    /// All releases that ended, oldest first.
    pub history: Vec<Release>,
    /// Events that did not fit and were passed over.
    pub misfits: Vec<Misfit>,
}

/// One release, from its begin to its end.
#[derive(Clone, Debug, PartialEq)]
pub struct Release {
    /// Its id.
    pub id: ReleaseId,
    /// When it began.
    pub begun_at: Timestamp,
    /// What was asked, and who holds it.
    pub begun: Begun,
    /// It switched back, and when.
    pub undone: Option<(Timestamp, Undone)>,
    /// How and when it ended; nothing while it runs.
    pub end: Option<End>,
}

/// The end of a release.
#[derive(Clone, Debug, PartialEq)]
pub struct End {
    /// When.
    pub at: Timestamp,
    /// How.
    pub how: Ending,
}

/// How a release ended.
#[derive(Clone, Debug, PartialEq)]
pub enum Ending {
    /// Its holder finished it.
    Finished(Box<Finished>),
    /// Somebody else gave it up.
    Abandoned(Abandoned),
}

/// What was last proved to run.
#[derive(Clone, Debug, PartialEq)]
pub struct Proved {
    /// The release that proved it, or the newest one when it was adopted.
    pub release: ReleaseId,
    /// Since when.
    pub since: Timestamp,
    /// The commit that asked for it.
    pub commit: CommitId,
    /// The commit of the config branch.
    pub config_commit: CommitId,
    /// Digest of the resolved descriptor.
    pub descriptor: String,
    /// Hash of the descriptor's normalised intent.
    pub config: String,
    /// Version.
    pub version: String,
    /// By whose change.
    pub by: String,
    /// Which change that was, where it is known.
    pub change: Option<Brought>,
    /// What was re-read from the target; absent only for an adopted or a retired service.
    pub proof: Option<Proof>,
    /// It was taken over as it was, not released.
    pub adopted: bool,
    /// The service is retired: that nothing runs is what was proved.
    pub retired: bool,
}

/// The environment does not run what git asks for.
#[derive(Clone, Debug, PartialEq)]
pub struct Held {
    /// What git asks for.
    pub asked: Asked,
    /// What was proved to run when it was rejected; nothing when nothing ever was.
    pub runs: Option<Proved>,
    /// Why it was rejected.
    pub why: String,
    /// Since when.
    pub since: Timestamp,
    /// The release that was rejected.
    pub release: ReleaseId,
}

/// A version asked for by a commit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    /// The commit.
    pub commit: CommitId,
    /// Digest of its resolved descriptor.
    pub descriptor: String,
    /// Its version.
    pub version: String,
}

/// A version that failed, was undone or rolled back.
#[derive(Clone, Debug, PartialEq)]
pub struct Rejection {
    /// What was rejected.
    pub asked: Asked,
    /// Why.
    pub why: String,
    /// When.
    pub at: Timestamp,
    /// The release it is about.
    pub release: ReleaseId,
}

/// An event that did not fit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Misfit {
    /// Its commit.
    pub commit: CommitId,
    /// Why it does not fit.
    pub why: String,
}

impl Begun {
    fn asked(&self) -> Asked {
        Asked {
            commit: self.commit.clone(),
            descriptor: self.descriptor.clone(),
            version: self.version.clone(),
        }
    }
}

impl ReleaseState {
    /// The state of an empty chain.
    #[must_use]
    pub fn new(environment: EnvironmentName, service: ServiceName) -> Self {
        Self {
            environment,
            service,
            project: None,
            fence: 0,
            running: None,
            proved: None,
            held: None,
            rejections: Vec::new(),
            unsettled: None,
            history: Vec::new(),
            misfits: Vec::new(),
        }
    }

    /// The newest release that ended.
    #[must_use]
    pub fn last(&self) -> Option<&Release> {
        self.history.last()
    }

    /// The id of the newest release; number 0 before the first.
    #[must_use]
    pub fn newest(&self) -> ReleaseId {
        self.id(self.fence)
    }

    /// The id the next release gets.
    #[must_use]
    pub fn next(&self) -> ReleaseId {
        self.id(self.fence.saturating_add(1))
    }

    fn id(&self, fence: u64) -> ReleaseId {
        ReleaseId {
            environment: self.environment.clone(),
            service: self.service.clone(),
            fence,
        }
    }

    /// The newest rejection of this commit or, failing that, of this descriptor under whatever commit.
    ///
    /// Nothing automatic may release what is rejected. A person's new commit may, although its descriptor is the same:
    /// the caller tells the two apart by comparing the commits.
    #[must_use]
    pub fn rejection(&self, commit: &CommitId, descriptor: &str) -> Option<&Rejection> {
        let newest =
            |wanted: &dyn Fn(&Asked) -> bool| self.rejections.iter().rev().find(|r| wanted(&r.asked));
        newest(&|asked| asked.commit == *commit).or_else(|| newest(&|asked| asked.descriptor == descriptor))
    }

    /// Takes in the next event. One that is not believed can only raise the fence, so that a number is never given
    /// out twice.
    pub fn apply(&mut self, commit: &CommitId, event: &Event, believed: bool) {
        if let Err(why) = self.take(event, believed) {
            self.misfits.push(Misfit {
                commit: commit.clone(),
                why,
            });
        }
    }

    fn take(&mut self, event: &Event, believed: bool) -> Result<(), String> {
        let id = &event.release;
        if id.environment != self.environment || id.service != self.service {
            return Err(format!(
                "it is about {id}, the chain about {} in {}",
                self.service, self.environment
            ));
        }
        if let What::Begun(begun) = &event.what {
            self.raise_fence(id, begun)?;
        }
        if !believed {
            return Ok(());
        }
        match &event.what {
            What::Begun(begun) => self.begin(event, begun),
            What::Undone(undone) => {
                let running = self.running_mut(id)?;
                running.undone = Some((event.at, undone.clone()));
                Ok(())
            }
            What::Finished(finished) => {
                let release = self.end(event, Ending::Finished(finished.clone()))?;
                self.finished(event.at, &release, finished);
                Ok(())
            }
            What::Abandoned(abandoned) => {
                let release = self.end(event, Ending::Abandoned(abandoned.clone()))?;
                if let Some((_, undone)) = &release.undone {
                    self.reject(
                        event.at,
                        &release.id,
                        release.begun.asked(),
                        format!("undone: {}", undone.reason),
                    );
                    self.unsettled = None;
                } else {
                    self.unsettled = Some(release.id);
                }
                Ok(())
            }
            What::Rejected(rejected) => {
                let asked = Asked {
                    commit: rejected.commit.clone(),
                    descriptor: rejected.descriptor.clone(),
                    version: rejected.version.clone(),
                };
                self.reject(
                    event.at,
                    id,
                    asked,
                    format!("rejected by {}: {}", rejected.by, rejected.reason),
                );
                Ok(())
            }
            What::Adopted(adopted) => {
                if let Some(running) = &self.running {
                    return Err(format!("an adoption while {} runs", running.id));
                }
                self.project = Some(adopted.service.project.clone());
                self.prove(Proved {
                    release: id.clone(),
                    since: event.at,
                    commit: adopted.commit.clone(),
                    config_commit: adopted.config_commit.clone(),
                    descriptor: adopted.descriptor.clone(),
                    config: adopted.config.clone(),
                    version: adopted.version.clone(),
                    by: adopted.by.clone(),
                    change: None,
                    proof: adopted.proof.clone(),
                    adopted: true,
                    retired: false,
                });
                Ok(())
            }
            What::Affirmed(_) | What::Unknown { .. } => Ok(()),
        }
    }

    fn raise_fence(&mut self, id: &ReleaseId, begun: &Begun) -> Result<(), String> {
        let next = self.fence.checked_add(1).ok_or("the fence has come to its end")?;
        if id.fence != next || begun.fence != next {
            return Err(format!(
                "a begin of {id} with fence {} where {next} was due",
                begun.fence
            ));
        }
        self.fence = next;
        Ok(())
    }

    fn begin(&mut self, event: &Event, begun: &Begun) -> Result<(), String> {
        if let Some(running) = &self.running {
            return Err(format!("a begin while {} runs", running.id));
        }
        if begun.service.environment != self.environment || begun.service.service != self.service {
            return Err(format!("a begin of {}", begun.service));
        }
        self.project = Some(begun.service.project.clone());
        self.running = Some(Release {
            id: event.release.clone(),
            begun_at: event.at,
            begun: begun.clone(),
            undone: None,
            end: None,
        });
        Ok(())
    }

    fn running_mut(&mut self, id: &ReleaseId) -> Result<&mut Release, String> {
        match &mut self.running {
            Some(running) if running.id != *id => Err(format!("an event of {id} while {} runs", running.id)),
            Some(running) => Ok(running),
            None => Err(format!("an event of {id} while nothing runs")),
        }
    }

    fn end(&mut self, event: &Event, how: Ending) -> Result<Release, String> {
        self.running_mut(&event.release)?;
        let Some(mut release) = self.running.take() else {
            return Err("nothing runs".to_owned());
        };
        release.end = Some(End { at: event.at, how });
        self.history.push(release.clone());
        Ok(release)
    }

    fn finished(&mut self, at: Timestamp, release: &Release, finished: &Finished) {
        let begun = &release.begun;
        let undone = finished.undone || release.undone.is_some();
        if finished.outcome == EndWord::Succeeded && !undone {
            if finished.proof.is_some() || begun.retires {
                self.rolled_back(at, release);
                self.prove(Proved {
                    release: release.id.clone(),
                    since: at,
                    commit: begun.commit.clone(),
                    config_commit: begun.config_commit.clone(),
                    descriptor: begun.descriptor.clone(),
                    config: begun.config.clone(),
                    version: begun.version.clone(),
                    by: begun.trigger.by.clone(),
                    change: begun.trigger.change.clone(),
                    proof: finished.proof.clone(),
                    adopted: false,
                    retired: begun.retires,
                });
            } else if finished.effects != Effects::None {
                self.unsettled = Some(release.id.clone());
            }
            return;
        }
        if undone {
            self.unsettled = None;
        } else if finished.effects != Effects::None {
            self.unsettled = Some(release.id.clone());
        }
        if undone || rejects(&finished.outcome) {
            let why = match (finished.reason.first(), &release.undone) {
                (Some(line), _) => format!("{}: {line}", finished.outcome),
                (None, Some((_, undone))) => format!("undone: {}", undone.reason),
                (None, None) if undone => "undone".to_owned(),
                (None, None) => finished.outcome.to_string(),
            };
            self.reject(at, &release.id, begun.asked(), why);
        }
    }

    /// A rollback that proved itself rejects what ran before it.
    fn rolled_back(&mut self, at: Timestamp, release: &Release) {
        let begun = &release.begun;
        let Some(before) = &self.proved else { return };
        if begun.trigger.kind != TriggerKind::Rollback || before.descriptor == begun.descriptor {
            return;
        }
        self.rejections.push(Rejection {
            asked: Asked {
                commit: before.commit.clone(),
                descriptor: before.descriptor.clone(),
                version: before.version.clone(),
            },
            why: format!("rolled back by {}", begun.trigger.by),
            at,
            release: before.release.clone(),
        });
    }

    fn prove(&mut self, proved: Proved) {
        self.rejections
            .retain(|rejection| rejection.asked.descriptor != proved.descriptor);
        self.held = None;
        self.unsettled = None;
        self.proved = Some(proved);
    }

    fn reject(&mut self, at: Timestamp, release: &ReleaseId, asked: Asked, why: String) {
        // A rejection of something git has moved on from since does not change what is held.
        let asked_last = self.asked_last().is_none_or(|newest| *newest == asked.commit);
        let runs_it = self
            .proved
            .as_ref()
            .is_some_and(|proved| proved.commit == asked.commit);
        if asked_last && !runs_it {
            self.held = Some(Held {
                asked: asked.clone(),
                runs: self.proved.clone(),
                why: why.clone(),
                since: at,
                release: release.clone(),
            });
        }
        self.rejections.push(Rejection {
            asked,
            why,
            at,
            release: release.clone(),
        });
    }

    fn asked_last(&self) -> Option<&CommitId> {
        self.running
            .as_ref()
            .or_else(|| self.history.last())
            .map(|release| &release.begun.commit)
    }
}

/// Whether an outcome says that the version itself is not good; a network that was away says nothing about it.
fn rejects(outcome: &EndWord) -> bool {
    match outcome {
        EndWord::Failed | EndWord::Invalid | EndWord::Deadline => true,
        EndWord::Succeeded
        | EndWord::Unavailable
        | EndWord::Refused
        | EndWord::Superseded
        | EndWord::Cancelled
        | EndWord::Skipped
        | EndWord::Internal
        | EndWord::Other(_) => false,
    }
}
