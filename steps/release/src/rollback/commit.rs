//! The commit that goes back.

use pilotage_decision::Desk;
use pilotage_decision::descriptors::{self, LARGEST_DESCRIPTOR, LARGEST_FILE, Resolved, Valid};
use pilotage_decision::fault::of_git;
use pilotage_descriptor::path_of;
use pilotage_gitrepo::{Edit, File, NewCommit, Person};
use pilotage_name::CommitId;
use pilotage_outcome::Fault;

use super::{RollbackRequest, RollbackTarget, TRAILER};

/// A commit that goes back; no ref points at it yet.
pub(super) struct RollbackCommit {
    pub(super) id: CommitId,
    /// The files that it restores.
    pub(super) paths: Vec<String>,
}

/// The commit on top of the tip that restores the service's file as it was, and the files it takes content from; none where
/// the tip asks for that already.
pub(super) fn write(
    desk: &Desk,
    request: &RollbackRequest,
    target: &RollbackTarget,
    tip: &CommitId,
    now: jiff::Timestamp,
) -> Result<Option<RollbackCommit>, Fault> {
    let path = path_of(&request.service);
    if !desk.cache().has_commit(&target.commit) {
        return Err(Fault::refused(format!(
            "commit {}, which {} was proved with, is gone from the repository",
            target.commit.short(),
            target.version
        ))
        .help("push the wanted descriptor yourself"));
    }
    let then = valid(desk, request, &target.commit)?.ok_or_else(|| {
        Fault::refused(format!(
            "the descriptor of {} at {} cannot be read any more",
            request.service,
            target.commit.short()
        ))
    })?;
    if then.digest != target.descriptor {
        return Err(Fault::refused(format!(
            "the descriptor at {} reads differently today; it cannot be restored as it was proved",
            target.commit.short()
        )));
    }
    let mut edits = Vec::new();
    let mut paths = Vec::new();
    if let Some(edit) = restored(desk, &path, LARGEST_DESCRIPTOR, &target.commit, tip)? {
        edits.push(edit);
        paths.push(path);
    }
    let mut shared = Vec::new();
    for file in &then.files {
        if let Some(edit) = restored(desk, file, LARGEST_FILE, &target.commit, tip)? {
            edits.push(edit);
            shared.push(file.as_str());
        }
    }
    if edits.is_empty() {
        return Ok(None);
    }
    refuse_shared(desk, request, tip, &shared)?;
    paths.extend(shared.into_iter().map(str::to_owned));
    let person = Person {
        name: request.by.name.clone(),
        email: request.by.email.clone().unwrap_or_default(),
        when: now,
        offset_minutes: 0,
    };
    let message = format!(
        "Roll {} in {} back to {}\n\n{}\n\nRollback-To: {}\n{TRAILER}: {tip}\n",
        request.service,
        request.environment,
        target.version,
        request.reason.trim(),
        target.commit,
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
            sign: request.signing_key.as_deref(),
        })
        .map_err(of_git)?;
    match valid(desk, request, &commit)? {
        Some(restored) if restored.digest == target.descriptor => {
            Ok(Some(RollbackCommit { id: commit, paths }))
        }
        _ => Err(Fault::internal(format!(
            "the restored descriptor of {} is not what it was",
            request.service
        ))),
    }
}

fn valid(desk: &Desk, request: &RollbackRequest, commit: &CommitId) -> Result<Option<Box<Valid>>, Fault> {
    let environments = desk.sight().environments();
    let resolved = descriptors::read(
        desk.cache(),
        commit,
        &request.environment,
        &request.service,
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
fn refuse_shared(
    desk: &Desk,
    request: &RollbackRequest,
    tip: &CommitId,
    files: &[&str],
) -> Result<(), Fault> {
    if files.is_empty() {
        return Ok(());
    }
    let environments = desk.sight().environments();
    for other in descriptors::list(desk.cache(), tip)
        .map_err(Fault::from)?
        .found
        .keys()
    {
        if *other == request.service {
            continue;
        }
        let resolved = descriptors::read(desk.cache(), tip, &request.environment, other, &environments);
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
