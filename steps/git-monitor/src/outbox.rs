//! Which accepted decisions still wait for their release to begin, and when to try again: pure.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use pilotage_decision::past::loose_end;
use pilotage_ledger::{Begun, EndWord, Ending, Release, ReleaseState};
use pilotage_name::{CommitId, EnvironmentName, ServiceName};

use crate::trigger::Order;

/// The first wait before a trigger is tried again; doubled with each try.
const FIRST_WAIT: SignedDuration = SignedDuration::from_secs(5);
/// The longest wait.
const LONGEST_WAIT: SignedDuration = SignedDuration::from_secs(300);

/// The wait before an attempt that got no answer for the second time is repeated; doubled with each further one. The first
/// repetition is due at the next look.
const FIRST_PAUSE: SignedDuration = SignedDuration::from_secs(30);
/// The longest wait between two attempts.
const LONGEST_PAUSE: SignedDuration = SignedDuration::from_mins(15);

/// How long what another monitor wrote down is left to it before this one takes it over.
const GRACE: SignedDuration = SignedDuration::from_secs(60);

/// Whether something written down at `at` is another monitor's to do: it was not we who wrote it, and it may still be at
/// it. `over` says that whoever wrote it is provably gone.
#[must_use]
pub(crate) fn is_anothers(ours: bool, over: bool, at: Timestamp, now: Timestamp) -> bool {
    !ours && !over && now.duration_since(at) < GRACE
}

/// What was tried, by what is to be released. Kept in memory only: a monitor that starts anew simply tries.
#[derive(Debug, Default)]
pub(crate) struct Tries(BTreeMap<(EnvironmentName, ServiceName, CommitId), Try>);

#[derive(Clone, Copy, Debug)]
struct Try {
    count: u32,
    last: Timestamp,
    next: Next,
}

/// When what was tried is tried again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Next {
    /// After a wait that doubles.
    Soon,
    /// After the longest wait: it was taken, and shows nothing yet.
    Late,
    /// When something moves.
    Hopeless,
}

impl Tries {
    fn of(&self, environment: &EnvironmentName, service: &ServiceName, commit: &CommitId) -> Option<&Try> {
        self.0
            .get(&(environment.clone(), service.clone(), commit.clone()))
    }

    /// Whether it is time to try this (again).
    #[must_use]
    pub(crate) fn due(
        &self,
        environment: &EnvironmentName,
        service: &ServiceName,
        commit: &CommitId,
        now: Timestamp,
    ) -> bool {
        self.of(environment, service, commit).is_none_or(|tried| {
            let doubled = FIRST_WAIT.saturating_mul(1 << tried.count.saturating_sub(1).min(16));
            let since = now.duration_since(tried.last);
            match tried.next {
                Next::Soon => since >= doubled.min(LONGEST_WAIT),
                Next::Late => since >= LONGEST_WAIT,
                Next::Hopeless => false,
            }
        })
    }

    /// Whether another try is of no use until something moves.
    #[must_use]
    pub(crate) fn is_hopeless(
        &self,
        environment: &EnvironmentName,
        service: &ServiceName,
        commit: &CommitId,
    ) -> bool {
        let tried = self.of(environment, service, commit);
        tried.is_some_and(|tried| tried.next == Next::Hopeless)
    }

    /// Notes that an order was sent.
    pub(crate) fn note(&mut self, order: &Order, now: Timestamp) {
        for service in &order.services {
            let key = (order.environment.clone(), service.clone(), order.commit.clone());
            let tried = self.0.entry(key).or_insert(Try {
                count: 0,
                last: now,
                next: Next::Soon,
            });
            tried.count = tried.count.saturating_add(1);
            tried.last = now;
            tried.next = Next::Soon;
        }
    }

    /// Notes how what was started ended. `told` says that the exit code is one of the step contract's.
    pub(crate) fn ended(&mut self, order: &Order, code: Option<i32>, told: bool) {
        let next = match code {
            Some(0) => Next::Late,
            // Usage, an invalid descriptor, superseded: the same question has the same answer.
            Some(2 | 3 | 7) if told => Next::Hopeless,
            _ => Next::Soon,
        };
        for service in &order.services {
            let key = (order.environment.clone(), service.clone(), order.commit.clone());
            if let Some(tried) = self.0.get_mut(&key) {
                tried.next = next;
            }
        }
    }

    /// Policy moved: what was hopeless may not be.
    pub(crate) fn hope(&mut self) {
        self.0.retain(|_, tried| tried.next != Next::Hopeless);
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
    /// It is being released, or something older is that has to end first.
    Running,
    /// It was released, or something newer was, or a person gave it up.
    Closed,
}

/// How far the release of an accepted commit came, as the service's chain tells.
///
/// `is_ancestor(a, b)` tells whether commit `a` is `b` or in its history; `is_over` whether a release that has not ended
/// may be taken over.
#[must_use]
pub(crate) fn progress(
    commit: &CommitId,
    state: Option<&ReleaseState>,
    is_ancestor: &dyn Fn(&CommitId, &CommitId) -> bool,
    is_over: &dyn Fn(&Begun) -> bool,
) -> Progress {
    let Some(state) = state else { return Progress::Open };
    let covers = |by: &CommitId| is_ancestor(commit, by);
    let ended = || {
        state
            .history
            .iter()
            .rev()
            .any(|release| covers(&release.begun.commit) && is_settled(release))
    };
    let proved = || state.proved.as_ref().is_some_and(|proved| covers(&proved.commit));
    match &state.running {
        Some(running) if !is_over(&running.begun) => Progress::Running,
        Some(running) if covers(&running.begun.commit) => Progress::Open,
        Some(_) | None if ended() || proved() => Progress::Closed,
        Some(_) | None => Progress::Open,
    }
}

/// Whether a release that ended said yes or no, or a person gave it up. One that was cancelled, or got no answer, said
/// neither: what it was for is still open.
fn is_settled(release: &Release) -> bool {
    match release.end.as_ref().map(|end| &end.how) {
        Some(Ending::Finished(finished)) => !matches!(
            finished.outcome,
            EndWord::Cancelled | EndWord::Unavailable | EndWord::Internal
        ),
        Some(Ending::Abandoned(abandoned)) => !abandoned.takeover,
        None => false,
    }
}

/// The attempts at one intent that came to no answer, as the ledger tells: whichever monitor asks, and however often it was
/// started anew, the next attempt is due at the same time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Unanswered<'a> {
    /// How many there were.
    count: u32,
    /// The newest one.
    last: &'a Release,
    /// When that ended.
    ended: Timestamp,
}

impl<'a> Unanswered<'a> {
    /// The attempts at this commit under this commit of the config branch; none where there was none. Another commit on
    /// either branch may be what helps, so it starts from the beginning.
    #[must_use]
    pub(crate) fn of(state: &'a ReleaseState, commit: &CommitId, config_commit: &CommitId) -> Option<Self> {
        let of_it = state.history.iter().filter(|release| {
            release.begun.commit == *commit
                && release.begun.config_commit == *config_commit
                && !is_settled(release)
        });
        of_it
            .filter_map(|release| Some((release, release.end.as_ref()?.at)))
            .fold(None, |before: Option<Self>, (last, ended)| {
                let count = before.map_or(0, |before| before.count).saturating_add(1);
                Some(Self { count, last, ended })
            })
    }

    /// When the next attempt is due; none when it is due now. An end that lies further ahead than the wait is long was
    /// written under a clock that is wrong, and puts nothing off.
    #[must_use]
    pub(crate) fn next(&self, now: Timestamp) -> Option<Timestamp> {
        let pause = pause(self.count);
        let rests = now.duration_since(self.ended).abs() < pause;
        rests.then(|| self.ended.saturating_add(pause).ok()).flatten()
    }

    /// How the newest attempt ended, and how many there were.
    #[must_use]
    pub(crate) fn told(&self) -> String {
        let ended = loose_end(self.last).unwrap_or_else(|| self.last.id.to_string());
        format!("{ended} (attempt {})", self.count)
    }
}

/// The wait after so many attempts in a row without an answer.
fn pause(count: u32) -> SignedDuration {
    match count.checked_sub(2) {
        None => SignedDuration::ZERO,
        Some(doublings) => FIRST_PAUSE
            .saturating_mul(1 << doublings.min(16))
            .min(LONGEST_PAUSE),
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
    use pilotage_ledger::{Abandoned, Effects, End, Finished};

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
    fn how_a_try_ended_says_when_the_next_one_is() {
        let (qa, shop): (EnvironmentName, ServiceName) = ("qa".parse().unwrap(), "shop".parse().unwrap());
        let start: Timestamp = "2026-01-01T12:00:00Z".parse().unwrap();
        let after = |seconds| start + SignedDuration::from_secs(seconds);
        let order = Order {
            environment: qa.clone(),
            commit: commit('a'),
            services: vec![shop.clone()],
        };
        let due = |code, told, seconds| {
            let mut tries = Tries::default();
            tries.note(&order, start);
            tries.ended(&order, code, told);
            tries.due(&qa, &shop, &order.commit, after(seconds))
        };
        assert!(due(None, true, 5), "killed");
        assert!(due(Some(6), true, 5), "somebody else held it");
        assert!(!due(Some(0), true, 299) && due(Some(0), true, 300), "taken");
        assert!(!due(Some(3), true, 100_000), "invalid stays invalid");
        assert!(due(Some(3), false, 5), "another program means something else");
        let mut tries = Tries::default();
        tries.note(&order, start);
        tries.ended(&order, Some(7), true);
        assert!(tries.is_hopeless(&qa, &shop, &order.commit));
        tries.hope();
        assert!(tries.due(&qa, &shop, &order.commit, start));
    }

    #[test]
    fn another_monitor_is_given_its_time() {
        let at: Timestamp = "2026-01-01T12:00:00Z".parse().unwrap();
        let now = at + SignedDuration::from_secs(59);
        assert!(is_anothers(false, false, at, now));
        assert!(!is_anothers(true, false, at, now), "we wrote it");
        assert!(!is_anothers(false, true, at, now), "it is dead");
        assert!(!is_anothers(false, false, at, at + SignedDuration::from_secs(60)));
    }

    fn ended(at: char, how: Ending) -> Release {
        let id = "qa.shop.1".parse().unwrap();
        let begun = serde_json::json!({
            "service": {"project": "acme", "environment": "qa", "service": "shop"}, "fence": 1,
            "commit": commit(at), "config_commit": commit('c'), "policy": "p", "descriptor": "d", "config": "v1:0",
            "version": "1.0.0", "trigger": {"kind": "monitor", "by": "ana"},
            "holder": {"kind": "process", "host": "h", "boot": "b", "pid": 1, "started": 1},
            "expires": "2026-01-01T12:00:00Z",
        });
        let at: Timestamp = "2026-01-01T12:00:00Z".parse().unwrap();
        Release {
            id,
            begun_at: at,
            begun: serde_json::from_value(begun).unwrap(),
            undone: None,
            end: Some(End { at, how }),
        }
    }

    #[test]
    fn only_a_release_that_came_to_an_answer_is_closed() {
        let finished = |outcome| {
            Ending::Finished(Box::new(Finished {
                outcome,
                effects: Effects::None,
                stages: vec![],
                plan: None,
                proof: None,
                reason: vec![],
                undone: false,
            }))
        };
        let abandoned = |takeover| {
            Ending::Abandoned(Abandoned {
                by: "ana".to_owned(),
                reason: "x".to_owned(),
                takeover,
            })
        };
        let after = |how| {
            let mut state = ReleaseState::new("qa".parse().unwrap(), "shop".parse().unwrap());
            state.history.push(ended('a', how));
            progress(&commit('a'), Some(&state), &|one, other| one == other, &|_| false)
        };
        for (how, expected) in [
            (finished(EndWord::Succeeded), Progress::Closed),
            (finished(EndWord::Failed), Progress::Closed),
            (finished(EndWord::Cancelled), Progress::Open),
            (finished(EndWord::Unavailable), Progress::Open),
            (finished(EndWord::Internal), Progress::Open),
            (abandoned(false), Progress::Closed),
            (abandoned(true), Progress::Open),
        ] {
            assert_eq!(after(how.clone()), expected, "{how:?}");
        }
    }

    fn unavailable() -> Ending {
        Ending::Finished(Box::new(Finished {
            outcome: EndWord::Unavailable,
            effects: Effects::None,
            stages: vec![],
            plan: None,
            proof: None,
            reason: vec!["the registry does not answer".to_owned()],
            undone: false,
        }))
    }

    #[test]
    fn attempts_without_an_answer_are_spaced_out_by_what_the_ledger_knows() {
        let seconds = [0, 1, 2, 3, 4, 5, 6, 7, 8, 1_000].map(|count| pause(count).as_secs());
        assert_eq!(seconds, [0, 0, 30, 60, 120, 240, 480, 900, 900, 900]);

        let mut state = ReleaseState::new("qa".parse().unwrap(), "shop".parse().unwrap());
        let start: Timestamp = "2026-01-01T12:00:00Z".parse().unwrap();
        let after = |seconds| start + SignedDuration::from_secs(seconds);
        let next = |state: &ReleaseState, at, config, now| {
            Unanswered::of(state, &commit(at), &commit(config)).and_then(|found| found.next(now))
        };
        assert_eq!(next(&state, 'a', 'c', start), None);
        state.history.push(ended('a', unavailable()));
        assert_eq!(next(&state, 'a', 'c', start), None, "once more at the next look");
        state.history.push(ended('a', unavailable()));
        assert_eq!(next(&state, 'a', 'c', start), Some(after(30)));
        assert_eq!(next(&state, 'a', 'c', after(29)), Some(after(30)));
        assert_eq!(next(&state, 'a', 'c', after(30)), None);
        state.history.push(ended('a', unavailable()));
        assert_eq!(next(&state, 'a', 'c', after(30)), Some(after(60)));
        assert_eq!(next(&state, 'b', 'c', start), None, "a new commit");
        assert_eq!(next(&state, 'a', 'd', start), None, "a new policy");
        assert_eq!(next(&state, 'a', 'c', after(-59)), Some(after(60)));
        assert_eq!(next(&state, 'a', 'c', after(-86_400)), None, "a clock far behind");
        let found = Unanswered::of(&state, &commit('a'), &commit('c')).unwrap();
        assert_eq!(
            found.told(),
            "qa.shop.1 ended unavailable: the registry does not answer (attempt 3)"
        );
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
