use std::collections::BTreeMap;

use pilotage_name::CommitId;

use crate::{EntryKind, Error, ObjectId, Repository};

type Entry = Option<(EntryKind, ObjectId)>;

impl Repository {
    /// The first-parent commits of `from..to` that change one of a group's paths against their first parent, newest
    /// first, for each group: what was brought to the branch, by whoever committed it there. A merge counts when it
    /// brings such a change.
    ///
    /// # Errors
    /// The repository is shallow, or a commit cannot be read.
    pub fn brought_each(
        &self,
        from: &CommitId,
        to: &CommitId,
        groups: &[&[&str]],
    ) -> Result<Vec<Vec<CommitId>>, Error> {
        let mut found = vec![Vec::new(); groups.len()];
        for id in self.first_parent_range(Some(from), to)? {
            let info = self.commit(&id)?;
            let parent = info.parents.first();
            let mut changed: BTreeMap<&str, bool> = BTreeMap::new();
            for (group, found) in groups.iter().zip(&mut found) {
                let mut brings = false;
                for path in *group {
                    let differs = match changed.get(path) {
                        Some(differs) => *differs,
                        None => {
                            let before: Entry = match parent {
                                Some(parent) => self.entry(parent, path)?,
                                None => None,
                            };
                            let differs = before != self.entry(&id, path)?;
                            changed.insert(path, differs);
                            differs
                        }
                    };
                    brings |= differs;
                }
                if brings {
                    found.push(id.clone());
                }
            }
        }
        Ok(found)
    }
}
