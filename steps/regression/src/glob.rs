use std::fmt;
use std::str::FromStr;

use pilotage_quarantine::wild;

/// A pattern of paths below a folder: `*` is any run of characters of one name, `?` one character, `**` any number of
/// folders.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Glob {
    text: String,
    parts: Vec<String>,
}

/// Why a text is no pattern of paths.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "a pattern is a path below the working folder, such as `out/**/*.xml`, without `..` and without a leading `/`"
)]
pub struct GlobError;

impl FromStr for Glob {
    type Err = GlobError;

    fn from_str(text: &str) -> Result<Self, GlobError> {
        let parts: Vec<String> = text.split('/').map(str::to_owned).collect();
        if parts.iter().any(|part| matches!(part.as_str(), "" | "." | "..")) || text.contains('\0') {
            return Err(GlobError);
        }
        Ok(Self {
            text: text.to_owned(),
            parts,
        })
    }
}

impl fmt::Display for Glob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.text)
    }
}

impl Glob {
    /// The folder that everything lies in which it fits, as far as it has no wildcards; empty for the one it counts from.
    #[must_use]
    pub fn folder(&self) -> String {
        let names = &self.parts[..self.parts.len() - 1];
        let plain: Vec<&str> = names
            .iter()
            .map(String::as_str)
            .take_while(|name| !name.contains(['*', '?']))
            .collect();
        plain.join("/")
    }

    /// Whether it fits a path, given by its names.
    #[must_use]
    pub fn fits(&self, path: &[&str]) -> bool {
        fits(&self.parts, path, false)
    }

    /// Whether it could fit something below a folder, given by its names.
    #[must_use]
    pub fn enters(&self, folder: &[&str]) -> bool {
        fits(&self.parts, folder, true)
    }
}

fn fits(parts: &[String], path: &[&str], below: bool) -> bool {
    match (parts, path) {
        ([], []) => !below,
        (_, []) if below => true,
        ([], _) => false,
        ([part, rest @ ..], _) if part == "**" => {
            fits(rest, path, below)
                || path
                    .split_first()
                    .is_some_and(|(_, path)| fits(parts, path, below))
        }
        (_, []) => false,
        ([part, rest @ ..], [name, path @ ..]) => wild(part, name) && fits(rest, path, below),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_fit_their_patterns() {
        let fits = |glob: &str, path: &str| {
            let names: Vec<&str> = path.split('/').collect();
            glob.parse::<Glob>().unwrap().fits(&names)
        };
        for (glob, path) in [
            ("out/*.xml", "out/a.xml"),
            ("out/**/*.xml", "out/a.xml"),
            ("out/**/*.xml", "out/b/c/a.xml"),
            ("**/TEST-*.xml", "x/TEST-a.xml"),
            ("**", "a/b"),
            ("r?.xml", "r1.xml"),
        ] {
            assert!(fits(glob, path), "{glob} {path}");
        }
        for (glob, path) in [
            ("out/*.xml", "out/b/a.xml"),
            ("out/**/*.xml", "in/a.xml"),
            ("*.xml", "a.xml/b"),
            ("a/**/b", "a"),
            ("r?.xml", "r.xml"),
        ] {
            assert!(!fits(glob, path), "{glob} {path}");
        }
        for bad in ["", "/a", "../a", "a//b", "a/", "./a"] {
            assert!(bad.parse::<Glob>().is_err(), "{bad}");
        }
    }

    #[test]
    fn only_folders_that_may_hold_something_are_entered() {
        let glob: Glob = "out/*/r/**/x.xml".parse().unwrap();
        for (folder, enters) in [
            (&[][..], true),
            (&["out"], true),
            (&["in"], false),
            (&["out", "a"], true),
            (&["out", "a", "s"], false),
            (&["out", "a", "r", "deep", "er"], true),
        ] {
            assert_eq!(glob.enters(folder), enters, "{folder:?}");
        }
        assert!(!"x.xml".parse::<Glob>().unwrap().enters(&["x.xml"]));
    }

    #[test]
    fn a_pattern_of_many_stars_takes_no_time() {
        assert!(!wild(&"*a".repeat(50), &"ab".repeat(1_000)));
        assert!(wild(&"*a".repeat(50), &"ba".repeat(1_000)));
        assert!(wild("*", "") && wild("a*c*", "abbc") && wild("**", "x") && !wild("?", ""));
    }
}
