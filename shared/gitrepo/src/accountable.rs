use std::collections::{BTreeMap, HashMap};
use std::rc::Rc;

use git2::Oid;
use pilotage_name::CommitId;

use crate::repository::commit_id;
use crate::tree::{EntryKind, check_path, entries};
use crate::{Error, Repository};

impl Repository {
    /// The commits of `from..to` that change one of `paths` (files or directories), newest first. A merge counts when
    /// its result differs from every parent for the paths; a first commit counts when it has one of them.
    pub fn accountable(
        &self,
        from: Option<&CommitId>,
        to: &CommitId,
        paths: &[&str],
    ) -> Result<Vec<CommitId>, Error> {
        let mut all = self.accountable_each(from, to, &[paths])?;
        Ok(all.pop().unwrap_or_default())
    }

    /// [`Repository::accountable`] for several groups of paths (one per service, say) in one walk over the history.
    pub fn accountable_each(
        &self,
        from: Option<&CommitId>,
        to: &CommitId,
        groups: &[&[&str]],
    ) -> Result<Vec<Vec<CommitId>>, Error> {
        let failed = |error| self.failed("compare commits", error);
        let commits = self.walk_oids(from, to, false)?;
        let mut look = Lookup::new(self.git.odb().map_err(failed)?, groups)?;
        let mut trees: HashMap<Oid, Oid> = HashMap::new();
        let mut tree_of =
            |commit: &git2::Commit<'_>| *trees.entry(commit.id()).or_insert_with(|| commit.tree_id());
        let mut found = vec![Vec::new(); groups.len()];
        for oid in commits {
            let commit = self.git.find_commit(oid).map_err(failed)?;
            let here = look.found(tree_of(&commit)).map_err(failed)?;
            let mut parents = Vec::with_capacity(commit.parent_count());
            for parent in commit.parents() {
                parents.push(look.found(tree_of(&parent)).map_err(failed)?);
            }
            for (group, found) in found.iter_mut().enumerate() {
                let (start, end) = look.bounds[group];
                let here = slice(&here, start, end);
                let differs = if parents.is_empty() {
                    !here.is_empty()
                } else {
                    parents.iter().all(|parent| slice(parent, start, end) != here)
                };
                if differs {
                    found.push(commit_id(oid));
                }
            }
        }
        Ok(found)
    }
}

/// What stands at a path: its number among all paths, its mode and its id.
type Found = Vec<(usize, u32, Oid)>;

/// The part of a sorted result that belongs to the paths `start..end`.
fn slice(found: &Found, start: usize, end: usize) -> &[(usize, u32, Oid)] {
    let low = found.partition_point(|(path, ..)| *path < start);
    let high = found.partition_point(|(path, ..)| *path < end);
    &found[low..high]
}

/// Finds the same paths in many trees. Neighbouring commits share almost all of their trees, so what was found in a
/// tree is kept by the tree's id.
struct Lookup<'a> {
    odb: git2::Odb<'a>,
    nodes: Vec<Node>,
    /// Which numbers the paths of each group have.
    bounds: Vec<(usize, usize)>,
    memo: HashMap<(usize, Oid), Rc<Found>>,
}

/// A directory on the way to a path, or a path itself.
#[derive(Default)]
struct Node {
    children: BTreeMap<Vec<u8>, usize>,
    /// The numbers of the paths that end here.
    paths: Vec<usize>,
}

impl<'a> Lookup<'a> {
    fn new(odb: git2::Odb<'a>, groups: &[&[&str]]) -> Result<Self, Error> {
        let mut nodes = vec![Node::default()];
        let mut bounds = Vec::with_capacity(groups.len());
        let mut number = 0;
        for group in groups {
            let start = number;
            for path in *group {
                check_path(path)?;
                let mut at = 0;
                for part in path.split('/') {
                    let next = nodes.len();
                    at = *nodes[at].children.entry(part.as_bytes().to_vec()).or_insert(next);
                    if at == next {
                        nodes.push(Node::default());
                    }
                }
                nodes[at].paths.push(number);
                number += 1;
            }
            bounds.push((start, number));
        }
        Ok(Self {
            odb,
            nodes,
            bounds,
            memo: HashMap::new(),
        })
    }

    fn found(&mut self, tree: Oid) -> Result<Rc<Found>, git2::Error> {
        let found = self.below(0, tree)?;
        Ok(found)
    }

    fn below(&mut self, node: usize, tree: Oid) -> Result<Rc<Found>, git2::Error> {
        if let Some(found) = self.memo.get(&(node, tree)) {
            return Ok(Rc::clone(found));
        }
        let mut found = Found::new();
        let mut deeper = Vec::new();
        let object = self.odb.read(tree)?;
        let wanted = &self.nodes[node].children;
        let mut left = wanted.len();
        for entry in entries(object.data()) {
            if left == 0 {
                break;
            }
            let entry = entry?;
            let Some(child) = wanted.get(entry.name) else {
                continue;
            };
            left -= 1;
            found.extend(
                self.nodes[*child]
                    .paths
                    .iter()
                    .map(|path| (*path, entry.mode, entry.oid)),
            );
            if EntryKind::of_mode(entry.mode) == EntryKind::Directory
                && !self.nodes[*child].children.is_empty()
            {
                deeper.push((*child, entry.oid));
            }
        }
        drop(object);
        for (child, oid) in deeper {
            found.extend(self.below(child, oid)?.iter().copied());
        }
        found.sort_unstable_by_key(|(path, ..)| *path);
        let found = Rc::new(found);
        self.memo.insert((node, tree), Rc::clone(&found));
        Ok(found)
    }
}
