use std::sync::Arc;

use crate::operation::Operation;
use crate::{Error, Listing, RefPattern, transport};

/// Brings the objects of the refs that the patterns mean into `git`, moving no ref, and says where those refs are.
pub(crate) fn download(
    git: &git2::Repository,
    operation: &Arc<Operation>,
    patterns: &[RefPattern],
) -> Result<Listing, Error> {
    let over = Arc::clone(operation);
    let listing = transport::over(operation, || {
        download_from(git, &operation.transport_url(), patterns, move || over.is_over())
    });
    listing.map_err(|error| operation.failed("fetch", error))
}

/// The same for any address libgit2 can reach; ends early when `is_over` says so.
pub(crate) fn download_from(
    git: &git2::Repository,
    url: &str,
    patterns: &[RefPattern],
    is_over: impl Fn() -> bool,
) -> Result<Listing, git2::Error> {
    let mut remote = git.remote_anonymous(url)?;
    let mut listing = Listing::empty(patterns);
    {
        let mut connection = remote.connect_auth(git2::Direction::Fetch, None, None)?;
        for head in connection.list()? {
            listing.take(head.name().as_bytes(), &head.oid().to_string());
        }
        if listing.refs.is_empty() {
            return Ok(listing);
        }
        let mut callbacks = git2::RemoteCallbacks::new();
        callbacks.transfer_progress(move |_| !is_over());
        let mut options = git2::FetchOptions::new();
        options
            .remote_callbacks(callbacks)
            .download_tags(git2::AutotagOption::None)
            .update_fetchhead(false);
        let globs: Vec<String> = patterns.iter().map(RefPattern::glob).collect();
        connection.remote().download(&globs, Some(&mut options))?;
    }
    remote.disconnect()?;
    Ok(listing)
}

/// Lists by protocol version 0, where the server sends every ref it has.
pub(crate) fn advertised(operation: &Arc<Operation>, patterns: &[RefPattern]) -> Result<Listing, Error> {
    let failed = |error| operation.failed("list the refs", error);
    transport::over(operation, || {
        let mut remote = git2::Remote::create_detached(operation.transport_url()).map_err(failed)?;
        let connection = remote
            .connect_auth(git2::Direction::Fetch, None, None)
            .map_err(failed)?;
        let mut listing = Listing::empty(patterns);
        for head in connection.list().map_err(failed)? {
            listing.take(head.name().as_bytes(), &head.oid().to_string());
        }
        Ok(listing)
    })
}
