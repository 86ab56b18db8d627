//! Releasing another version by hand: it is committed first, so that git stays the truth, and the release that follows passes
//! the same gates as any other.

mod by_hand;
mod edit;

use std::sync::Arc;

use pilotage_decision::Desk;
use pilotage_decision::descriptors::{self, LARGEST_DESCRIPTOR, Resolved, Valid};
use pilotage_decision::fault::of_git;
use pilotage_descriptor::{Version, path_of};
use pilotage_gitrepo::{Edit, File, NewCommit, Person, RefName, SigningKey};
use pilotage_ledger::TriggerKind;
use pilotage_message::Who;
use pilotage_name::{CommitId, EnvironmentName, ServiceName};
use pilotage_outcome::Fault;

pub use self::edit::{EditError, with_version};
use crate::approve::{Approved, Refusal};
use crate::branch;
use crate::prepare::{Prepared, prepare};

/// What is asked for.
#[derive(Clone, Debug)]
pub struct VersionRequest {
    /// The environment.
    pub environment: EnvironmentName,
    /// The service.
    pub service: ServiceName,
    /// The version.
    pub version: Version,
    /// Why, if there is more to say than that.
    pub reason: Option<String>,
    /// Who does it: author and committer of the commit.
    pub by: Who,
    /// Signs the commit.
    pub signing_key: Option<Arc<SigningKey>>,
}

/// What a request comes to.
#[derive(Clone, Debug)]
pub enum Drafted {
    /// The branch asks for that version already.
    Asked,
    /// The gates stand in the way; nothing was pushed.
    Refused(Box<Refusal>),
    /// A commit that may be pushed.
    Draft(Box<Draft>),
}

/// A commit that asks for the version; no ref points at it yet.
#[derive(Clone, Debug)]
pub struct Draft {
    /// The commit.
    pub commit: CommitId,
    /// The version that the branch asks for now.
    pub from: String,
    /// What its release would be.
    pub prepared: Prepared,
    branch: RefName,
    tip: CommitId,
}

impl Draft {
    /// Pushes it by compare-and-swap; false where the branch has moved and it has to be made anew.
    ///
    /// # Errors
    /// The server does not take it, or does not answer.
    pub fn push(&self, desk: &mut Desk) -> Result<bool, Fault> {
        branch::push(desk, &self.branch, &self.tip, &self.commit)
    }
}

/// Writes the commit on top of the branch, and asks the gates about it.
///
/// # Errors
/// The repository cannot be read, or the descriptor is not one whose version can be edited.
pub fn draft(desk: &mut Desk, request: &VersionRequest, now: jiff::Timestamp) -> Result<Drafted, Fault> {
    let (branch, tip) = branch::tip(desk, &request.environment)?;
    let path = path_of(&request.service);
    let text = text(desk, request, &path, &tip)?;
    let uneditable = |error: EditError| {
        Fault::refused(format!("`{path}` {error}")).help(format!(
            "write `version: \"{}\"` there yourself, commit and push",
            request.version
        ))
    };
    let Some(edited) = with_version(&text, &request.version).map_err(uneditable)? else {
        return Ok(Drafted::Asked);
    };
    let before = valid(desk, request, &tip)?;
    refuse_pinned(request, &path, &before)?;
    let person = Person {
        name: request.by.name.clone(),
        email: request.by.email.clone().unwrap_or_default(),
        when: now,
        offset_minutes: 0,
    };
    let reason = request
        .reason
        .as_ref()
        .map(|reason| format!("\n{}\n", reason.trim()))
        .unwrap_or_default();
    let message = format!(
        "Release {} {} in {}\n{reason}",
        request.service, request.version, request.environment
    );
    let edits = [Edit::write(path.clone(), edited)];
    let commit = desk
        .cache()
        .write_commit(&NewCommit {
            base: Some(&tip),
            edits: &edits,
            parents: std::slice::from_ref(&tip),
            author: &person,
            committer: &person,
            message: &message,
            sign: request.signing_key.as_deref(),
        })
        .map_err(of_git)?;
    if let Some(decision) = branch::objection(desk, &request.environment, &request.service, &commit)? {
        let mut refusal = Refusal::of(&decision);
        if request.signing_key.is_none() && branch::lacks_signature(desk, &request.environment, &decision) {
            refusal.satisfy = by_hand::signed(request, &path, branch.branch_name().unwrap_or_default());
        }
        return Ok(Drafted::Refused(Box::new(refusal)));
    }
    let approved = Approved {
        commit: commit.clone(),
        valid: valid(desk, request, &commit)?,
        decision: None,
        notes: Vec::new(),
        change: None,
        kind: TriggerKind::Hand,
    };
    let prepared = prepare(desk, &request.environment, &request.service, &approved)?;
    Ok(Drafted::Draft(Box::new(Draft {
        commit,
        from: before.descriptor.version.to_string(),
        prepared,
        branch,
        tip,
    })))
}

fn text(desk: &Desk, request: &VersionRequest, path: &str, tip: &CommitId) -> Result<String, Fault> {
    let VersionRequest {
        environment, service, ..
    } = request;
    let file = desk.cache().blob(tip, path, LARGEST_DESCRIPTOR).map_err(of_git)?;
    let unreadable = || Fault::invalid(format!("`{path}` in {environment} is no readable text"));
    match file {
        File::Blob(blob) => String::from_utf8(blob.bytes).map_err(|_| unreadable()),
        File::Missing => Err(Fault::refused(format!("there is no {service} in {environment}"))
            .help(format!("a new service begins with `{path}`, by a commit"))),
        File::NotRegular(_) | File::TooLarge { .. } => Err(unreadable()),
    }
}

fn valid(desk: &Desk, request: &VersionRequest, commit: &CommitId) -> Result<Box<Valid>, Fault> {
    let environments = desk.sight().environments();
    let resolved = descriptors::read(
        desk.cache(),
        commit,
        &request.environment,
        &request.service,
        &environments,
    );
    match resolved.map_err(Fault::from)? {
        Resolved::Valid(valid) => Ok(valid),
        Resolved::Broken { diagnostics } => Err(Fault::from(diagnostics)),
        Resolved::Absent => Err(Fault::internal(format!(
            "{} is gone from a commit that has it",
            request.service
        ))),
    }
}

/// An image that is named by its digest stays the same whatever the version says. A tag that is no longer the version is
/// refused with the descriptor.
fn refuse_pinned(request: &VersionRequest, path: &str, before: &Valid) -> Result<(), Fault> {
    let digest = before
        .descriptor
        .image
        .as_ref()
        .and_then(|image| image.digest.as_ref());
    match digest {
        None => Ok(()),
        Some(digest) => Err(Fault::refused(format!(
            "the image of {} is {digest}, which another version does not change",
            request.service
        ))
        .help(format!("change `version` and `image` in `{path}` by a commit"))),
    }
}
