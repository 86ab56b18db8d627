//! The temporary folder that the plans of one run live in. A run that is killed leaves it behind; whoever runs next takes
//! it away. Its name says whose it is from the moment it is there, so that a living run's is never mistaken for one.

use std::fs::{self, DirBuilder, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use pilotage_ledger::{Holder, Liveness, Machine, ProcessHolder, liveness};
use tempfile::TempDir;

/// How many folders are looked at when a run begins; what is beyond is left to later runs.
const MOST_LOOKED_AT: usize = 256;
/// How often the parent is made anew because another run has just taken it away.
const TRIES: u32 = 8;
/// Nobody else may look into plans: they hold what a service is given.
const PRIVATE: u32 = 0o700;
/// What separates the parts of a name.
const SEPARATOR: char = '.';
/// Stands for a pid namespace that could not be read.
const NO_NAMESPACE: &str = "none";

/// A private folder that goes with its owner.
#[derive(Debug)]
pub struct ScratchDirectory {
    /// Gone first, then the parent, when it is empty.
    folder: Option<TempDir>,
    parent: Option<PathBuf>,
    path: PathBuf,
}

impl ScratchDirectory {
    /// Makes one below `temporary` for this process, and takes away what dead owners have left there.
    ///
    /// # Errors
    /// None can be made.
    pub fn create(temporary: &Path, owner: &ProcessHolder, machine: &dyn Machine) -> io::Result<Self> {
        let parent = temporary.join(format!(
            "pilotage-release-{}",
            rustix::process::geteuid().as_raw()
        ));
        for _ in 0..TRIES {
            if !make_private(&parent)? {
                break;
            }
            sweep(&parent, machine);
            match private(&name_of(owner), &parent) {
                Ok(folder) => {
                    return Ok(Self {
                        path: folder.path().to_owned(),
                        folder: Some(folder),
                        parent: Some(parent),
                    });
                }
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
        // Somebody else has put something in the parent's place: this run goes on, and nothing is swept.
        let folder = private("pilotage-release-", temporary)?;
        Ok(Self {
            path: folder.path().to_owned(),
            folder: Some(folder),
            parent: None,
        })
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for ScratchDirectory {
    fn drop(&mut self) {
        self.folder = None;
        if let Some(parent) = &self.parent {
            // Other runs may live there.
            let _ = fs::remove_dir(parent);
        }
    }
}

fn private(prefix: &str, below: &Path) -> io::Result<TempDir> {
    tempfile::Builder::new()
        .prefix(prefix)
        .permissions(Permissions::from_mode(PRIVATE))
        .tempdir_in(below)
}

/// Makes a folder that only this user can enter, or finds it. `false`: something else stands there.
fn make_private(path: &Path) -> io::Result<bool> {
    match DirBuilder::new().mode(PRIVATE).create(path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
        _ => {}
    }
    let found = match fs::symlink_metadata(path) {
        Ok(found) => found,
        // Taken away in between; what is made in it says so.
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(true),
        Err(error) => return Err(error),
    };
    let ours = found.uid() == rustix::process::geteuid().as_raw();
    Ok(found.is_dir() && ours && found.mode() & 0o077 == 0)
}

/// `<pid>.<started>.<boot>.<pid namespace>.`: what tells a process apart from every other one.
fn name_of(owner: &ProcessHolder) -> String {
    let ProcessHolder {
        boot, pid, started, ..
    } = owner;
    // The kernel writes `pid:[4026531836]`; a path is also written between colons.
    let namespace = owner.pid_namespace.as_deref().unwrap_or(NO_NAMESPACE);
    let namespace = namespace.trim_start_matches("pid:[").trim_end_matches(']');
    format!("{pid}.{started}.{boot}.{namespace}.")
}

/// The owner that a name tells.
fn owner_of(name: &str, host: &str) -> Option<Holder> {
    let parts: Vec<&str> = name.split(SEPARATOR).collect();
    let [pid, started, boot, namespace, _random] = parts.as_slice() else {
        return None;
    };
    Some(Holder::Process(ProcessHolder {
        host: host.to_owned(),
        boot: (*boot).to_owned(),
        pid: pid.parse().ok()?,
        started: started.parse().ok()?,
        pid_namespace: (*namespace != NO_NAMESPACE).then(|| format!("pid:[{namespace}]")),
    }))
}

/// Takes away what provably dead owners have left. What cannot be told, or taken away, stays.
fn sweep(parent: &Path, machine: &dyn Machine) {
    let Ok(entries) = fs::read_dir(parent) else { return };
    for entry in entries.take(MOST_LOOKED_AT).flatten() {
        let dead = entry
            .file_name()
            .to_str()
            .and_then(|name| owner_of(name, machine.host()))
            .is_some_and(|owner| matches!(liveness(&owner, machine), Liveness::Dead(_)));
        if dead && let Err(error) = fs::remove_dir_all(entry.path()) {
            tracing::debug!("a folder of a dead run stays: {error}");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use pilotage_ledger::LinuxMachine;

    use super::*;

    fn this() -> (LinuxMachine, ProcessHolder) {
        let machine = LinuxMachine::read().unwrap();
        let Holder::Process(holder) = machine.this_process().unwrap() else {
            panic!("a process is a process")
        };
        (machine, holder)
    }

    fn names(folder: &Path) -> Vec<String> {
        let mut names: Vec<String> = fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn a_dead_owners_folder_goes_and_a_living_ones_stays() {
        let temporary = tempfile::tempdir().unwrap();
        let (machine, holder) = this();
        let first = ScratchDirectory::create(temporary.path(), &holder, &machine).unwrap();
        let parent = first.path().parent().unwrap().to_owned();
        // The same number, given to another process since: its owner is dead.
        let dead = ProcessHolder {
            started: holder.started + 1,
            ..holder.clone()
        };
        let left = parent.join(format!("{}x1", name_of(&dead)));
        fs::create_dir(&left).unwrap();
        fs::write(left.join("descriptor.yaml"), "x").unwrap();
        // Nothing can be told of these.
        let elsewhere = ProcessHolder {
            boot: "another-boot".to_owned(),
            pid_namespace: Some("pid:[1]".to_owned()),
            ..holder.clone()
        };
        let unknown = parent.join(format!("{}x1", name_of(&elsewhere)));
        fs::create_dir(&unknown).unwrap();
        fs::create_dir(parent.join("something else")).unwrap();

        let second = ScratchDirectory::create(temporary.path(), &holder, &machine).unwrap();
        assert!(!left.exists());
        assert!(first.path().is_dir() && second.path().is_dir() && unknown.is_dir());
        assert_ne!(first.path(), second.path());
        assert!(parent.join("something else").is_dir());
        for private in [&parent, first.path()] {
            assert_eq!(fs::metadata(private).unwrap().mode() & 0o777, 0o700);
        }
    }

    #[test]
    fn nothing_stays_behind_a_run_that_ends() {
        let temporary = tempfile::tempdir().unwrap();
        let (machine, holder) = this();
        let one = ScratchDirectory::create(temporary.path(), &holder, &machine).unwrap();
        let two = ScratchDirectory::create(temporary.path(), &holder, &machine).unwrap();
        drop(one);
        assert!(two.path().is_dir());
        drop(two);
        assert_eq!(names(temporary.path()), Vec::<String>::new());
    }

    #[test]
    fn what_somebody_else_put_in_the_way_is_neither_entered_nor_swept() {
        let temporary = tempfile::tempdir().unwrap();
        let (machine, holder) = this();
        let trap = temporary.path().join("trap");
        let dead = ProcessHolder {
            started: holder.started + 1,
            ..holder.clone()
        };
        let bait = trap.join(format!("{}x1", name_of(&dead)));
        fs::create_dir_all(&bait).unwrap();
        let parent = format!("pilotage-release-{}", rustix::process::geteuid().as_raw());
        symlink(&trap, temporary.path().join(parent)).unwrap();
        let scratch = ScratchDirectory::create(temporary.path(), &holder, &machine).unwrap();
        assert!(bait.is_dir());
        assert_eq!(scratch.path().parent(), Some(temporary.path()));
        assert_eq!(fs::metadata(scratch.path()).unwrap().mode() & 0o777, 0o700);
    }
}
