//! Which request waits for which.

use std::collections::{BTreeMap, BTreeSet};

/// What counts of a request for its place in the order.
pub(crate) struct Part<'a> {
    /// The captured values it needs.
    pub(crate) needs: BTreeSet<&'a str>,
    /// The values it captures.
    pub(crate) captures: BTreeSet<&'a str>,
    /// Whether it may change something.
    pub(crate) changes: bool,
}

/// For each request the earlier ones whose end it waits for: those whose captures it needs, and what may change something
/// waits for all before it and is waited for by all behind it, so that the order of the file holds around it.
pub(crate) fn order(parts: &[Part<'_>]) -> Vec<BTreeSet<usize>> {
    let mut owners: BTreeMap<&str, usize> = BTreeMap::new();
    let mut last_change = None;
    let mut waits = Vec::with_capacity(parts.len());
    for (index, part) in parts.iter().enumerate() {
        let mut before: BTreeSet<usize> = part
            .needs
            .iter()
            .filter_map(|name| owners.get(name).copied())
            .collect();
        before.extend(last_change);
        if part.changes {
            // Those before the last change have ended with it.
            before.extend(last_change.unwrap_or(0)..index);
            last_change = Some(index);
        }
        for name in &part.captures {
            owners.entry(name).or_insert(index);
        }
        waits.push(before);
    }
    waits
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(needs: &[&'static str], captures: &[&'static str], changes: bool) -> Part<'static> {
        Part {
            needs: needs.iter().copied().collect(),
            captures: captures.iter().copied().collect(),
            changes,
        }
    }

    fn waits(parts: &[Part<'_>]) -> Vec<Vec<usize>> {
        order(parts)
            .into_iter()
            .map(|before| before.into_iter().collect())
            .collect()
    }

    #[test]
    fn independent_requests_wait_for_nobody_and_captures_are_waited_for() {
        let parts = [
            part(&[], &["token"], false),
            part(&[], &[], false),
            part(&["token"], &["id"], false),
            part(&["token", "id"], &[], false),
        ];
        assert_eq!(waits(&parts), [vec![], vec![], vec![0], vec![0, 2]]);
    }

    #[test]
    fn the_order_holds_around_what_may_change_something() {
        let parts = [
            part(&[], &[], false),
            part(&[], &["id"], false),
            part(&[], &[], true),
            part(&["id"], &[], false),
            part(&[], &[], false),
            part(&[], &[], true),
            part(&[], &[], false),
        ];
        assert_eq!(
            waits(&parts),
            [
                vec![],
                vec![],
                vec![0, 1],
                vec![1, 2],
                vec![2],
                vec![2, 3, 4],
                vec![5]
            ]
        );
    }
}
