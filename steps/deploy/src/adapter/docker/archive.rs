//! Files on their way into a container, as the tar format of POSIX.1-2001 ("ustar") with the long names of GNU tar.

const BLOCK: usize = 512;

/// A tar archive that is being written.
#[derive(Debug, Default)]
pub(super) struct Archive {
    bytes: Vec<u8>,
}

impl Archive {
    /// Adds a file that belongs to root. `path` is absolute.
    pub(super) fn add(&mut self, path: &str, mode: u32, content: &[u8]) {
        let name = path.trim_start_matches('/').as_bytes();
        if name.len() > 100 {
            let mut long = name.to_vec();
            long.push(0);
            self.entry(b"././@LongLink", b'L', 0o644, &long);
        }
        self.entry(&name[..name.len().min(100)], b'0', mode, content);
    }

    /// The whole archive.
    pub(super) fn finish(mut self) -> Vec<u8> {
        self.bytes.resize(self.bytes.len() + 2 * BLOCK, 0);
        self.bytes
    }

    fn entry(&mut self, name: &[u8], kind: u8, mode: u32, content: &[u8]) {
        let mut header = [0; BLOCK];
        let mut put = |at: usize, text: &[u8]| header[at..at + text.len()].copy_from_slice(text);
        put(0, name);
        put(100, format!("{mode:07o}\0").as_bytes());
        put(108, b"0000000\0");
        put(116, b"0000000\0");
        put(124, format!("{:011o}\0", content.len()).as_bytes());
        put(136, b"00000000000\0");
        put(148, b"        ");
        put(156, &[kind]);
        put(257, b"ustar\x0000");
        let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
        header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        self.bytes.extend_from_slice(&header);
        self.bytes.extend_from_slice(content);
        let whole = self.bytes.len().next_multiple_of(BLOCK);
        self.bytes.resize(whole, 0);
    }
}

/// The content of the first file of an archive.
pub(super) fn first_file(archive: &[u8]) -> Option<&[u8]> {
    let size = archive.get(124..135)?;
    let size = usize::from_str_radix(std::str::from_utf8(size).ok()?.trim(), 8).ok()?;
    archive.get(BLOCK..BLOCK.checked_add(size)?)
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
        let bytes = archive.finish();
        assert_eq!(first_file(&bytes), Some(b"one".as_slice()));
        assert_eq!(bytes.len() % BLOCK, 0);
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
    }

    #[test]
    fn a_broken_archive_has_no_file() {
        assert_eq!(first_file(b""), None);
        assert_eq!(first_file(&[b'9'; 600]), None);
    }
}
