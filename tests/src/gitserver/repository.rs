//! Bare repositories, filled by `git fast-import`.

use std::fmt::Write as _;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::atomic::{AtomicU64, Ordering};

use super::new_commit::{NewCommit, Person};
use super::program::{EPOCH, git, git_command};

/// A bare repository on disk, filled by `git fast-import`.
#[derive(Debug)]
pub struct BareRepository {
    path: PathBuf,
    second: AtomicU64,
}

impl BareRepository {
    /// Makes an empty repository at `path` that takes pushes over HTTP.
    pub fn init(path: &Path) -> Self {
        std::fs::create_dir_all(path).unwrap();
        git(path, &["init", "--quiet", "--bare", "--initial-branch=main", "."]);
        for (key, value) in [
            ("http.receivepack", "true"),
            ("receive.denyCurrentBranch", "ignore"),
            ("gc.auto", "0"),
            ("receive.autogc", "false"),
        ] {
            git(path, &["config", key, value]);
        }
        Self::at(path)
    }

    /// Takes a repository that is there already.
    #[must_use]
    pub fn at(path: &Path) -> Self {
        Self {
            path: path.to_owned(),
            second: AtomicU64::new(EPOCH.unsigned_abs()),
        }
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Runs git in it.
    pub fn git(&self, args: &[&str]) -> String {
        git(&self.path, args)
    }

    /// The commit a ref or another expression names.
    pub fn id(&self, expression: &str) -> String {
        self.git(&["rev-parse", "--verify", &format!("{expression}^{{commit}}")])
    }

    /// Makes a commit on a branch (short name) or on any ref (`refs/…`) and returns its id.
    pub fn commit(&self, branch: &str, commit: NewCommit) -> String {
        let name = if branch.starts_with("refs/") {
            branch.to_owned()
        } else {
            format!("refs/heads/{branch}")
        };
        let tick = self.second.fetch_add(1, Ordering::Relaxed).cast_signed();
        let second = commit.second.unwrap_or(tick);
        let exists = git_command(&self.path)
            .args(["rev-parse", "--quiet", "--verify", &name])
            .stdout(Stdio::null())
            .status()
            .unwrap()
            .success();
        let mut stream = Vec::new();
        let person =
            |role: &str, who: &Person| format!("{role} {} <{}> {second} +0000\n", who.name, who.email);
        write!(stream, "commit {name}\nmark :1\n").unwrap();
        stream.extend_from_slice(person("author", &commit.author).as_bytes());
        stream.extend_from_slice(person("committer", &commit.committer).as_bytes());
        data(&mut stream, commit.message.as_bytes());
        match &commit.from {
            Some(from) => writeln!(stream, "from {from}").unwrap(),
            None if exists => writeln!(stream, "from {name}^0").unwrap(),
            None => {}
        }
        for parent in &commit.merge {
            writeln!(stream, "merge {parent}").unwrap();
        }
        for (path, content) in &commit.files {
            match content {
                Some((mode, content)) if mode == "160000" => {
                    writeln!(
                        stream,
                        "M 160000 {} {}",
                        String::from_utf8_lossy(content),
                        quoted(path)
                    )
                    .unwrap();
                }
                Some((mode, content)) => {
                    writeln!(stream, "M {mode} inline {}", quoted(path)).unwrap();
                    data(&mut stream, content);
                }
                None => writeln!(stream, "D {}", quoted(path)).unwrap(),
            }
        }
        stream.extend_from_slice(b"\nget-mark :1\n");
        self.import(&stream).trim().to_owned()
    }

    /// Feeds `git fast-import` with a stream and returns what it prints; for histories too large to make commit by
    /// commit.
    pub fn import(&self, stream: &[u8]) -> String {
        let mut child = git_command(&self.path)
            .args(["fast-import", "--quiet", "--force", "--cat-blob-fd=1"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("git fast-import starts");
        let mut input = child.stdin.take().unwrap();
        std::thread::scope(|scope| {
            scope.spawn(move || drop(input.write_all(stream)));
            let output = child.wait_with_output().unwrap();
            assert!(
                output.status.success(),
                "git fast-import: {}",
                String::from_utf8_lossy(&output.stderr)
            );
            String::from_utf8_lossy(&output.stdout).into_owned()
        })
    }

    /// Fills a branch with `files` small files and then `commits` commits that each change one. The first thousand files
    /// are `services/s<n>.yaml`, the others lie beside them as `files/s<n mod 1000>/f<n>`: one directory of ten thousand
    /// files would make git itself write gigabytes of trees.
    pub fn grow(&self, branch: &str, files: usize, commits: usize) {
        const SERVICES: usize = 1000;
        let path = |file: usize| {
            if file < SERVICES {
                format!("services/s{file}.yaml")
            } else {
                format!("files/s{}/f{file}", file % SERVICES)
            }
        };
        let people = |second: usize| {
            let second = EPOCH + i64::try_from(second).unwrap();
            let ana = "Ana Costa <ana@example.com>";
            format!("author {ana} {second} +0000\ncommitter {ana} {second} +0000\n")
        };
        let mut stream = Vec::new();
        write!(stream, "commit refs/heads/{branch}\n{}", people(0)).unwrap();
        data(&mut stream, b"Begin\n");
        for file in 0..files {
            writeln!(stream, "M 100644 inline {}", path(file)).unwrap();
            data(
                &mut stream,
                format!("version: \"1.0.0\"\nname: s{file}\n").as_bytes(),
            );
        }
        for commit in 1..=commits {
            // A stride that has no factor in common with the count visits every file.
            let file = commit * 7919 % files.max(1);
            write!(stream, "\ncommit refs/heads/{branch}\n{}", people(commit)).unwrap();
            data(&mut stream, format!("Release s{file}\n").as_bytes());
            writeln!(stream, "M 100644 inline {}", path(file)).unwrap();
            data(
                &mut stream,
                format!("version: \"1.0.{commit}\"\nname: s{file}\n").as_bytes(),
            );
        }
        self.import(&stream);
    }
}

fn data(stream: &mut Vec<u8>, content: &[u8]) {
    writeln!(stream, "data {}", content.len()).unwrap();
    stream.extend_from_slice(content);
    stream.push(b'\n');
}

/// A path as fast-import reads it, whatever characters it holds.
fn quoted(path: &str) -> String {
    let mut text = String::from("\"");
    for byte in path.bytes() {
        match byte {
            b'"' | b'\\' => {
                text.push('\\');
                text.push(char::from(byte));
            }
            b' '..=b'~' => text.push(char::from(byte)),
            _ => write!(text, "\\{byte:03o}").unwrap(),
        }
    }
    text.push('"');
    text
}
