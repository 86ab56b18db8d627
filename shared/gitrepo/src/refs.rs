use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use pilotage_name::CommitId;

use crate::Error;

/// The full name of a ref, such as `refs/heads/qa`, by git's own grammar.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RefName(String);

impl RefName {
    /// The full name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The ref of a branch.
    pub fn branch(name: &str) -> Result<Self, Error> {
        format!("refs/heads/{name}").parse()
    }

    /// The branch's short name, when the ref is a branch.
    #[must_use]
    pub fn branch_name(&self) -> Option<&str> {
        self.0.strip_prefix("refs/heads/")
    }
}

impl FromStr for RefName {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let refused = text.starts_with("refs/heads/-") || !text.starts_with("refs/");
        if refused || !git2::Reference::is_valid_name(text) {
            return Err(Error::RefName {
                text: text.to_owned(),
            });
        }
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Display for RefName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// Which refs are meant: one by its full name (`refs/heads/qa`), or all below a prefix that ends with a slash
/// (`refs/pilotage/`).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct RefPattern(String);

impl RefPattern {
    /// Whether `name` is meant.
    #[must_use]
    pub fn matches(&self, name: &str) -> bool {
        if self.is_prefix() {
            name.starts_with(&self.0)
        } else {
            name == self.0
        }
    }

    /// The pattern as it was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The same set as a git refspec; libgit2 takes a pattern only with a destination, which a download does not use.
    pub(crate) fn glob(&self) -> String {
        if self.is_prefix() {
            format!("{0}*:{0}*", self.0)
        } else {
            self.0.clone()
        }
    }

    /// Whether it means all refs below a prefix.
    pub(crate) fn is_prefix(&self) -> bool {
        self.0.ends_with('/')
    }

    /// Exactly this ref.
    pub(crate) fn exact(name: &RefName) -> Self {
        Self(name.0.clone())
    }

    pub(crate) fn parse_all(patterns: &[&str]) -> Result<Vec<Self>, Error> {
        patterns.iter().map(|text| text.parse()).collect()
    }
}

impl FromStr for RefPattern {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        match text.strip_suffix('/') {
            Some("refs") => {}
            // A prefix is good when a ref below it would be.
            Some(_) => {
                format!("{text}x").parse::<RefName>()?;
            }
            None => {
                text.parse::<RefName>()?;
            }
        }
        Ok(Self(text.to_owned()))
    }
}

/// The refs of a remote at one moment: those asked for and no others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listing {
    /// Object id by ref name. (A ref below `refs/tags/` may name a tag object.)
    pub refs: BTreeMap<RefName, CommitId>,
    /// What was asked for.
    pub patterns: Vec<RefPattern>,
    /// Refs left out because their names are not valid UTF-8 or not valid at all.
    pub unreadable: usize,
}

impl Listing {
    /// Where a ref stands.
    #[must_use]
    pub fn get(&self, name: &RefName) -> Option<&CommitId> {
        self.refs.get(name)
    }

    /// Where a branch stands.
    #[must_use]
    pub fn branch(&self, name: &str) -> Option<&CommitId> {
        self.refs.get(&RefName::branch(name).ok()?)
    }

    pub(crate) fn empty(patterns: &[RefPattern]) -> Self {
        Self {
            refs: BTreeMap::new(),
            patterns: patterns.to_vec(),
            unreadable: 0,
        }
    }

    /// Takes one advertised ref, when it is one of those asked for.
    pub(crate) fn take(&mut self, name: &[u8], id: &str) {
        let Ok(text) = std::str::from_utf8(name) else {
            self.unreadable += 1;
            return;
        };
        if !self.patterns.iter().any(|pattern| pattern.matches(text)) {
            return;
        }
        match (text.parse(), id.parse()) {
            (Ok(name), Ok(id)) => {
                self.refs.insert(name, id);
            }
            _ => self.unreadable += 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_exact_and_a_prefix_ends_with_a_slash() {
        let exact: RefPattern = "refs/heads/b30".parse().unwrap();
        assert!(exact.matches("refs/heads/b30"));
        assert!(!exact.matches("refs/heads/b300"));
        let below: RefPattern = "refs/pilotage/".parse().unwrap();
        assert!(below.matches("refs/pilotage/release/qa/shop"));
        assert!(!below.matches("refs/pilotage"));
        assert!("refs/".parse::<RefPattern>().is_ok());
    }

    #[test]
    fn names_follow_gits_grammar() {
        for good in [
            "refs/heads/qa",
            "refs/heads/a;rm -rf",
            "refs/heads/$(id)",
            "refs/heads/ä",
        ] {
            // A blank is the only one of these that git itself refuses.
            assert_eq!(good.parse::<RefName>().is_ok(), !good.contains(' '), "{good}");
        }
        for bad in [
            "qa",
            "HEAD",
            "refs/heads/",
            "refs/heads/-x",
            "refs/heads/a..b",
            "refs/heads/a\n",
            "refs/heads/a.lock",
        ] {
            assert!(bad.parse::<RefName>().is_err(), "{bad:?}");
        }
    }
}
