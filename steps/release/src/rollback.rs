//! Going back to a version that was proved, by a commit that restores its descriptor: git stays the truth, and the release
//! that follows passes the same gates as any other.

use std::collections::BTreeSet;

use pilotage_decision::Desk;
use pilotage_decision::descriptors::{self, LARGEST_DESCRIPTOR, LARGEST_FILE, Resolved, Valid};
use pilotage_decision::fault::{of_git, of_ledger};
use pilotage_descriptor::path_of;
use pilotage_gate::Verdict;
use pilotage_gitrepo::{Edit, File, NewCommit, Person, RefName, RefUpdate, UpdateResult};
use pilotage_ledger::{EndWord, Ending, ReleaseState};
use pilotage_message::Who;
use pilotage_name::{CommitId, EnvironmentName, ServiceName};
use pilotage_outcome::Fault;

use crate::approve::Refusal;

/// The trailer that names what a commit rolls back from; a release of such a commit rejects that.
pub const TRAILER: &str = "Rollback-Of";

/// How often the commit is made anew because somebody pushed meanwhile.
const TRIES: u32 = 5;

/// What is asked for.
#[derive(Clone, Debug)]
pub struct Wish {
    /// The environment.
    pub environment: EnvironmentName,
    /// The service.
    pub service: ServiceName,
    /// The version to go back to; without it the one that was proved before.
    pub to: Option<String>,
    /// Why.
    pub reason: String,
    /// Who does it: author and committer of the commit.
    pub by: Who,
    /// Change nothing.
    pub dry_run: bool,
}

/// What was proved once, and so can be gone back to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Goal {
    /// Its version.
    pub version: String,
    /// The commit that asked for it.
    pub commit: CommitId,
    /// The digest of its resolved descriptor.
    pub descriptor: String,
}

/// What came of the wish.
#[derive(Clone, Debug)]
pub enum Rolled {
    /// This commit stands on the branch now.
    Pushed {
        /// The commit.
        commit: CommitId,
        /// What it restores.
        goal: Goal,
    },
    /// The branch asks for that already.
    Asked {
        /// What it asks for.
        goal: Goal,
    },
    /// It would be pushed.
    Dry {
        /// What would be restored.
        goal: Goal,
    },
    /// The gates stand in the way; nothing was pushed.
    Refused(Box<Refusal>),
}

/// Picks what to go back to. While a version is held that is what runs; else what was proved before what runs.
///
/// # Errors
/// In words, when there is nothing of that kind; with the versions there are.
pub fn choose(state: &ReleaseState, to: Option<&str>) -> Result<Goal, (String, Vec<String>)> {
    let proved = state.history.iter().rev().filter_map(|release| {
        let Some(Ending::Finished(finished)) = release.end.as_ref().map(|end| &end.how) else {
            return None;
        };
        let good = finished.outcome == EndWord::Succeeded && !finished.undone && release.undone.is_none();
        (good && finished.proof.is_some() && !release.begun.retires).then(|| Goal {
            version: release.begun.version.clone(),
            commit: release.begun.commit.clone(),
            descriptor: release.begun.descriptor.clone(),
        })
    });
    let now = state
        .proved
        .as_ref()
        .filter(|proved| !proved.retired)
        .map(|proved| Goal {
            version: proved.version.clone(),
            commit: proved.commit.clone(),
            descriptor: proved.descriptor.clone(),
        });
    let candidates: Vec<Goal> = now.into_iter().chain(proved).collect();
    let running = state.proved.as_ref().map(|proved| proved.descriptor.as_str());
    let found = match to {
        Some(version) => candidates.iter().find(|goal| goal.version == version),
        None if state.held.is_some() || state.unsettled.is_some() => candidates.first(),
        None => candidates
            .iter()
            .find(|goal| Some(goal.descriptor.as_str()) != running),
    };
    found.cloned().ok_or_else(|| {
        let mut seen = BTreeSet::new();
        let versions = candidates
            .iter()
            .map(|goal| goal.version.clone())
            .filter(|version| seen.insert(version.clone()));
        let why = match to {
            Some(version) => format!("version {version} was never proved to run here"),
            None => "nothing else was ever proved to run here".to_owned(),
        };
        (why, versions.collect())
    })
}

/// Reads `Name <email>`.
///
/// # Errors
/// In words, when it is none.
pub fn person(text: &str) -> Result<Who, String> {
    let wrong = || "write it as `Name <email>`".to_owned();
    let (name, rest) = text.trim().split_once('<').ok_or_else(wrong)?;
    let email = rest.strip_suffix('>').ok_or_else(wrong)?;
    let clean =
        |text: &str| !text.is_empty() && !text.contains(['<', '>']) && !text.chars().any(char::is_control);
    let name = name.trim();
    if !clean(name) || !clean(email) || email.contains(char::is_whitespace) || !email.contains('@') {
        return Err(wrong());
    }
    Ok(Who {
        name: name.to_owned(),
        email: Some(email.to_owned()),
    })
}

/// Writes the commit, asks the gates about it, and pushes it by compare-and-swap.
///
/// # Errors
/// The repository cannot be read or written, or there is nothing to go back to.
pub fn roll_back(desk: &mut Desk, wish: &Wish, now: jiff::Timestamp) -> Result<Rolled, Fault> {
    for _ in 0..TRIES {
        let tip = desk.sight().tip(&wish.environment).map_err(Fault::from)?.clone();
        let branch = match desk.sight().config.environment(&wish.environment) {
            Some(known) => RefName::branch(&known.branch).map_err(of_git)?,
            None => return Err(Fault::internal("an environment with a tip and without a branch")),
        };
        let goal = goal(desk, wish)?;
        let Some(commit) = write(desk, wish, &goal, &tip, now)? else {
            return Ok(Rolled::Asked { goal });
        };
        let (decided, _) = desk
            .decide(
                &wish.environment,
                std::slice::from_ref(&wish.service),
                &commit,
                None,
            )
            .map_err(Fault::from)?;
        if let Some(one) = decided.first()
            && !matches!(one.decision.verdict, Verdict::Accept | Verdict::Nothing)
        {
            return Ok(Rolled::Refused(Box::new(Refusal::of(&one.decision))));
        }
        if wish.dry_run {
            return Ok(Rolled::Dry { goal });
        }
        let update = RefUpdate {
            name: branch,
            expected: Some(tip),
            new: commit.clone(),
        };
        let result = desk
            .remote()
            .push(desk.cache(), &[update])
            .map_err(of_git)?
            .into_iter()
            .next();
        match result {
            Some(UpdateResult::Done) => {
                desk.look().map_err(Fault::from)?;
                return Ok(Rolled::Pushed { commit, goal });
            }
            Some(UpdateResult::Moved { .. }) => {
                desk.look().map_err(Fault::from)?;
            }
            Some(UpdateResult::Refused(text)) => {
                return Err(Fault::refused(format!(
                    "the server does not take the commit: {}",
                    pilotage_diagnostic::printable(&text)
                ))
                .help("whoever rolls back needs the right to push to the environment's branch"));
            }
            Some(UpdateResult::Unknown(text)) => {
                return Err(Fault::unavailable(format!(
                    "whether the commit was pushed is not known: {}",
                    pilotage_diagnostic::printable(&text)
                ))
                .help("run the same command again"));
            }
            None => return Err(Fault::internal("a push without a result")),
        }
    }
    Err(Fault::unavailable(format!(
        "the branch of {} moved {TRIES} times meanwhile",
        wish.environment
    ))
    .help("run the same command again"))
}

fn goal(desk: &mut Desk, wish: &Wish) -> Result<Goal, Fault> {
    let chain = desk
        .ledger()
        .release(&wish.environment, &wish.service)
        .map_err(of_ledger)?;
    choose(chain.state(), wish.to.as_deref()).map_err(|(why, versions)| {
        let fault = Fault::refused(format!("{} in {}: {why}", wish.service, wish.environment));
        match versions.is_empty() {
            true => fault,
            false => fault.help(format!("proved were: {}", versions.join(", "))),
        }
    })
}

/// The commit on top of the tip that restores the service's file as it was, and the files it takes content from; none where
/// the tip asks for that already.
fn write(
    desk: &Desk,
    wish: &Wish,
    goal: &Goal,
    tip: &CommitId,
    now: jiff::Timestamp,
) -> Result<Option<CommitId>, Fault> {
    let path = path_of(&wish.service);
    if !desk.cache().has_commit(&goal.commit) {
        return Err(Fault::refused(format!(
            "commit {}, which {} was proved with, is gone from the repository",
            goal.commit.short(),
            goal.version
        ))
        .help("push the wanted descriptor yourself"));
    }
    let then = valid(desk, wish, &goal.commit)?.ok_or_else(|| {
        Fault::refused(format!(
            "the descriptor of {} at {} cannot be read any more",
            wish.service,
            goal.commit.short()
        ))
    })?;
    if then.digest != goal.descriptor {
        return Err(Fault::refused(format!(
            "the descriptor at {} reads differently today; it cannot be restored as it was proved",
            goal.commit.short()
        )));
    }
    let mut edits = Vec::new();
    if let Some(edit) = restored(desk, &path, LARGEST_DESCRIPTOR, &goal.commit, tip)? {
        edits.push(edit);
    }
    let mut shared = Vec::new();
    for file in &then.files {
        if let Some(edit) = restored(desk, file, LARGEST_FILE, &goal.commit, tip)? {
            edits.push(edit);
            shared.push(file.as_str());
        }
    }
    if edits.is_empty() {
        return Ok(None);
    }
    refuse_shared(desk, wish, tip, &shared)?;
    let person = Person {
        name: wish.by.name.clone(),
        email: wish.by.email.clone().unwrap_or_default(),
        when: now,
        offset_minutes: 0,
    };
    let message = format!(
        "Roll {} in {} back to {}\n\n{}\n\nRollback-To: {}\n{TRAILER}: {tip}\n",
        wish.service,
        wish.environment,
        goal.version,
        wish.reason.trim(),
        goal.commit,
    );
    let commit = desk
        .cache()
        .write_commit(&NewCommit {
            base: Some(tip),
            edits: &edits,
            parents: std::slice::from_ref(tip),
            author: &person,
            committer: &person,
            message: &message,
            sign: None,
        })
        .map_err(of_git)?;
    match valid(desk, wish, &commit)? {
        Some(restored) if restored.digest == goal.descriptor => Ok(Some(commit)),
        _ => Err(Fault::internal(format!(
            "the restored descriptor of {} is not what it was",
            wish.service
        ))),
    }
}

fn valid(desk: &Desk, wish: &Wish, commit: &CommitId) -> Result<Option<Box<Valid>>, Fault> {
    let environments = desk.sight().environments();
    let resolved = descriptors::read(
        desk.cache(),
        commit,
        &wish.environment,
        &wish.service,
        &environments,
    );
    Ok(match resolved.map_err(Fault::from)? {
        Resolved::Valid(valid) => Some(valid),
        Resolved::Broken { .. } | Resolved::Absent => None,
    })
}

/// The edit that makes a file at the tip what it was, where it differs.
fn restored(
    desk: &Desk,
    path: &str,
    most: u64,
    then: &CommitId,
    tip: &CommitId,
) -> Result<Option<Edit>, Fault> {
    let blob = |commit: &CommitId| desk.cache().blob(commit, path, most).map_err(of_git);
    let File::Blob(was) = blob(then)? else {
        return Err(Fault::refused(format!(
            "`{path}` cannot be read at {}",
            then.short()
        )));
    };
    Ok(match blob(tip)? {
        File::Blob(is) if is.id == was.id => None,
        _ => Some(Edit::write(path, was.bytes)),
    })
}

/// A file that another service takes content from is not changed behind that one's back.
fn refuse_shared(desk: &Desk, wish: &Wish, tip: &CommitId, files: &[&str]) -> Result<(), Fault> {
    if files.is_empty() {
        return Ok(());
    }
    let environments = desk.sight().environments();
    for other in descriptors::list(desk.cache(), tip)
        .map_err(Fault::from)?
        .found
        .keys()
    {
        if *other == wish.service {
            continue;
        }
        let resolved = descriptors::read(desk.cache(), tip, &wish.environment, other, &environments);
        let Resolved::Valid(valid) = resolved.map_err(Fault::from)? else {
            continue;
        };
        if let Some(file) = files.iter().find(|file| valid.files.contains(**file)) {
            return Err(Fault::refused(format!(
                "`{file}` was changed since, and {other} takes content from it too"
            ))
            .help("push a commit that says what both are to have"));
        }
    }
    Ok(())
}
