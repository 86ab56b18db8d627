use pilotage_diagnostic::printable;

use crate::Error;

/// The most that is kept of what a server says beside its answer.
pub(super) const MOST: usize = 4096;
/// The most of it that is shown.
const SHOWN: usize = 500;

/// How a command on the server ended.
#[derive(Debug, Default)]
pub(super) struct End {
    /// What it wrote to its standard error, at most [`MOST`] bytes.
    pub(super) words: Vec<u8>,
    /// Its exit status, or nothing when the connection or the command was cut off.
    pub(super) status: Option<u32>,
}

impl End {
    /// Keeps what fits.
    pub(super) fn hear(&mut self, bytes: &[u8]) {
        let room = MOST - self.words.len().min(MOST);
        self.words.extend_from_slice(&bytes[..bytes.len().min(room)]);
    }

    /// The server's words in one printable line, bounded.
    pub(super) fn said(&self) -> String {
        let text = String::from_utf8_lossy(&self.words);
        let lines: Vec<&str> = text
            .lines()
            .map(str::trim)
            .filter(|line| !line.is_empty())
            .collect();
        let mut shown: String = lines.join(" / ").chars().take(SHOWN).collect();
        if shown.len() < lines.join(" / ").len() {
            shown.push('…');
        }
        printable(&shown)
    }

    /// What it means that the command ended before its answer was complete. Servers say why in free text only; these are
    /// the words of git itself and of the common forges.
    pub(super) fn meaning(&self, url: &str, program: &str, told: bool) -> Error {
        let url = url.to_owned();
        let said = self.said();
        let low = said.to_lowercase();
        let has = |phrases: &[&str]| phrases.iter().any(|phrase| low.contains(phrase));
        let with_words = |text: String| match said.as_str() {
            "" => text,
            said => format!("{text}: {said}"),
        };
        // After the commands of a push went out, only the refs themselves can say what happened.
        if told || self.status.is_none() && said.is_empty() {
            return Error::Unavailable {
                url,
                detail: with_words("the connection ended before the answer was complete".to_owned()),
            };
        }
        if has(&[
            "does not appear to be a git repository",
            "not a git repository",
            "repository not found",
            "repository does not exist",
            "could not be found",
            "no such repository",
            "no such project",
            "cannot find repository",
        ]) {
            return Error::NoRepository { url };
        }
        if has(&[
            "denied",
            "not allowed",
            "unauthorized",
            "read only",
            "read-only",
            "no permission",
        ]) {
            return Error::Denied { url, detail: said };
        }
        if self.status == Some(127) || has(&["command not found"]) {
            return Error::NotGit {
                url,
                detail: with_words(format!("it has no {program}")),
            };
        }
        let ended = match self.status {
            Some(status) => format!("{program} ended with {status}"),
            None => format!("{program} was cut off"),
        };
        Error::Unavailable {
            url,
            detail: with_words(ended),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Class;

    fn end(status: Option<u32>, words: &str) -> End {
        let mut end = End {
            status,
            ..End::default()
        };
        end.hear(words.as_bytes());
        end
    }

    #[test]
    fn the_words_of_git_and_the_forges_have_a_meaning() {
        for (status, words, class) in [
            (
                Some(128),
                "fatal: '/x' does not appear to be a git repository\n",
                Class::NotFound,
            ),
            (Some(1), "ERROR: Repository not found.\n", Class::NotFound),
            (
                Some(1),
                "remote: \nremote: ERROR: The project you were looking for could not be found or you don't have permission to view it.\n",
                Class::NotFound,
            ),
            (
                Some(1),
                "Gitea: Repository does not exist or you do not have access\n",
                Class::NotFound,
            ),
            (
                Some(1),
                "ERROR: Permission to acme/env.git denied to deploy key\n",
                Class::Auth,
            ),
            (
                Some(1),
                "ERROR: The key you are authenticating with has been marked as read only.\n",
                Class::Auth,
            ),
            (
                Some(127),
                "sh: 1: git-upload-pack: not found\n",
                Class::Unavailable,
            ),
            (
                Some(128),
                "fatal: detected dubious ownership in repository at '/x'\n",
                Class::Unavailable,
            ),
            (None, "", Class::Unavailable),
        ] {
            let error = end(status, words).meaning("ssh://h/x", "git-upload-pack", false);
            assert_eq!(error.class(), class, "{words}: {error}");
            let told = end(status, words).meaning("ssh://h/x", "git-receive-pack", true);
            assert_eq!(told.class(), Class::Unavailable, "{words}: {told}");
        }
    }

    #[test]
    fn words_are_bounded_and_printable() {
        let end = end(Some(1), &format!("\u{1b}[2Jdenied\r\n{}", "x".repeat(100_000)));
        assert!(end.words.len() <= MOST);
        let said = end.said();
        assert!(said.chars().count() < 2 * SHOWN, "{said}");
        assert!(!said.chars().any(char::is_control), "{said}");
        assert!(said.ends_with('…'), "{said}");
    }
}
