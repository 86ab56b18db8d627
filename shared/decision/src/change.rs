//! A commit as the gates see it.

use pilotage_gate::{Change, Identity, SignatureSeen};
use pilotage_gitrepo::{Person, Repository};
use pilotage_name::CommitId;

use crate::error::Error;

/// What a commit says of itself. What it holds of a service is not looked at, nor what its signature is worth.
///
/// # Errors
/// The commit cannot be read.
pub fn change(repository: &Repository, id: &CommitId) -> Result<Change, Error> {
    let info = repository.commit(id)?;
    let lossy = info.lossy;
    let identity = |person: &Person| Identity {
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
        content: None,
        signature: SignatureSeen::None,
    })
}
