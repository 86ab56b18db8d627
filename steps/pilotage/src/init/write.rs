//! Puts a new repository in place: made beside in a folder of its own, and moved there as a whole.

use std::io;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use pilotage_decision::fault::of_git;
use pilotage_diagnostic::printable;
use pilotage_gitrepo::{Edit, NewCommit, Person, RefName, RefUpdate, Remote, Repository, UpdateResult};
use pilotage_name::CommitId;
use pilotage_outcome::Fault;
use pilotage_step::Cancel;
use tempfile::TempDir;

use super::{Artifacts, Destination, File, Files, Layout};

/// The branch that holds pilotage.yaml.
pub(super) const CONFIG_BRANCH: &str = "main";

/// Where things go; looked at and found free.
pub(super) struct Places {
    repository: PathBuf,
    /// The state folder, where one is made.
    state: Option<PathBuf>,
}

impl Places {
    /// Looks whether everything can be made. Nothing is.
    pub(super) fn look(layout: &Layout, files: &Files) -> Result<Self, Fault> {
        free(&layout.directory)?;
        let state = layout.state().filter(|_| !files.artifacts.is_empty());
        if let Some(state) = state {
            free(state)
                .map_err(|fault| fault.help("`--state DIR` names another folder for the instances"))?;
        }
        Ok(Self {
            repository: layout.directory.clone(),
            state: state.map(Path::to_owned),
        })
    }

    /// Makes everything and moves it in place.
    pub(super) fn write(
        self,
        layout: &Layout,
        files: &Files,
        now: Timestamp,
        cancel: &Cancel,
    ) -> Result<(), Fault> {
        let repository = staging(&self.repository)?;
        fill(repository.path(), layout, files, now)?;
        let state = match &self.state {
            Some(place) => Some((place, artifacts(place, layout, files)?)),
            None => None,
        };
        cancel.check()?;
        if let Some((place, staged)) = &state {
            put(staged.path(), place)?;
        }
        if let Err(fault) = put(repository.path(), &self.repository) {
            if let Some((place, _)) = &state {
                // What was put there a moment ago is ours; without its repository it is of no use.
                let _ = std::fs::remove_dir_all(place);
            }
            return Err(fault);
        }
        Ok(())
    }
}

/// A place is free when nothing is there, or an empty folder.
fn free(place: &Path) -> Result<(), Fault> {
    let shown = printable(&place.to_string_lossy());
    match std::fs::read_dir(place) {
        Ok(mut entries) => match entries.next() {
            None => Ok(()),
            Some(_) => {
                let fault = Fault::usage(format!("`{shown}` is not empty"));
                let repository = place.join("HEAD").is_file() && place.join("objects").is_dir();
                Err(match repository {
                    true => fault.help(format!(
                        "there is a repository already: `pilotage check --repo {shown}` says what is in it"
                    )),
                    false => fault.help("name a folder that does not exist yet"),
                })
            }
        },
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(Fault::usage(format!("`{shown}` cannot be used")).caused_by(error)),
    }
}

/// A folder on the same disk as `place`, gone when it is dropped.
fn staging(place: &Path) -> Result<TempDir, Fault> {
    let parent = place.parent().unwrap_or(place);
    let disk = |error| cannot(parent, error);
    std::fs::create_dir_all(parent).map_err(disk)?;
    tempfile::Builder::new()
        .prefix(".pilotage-init-")
        .tempdir_in(parent)
        .map_err(disk)
}

fn fill(folder: &Path, layout: &Layout, files: &Files, now: Timestamp) -> Result<(), Fault> {
    let repository = Repository::create(folder, CONFIG_BRANCH).map_err(of_git)?;
    let person = Person {
        name: layout.manager.name.clone(),
        email: layout.manager.email.clone(),
        when: now,
        offset_minutes: 0,
    };
    let commit = |files: &[File], message: &str| -> Result<CommitId, Fault> {
        let edits: Vec<Edit> = files
            .iter()
            .map(|file| Edit::write(file.path.clone(), file.text.clone()))
            .collect();
        let new = NewCommit {
            base: None,
            edits: &edits,
            parents: &[],
            author: &person,
            committer: &person,
            message,
            sign: None,
        };
        repository.write_commit(&new).map_err(of_git)
    };
    let config = commit(&files.config, "Say what Pilotage releases, where to, and who may")?;
    let root = commit(&files.services, "Begin with the first version of every service")?;
    let mut updates = vec![create(CONFIG_BRANCH, &config)?];
    for environment in &layout.environments {
        updates.push(create(environment.as_str(), &root)?);
    }
    let results = Remote::at_path(folder)
        .push(&repository, &updates)
        .map_err(of_git)?;
    if results.iter().all(|result| *result == UpdateResult::Done) {
        return Ok(());
    }
    Err(Fault::unavailable(
        "the branches of the new repository could not be made",
    ))
}

fn create(branch: &str, commit: &CommitId) -> Result<RefUpdate, Fault> {
    Ok(RefUpdate {
        name: RefName::branch(branch).map_err(of_git)?,
        expected: None,
        new: commit.clone(),
    })
}

fn artifacts(place: &Path, layout: &Layout, files: &Files) -> Result<TempDir, Fault> {
    let staged = staging(place)?;
    if let Destination::Process {
        artifacts: Artifacts::Made(folder),
        ..
    } = &layout.destination
    {
        let below = folder.strip_prefix(place).unwrap_or(folder);
        for file in &files.artifacts {
            let path = staged.path().join(below).join(&file.path);
            let parent = path.parent().unwrap_or(&path);
            std::fs::create_dir_all(parent).map_err(|error| cannot(parent, error))?;
            std::fs::write(&path, &file.text).map_err(|error| cannot(&path, error))?;
        }
    }
    Ok(staged)
}

/// Moves a folder in place as a whole. An empty folder there gives way; anything else does not.
fn put(staged: &Path, place: &Path) -> Result<(), Fault> {
    // Temporary folders are for their owner only; what people share is not.
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(staged, mode).map_err(|error| cannot(staged, error))?;
    std::fs::rename(staged, place).map_err(|error| cannot(place, error))
}

fn cannot(path: &Path, error: io::Error) -> Fault {
    let shown = printable(&path.to_string_lossy());
    Fault::unavailable(format!("`{shown}` cannot be written")).caused_by(error)
}
