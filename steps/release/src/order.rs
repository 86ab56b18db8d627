//! In which order the services of one push are released: a service waits for those it names under `after:`, as far as
//! the same push brings them.

use std::collections::{BTreeMap, BTreeSet};

use pilotage_name::ServiceName;

/// Services that wait for each other in a cycle, in its order.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("these services wait for each other: {}", cycle(.0))]
pub struct Cycle(pub Vec<ServiceName>);

fn cycle(names: &[ServiceName]) -> String {
    names
        .iter()
        .chain(names.first())
        .map(ServiceName::as_str)
        .collect::<Vec<_>>()
        .join(" → ")
}

/// For each service of the push, those of the same push that are released before it.
///
/// # Errors
/// Services that wait for each other; none of them could ever begin.
pub fn waits(
    after: &BTreeMap<ServiceName, Vec<ServiceName>>,
) -> Result<BTreeMap<ServiceName, BTreeSet<ServiceName>>, Cycle> {
    let waits: BTreeMap<ServiceName, BTreeSet<ServiceName>> = after
        .iter()
        .map(|(service, before)| {
            let before = before
                .iter()
                .filter(|name| after.contains_key(*name) && *name != service)
                .cloned()
                .collect();
            (service.clone(), before)
        })
        .collect();
    let mut done: BTreeSet<&ServiceName> = BTreeSet::new();
    while done.len() < waits.len() {
        let free: Vec<&ServiceName> = waits
            .iter()
            .filter(|(name, before)| !done.contains(name) && before.iter().all(|name| done.contains(name)))
            .map(|(name, _)| name)
            .collect();
        if free.is_empty() {
            return Err(find_cycle(&waits, &done));
        }
        done.extend(free);
    }
    Ok(waits)
}

/// Follows the first open wait of each service until one comes again: everything that is left waits for something that
/// is left, so this ends.
fn find_cycle(waits: &BTreeMap<ServiceName, BTreeSet<ServiceName>>, done: &BTreeSet<&ServiceName>) -> Cycle {
    let mut path: Vec<ServiceName> = Vec::new();
    let mut next = waits.keys().find(|name| !done.contains(name));
    while let Some(name) = next {
        if let Some(start) = path.iter().position(|seen| seen == name) {
            return Cycle(path.split_off(start));
        }
        path.push(name.clone());
        next = waits
            .get(name)
            .and_then(|before| before.iter().find(|name| !done.contains(name)));
    }
    Cycle(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(pairs: &[(&str, &[&str])]) -> BTreeMap<ServiceName, Vec<ServiceName>> {
        let name = |n: &&str| n.parse::<ServiceName>().unwrap();
        pairs
            .iter()
            .map(|(service, before)| (name(service), before.iter().map(name).collect()))
            .collect()
    }

    #[test]
    fn only_services_of_the_same_push_are_waited_for() {
        let waits = waits(&after(&[
            ("migrator", &[]),
            ("shop", &["migrator", "elsewhere"]),
            ("cart", &[]),
        ]))
        .unwrap();
        let names = |service: &str| -> Vec<String> {
            waits[&service.parse::<ServiceName>().unwrap()]
                .iter()
                .map(ToString::to_string)
                .collect()
        };
        assert_eq!(names("shop"), ["migrator"]);
        assert!(names("cart").is_empty());
    }

    #[test]
    fn a_cycle_is_named_and_what_only_leads_to_it_is_not() {
        let cycle = waits(&after(&[
            ("s1", &["s2"]),
            ("s2", &["s3"]),
            ("s3", &["s2"]),
            ("s4", &[]),
        ]))
        .unwrap_err();
        assert_eq!(
            cycle.to_string(),
            "these services wait for each other: s2 → s3 → s2"
        );
        assert!(
            waits(&after(&[("s1", &["s1"])])).is_ok(),
            "to wait for oneself is a slip that the descriptor check tells"
        );
    }
}
