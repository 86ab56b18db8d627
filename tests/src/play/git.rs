//! People with clones: what they do, they do with git.

use std::path::{Path, PathBuf};
use std::process::Output;

use super::missed::{Missed, Play};
use super::place::Place;

/// Somebody with a clone of the environment repository.
pub(crate) struct Person {
    pub(crate) name: &'static str,
    email: &'static str,
    clone: PathBuf,
}

/// Runs git in a folder, as nobody or as somebody, and sees nothing of the user's own configuration.
pub(crate) async fn git(
    place: &Place,
    folder: &Path,
    who: Option<(&str, &str)>,
    args: &[&str],
) -> Play<Output> {
    let mut command = place.command("git");
    command.args(args).current_dir(folder);
    command.envs([
        ("GIT_CONFIG_NOSYSTEM", "1"),
        ("GIT_CONFIG_GLOBAL", "/dev/null"),
        ("GIT_TERMINAL_PROMPT", "0"),
        ("GIT_EDITOR", "true"),
        ("LC_ALL", "C"),
    ]);
    if let Some((name, email)) = who {
        for role in ["AUTHOR", "COMMITTER"] {
            command.env(format!("GIT_{role}_NAME"), name);
            command.env(format!("GIT_{role}_EMAIL"), email);
        }
    }
    command
        .output()
        .await
        .map_err(|error| Missed::new("git can be run", error))
}

/// As [`git`], for what has to go well; gives back its stdout.
pub(crate) async fn git_well(
    place: &Place,
    folder: &Path,
    who: Option<(&str, &str)>,
    args: &[&str],
) -> Play<String> {
    let output = git(place, folder, who, args).await?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        let found = format!("it ended with {}", output.status);
        return Err(Missed::new(format!("git {} goes well", args.join(" ")), found).log("git", said));
    }
    Ok(String::from_utf8_lossy(&output.stdout).trim_end().to_owned())
}

impl Person {
    /// Somebody new, with a new clone.
    pub(crate) async fn joins(
        place: &Place,
        repository: &Path,
        name: &'static str,
        email: &'static str,
    ) -> Play<Self> {
        let clone = place
            .root()
            .join("clones")
            .join(email.split('@').next().unwrap_or(name));
        let (from, to) = (text(repository), text(&clone));
        git_well(
            place,
            place.root(),
            None,
            &["clone", "--quiet", "--no-checkout", &from, &to],
        )
        .await?;
        Ok(Self { name, email, clone })
    }

    /// Runs git in the clone, as this person.
    pub(crate) async fn git(&self, place: &Place, args: &[&str]) -> Play<String> {
        git_well(place, &self.clone, Some((self.name, self.email)), args).await
    }

    /// Has the newest state of a branch before them.
    pub(crate) async fn takes(&self, place: &Place, branch: &str) -> Play<()> {
        self.git(place, &["fetch", "--quiet", "origin"]).await?;
        let newest = format!("origin/{branch}");
        self.git(place, &["checkout", "--quiet", "-B", branch, &newest])
            .await?;
        Ok(())
    }

    /// A file of the clone.
    pub(crate) fn reads(&self, path: &str) -> Play<String> {
        std::fs::read_to_string(self.clone.join(path))
            .map_err(|error| Missed::new(format!("{path} can be read"), error))
    }

    /// Writes a file of the clone.
    pub(crate) fn writes(&self, path: &str, text: &str) -> Play<()> {
        std::fs::write(self.clone.join(path), text)
            .map_err(|error| Missed::new(format!("{path} can be written"), error))
    }

    /// Replaces a text that stands once in a file of the clone.
    pub(crate) fn edits(&self, path: &str, from: &str, to: &str) -> Play<()> {
        let before = self.reads(path)?;
        if before.matches(from).count() != 1 {
            return Err(Missed::new(format!("`{from}` stands once in {path}"), before));
        }
        self.writes(path, &before.replace(from, to))
    }

    /// Commits everything, and says which commit that is.
    pub(crate) async fn commits(&self, place: &Place, message: &str) -> Play<String> {
        self.git(place, &["add", "--all"]).await?;
        self.git(place, &["commit", "--quiet", "-m", message]).await?;
        self.newest(place).await
    }

    /// Pushes a branch.
    pub(crate) async fn pushes(&self, place: &Place, branch: &str) -> Play<()> {
        self.git(place, &["push", "--quiet", "origin", branch]).await?;
        Ok(())
    }

    /// The commit before them.
    pub(crate) async fn newest(&self, place: &Place) -> Play<String> {
        self.git(place, &["rev-parse", "HEAD"]).await
    }
}

fn text(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

/// A commit as Pilotage shows it.
pub(crate) fn short(commit: &str) -> &str {
    commit.get(..10).unwrap_or(commit)
}
