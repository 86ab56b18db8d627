use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::time::Duration;

use rustix::fs::{FlockOperation, flock};

use crate::Error;

/// An exclusive lock between processes and threads, held until dropped; the kernel drops it when the process dies.
#[derive(Debug)]
pub(crate) struct FileLock {
    _file: File,
}

impl FileLock {
    /// Takes the lock, waiting for other holders for at most `patience`.
    pub(crate) fn take(path: &Path, patience: Duration) -> Result<Self, Error> {
        let disk = |source: std::io::Error| Error::Disk {
            path: path.display().to_string(),
            source,
        };
        let file = open(path).map_err(disk)?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => return Ok(Self { _file: file }),
            Err(rustix::io::Errno::WOULDBLOCK | rustix::io::Errno::INTR) => {}
            Err(error) => return Err(disk(error.into())),
        }
        // The kernel's own queue has no time limit, so a thread stands in it; when it comes too late, nobody takes the
        // file from it and the lock is free again at once.
        let (sender, receiver) = mpsc::sync_channel(0);
        std::thread::spawn(move || {
            let taken = loop {
                match flock(&file, FlockOperation::LockExclusive) {
                    Err(rustix::io::Errno::INTR) => {}
                    other => break other,
                }
            };
            drop(sender.send(taken.map(|()| file)));
        });
        match receiver.recv_timeout(patience) {
            Ok(Ok(file)) => Ok(Self { _file: file }),
            Ok(Err(error)) => Err(disk(error.into())),
            Err(_) => Err(Error::Locked {
                path: path.display().to_string(),
            }),
        }
    }
}

fn open(path: &Path) -> std::io::Result<File> {
    File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(path)
}

/// Removes what a killed process left in a cache: half-written packs, and locks of refs. Only safe under the cache's
/// exclusive lock, since then no living process has any.
pub(crate) fn sweep(cache: &Path) -> Vec<PathBuf> {
    let mut removed = Vec::new();
    let mut remove = |path: PathBuf| {
        if std::fs::remove_file(&path).is_ok() {
            removed.push(path);
        }
    };
    for path in files(&cache.join("objects/pack")) {
        let name = path
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        let orphan = ["tmp_pack_", "tmp_idx_", "pack_git2_"]
            .iter()
            .any(|prefix| name.starts_with(prefix))
            || name.contains("_git2_")
            || name.ends_with(".lock");
        if orphan {
            remove(path);
        }
    }
    let mut directories = vec![cache.join("refs")];
    while let Some(directory) = directories.pop() {
        for path in entries(&directory) {
            if path.is_dir() {
                directories.push(path);
            } else if path.extension().is_some_and(|extension| extension == "lock") {
                remove(path);
            }
        }
    }
    for path in files(cache) {
        if path.extension().is_some_and(|extension| extension == "lock") {
            remove(path);
        }
    }
    removed
}

fn entries(directory: &Path) -> Vec<PathBuf> {
    std::fs::read_dir(directory)
        .map(|all| all.flatten().map(|entry| entry.path()).collect())
        .unwrap_or_default()
}

fn files(directory: &Path) -> Vec<PathBuf> {
    entries(directory)
        .into_iter()
        .filter(|path| path.is_file())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_holder_waits_only_as_long_as_it_may_and_gets_the_lock_afterwards() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("lock");
        let first = FileLock::take(&path, Duration::ZERO).unwrap();
        assert!(matches!(
            FileLock::take(&path, Duration::from_millis(20)),
            Err(Error::Locked { .. })
        ));
        let waiting = std::thread::spawn({
            let path = path.clone();
            move || FileLock::take(&path, Duration::from_secs(30)).is_ok()
        });
        drop(first);
        assert!(waiting.join().unwrap());
    }

    #[test]
    fn the_sweep_takes_orphans_and_nothing_else() {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path();
        std::fs::create_dir_all(root.join("objects/pack")).unwrap();
        std::fs::create_dir_all(root.join("refs/heads")).unwrap();
        let orphans = [
            "objects/pack/tmp_pack_a1",
            "objects/pack/pack_git2_a1",
            "refs/heads/qa.lock",
            "packed-refs.lock",
        ];
        let kept = [
            "objects/pack/pack-1.pack",
            "objects/pack/pack-1.idx",
            "refs/heads/qa",
            "HEAD",
        ];
        for name in orphans.iter().chain(&kept) {
            std::fs::write(root.join(name), "").unwrap();
        }
        assert_eq!(sweep(root).len(), orphans.len());
        assert!(kept.iter().all(|name| root.join(name).exists()));
    }
}
