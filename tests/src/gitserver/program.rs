//! The `git` program, hermetic.

use std::path::Path;
use std::process::{Command, Stdio};

/// The first second that commits made here carry: 2026-01-01T00:00:00Z.
pub const EPOCH: i64 = 1_767_225_600;

/// A `git` command that sees nothing of this machine's configuration.
#[must_use]
pub fn git_command(directory: &Path) -> Command {
    let mut command = Command::new("git");
    command
        .current_dir(directory)
        .stdin(Stdio::null())
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("GIT_TERMINAL_PROMPT", "0")
        .env("GIT_AUTHOR_NAME", "Ana Costa")
        .env("GIT_AUTHOR_EMAIL", "ana@example.com")
        .env("GIT_AUTHOR_DATE", format!("{EPOCH} +0000"))
        .env("GIT_COMMITTER_NAME", "Ana Costa")
        .env("GIT_COMMITTER_EMAIL", "ana@example.com")
        .env("GIT_COMMITTER_DATE", format!("{EPOCH} +0000"))
        .env("LC_ALL", "C.UTF-8");
    for name in [
        "GIT_DIR",
        "GIT_WORK_TREE",
        "GIT_INDEX_FILE",
        "GIT_OBJECT_DIRECTORY",
        "GIT_CONFIG_COUNT",
    ] {
        command.env_remove(name);
    }
    command
}

/// Runs `git` and returns what it prints, without the last newline.
///
/// # Panics
/// When git says no.
pub fn git(directory: &Path, args: &[&str]) -> String {
    let output = git_command(directory)
        .args(args)
        .output()
        .expect("the git program runs");
    assert!(
        output.status.success(),
        "git {args:?} in {}: {}",
        directory.display(),
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8_lossy(&output.stdout)
        .trim_end_matches('\n')
        .to_owned()
}
