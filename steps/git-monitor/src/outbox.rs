//! Which accepted decisions still wait for their release to begin, and when to try again: pure.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use pilotage_ledger::{Holder, ReleaseState};
use pilotage_name::{CommitId, EnvironmentName, ServiceName};

use crate::trigger::Order;

/// The first wait before a trigger is tried again; doubled with each try.
const FIRST_WAIT: SignedDuration = SignedDuration::from_secs(5);
/// The longest wait.
const LONGEST_WAIT: SignedDuration = SignedDuration::from_secs(300);

/// What was tried, by what is to be released. Kept in memory only: a monitor that starts anew simply tries.
#[derive(Debug, Default)]
pub(crate) struct Tries(BTreeMap<(EnvironmentName, ServiceName, CommitId), Try>);

#[derive(Clone, Copy, Debug)]
struct Try {
    count: u32,
    last: Timestamp,
}

impl Tries {
    /// Whether it is time to try this (again).
    #[must_use]
    pub(crate) fn due(
        &self,
        environment: &EnvironmentName,
        service: &ServiceName,
        commit: &CommitId,
        now: Timestamp,
    ) -> bool {
        let key = (environment.clone(), service.clone(), commit.clone());
        self.0.get(&key).is_none_or(|tried| {
            let doubled = FIRST_WAIT.saturating_mul(1 << tried.count.saturating_sub(1).min(16));
            now.duration_since(tried.last) >= doubled.min(LONGEST_WAIT)
        })
    }

    /// Notes that an order was sent.
    pub(crate) fn note(&mut self, order: &Order, now: Timestamp) {
        for service in &order.services {
            let key = (order.environment.clone(), service.clone(), order.commit.clone());
            let tried = self.0.entry(key).or_insert(Try { count: 0, last: now });
            tried.count += 1;
            tried.last = now;
        }
    }

    /// Forgets what is no longer open.
    pub(crate) fn keep(&mut self, environment: &EnvironmentName, open: &[(ServiceName, CommitId)]) {
        self.0.retain(|(of, service, commit), _| {
            of != environment || open.iter().any(|(name, id)| name == service && id == commit)
        });
    }
}

/// How far the release of an accepted decision came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Progress {
    /// Its release has not begun, or its holder is gone: it is to be triggered (again).
    Open,
    /// It is being released.
    Running,
    /// It was released, or something newer was, or a person gave it up.
    Closed,
}

/// How far the release of an accepted commit came, as the service's chain tells.
///
/// `is_ancestor(a, b)` tells whether commit `a` is `b` or in its history; `is_gone` whether the holder of a running
/// release is provably gone.
#[must_use]
pub(crate) fn progress(
    commit: &CommitId,
    state: Option<&ReleaseState>,
    is_ancestor: &dyn Fn(&CommitId, &CommitId) -> bool,
    is_gone: &dyn Fn(&Holder) -> bool,
) -> Progress {
    let Some(state) = state else { return Progress::Open };
    let covers = |by: &CommitId| is_ancestor(commit, by);
    if let Some(running) = state
        .running
        .as_ref()
        .filter(|running| covers(&running.begun.commit))
    {
        return if is_gone(&running.begun.holder) {
            Progress::Open
        } else {
            Progress::Running
        };
    }
    let ended = state
        .history
        .iter()
        .rev()
        .any(|release| covers(&release.begun.commit));
    let proved = state.proved.as_ref().is_some_and(|proved| covers(&proved.commit));
    if ended || proved {
        Progress::Closed
    } else {
        Progress::Open
    }
}

/// Groups what is open into orders: services of one commit are released together.
#[must_use]
pub(crate) fn orders(environment: &EnvironmentName, open: &[(ServiceName, CommitId)]) -> Vec<Order> {
    let mut by_commit: BTreeMap<&CommitId, Vec<ServiceName>> = BTreeMap::new();
    for (service, commit) in open {
        by_commit.entry(commit).or_default().push(service.clone());
    }
    by_commit
        .into_iter()
        .map(|(commit, services)| Order {
            environment: environment.clone(),
            commit: commit.clone(),
            services,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn commit(digit: char) -> CommitId {
        digit.to_string().repeat(40).parse().unwrap()
    }

    #[test]
    fn tries_are_spaced_out_and_forgotten() {
        let qa: EnvironmentName = "qa".parse().unwrap();
        let shop: ServiceName = "shop".parse().unwrap();
        let start: Timestamp = "2026-01-01T12:00:00Z".parse().unwrap();
        let after = |seconds| start + SignedDuration::from_secs(seconds);
        let order = Order {
            environment: qa.clone(),
            commit: commit('a'),
            services: vec![shop.clone()],
        };
        let mut tries = Tries::default();
        assert!(tries.due(&qa, &shop, &order.commit, start));
        tries.note(&order, start);
        assert!(!tries.due(&qa, &shop, &order.commit, after(4)));
        assert!(tries.due(&qa, &shop, &order.commit, after(5)));
        tries.note(&order, after(5));
        assert!(!tries.due(&qa, &shop, &order.commit, after(14)));
        assert!(tries.due(&qa, &shop, &order.commit, after(15)));
        for _ in 0..40 {
            tries.note(&order, start);
        }
        assert!(
            tries.due(&qa, &shop, &order.commit, after(300)),
            "the wait has an upper end"
        );
        tries.keep(&qa, &[]);
        assert!(tries.due(&qa, &shop, &order.commit, start));
    }

    #[test]
    fn services_of_one_commit_go_together() {
        let qa: EnvironmentName = "qa".parse().unwrap();
        let open = [("shop", 'a'), ("cart", 'b'), ("mail", 'a')]
            .map(|(name, id)| (name.parse().unwrap(), commit(id)));
        let orders = orders(&qa, &open);
        let names: Vec<Vec<&str>> = orders
            .iter()
            .map(|order| order.services.iter().map(ServiceName::as_str).collect())
            .collect();
        assert_eq!(names, [vec!["shop", "mail"], vec!["cart"]]);
    }
}
