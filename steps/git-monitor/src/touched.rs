//! Which services a tick has to decide: pure, from what changed and what was recorded.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use pilotage_descriptor::service_of;
use pilotage_gate::Verdict;
use pilotage_ledger::ServiceRecord;
use pilotage_name::ServiceName;

/// What is recorded of an environment's services.
pub(crate) type Records = BTreeMap<ServiceName, Arc<ServiceRecord>>;

/// The services whose descriptor, or a file of whose accepted descriptor, stands at one of the changed paths.
#[must_use]
pub(crate) fn by_paths<'a>(
    changed: impl IntoIterator<Item = &'a str>,
    records: &Records,
) -> BTreeSet<ServiceName> {
    let mut owners: BTreeMap<&str, Vec<&ServiceName>> = BTreeMap::new();
    for (service, record) in records {
        for file in record.accepted.iter().flat_map(|accepted| &accepted.files) {
            owners.entry(file).or_default().push(service);
        }
    }
    let mut touched = BTreeSet::new();
    for path in changed {
        match service_of(path) {
            Some(Ok(service)) => {
                touched.insert(service);
            }
            // A file that is named wrongly is no service's; the tick tells of it by itself.
            Some(Err(_)) => {}
            None => touched.extend(
                owners
                    .get(path)
                    .into_iter()
                    .flatten()
                    .map(|service| (*service).clone()),
            ),
        }
    }
    touched
}

/// What moved since the environment was decided last, beside the descriptors themselves.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct MovedToo {
    /// The config branch.
    pub(crate) policy: bool,
    /// Files that are no descriptors.
    pub(crate) files: bool,
}

/// The services that are to be asked again although their descriptor did not move.
///
/// One that waits is always asked: its evidence may have come. A refusal may turn when policy moved, or when a file came
/// that it lacked: which files a descriptor takes that was never accepted stands nowhere. What was accepted and only
/// observed is to be released when policy says so.
#[must_use]
pub(crate) fn to_ask_again(records: &Records, moved: MovedToo) -> BTreeSet<ServiceName> {
    let again = |record: &ServiceRecord| match verdict(record) {
        Some(Verdict::Wait) => true,
        Some(Verdict::Refuse) => moved.policy || moved.files,
        Some(Verdict::Skip) => moved.files,
        Some(Verdict::Accept) => moved.policy && record.outbox.is_none(),
        Some(Verdict::Adopt | Verdict::Nothing) | None => false,
    };
    records
        .iter()
        .filter(|(_, record)| again(record))
        .map(|(service, _)| service.clone())
        .collect()
}

/// The verdict that was recorded last.
#[must_use]
pub(crate) fn verdict(record: &ServiceRecord) -> Option<Verdict> {
    serde_json::from_value(record.decision.get("verdict")?.clone()).ok()
}

#[cfg(test)]
mod tests {
    use pilotage_ledger::Accepted;
    use serde_json::json;

    use super::*;

    fn record(verdict: &str, files: &[&str]) -> Arc<ServiceRecord> {
        Arc::new(ServiceRecord {
            decision: json!({ "verdict": verdict }),
            accepted: Some(Accepted {
                commit: "a".repeat(40).parse().unwrap(),
                descriptor: "v1:0".to_owned(),
                blob: None,
                version: "1.0.0".to_owned(),
                files: files.iter().map(|file| (*file).to_owned()).collect(),
                by: None,
                grade: None,
                brought: None,
                policy: None,
                at: "2026-01-01T12:00:00Z".parse().unwrap(),
            }),
            outbox: None,
        })
    }

    fn names(services: &BTreeSet<ServiceName>) -> Vec<&str> {
        services.iter().map(ServiceName::as_str).collect()
    }

    fn records(of: &[(&str, &str, &[&str])]) -> Records {
        of.iter()
            .map(|(name, verdict, files)| (name.parse().unwrap(), record(verdict, files)))
            .collect()
    }

    #[test]
    fn descriptors_and_their_files_touch_their_service() {
        let records = records(&[
            ("shop", "accept", &["files/app.yaml"]),
            ("cart", "accept", &["files/app.yaml"]),
        ]);
        assert_eq!(
            names(&by_paths(["services/new.yaml", "README.md"], &records)),
            ["new"]
        );
        assert_eq!(names(&by_paths(["files/app.yaml"], &records)), ["cart", "shop"]);
        assert!(
            by_paths(
                ["services/Shop.yaml", "services/deep/shop.yaml", "files/other"],
                &records
            )
            .is_empty()
        );
    }

    #[test]
    fn only_what_may_turn_is_asked_again() {
        let records = records(&[
            ("aa", "accept", &[]),
            ("nn", "nothing", &[]),
            ("rr", "refuse", &[]),
            ("ss", "skip", &[]),
            ("ww", "wait", &[]),
        ]);
        let ask = |policy, files| to_ask_again(&records, MovedToo { policy, files });
        assert_eq!(names(&ask(false, false)), ["ww"]);
        assert_eq!(
            names(&ask(true, false)),
            ["aa", "rr", "ww"],
            "`aa` was only observed"
        );
        assert_eq!(names(&ask(false, true)), ["rr", "ss", "ww"]);
    }
}
