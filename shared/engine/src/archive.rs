//! Files on their way into and out of containers, as tar archives.

use std::io::{self, Read};
use std::path::{Component, Path};

use tar::{EntryType, Header};

/// Files for a container. They belong to root.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Archive {
    files: Vec<File>,
}

#[derive(Clone, PartialEq, Eq)]
struct File {
    path: String,
    mode: u32,
    /// None for a folder.
    content: Option<Vec<u8>>,
}

/// A file may hold a secret.
impl std::fmt::Debug for File {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("File")
            .field("path", &self.path)
            .finish_non_exhaustive()
    }
}

impl Archive {
    /// Adds a file. `path` is absolute.
    pub fn add(&mut self, path: &str, mode: u32, content: &[u8]) {
        self.push(path, mode, Some(content.to_vec()));
    }

    /// Adds an empty folder. `path` is absolute.
    pub fn add_folder(&mut self, path: &str, mode: u32) {
        self.push(path, mode, None);
    }

    fn push(&mut self, path: &str, mode: u32, content: Option<Vec<u8>>) {
        self.files.push(File {
            path: path.trim_matches('/').to_owned(),
            mode,
            content,
        });
    }

    /// Whether there is nothing in it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.files.is_empty()
    }

    /// The whole archive.
    ///
    /// # Errors
    /// When a path is none that a file in a container can have.
    pub fn finish(self) -> io::Result<Vec<u8>> {
        let mut builder = tar::Builder::new(Vec::new());
        for File { path, mode, content } in self.files {
            let mut header = Header::new_gnu();
            header.set_mode(mode);
            let content = match content {
                Some(content) => content,
                None => {
                    header.set_entry_type(EntryType::Directory);
                    Vec::new()
                }
            };
            header.set_size(content.len() as u64);
            builder.append_data(&mut header, path, content.as_slice())?;
        }
        builder.into_inner()
    }
}

/// The content of the first file of an archive.
#[must_use]
pub fn first_file(archive: &[u8]) -> Option<Vec<u8>> {
    let mut archive = tar::Archive::new(archive);
    let mut entry = archive.entries().ok()?.next()?.ok()?;
    let mut content = Vec::new();
    entry.read_to_end(&mut content).ok()?;
    Some(content)
}

/// What was taken out of a container.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TakenOut {
    /// How many files.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
    /// How many were left there, because they are no plain files or would have been too much.
    pub left: u64,
}

/// Puts the plain files of an archive below `folder`, at most `most` bytes of them. A container is not trusted: links,
/// devices and paths that lead elsewhere are left out, and nothing is written through a link.
pub(crate) fn take_out(archive: impl Read, folder: &Path, most: u64) -> io::Result<TakenOut> {
    let mut taken = TakenOut::default();
    for entry in tar::Archive::new(archive).entries()? {
        let mut entry = entry?;
        if entry.header().entry_type().is_dir() {
            continue;
        }
        let path = entry.path()?.into_owned();
        let plain = path.components().all(|part| matches!(part, Component::Normal(_)));
        let size = entry.size();
        if !plain || !entry.header().entry_type().is_file() || taken.bytes.saturating_add(size) > most {
            taken.left += 1;
            continue;
        }
        let to = folder.join(&path);
        if let Some(parent) = to.parent() {
            std::fs::create_dir_all(parent)?;
        }
        // Links are never made here, so what is there already is ours; it is replaced, not written through.
        match std::fs::remove_file(&to) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let mut file = std::fs::File::create_new(&to)?;
        taken.bytes += io::copy(&mut entry, &mut file)?;
        taken.files += 1;
    }
    Ok(taken)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_what_tar_reads() {
        let long = format!("/etc/{}/app.yaml", "x".repeat(120));
        let mut archive = Archive::default();
        archive.add("/run/secrets/A", 0o444, b"one");
        archive.add(&long, 0o644, &[7; 513]);
        archive.add_folder("/out", 0o777);
        assert!(!format!("{archive:?}").contains("one"), "it may be a secret");
        let bytes = archive.finish().unwrap();
        assert_eq!(first_file(&bytes).as_deref(), Some(b"one".as_slice()));
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("it.tar");
        std::fs::write(&file, &bytes).unwrap();
        let status = std::process::Command::new("tar")
            .arg("-xf")
            .arg(&file)
            .arg("-C")
            .arg(folder.path())
            .status()
            .unwrap();
        assert!(status.success());
        let read = |path: &str| std::fs::read(folder.path().join(path.trim_start_matches('/'))).unwrap();
        assert_eq!(read("/run/secrets/A"), b"one");
        assert_eq!(read(&long), [7; 513]);
        assert!(folder.path().join("out").is_dir());
    }

    #[test]
    fn a_path_that_leads_elsewhere_is_none() {
        let mut archive = Archive::default();
        archive.add("/etc/../../x", 0o644, b"");
        assert!(archive.finish().is_err());
    }

    #[test]
    fn a_broken_archive_has_no_file() {
        assert_eq!(first_file(b""), None);
        assert_eq!(first_file(&[b'9'; 600]), None);
    }

    #[test]
    fn plain_files_are_taken_out_and_nothing_else() {
        let mut builder = tar::Builder::new(Vec::new());
        let mut add = |path: &str, kind: EntryType, content: &[u8]| {
            let mut header = Header::new_gnu();
            // As a hostile writer would: without the checks of the library.
            let name = &mut header.as_gnu_mut().unwrap().name;
            name[..path.len()].copy_from_slice(path.as_bytes());
            header.set_entry_type(kind);
            header.set_size(content.len() as u64);
            if kind == EntryType::Symlink {
                header.set_link_name("/etc/passwd").unwrap();
            }
            header.set_cksum();
            builder.append(&header, content).unwrap();
        };
        add("out/a.xml", EntryType::Regular, b"first");
        add("out/link", EntryType::Symlink, b"");
        add("out/link", EntryType::Regular, b"not through it");
        add("out/a.xml", EntryType::Regular, b"again");
        add("../escaped", EntryType::Regular, b"x");
        add("/absolute", EntryType::Regular, b"x");
        add("out/device", EntryType::Char, b"");
        add("out/huge", EntryType::Regular, &[0; 4096]);
        let bytes = builder.into_inner().unwrap();
        let folder = tempfile::tempdir().unwrap();
        let into = folder.path().join("into");
        let taken = take_out(bytes.as_slice(), &into, 1000).unwrap();
        assert_eq!((taken.files, taken.left), (3, 5));
        assert_eq!(std::fs::read(into.join("out/a.xml")).unwrap(), b"again");
        assert_eq!(std::fs::read(into.join("out/link")).unwrap(), b"not through it");
        assert!(!folder.path().join("escaped").exists() && !into.join("out/huge").exists());
    }
}
