//! The files a step writes at its end. That they can be written is found out before the step changes anything.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, CWD, StatxAttributes, StatxFlags};

/// A file that will be written once, at the end.
#[derive(Debug)]
pub(crate) struct ReportFile {
    /// As it was given, for messages.
    name: PathBuf,
    way: Way,
}

#[derive(Debug)]
enum Way {
    /// A new file beside it, renamed over it: readers see the old text or the new one, never a part.
    Replace(PathBuf),
    /// Written in place, because nothing can be renamed over a mount point, a device or a pipe, or because only the
    /// file and not its folder may be written. Held open from the start.
    InPlace(File),
}

impl ReportFile {
    /// Finds out how `path` can be written, and that it can be. An existing file keeps its content until the end.
    ///
    /// # Errors
    ///
    /// It cannot be written.
    pub(crate) fn prepare(path: &Path) -> io::Result<Self> {
        let name = path.to_owned();
        if path.as_os_str().is_empty() || path.as_os_str().as_bytes().ends_with(b"/") {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                "it is no name of a file",
            ));
        }
        let in_place = |path: &Path| -> io::Result<Way> {
            // Not truncated here: what stands there stays until there is something better.
            let file = OpenOptions::new()
                .write(true)
                .create(true)
                .truncate(false)
                .open(path)?;
            Ok(Way::InPlace(file))
        };
        let way = match fs::metadata(path) {
            Ok(there) if there.is_dir() => return Err(io::Error::from(io::ErrorKind::IsADirectory)),
            Ok(there) if there.is_file() => {
                // A symbolic link stays one: what it points to is replaced.
                let real = fs::canonicalize(path)?;
                if is_mount_point(&real) || probe_folder(&real).is_err() {
                    in_place(&real)?
                } else {
                    Way::Replace(real)
                }
            }
            Ok(_) => in_place(path)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound && !path.is_symlink() => {
                probe_folder(path)?;
                Way::Replace(path.to_owned())
            }
            Err(error) => return Err(error),
        };
        Ok(Self { name, way })
    }

    /// As it was given.
    pub(crate) fn name(&self) -> &Path {
        &self.name
    }

    /// Writes the whole text.
    ///
    /// # Errors
    ///
    /// It could not be written; a file that is replaced then still holds its old content.
    pub(crate) fn write(&self, text: &str) -> io::Result<()> {
        match &self.way {
            Way::InPlace(file) => overwrite(file, text),
            Way::Replace(path) => {
                let mut new = beside(path)?;
                new.write_all(text.as_bytes())?;
                match new.persist(path) {
                    Ok(_) => Ok(()),
                    // Mounted over since the start, or on a system that does not tell mount points.
                    Err(error) if is_busy(&error.error) => {
                        overwrite(&OpenOptions::new().write(true).open(path)?, text)
                    }
                    Err(error) => Err(error.error),
                }
            }
        }
    }
}

fn overwrite(mut file: &File, text: &str) -> io::Result<()> {
    let regular = file.metadata()?.is_file();
    if regular {
        file.set_len(0)?;
        io::Seek::rewind(&mut file)?;
    }
    file.write_all(text.as_bytes())?;
    file.flush()
}

/// A new file in the folder of `path`, readable as the process's umask says and not for its owner only: a CI server
/// that reads it often runs as someone else.
fn beside(path: &Path) -> io::Result<tempfile::NamedTempFile> {
    let folder = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    tempfile::Builder::new()
        .prefix(".pilotage-report-")
        .permissions(fs::Permissions::from_mode(0o666))
        .tempfile_in(folder)
        .map_err(without_name)
}

/// The same error without the name of the new file, which nobody has heard of.
fn without_name(error: io::Error) -> io::Error {
    let inner = error.get_ref().and_then(|named| named.source());
    let system = inner.and_then(|inner| inner.downcast_ref::<io::Error>()?.raw_os_error());
    system.map_or_else(|| error.kind().into(), io::Error::from_raw_os_error)
}

fn probe_folder(path: &Path) -> io::Result<()> {
    beside(path)?.close()
}

fn is_mount_point(path: &Path) -> bool {
    rustix::fs::statx(CWD, path, AtFlags::empty(), StatxFlags::BASIC_STATS)
        .is_ok_and(|stat| stat.stx_attributes.contains(StatxAttributes::MOUNT_ROOT))
}

fn is_busy(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ResourceBusy | io::ErrorKind::CrossesDevices
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder() -> tempfile::TempDir {
        tempfile::tempdir().unwrap()
    }

    #[test]
    fn a_file_keeps_its_content_until_the_end_and_leaves_nothing_beside_it() {
        let folder = folder();
        let path = folder.path().join("report.json");
        fs::write(&path, "old").unwrap();
        let file = ReportFile::prepare(&path).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "old");
        file.write("new").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "new");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
        let mode = fs::metadata(&path).unwrap().permissions().mode();
        assert_ne!(mode & 0o044, 0, "others may read it: {mode:o}");
    }

    #[test]
    fn a_symbolic_link_stays_one() {
        let folder = folder();
        let (real, link) = (folder.path().join("real"), folder.path().join("link"));
        fs::write(&real, "old").unwrap();
        std::os::unix::fs::symlink(&real, &link).unwrap();
        ReportFile::prepare(&link).unwrap().write("new").unwrap();
        assert!(link.is_symlink());
        assert_eq!(fs::read_to_string(&real).unwrap(), "new");
    }

    #[test]
    fn what_cannot_be_written_is_known_at_once() {
        let folder = folder();
        assert!(ReportFile::prepare(folder.path()).is_err(), "a folder");
        assert!(ReportFile::prepare(&folder.path().join("no/such/folder")).is_err());
        assert!(ReportFile::prepare(Path::new("")).is_err());
        assert!(ReportFile::prepare(&folder.path().join("new/")).is_err());
    }

    #[test]
    fn mount_points_are_known() {
        assert!(is_mount_point(Path::new("/proc")));
        assert!(!is_mount_point(folder().path()));
    }

    #[test]
    fn a_device_is_written_in_place() {
        let file = ReportFile::prepare(Path::new("/dev/null")).unwrap();
        assert!(matches!(file.way, Way::InPlace(_)));
        file.write("gone").unwrap();
    }

    #[test]
    fn writing_in_place_leaves_no_tail_of_the_old_text() {
        let folder = folder();
        let path = folder.path().join("report.json");
        fs::write(&path, "a much longer old text").unwrap();
        let file = ReportFile {
            name: path.clone(),
            way: Way::InPlace(OpenOptions::new().write(true).open(&path).unwrap()),
        };
        file.write("new").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "new");
    }
}
