use std::fmt;

use git2::{ObjectType, Oid};
use pilotage_name::CommitId;

use crate::{Error, Repository};

/// The id of any object: equal ids mean equal content.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ObjectId(pub(crate) String);

impl ObjectId {
    /// As hexadecimal digits.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ObjectId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// What stands at a path of a tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EntryKind {
    /// A regular file (mode 100644).
    File,
    /// A regular file that may be executed (mode 100755).
    Executable,
    /// A symbolic link; never followed.
    Symlink,
    /// A submodule; never entered.
    Submodule,
    /// A directory.
    Directory,
    /// A mode that git does not write.
    Unknown,
}

/// A regular file's content.
#[derive(Clone, PartialEq, Eq)]
pub struct Blob {
    /// The content.
    pub bytes: Vec<u8>,
    /// Its id: the same content has the same id in every commit and branch.
    pub id: ObjectId,
    /// Whether the file may be executed.
    pub executable: bool,
}

impl fmt::Debug for Blob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Blob({}, {} bytes)", self.id, self.bytes.len())
    }
}

/// What was found at a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum File {
    /// A regular file.
    Blob(Blob),
    /// Nothing is there.
    Missing,
    /// Something that is no regular file: a symlink, a submodule, a directory.
    NotRegular(EntryKind),
    /// A regular file beyond the limit; it was not read.
    TooLarge {
        /// Its size in bytes.
        size: u64,
        /// The limit in bytes.
        most: u64,
    },
}

/// One entry of a directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DirEntry {
    /// The name, with replacement characters where it is not valid UTF-8.
    pub name: String,
    /// Whether the name had to be approximated.
    pub lossy: bool,
    /// What it is.
    pub kind: EntryKind,
    /// The id of the file's or directory's content.
    pub id: ObjectId,
}

impl EntryKind {
    /// By the mode that stands in a tree.
    pub(crate) fn of_mode(mode: u32) -> Self {
        match mode {
            0o100_644 => Self::File,
            0o100_755 => Self::Executable,
            0o120_000 => Self::Symlink,
            0o160_000 => Self::Submodule,
            0o040_000 => Self::Directory,
            _ => Self::Unknown,
        }
    }
}

/// One entry of a tree object as it stands in its bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RawEntry<'a> {
    pub(crate) mode: u32,
    pub(crate) name: &'a [u8],
    pub(crate) oid: Oid,
}

/// Reads a tree object entry by entry, so that looking for one name in ten thousand needs no table of all. `None` in the
/// end of the iteration means the end; a tree that cannot be read ends with an `Err`.
pub(crate) fn entries(mut bytes: &[u8]) -> impl Iterator<Item = Result<RawEntry<'_>, git2::Error>> {
    std::iter::from_fn(move || {
        if bytes.is_empty() {
            return None;
        }
        let entry = first_entry(bytes);
        match entry {
            Some((entry, rest)) => {
                bytes = rest;
                Some(Ok(entry))
            }
            None => {
                bytes = &[];
                Some(Err(git2::Error::new(
                    git2::ErrorCode::GenericError,
                    git2::ErrorClass::Tree,
                    "a tree object is malformed",
                )))
            }
        }
    })
}

fn first_entry(bytes: &[u8]) -> Option<(RawEntry<'_>, &[u8])> {
    const ID: usize = 20;
    let space = bytes.iter().take(8).position(|byte| *byte == b' ')?;
    let mode = bytes[..space].iter().try_fold(0_u32, |mode, byte| match byte {
        b'0'..=b'7' => Some(mode << 3 | u32::from(byte - b'0')),
        _ => None,
    })?;
    let rest = &bytes[space + 1..];
    let end = rest.iter().position(|byte| *byte == 0)?;
    let (id, after) = rest[end + 1..].split_at_checked(ID)?;
    let oid = Oid::from_bytes(id).ok()?;
    Some((
        RawEntry {
            mode,
            name: &rest[..end],
            oid,
        },
        after,
    ))
}

impl Repository {
    /// Reads a regular file of a commit, at most `most` bytes; the size is looked at before the content.
    pub fn blob(&self, commit: &CommitId, path: &str, most: u64) -> Result<File, Error> {
        check_path(path)?;
        let Some((mode, oid)) = self.raw_entry(commit, path)? else {
            return Ok(File::Missing);
        };
        let kind = EntryKind::of_mode(mode);
        if !matches!(kind, EntryKind::File | EntryKind::Executable) {
            return Ok(File::NotRegular(kind));
        }
        let failed = |error| self.failed("read a file", error);
        let odb = self.git.odb().map_err(failed)?;
        let (size, object) = odb.read_header(oid).map_err(failed)?;
        if object != ObjectType::Blob {
            return Err(Error::Corrupt {
                place: self.place.clone(),
                detail: format!("`{path}` names no file content"),
            });
        }
        let size = size as u64;
        if size > most {
            return Ok(File::TooLarge { size, most });
        }
        let object = odb.read(oid).map_err(failed)?;
        Ok(File::Blob(Blob {
            bytes: object.data().to_vec(),
            id: ObjectId(oid.to_string()),
            executable: kind == EntryKind::Executable,
        }))
    }

    /// The kind and id of what stands at `path` in a commit, without reading it.
    pub fn entry(&self, commit: &CommitId, path: &str) -> Result<Option<(EntryKind, ObjectId)>, Error> {
        check_path(path)?;
        let found = self.raw_entry(commit, path)?;
        Ok(found.map(|(mode, oid)| (EntryKind::of_mode(mode), ObjectId(oid.to_string()))))
    }

    /// The entries of a directory of a commit, in git's order; `""` is the root. `None`: there is no such directory.
    pub fn list_dir(&self, commit: &CommitId, path: &str) -> Result<Option<Vec<DirEntry>>, Error> {
        let tree = if path.is_empty() {
            self.find_commit(commit)?.tree_id()
        } else {
            check_path(path)?;
            match self.raw_entry(commit, path)? {
                Some((mode, oid)) if EntryKind::of_mode(mode) == EntryKind::Directory => oid,
                _ => return Ok(None),
            }
        };
        let failed = |error| self.failed("read a directory", error);
        let odb = self.git.odb().map_err(failed)?;
        let object = odb.read(tree).map_err(failed)?;
        let listed = entries(object.data()).map(|entry| {
            entry.map(|entry| DirEntry {
                name: String::from_utf8_lossy(entry.name).into_owned(),
                lossy: std::str::from_utf8(entry.name).is_err(),
                kind: EntryKind::of_mode(entry.mode),
                id: ObjectId(entry.oid.to_string()),
            })
        });
        listed.collect::<Result<Vec<_>, _>>().map(Some).map_err(failed)
    }

    fn raw_entry(&self, commit: &CommitId, path: &str) -> Result<Option<(u32, Oid)>, Error> {
        let failed = |error| self.failed("read a tree", error);
        let odb = self.git.odb().map_err(failed)?;
        let mut at = (0o040_000, self.find_commit(commit)?.tree_id());
        for part in path.split('/') {
            if EntryKind::of_mode(at.0) != EntryKind::Directory {
                return Ok(None);
            }
            let tree = odb.read(at.1).map_err(failed)?;
            let mut found = None;
            for entry in entries(tree.data()) {
                let entry = entry.map_err(failed)?;
                if entry.name == part.as_bytes() {
                    found = Some((entry.mode, entry.oid));
                    break;
                }
            }
            match found {
                Some(entry) => at = entry,
                None => return Ok(None),
            }
        }
        Ok(Some(at))
    }
}

/// Refuses what no tree can hold: empty components, `.`, `..`, `.git`, absolute paths, NUL.
pub(crate) fn check_path(path: &str) -> Result<(), Error> {
    let fine = !path.contains('\0')
        && path
            .split('/')
            .all(|part| !matches!(part, "" | "." | "..") && !part.eq_ignore_ascii_case(".git"));
    if fine {
        Ok(())
    } else {
        Err(Error::Path {
            path: path.to_owned(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_stay_inside() {
        for good in ["services/shop.yaml", "a b/$(id).yaml", "ä"] {
            assert!(check_path(good).is_ok(), "{good}");
        }
        for bad in [
            "",
            "/etc/passwd",
            "../x",
            "a//b",
            "a/",
            "./a",
            ".git/config",
            "a/.GIT/x",
            "a\0b",
        ] {
            assert!(check_path(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn tree_bytes_are_read_and_malformed_ones_told() {
        let mut bytes = b"100644 a.yaml\0".to_vec();
        bytes.extend_from_slice(&[1; 20]);
        bytes.extend_from_slice(b"40000 dir\0");
        bytes.extend_from_slice(&[2; 20]);
        let read: Vec<_> = entries(&bytes)
            .map(Result::unwrap)
            .map(|e| (e.mode, e.name.to_vec()))
            .collect();
        assert_eq!(
            read,
            [(0o100_644, b"a.yaml".to_vec()), (0o040_000, b"dir".to_vec())]
        );
        // Cut anywhere but between two entries, the bytes are malformed.
        let first = 34;
        for end in (1..bytes.len()).filter(|end| *end != first) {
            assert!(entries(&bytes[..end]).any(|entry| entry.is_err()), "cut at {end}");
        }
    }
}
