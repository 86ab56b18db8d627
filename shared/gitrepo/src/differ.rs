use std::collections::{BTreeMap, BTreeSet};

use git2::Oid;

use crate::tree::{EntryKind, check_path, entries};
use crate::{Error, Repository};

/// Tells which of many groups of paths differ between two trees. What both trees share is never looked into, so that a
/// long history costs what changed in it and not what stands in it.
pub(crate) struct Differ<'a> {
    odb: git2::Odb<'a>,
    nodes: Vec<Node>,
}

/// A directory on the way to a path, or a path itself.
#[derive(Default)]
struct Node {
    children: BTreeMap<Vec<u8>, usize>,
    /// The groups that have the path that ends here.
    groups: Vec<usize>,
}

/// What stands at a path: its mode and its id.
type Standing = Option<(u32, Oid)>;

impl<'a> Differ<'a> {
    pub(crate) fn new(repository: &'a Repository, groups: &[&[&str]]) -> Result<Self, Error> {
        let failed = |error| repository.failed("compare commits", error);
        let mut nodes = vec![Node::default()];
        for (group, paths) in groups.iter().enumerate() {
            for path in *paths {
                check_path(path)?;
                let mut at = 0;
                for part in path.split('/') {
                    let next = nodes.len();
                    at = *nodes[at].children.entry(part.as_bytes().to_vec()).or_insert(next);
                    if at == next {
                        nodes.push(Node::default());
                    }
                }
                nodes[at].groups.push(group);
            }
        }
        Ok(Self {
            odb: repository.git.odb().map_err(failed)?,
            nodes,
        })
    }

    /// The groups for which two trees differ; no tree holds nothing.
    pub(crate) fn groups(
        &self,
        one: Option<Oid>,
        other: Option<Oid>,
    ) -> Result<BTreeSet<usize>, git2::Error> {
        let mut groups = BTreeSet::new();
        self.below(0, one, other, &mut groups)?;
        Ok(groups)
    }

    fn below(
        &self,
        node: usize,
        one: Option<Oid>,
        other: Option<Oid>,
        groups: &mut BTreeSet<usize>,
    ) -> Result<(), git2::Error> {
        if one == other {
            return Ok(());
        }
        let read = |tree: Option<Oid>| tree.map(|tree| self.odb.read(tree)).transpose();
        let (one, other) = (read(one)?, read(other)?);
        let mut ones = entries(one.as_ref().map_or(&[], |tree| tree.data())).peekable();
        let mut others = entries(other.as_ref().map_or(&[], |tree| tree.data())).peekable();
        // Most of two neighbours is the same, and need not be looked up.
        while let (Some(Ok(here)), Some(Ok(there))) = (ones.peek(), others.peek())
            && here == there
        {
            ones.next();
            others.next();
        }
        let wanted = &self.nodes[node].children;
        let mut standing: BTreeMap<usize, (Standing, Standing)> = BTreeMap::new();
        for entry in ones {
            let entry = entry?;
            if let Some(child) = wanted.get(entry.name) {
                let pair = standing.entry(*child).or_default();
                pair.0.get_or_insert((entry.mode, entry.oid));
            }
        }
        for entry in others {
            let entry = entry?;
            if let Some(child) = wanted.get(entry.name) {
                let pair = standing.entry(*child).or_default();
                pair.1.get_or_insert((entry.mode, entry.oid));
            }
        }
        for (child, (one, other)) in standing {
            if one != other {
                groups.extend(&self.nodes[child].groups);
                if !self.nodes[child].children.is_empty() {
                    self.below(child, directory(one), directory(other), groups)?;
                }
            }
        }
        Ok(())
    }
}

fn directory(standing: Standing) -> Option<Oid> {
    let (mode, oid) = standing?;
    (EntryKind::of_mode(mode) == EntryKind::Directory).then_some(oid)
}
