//! The descriptors of one environment at one commit: read as blobs, each on its own, so that a broken file stops nothing
//! but itself.

use std::collections::{BTreeMap, BTreeSet};

use pilotage_descriptor::{Descriptor, FOLDER, canonical_hash, path_of};
use pilotage_diagnostic::{Diagnostic, Diagnostics, Source};
use pilotage_gitrepo::{EntryKind, File, Repository};
use pilotage_name::{CommitId, EnvironmentName, ServiceName};

use crate::error::Error;

/// The largest descriptor, in bytes.
pub const LARGEST_DESCRIPTOR: u64 = 256 * 1024;

/// The largest file that a descriptor may take from the branch, in bytes.
pub const LARGEST_FILE: u64 = 1024 * 1024;

/// What stands in the folder of descriptors.
#[derive(Clone, Debug, Default)]
pub struct Services {
    /// Services by name, with the git object id of their descriptor.
    pub found: BTreeMap<ServiceName, String>,
    /// Entries that are no descriptor: wrong names, other endings, links, submodules.
    pub refused: Diagnostics,
}

/// Lists the descriptors of a commit without reading them.
///
/// # Errors
/// The commit or its tree cannot be read.
pub fn list(repository: &Repository, commit: &CommitId) -> Result<Services, Error> {
    let mut services = Services::default();
    for entry in repository.list_dir(commit, FOLDER)?.unwrap_or_default() {
        match name(FOLDER, &entry.name, entry.lossy, entry.kind) {
            None => {}
            Some(Ok(service)) => {
                services.found.insert(service, entry.id.to_string());
            }
            Some(Err(problem)) => services.refused.push(*problem),
        }
    }
    Ok(services)
}

/// The service that an entry of the folder of descriptors stands for, by its name and kind; none for hidden files, which
/// are nobody's business. `folder` is how messages call the folder.
///
/// # Errors
/// It is no descriptor and should not stand there.
#[must_use]
pub fn name(
    folder: &str,
    name: &str,
    lossy: bool,
    kind: EntryKind,
) -> Option<Result<ServiceName, Box<Diagnostic>>> {
    let refuse = |code: &str, message: String, help: String| {
        let source = Source::new(format!("{folder}/{name}"), "");
        let problem = Diagnostic::error(code, message).at(&source, span(), "");
        Some(Err(Box::new(problem.help(help))))
    };
    match (kind, name.strip_suffix(".yaml")) {
        _ if name.starts_with('.') && kind == EntryKind::File => None,
        (EntryKind::Symlink, _) => refuse(
            "symlink",
            "a symlink is no descriptor".into(),
            "commit the file itself".into(),
        ),
        (EntryKind::Submodule, _) => refuse(
            "submodule",
            "a submodule is no descriptor".into(),
            "commit the files themselves".into(),
        ),
        (EntryKind::Directory, _) => refuse(
            "folder",
            format!("`{FOLDER}/` holds descriptors, no folders"),
            "move other files elsewhere, for example to `files/`".into(),
        ),
        (EntryKind::File | EntryKind::Executable, Some(stem)) if !lossy => match stem.parse() {
            Ok(service) => Some(Ok(service)),
            Err(error) => refuse(
                "service-name",
                format!("`{stem}` is no service name: {error}"),
                "rename the file; its name is the service's name".into(),
            ),
        },
        (EntryKind::File | EntryKind::Executable | EntryKind::Unknown, _) => refuse(
            "file-name",
            format!("`{name}` is no descriptor: descriptors are named `<service>.yaml`"),
            if name.ends_with(".yml") {
                "rename it to end in `.yaml`".into()
            } else {
                format!("move it out of `{FOLDER}/`")
            },
        ),
    }
}

/// The text of one descriptor at a commit.
#[derive(Clone, Debug)]
pub enum Text {
    /// It can be parsed.
    Here {
        /// The text.
        source: Source,
        /// The git object id.
        blob: String,
    },
    /// It is nothing to be parsed: no regular file, too large, no UTF-8.
    Unreadable(Box<Diagnostic>),
    /// There is no such file.
    Absent,
}

/// Reads the text of one service's descriptor. `called` is how messages call the file.
///
/// # Errors
/// The repository cannot be read. Whatever is wrong with the file is no error but [`Text::Unreadable`].
pub fn text(
    repository: &Repository,
    commit: &CommitId,
    service: &ServiceName,
    called: &str,
) -> Result<Text, Error> {
    let unreadable = |code: &str, message: String, help: &str| {
        let source = Source::new(called, "");
        let problem = Diagnostic::error(code, message).at(&source, span(), "");
        Ok(Text::Unreadable(Box::new(problem.help(help))))
    };
    match repository.blob(commit, &path_of(service), LARGEST_DESCRIPTOR)? {
        File::Blob(blob) => Ok(match pilotage_yaml::source_from_bytes(called, &blob.bytes) {
            Ok(source) => Text::Here {
                source,
                blob: blob.id.to_string(),
            },
            Err(problem) => Text::Unreadable(problem),
        }),
        File::Missing => Ok(Text::Absent),
        File::NotRegular(kind) => {
            let (code, noun) = in_words(kind);
            let message = format!("a descriptor is a regular file, this is {noun}");
            unreadable(code, message, "commit the file itself")
        }
        File::TooLarge { size, most } => unreadable(
            "too-large",
            format!("the descriptor has {size} bytes, at most {most} are read"),
            "move long contents to files and name them under `files:`",
        ),
    }
}

/// One service's descriptor at a commit, resolved for an environment.
#[derive(Clone, Debug)]
pub enum Resolved {
    /// Valid, with its files taken from the same commit.
    Valid(Box<Valid>),
    /// It has errors.
    Broken {
        /// Every problem, placed.
        diagnostics: Diagnostics,
    },
    /// There is no such file.
    Absent,
}

/// A valid descriptor and where it came from.
#[derive(Clone, Debug)]
pub struct Valid {
    /// The resolved descriptor, `files` inlined.
    pub descriptor: Descriptor,
    /// The digest of all of it, sealed texts included: what git asks for, and whether two commits ask for the same.
    pub digest: String,
    /// Its text, for diagnostics of later stages.
    pub source: Source,
    /// The git object id of its text.
    pub blob: String,
    /// What its files hold, see [`content`].
    pub content: String,
    /// Files of the branch it takes content from.
    pub files: BTreeSet<String>,
    /// What is worth a word though it is no error.
    pub warnings: Diagnostics,
}

/// Reads and resolves one service's descriptor.
///
/// # Errors
/// The repository cannot be read. Whatever is wrong with the descriptor is no error but [`Resolved::Broken`].
pub fn read(
    repository: &Repository,
    commit: &CommitId,
    environment: &EnvironmentName,
    service: &ServiceName,
    environments: &[EnvironmentName],
) -> Result<Resolved, Error> {
    let (source, blob) = match text(repository, commit, service, &path_of(service))? {
        Text::Here { source, blob } => (source, blob),
        Text::Unreadable(problem) => {
            return Ok(Resolved::Broken {
                diagnostics: Diagnostics::from(*problem),
            });
        }
        Text::Absent => return Ok(Resolved::Absent),
    };
    let parsed = pilotage_descriptor::parse(&source).for_service(service);
    let problems = parsed.check(environments);
    if problems.has_errors() {
        return Ok(Resolved::Broken {
            diagnostics: problems,
        });
    }
    let mut files = BTreeMap::new();
    if let Ok(descriptor) = parsed.resolve(environment) {
        for from in descriptor.file_paths() {
            if let File::Blob(blob) = repository.blob(commit, from, LARGEST_FILE)?
                && let Ok(text) = String::from_utf8(blob.bytes)
            {
                files.insert(from.to_owned(), text);
            }
        }
    }
    let resolved = parsed.resolve_with(environment, |path| files.get(path).cloned());
    let descriptor = match resolved {
        Ok(descriptor) => descriptor,
        Err(diagnostics) => return Ok(Resolved::Broken { diagnostics }),
    };
    let files: BTreeSet<String> = files.into_keys().collect();
    let content = content(repository, commit, service, &files)?.unwrap_or_else(|| blob.clone());
    Ok(Resolved::Valid(Box::new(Valid {
        digest: canonical_hash(&descriptor),
        descriptor,
        source,
        blob,
        content,
        files,
        warnings: problems,
    })))
}

/// What a service's files hold at a commit, as a text that is equal where they are: the git object id of its descriptor,
/// and of each file that it takes. None where there is no descriptor.
///
/// # Errors
/// The repository cannot be read.
pub fn content(
    repository: &Repository,
    commit: &CommitId,
    service: &ServiceName,
    files: &BTreeSet<String>,
) -> Result<Option<String>, Error> {
    let Some((_, id)) = repository.entry(commit, &path_of(service))? else {
        return Ok(None);
    };
    let mut content = id.to_string();
    for file in files {
        let id = repository.entry(commit, file)?.map(|(_, id)| id.to_string());
        content.push_str(&format!(" {file}={}", id.as_deref().unwrap_or("-")));
    }
    Ok(Some(content))
}

fn span() -> pilotage_diagnostic::Span {
    pilotage_diagnostic::Span { start: 0, end: 0 }
}

/// What stands where a file should: the code of the problem, and what it is.
fn in_words(kind: EntryKind) -> (&'static str, &'static str) {
    match kind {
        EntryKind::File | EntryKind::Executable => ("file-kind", "a file"),
        EntryKind::Symlink => ("symlink", "a symlink"),
        EntryKind::Submodule => ("submodule", "a submodule"),
        EntryKind::Directory => ("folder", "a folder"),
        EntryKind::Unknown => ("file-kind", "of a kind that git does not write"),
    }
}
