//! Files of an instance: the artifact and its hash, the descriptor's files, whole trees.

use std::fs;
use std::io::Read;
use std::path::{Component, Path, PathBuf};

use pilotage_descriptor::{Descriptor, FileSource};
use pilotage_name::EnvironmentName;
use sha2::{Digest, Sha256};

use super::state;
use crate::error::TargetError;
use crate::fingerprint::hex;

/// `sha256:` and the hash of a file's content.
pub(super) fn digest(path: &Path) -> Result<String, TargetError> {
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; 64 * 1024];
    let mut file = fs::File::open(path).map_err(TargetError::io("open", path))?;
    loop {
        match file.read(&mut buffer).map_err(TargetError::io("read", path))? {
            0 => return Ok(format!("sha256:{}", hex(&hasher.finalize()))),
            count => hasher.update(&buffer[..count]),
        }
    }
}

/// The digest of an artifact that somebody else put there.
pub(super) fn digest_of_artifact(path: &Path) -> Result<String, TargetError> {
    let bad = |reason: String| TargetError::Artifact {
        path: path.to_owned(),
        reason,
    };
    match fs::metadata(path) {
        Ok(data) if data.is_file() => digest(path),
        Ok(_) => Err(bad("is no file; pack it into one".to_owned())),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Err(bad("does not exist".to_owned())),
        Err(error) => Err(bad(format!("cannot be read: {error}"))),
    }
}

/// Writes the descriptor's files below `root`: `/etc/shop/app.yaml` becomes `<root>/etc/shop/app.yaml`.
pub(super) fn write_files(root: &Path, descriptor: &Descriptor) -> Result<(), TargetError> {
    state::make_dir(root)?;
    for (path, source) in &descriptor.files {
        // The planner has refused the other sources, and paths that climb; only plain components are used here.
        let FileSource::Content(content) = source else {
            continue;
        };
        let below: PathBuf = Path::new(path)
            .components()
            .filter(|component| matches!(component, Component::Normal(_)))
            .collect();
        let place = root.join(below);
        if let Some(parent) = place.parent() {
            state::make_dir(parent)?;
        }
        fs::write(&place, content).map_err(TargetError::io("write", &place))?;
    }
    Ok(())
}

/// The descriptor an instance was made from; none when it cannot be read any more.
pub(super) fn read_descriptor(path: &Path, environment: &EnvironmentName) -> Option<Descriptor> {
    let text = fs::read_to_string(path).ok()?;
    let source = pilotage_diagnostic::Source::new(path.display().to_string(), text);
    pilotage_descriptor::parse(&source).resolve(environment).ok()
}

/// The `.json` files of a directory; none when there is no such directory.
pub(super) fn list(directory: &Path) -> Result<Vec<PathBuf>, TargetError> {
    let entries = match fs::read_dir(directory) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(TargetError::io("read", directory)(error)),
    };
    let mut files: Vec<PathBuf> = entries
        .collect::<Result<Vec<_>, _>>()
        .map_err(TargetError::io("read", directory))?
        .into_iter()
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "json"))
        .collect();
    files.sort();
    Ok(files)
}

/// Removes a directory with everything in it; nothing happens when it is not there.
pub(super) fn remove_tree(path: &Path) -> Result<(), TargetError> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(TargetError::io("remove", path)(error))
        }
        _ => Ok(()),
    }
}
