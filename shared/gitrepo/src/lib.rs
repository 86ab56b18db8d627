//! An environment repository: refs of the remote, commits, blobs and ranges from a cache, and compare-and-swap updates.
