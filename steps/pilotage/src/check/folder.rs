//! The folder of descriptors, wherever it was read from: a commit or a working tree.

use std::collections::BTreeMap;

use pilotage_decision::Error;
use pilotage_decision::descriptors::{self, LARGEST_FILE, Text};
use pilotage_descriptor::{FOLDER, FileSource, parse, path_of};
use pilotage_diagnostic::{Diagnostic, Source};
use pilotage_gitrepo::{File, Repository};
use pilotage_name::{CommitId, EnvironmentName, ServiceName};

/// The descriptors of one branch or working tree, as text.
#[derive(Clone, Debug, Default)]
pub struct Folder {
    /// Its entries.
    pub entries: Vec<Entry>,
    /// The text files that descriptors take content from, by path.
    pub files: BTreeMap<String, String>,
    /// Lists of tests that are known to fail.
    pub quarantine: Vec<Entry>,
}

/// One entry of the folder.
#[derive(Clone, Debug)]
pub enum Entry {
    /// A file of a service: its descriptor, or its list of tests that are known to fail.
    OfService(ServiceName, Source),
    /// Something that is none.
    Refused(Box<Diagnostic>),
}

impl Folder {
    /// Reads the folder of a commit. `branch` is how messages call the commit.
    pub(super) fn at(repository: &Repository, commit: &CommitId, branch: &str) -> Result<Self, Error> {
        let mut folder = Self::default();
        let called = format!("{branch}:{FOLDER}");
        for entry in repository.list_dir(commit, FOLDER)?.unwrap_or_default() {
            let service = match descriptors::name(&called, &entry.name, entry.lossy, entry.kind) {
                None => continue,
                Some(Err(problem)) => {
                    folder.entries.push(Entry::Refused(problem));
                    continue;
                }
                Some(Ok(service)) => service,
            };
            let called = format!("{branch}:{}", path_of(&service));
            match descriptors::text(repository, commit, &service, &called)? {
                Text::Here { source, .. } => folder.entries.push(Entry::OfService(service, source)),
                Text::Unreadable(problem) => folder.entries.push(Entry::Refused(problem)),
                Text::Absent => {}
            }
        }
        let called = format!("{branch}:{}", pilotage_quarantine::FOLDER);
        for entry in repository
            .list_dir(commit, pilotage_quarantine::FOLDER)?
            .unwrap_or_default()
        {
            let service = match descriptors::name(&called, &entry.name, entry.lossy, entry.kind) {
                None => continue,
                Some(Err(problem)) => {
                    folder.quarantine.push(Entry::Refused(problem));
                    continue;
                }
                Some(Ok(service)) => service,
            };
            let path = pilotage_quarantine::path_of(&service);
            if let File::Blob(blob) = repository.blob(commit, &path, pilotage_quarantine::LARGEST)? {
                let source = pilotage_yaml::source_from_bytes(format!("{branch}:{path}"), &blob.bytes);
                folder.quarantine.push(match source {
                    Ok(source) => Entry::OfService(service, source),
                    Err(problem) => Entry::Refused(problem),
                });
            }
        }
        for path in folder.wanted() {
            if let File::Blob(blob) = repository.blob(commit, &path, LARGEST_FILE)?
                && let Ok(text) = String::from_utf8(blob.bytes)
            {
                folder.files.insert(path, text);
            }
        }
        Ok(folder)
    }

    /// The files that the descriptors name, in whatever environment.
    pub(super) fn wanted(&self) -> Vec<String> {
        let mut paths = Vec::new();
        for entry in &self.entries {
            let Entry::OfService(service, source) = entry else {
                continue;
            };
            // Most descriptors name no file at all, and reading is cheaper than resolving.
            if !source.text().contains("from") {
                continue;
            }
            let parsed = parse(source).for_service(service);
            let own: Vec<EnvironmentName> = parsed.overlays().cloned().collect();
            // An environment that has no overlay resolves to the file without any.
            let plain = "no-overlay".parse().ok();
            for environment in own.iter().chain(&plain) {
                let Ok(descriptor) = parsed.resolve(environment) else {
                    continue;
                };
                paths.extend(descriptor.files.values().filter_map(|file| match file {
                    FileSource::From(path) => Some(path.clone()),
                    FileSource::Content(_) | FileSource::Sealed(_) => None,
                }));
            }
        }
        paths.sort();
        paths.dedup();
        paths
    }

    /// How many descriptors stand in it, good or bad.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether nothing stands in it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }
}
