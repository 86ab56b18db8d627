//! Starting another step of the house: where its program is, and what it may know of our environment.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use crate::Env;

/// Variables of the machine that every program needs: programs, home, language, time zone, temporary files. None of them
/// holds a secret.
pub const HOST_VARIABLES: [&str; 7] = ["PATH", "HOME", "USER", "LANG", "LC_ALL", "TZ", "TMPDIR"];

/// What whoever sends messages has to know, as patterns for [`child_environment`].
pub const CHANNEL_VARIABLES: [&str; 2] = ["PILOTAGE_SLACK_*", "PILOTAGE_SMTP_*"];

/// What every step needs besides: the cache, roots, and proxies, whose addresses may hold credentials.
const STEP_VARIABLES: [&str; 10] = [
    "XDG_CACHE_HOME",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "NO_PROXY",
    "ALL_PROXY",
    "http_proxy",
    "https_proxy",
    "no_proxy",
];

/// Our own variables that hold for every step alike. Twins of flags do not: a child has flags of its own.
const EVERYWHERE: [&str; 2] = ["PILOTAGE_CA_FILE", "PILOTAGE_LOG_FORMAT"];

/// What a child may know of our environment: the machine's variables, and of our own only those that `pass` names. A
/// name that ends in `_*` stands for all that begin so; a secret's `_FILE` goes along with it.
#[must_use]
pub fn child_environment(env: &Env, pass: &[&str]) -> Vec<(OsString, OsString)> {
    let wanted = |name: &OsStr| {
        let Some(name) = name.to_str() else { return false };
        let bare = name.strip_suffix("_FILE").unwrap_or(name);
        HOST_VARIABLES.contains(&name)
            || STEP_VARIABLES.contains(&name)
            || EVERYWHERE.contains(&name)
            || pass.iter().any(|pattern| match pattern.strip_suffix('*') {
                Some(prefix) => name.starts_with(prefix),
                None => *pattern == name || *pattern == bare,
            })
    };
    env.iter()
        .filter(|(name, _)| wanted(name))
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect()
}

/// The program of another binary of the house: the one beside the running program, so that one build's steps work
/// together, else the one that PATH finds.
#[must_use]
pub fn sibling(binary: &str) -> PathBuf {
    let beside = std::env::current_exe()
        .ok()
        .and_then(|own| own.parent().map(|folder| folder.join(binary)));
    beside
        .filter(|path| path.is_file())
        .unwrap_or_else(|| Path::new(binary).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_child_gets_what_it_is_given_and_no_flags_of_ours() {
        let env = Env::of([
            ("PATH", "/bin"),
            ("PILOTAGE_DEADLINE", "5m"),
            ("PILOTAGE_REPORT", "r.json"),
            ("PILOTAGE_SECRET_SHOP_DB", "s"),
            ("PILOTAGE_GIT_PASSWORD_FILE", "/run/p"),
            ("PILOTAGE_SLACK_TOKEN", "t"),
            ("AWS_SECRET_ACCESS_KEY", "x"),
        ]);
        let names = |pass: &[&str]| -> Vec<String> {
            let mut names: Vec<String> = child_environment(&env, pass)
                .into_iter()
                .map(|(name, _)| name.into_string().unwrap())
                .collect();
            names.sort();
            names
        };
        assert_eq!(names(&[]), ["PATH"]);
        assert_eq!(names(&["PILOTAGE_SECRET_*"]), ["PATH", "PILOTAGE_SECRET_SHOP_DB"]);
        assert_eq!(
            names(&["PILOTAGE_GIT_PASSWORD", "PILOTAGE_SLACK_TOKEN"]),
            ["PATH", "PILOTAGE_GIT_PASSWORD_FILE", "PILOTAGE_SLACK_TOKEN"]
        );
    }

    #[test]
    fn a_binary_that_is_not_beside_us_is_left_to_the_path() {
        assert_eq!(sibling("no-such-binary"), Path::new("no-such-binary"));
    }
}
