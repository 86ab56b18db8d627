//! An environment repository: refs of the remote, commits, blobs and ranges from a cache, and compare-and-swap updates.
//!
//! A [`Remote`] is asked what its refs are and is given new ones; a [`Cache`] is a bare copy on this machine from which
//! everything else is read. Nothing here checks out files, runs hooks or filters, or reads the git configuration of the
//! machine. All calls block: inside async code they belong on `tokio::task::spawn_blocking`.
//!
//! Texts that come out of a repository (names, subjects, paths) are hostile; they are escaped by whoever shows them.

mod accountable;
mod brought;
mod cache;
mod change;
mod commit;
mod compact;
mod differ;
mod error;
mod fetch;
mod http;
mod local;
mod lock;
mod ls_refs;
mod machine;
mod openpgp;
mod operation;
mod prefix;
mod push;
mod range;
mod refs;
mod remote;
mod repository;
mod seed;
mod signature;
mod ssh;
mod transport;
mod tree;
mod url;
mod write;

pub use cache::{Cache, Fetched, Moved, Vanished};
pub use change::{Change, Changed};
pub use commit::{CommitInfo, Person, SignatureKind, Trailer};
pub use error::{Class, Error, UnknownHost};
pub use push::{RefUpdate, UpdateResult};
pub use refs::{Listing, RefName, RefPattern};
pub use remote::{Limits, Remote, Traffic};
pub use repository::Repository;
pub use signature::{KeyError, SignatureVerdict, SigningKey, TrustedKeys};
pub use ssh::{SshAddress, SshSettings};
pub use tree::{Blob, DirEntry, EntryKind, File, ObjectId};
pub use url::{RemoteUrl, UrlError};
pub use write::{Edit, NewCommit};
