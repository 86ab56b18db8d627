//! The reports a suite leaves in its folder.

use std::collections::BTreeMap;
use std::fs::{self, File, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use crate::Glob;

/// More files than this are no reports.
const MOST: usize = 100_000;
/// Folders in one another.
const DEEPEST: usize = 40;

/// What tells a file from the file that stood there before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stamp {
    inode: u64,
    length: u64,
    changed: (i64, i64),
}

impl Stamp {
    fn of(file: &Metadata) -> Self {
        Self {
            inode: file.ino(),
            length: file.len(),
            changed: (file.ctime(), file.ctime_nsec()),
        }
    }
}

/// The files that fit a pattern, by their paths below the folder.
pub(crate) type Found = BTreeMap<String, Stamp>;

/// Looks for files. Symbolic links are not followed: what they lead to is not below the folder.
///
/// # Errors
/// The folder cannot be read, or holds too much.
pub(crate) fn find(folder: &Path, globs: &[Glob]) -> io::Result<Found> {
    let mut found = Found::new();
    if globs.is_empty() {
        return Ok(found);
    }
    let mut folders: Vec<Vec<String>> = vec![Vec::new()];
    while let Some(names) = folders.pop() {
        let path = names.iter().fold(folder.to_owned(), |path, name| path.join(name));
        let entries = match fs::read_dir(&path) {
            Ok(entries) => entries,
            // The suite may be clearing up behind us; its own folder has to be there.
            Err(error) if !names.is_empty() => {
                tracing::debug!("{} is passed over: {error}", path.display());
                continue;
            }
            Err(error) => return Err(error),
        };
        for entry in entries {
            let Ok(entry) = entry else { continue };
            // Patterns are text; what is none fits none.
            let (Ok(kind), Ok(name)) = (entry.file_type(), entry.file_name().into_string()) else {
                continue;
            };
            let mut below = names.clone();
            below.push(name);
            let parts: Vec<&str> = below.iter().map(String::as_str).collect();
            if kind.is_dir() {
                if below.len() < DEEPEST && globs.iter().any(|glob| glob.enters(&parts)) {
                    folders.push(below);
                }
            } else if kind.is_file() && globs.iter().any(|glob| glob.fits(&parts)) {
                let Ok(metadata) = entry.metadata() else { continue };
                if found.len() == MOST {
                    return Err(io::Error::other(format!("more than {MOST} files fit")));
                }
                found.insert(below.join("/"), Stamp::of(&metadata));
            }
        }
    }
    Ok(found)
}

/// Those that were not there before, or are not what they were: nobody counts the reports of an earlier run.
pub(crate) fn fresh(before: &Found, after: &Found) -> Vec<String> {
    let changed = after
        .iter()
        .filter(|(path, stamp)| before.get(*path) != Some(stamp));
    changed.map(|(path, _)| path.clone()).collect()
}

/// Opens a report.
pub(crate) fn open(folder: &Path, path: &str) -> io::Result<File> {
    let path: PathBuf = folder.join(path);
    File::open(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reports_are_found_below_the_folder_and_old_ones_are_not_fresh() {
        let folder = tempfile::tempdir().unwrap();
        let at = |path: &str| folder.path().join(path);
        for path in ["out/a.xml", "out/deep/b.xml", "out/c.txt", "other/d.xml"] {
            fs::create_dir_all(at(path).parent().unwrap()).unwrap();
            fs::write(at(path), path).unwrap();
        }
        std::os::unix::fs::symlink(at("other"), at("out/link")).unwrap();
        std::os::unix::fs::symlink(at("other/d.xml"), at("out/d.xml")).unwrap();
        let globs = ["out/**/*.xml".parse().unwrap()];
        let before = find(folder.path(), &globs).unwrap();
        assert_eq!(before.keys().collect::<Vec<_>>(), ["out/a.xml", "out/deep/b.xml"]);
        fs::write(at("out/deep/b.xml"), "changed").unwrap();
        fs::write(at("out/new.xml"), "new").unwrap();
        let after = find(folder.path(), &globs).unwrap();
        assert_eq!(fresh(&before, &after), ["out/deep/b.xml", "out/new.xml"]);
        assert!(find(&at("none"), &globs).is_err());
    }
}
