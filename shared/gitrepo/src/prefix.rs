use git2::{ErrorCode, ObjectType};
use pilotage_name::{CommitId, CommitPrefix};

use crate::repository::commit_id;
use crate::{Error, Repository};

/// So many commits are told to somebody whose digits mean several.
const MOST_TOLD: usize = 10;

impl Repository {
    /// The commit that is meant by its first digits. One that is given in full need not be here: whoever asks for it says
    /// what is to be said then.
    ///
    /// # Errors
    /// No commit here begins like that, or several do.
    pub fn resolve(&self, prefix: &CommitPrefix) -> Result<CommitId, Error> {
        if let Some(full) = prefix.full() {
            return Ok(full);
        }
        match self.git.find_commit_by_prefix(prefix.as_str()) {
            Ok(commit) => Ok(commit_id(commit.id())),
            Err(error) if error.code() == ErrorCode::NotFound => Err(Error::NoSuchPrefix {
                prefix: prefix.clone(),
            }),
            // Trees and files may begin like that as well.
            Err(error) if error.code() == ErrorCode::Ambiguous => self.only_commit(prefix),
            Err(error) => Err(self.failed("look for a commit", error)),
        }
    }

    fn only_commit(&self, prefix: &CommitPrefix) -> Result<CommitId, Error> {
        let failed = |error| self.failed("look for a commit", error);
        let objects = self.git.odb().map_err(failed)?;
        let mut commits = Vec::new();
        objects
            .foreach(|id| {
                let is_commit = || {
                    objects
                        .read_header(*id)
                        .is_ok_and(|(_, kind)| kind == ObjectType::Commit)
                };
                if id.to_string().starts_with(prefix.as_str()) && is_commit() {
                    commits.push(*id);
                }
                true
            })
            .map_err(failed)?;
        commits.sort_unstable();
        commits.dedup();
        match commits.as_slice() {
            [] => Err(Error::NoSuchPrefix {
                prefix: prefix.clone(),
            }),
            [one] => Ok(commit_id(*one)),
            many => Err(Error::Ambiguous {
                prefix: prefix.clone(),
                candidates: self.told(many),
            }),
        }
    }

    /// Commits with their subjects, for somebody who has to choose.
    fn told(&self, commits: &[git2::Oid]) -> String {
        let line = |id: &git2::Oid| {
            let commit = self.commit(&commit_id(*id));
            let subject = commit.map_or_else(|_| String::new(), |commit| commit.subject);
            format!("{id} {}", pilotage_diagnostic::printable(&subject))
        };
        let mut lines: Vec<String> = commits.iter().take(MOST_TOLD).map(line).collect();
        if let Some(more) = commits.len().checked_sub(MOST_TOLD).filter(|more| *more > 0) {
            lines.push(format!("and {more} more"));
        }
        format!("more digits tell them apart: {}", lines.join("; "))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    /// Two commits whose ids begin with the same seven digits.
    fn alike(git: &git2::Repository) -> [git2::Oid; 2] {
        let tree = git.treebuilder(None).unwrap().write().unwrap();
        let text = |number: u32| {
            let who = "Ana <ana@example.com> 1700000000 +0000";
            format!("tree {tree}\nauthor {who}\ncommitter {who}\n\nChange {number}\n")
        };
        let mut seen: HashMap<String, u32> = HashMap::new();
        for number in 0.. {
            let id = git2::Oid::hash_object(ObjectType::Commit, text(number).as_bytes()).unwrap();
            if let Some(other) = seen.insert(id.to_string()[..7].to_owned(), number) {
                let odb = git.odb().unwrap();
                return [other, number]
                    .map(|number| odb.write(ObjectType::Commit, text(number).as_bytes()).unwrap());
            }
        }
        unreachable!("there are so many ids only");
    }

    #[test]
    fn a_commit_is_meant_by_its_first_digits_while_they_are_its_own() {
        let folder = tempfile::tempdir().unwrap();
        let repository = Repository::create(&folder.path().join("r.git"), "main").unwrap();
        let [one, other] = alike(&repository.git);
        let ask = |digits: &str| repository.resolve(&digits.parse().unwrap());
        assert_eq!(ask(&one.to_string()).unwrap().as_str(), one.to_string());
        let shared = &one.to_string()[..7];
        let error = ask(shared).unwrap_err();
        assert_eq!(error.class(), crate::Class::Usage);
        let help = error.help().unwrap();
        for id in [one, other] {
            assert!(help.contains(&format!("{id} Change ")), "{help}");
        }
        let longer = (8..40)
            .find(|n| one.to_string()[..*n] != other.to_string()[..*n])
            .unwrap();
        assert_eq!(ask(&one.to_string()[..longer]).unwrap().as_str(), one.to_string());
        assert!(matches!(ask("0000000000"), Err(Error::NoSuchPrefix { .. })));
        // A full id is taken as it is; whether it is here is another question.
        assert_eq!(ask(&"0".repeat(40)).unwrap().as_str(), "0".repeat(40));
    }
}
