//! The first fetch of a repository on this machine: its object files as they are, as `git clone --local` takes them. A
//! transport would pack a long history anew, which takes minutes where this takes none.

use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::io::{self, ErrorKind};
use std::path::Path;

/// How often it is begun again when the other side packs its objects meanwhile.
const TRIES: u32 = 5;

/// Brings every object of the repository whose object directory is `from` into the object directory `to`. Files are
/// linked, or copied where they cannot be; nothing is ever written into one, so both sides may share them.
///
/// `false`: it cannot be had this way, because objects stand elsewhere too or the files do not keep still, and `to` may
/// hold some of them.
///
/// # Errors
/// The disk says no, or `is_over` does ([`ErrorKind::TimedOut`]).
pub(crate) fn seed(from: &Path, to: &Path, is_over: &dyn Fn() -> bool) -> io::Result<bool> {
    if from.join("info/alternates").exists() {
        return Ok(false);
    }
    for _ in 0..TRIES {
        match take_all(from, to, is_over) {
            Ok(true) => return Ok(true),
            // A pack or an object that was listed is gone: what it held stands in a newer one.
            Ok(false) => {}
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    Ok(false)
}

/// Whether the packs kept still meanwhile. An object may move from a loose file to a pack or from one pack to another,
/// and none of these moves goes without a new pack.
fn take_all(from: &Path, to: &Path, is_over: &dyn Fn() -> bool) -> io::Result<bool> {
    let packs = packs(from)?;
    for name in names(from)? {
        let is_loose = name.len() == 2 && name.as_encoded_bytes().iter().all(u8::is_ascii_hexdigit);
        if !is_loose {
            continue;
        }
        let (from, to) = (from.join(&name), to.join(&name));
        fs::create_dir_all(&to)?;
        for object in names(&from)? {
            // Anything else is what a writer has not finished.
            if object.as_encoded_bytes().iter().all(u8::is_ascii_hexdigit) {
                take(&from.join(&object), &to.join(&object), is_over)?;
            }
        }
    }
    fs::create_dir_all(to.join("pack"))?;
    for index in &packs {
        // A pack is seen by its index.
        for extension in ["pack", "idx"] {
            let file = Path::new("pack").join(index).with_extension(extension);
            take(&from.join(&file), &to.join(&file), is_over)?;
        }
    }
    Ok(packs == self::packs(from)?)
}

fn take(from: &Path, to: &Path, is_over: &dyn Fn() -> bool) -> io::Result<()> {
    if is_over() {
        return Err(ErrorKind::TimedOut.into());
    }
    if to.exists() {
        return Ok(());
    }
    match fs::hard_link(from, to) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            // Another disk, or a file of somebody else's.
            let half = to.with_extension("half");
            fs::copy(from, &half)?;
            fs::rename(&half, to)
        }
        linked => linked,
    }
}

fn packs(objects: &Path) -> io::Result<BTreeSet<OsString>> {
    match names(&objects.join("pack")) {
        Ok(mut names) => {
            names.retain(|name| Path::new(name).extension() == Some(OsStr::new("idx")));
            Ok(names)
        }
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(BTreeSet::new()),
        Err(error) => Err(error),
    }
}

fn names(directory: &Path) -> io::Result<BTreeSet<OsString>> {
    fs::read_dir(directory)?
        .map(|entry| entry.map(|entry| entry.file_name()))
        .collect()
}
