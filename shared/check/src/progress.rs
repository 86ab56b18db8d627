use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

use pilotage_quantity as quantity;

use crate::{Class, Histogram, NoAnswer, Said, Verdict};

/// How long and how often an endpoint is asked before the answer is no.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Patience {
    /// The hard end, from the first try; a running try is cut.
    pub timeout: quantity::Duration,
    /// From the start of one round to the start of the next.
    pub interval: quantity::Duration,
    /// The end of one try, from its start.
    pub try_timeout: quantity::Duration,
    /// Consecutive good rounds, counted from zero; 0 means 1.
    pub threshold: u32,
    /// Further rounds after a failed one; `None` asks until the time-out. The first failure takes none.
    pub retries: Option<u32>,
    /// How long 404 and 410 may go on without a break before waiting longer is held to be of no use.
    pub grace: quantity::Duration,
    /// Whether a failure that waiting does not repair ends it.
    pub fail_fast: bool,
    /// The interval while nobody listens: asking again costs next to nothing then, and a new instance is seen sooner.
    pub while_refused: Option<quantity::Duration>,
}

impl Patience {
    /// A time-out with the grace that goes with it, and the usual rest: a try each 500 ms that may take 3 s, one good
    /// round, no limit of tries.
    #[must_use]
    pub fn new(timeout: quantity::Duration) -> Self {
        Self {
            timeout,
            interval: quantity::Duration::from_millis(500),
            try_timeout: quantity::Duration::from_secs(3),
            threshold: 1,
            retries: None,
            grace: Self::grace_of(timeout),
            fail_fast: true,
            while_refused: None,
        }
    }

    /// Half of the time-out and at least 10 s: who allows two minutes expects a slow start, routes included.
    #[must_use]
    pub fn grace_of(timeout: quantity::Duration) -> quantity::Duration {
        quantity::Duration::from_millis((timeout.as_millis() / 2).max(10_000))
    }

    /// How long a try that starts at `start` (from the start of the wait) may take.
    #[must_use]
    pub fn limit_at(&self, start: Duration) -> Duration {
        self.try_timeout
            .as_std()
            .min(self.timeout.as_std().saturating_sub(start))
    }
}

/// One try at one address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attempt {
    /// Which round, from 1; in one round each address is asked once.
    pub round: u32,
    /// Who was asked; `None` when the name had no address.
    pub address: Option<SocketAddr>,
    /// From the start of the wait.
    pub started: Duration,
    /// From its start to its end.
    pub took: Duration,
    /// What it came to.
    pub verdict: Verdict,
    /// Why there was no answer, where there was none.
    pub silence: Option<NoAnswer>,
    /// Whether the end of the wait cut it before its own limit; it then says nothing about the endpoint.
    pub cut: bool,
}

/// The tries of one round, sorted into those that count and those that do not.
#[derive(Clone, Debug, Default)]
pub struct Round {
    counted: Vec<Attempt>,
    set_aside: Vec<Attempt>,
}

impl Round {
    /// The tries of all addresses of one name; none at all is a failed round.
    ///
    /// Beside another address, two are set aside: one of a kind that this machine has no way to (a name with an IPv6
    /// address, asked from a host without IPv6), and, of loopback addresses, one where nobody listens: `localhost` has two
    /// addresses, and a service that listens on one of them is reached by that name.
    #[must_use]
    pub fn new(attempts: Vec<Attempt>) -> Self {
        let loopback = attempts
            .iter()
            .all(|a| a.address.is_some_and(|address| address.ip().is_loopback()));
        let absent = |a: &Attempt| match a.silence {
            Some(NoAnswer::NoRoute) => true,
            Some(NoAnswer::Refused) => loopback,
            _ => false,
        };
        if attempts.iter().all(absent) {
            return Self {
                counted: attempts,
                set_aside: Vec::new(),
            };
        }
        let (set_aside, counted) = attempts.into_iter().partition(absent);
        Self { counted, set_aside }
    }
}

/// Where a wait stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Ask again, not before this time from the start of the wait.
    Asking {
        /// When the next round starts.
        next: Duration,
    },
    /// The threshold is reached.
    Good,
    /// It is over, and the answer is no.
    Ended(End),
}

/// What ended a wait in vain.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum End {
    /// The time was over.
    Timeout,
    /// The retries were used up.
    Retries,
    /// Waiting cannot help.
    Terminal,
}

/// The fold of all rounds of a wait: consecutive good rounds, the timeline and the histogram.
#[derive(Clone, Debug)]
pub struct Progress {
    patience: Patience,
    streak: u32,
    rounds: u32,
    failures: u32,
    grace_since: Option<Duration>,
    state: State,
    histogram: Histogram,
    first: Vec<Attempt>,
    latest: VecDeque<Attempt>,
    left_out: u32,
    set_aside: BTreeMap<SocketAddr, String>,
    answered: bool,
    version: Option<String>,
    last: Option<Said>,
    elapsed: Duration,
}

/// Tries kept from the beginning and from the end of a timeline; a long wait leaves out its middle.
const FIRST: usize = 20;
const LATEST: usize = 80;

impl Progress {
    /// A wait that has asked nothing yet; its first round is due at once.
    #[must_use]
    pub fn new(patience: Patience) -> Self {
        Self {
            patience,
            streak: 0,
            rounds: 0,
            failures: 0,
            grace_since: None,
            state: State::Asking { next: Duration::ZERO },
            histogram: Histogram::default(),
            first: Vec::new(),
            latest: VecDeque::new(),
            left_out: 0,
            set_aside: BTreeMap::new(),
            answered: false,
            version: None,
            last: None,
            elapsed: Duration::ZERO,
        }
    }

    /// Takes a round that started at `started` and was complete at `ended`, both from the start of the wait.
    pub fn feed(&mut self, round: Round, started: Duration, ended: Duration) -> State {
        if !matches!(self.state, State::Asking { .. }) {
            return self.state;
        }
        self.elapsed = ended;
        self.rounds += 1;
        let counted = &round.counted;
        let good = !counted.is_empty() && counted.iter().all(|a| a.verdict.is_good());
        let refused = !good && counted.iter().all(|a| a.silence == Some(NoAnswer::Refused));
        let terminal = counted.iter().any(|a| a.verdict.terminal());
        let grace = counted.iter().any(|a| a.verdict.class() == Some(Class::Grace));
        for attempt in round.counted {
            self.note(attempt);
        }
        for attempt in round.set_aside {
            if let Some(address) = attempt.address {
                self.set_aside.insert(address, attempt.verdict.said().key.clone());
            }
        }
        self.grace_since = match (grace, self.grace_since) {
            (false, _) => None,
            (true, since) => since.or(Some(started)),
        };
        if good {
            self.streak += 1;
        } else {
            self.streak = 0;
            self.failures += 1;
        }
        self.state = self.judge(started, ended, terminal, refused);
        self.state
    }

    fn judge(&self, started: Duration, ended: Duration, terminal: bool, refused: bool) -> State {
        let patience = &self.patience;
        if self.streak >= patience.threshold.max(1) {
            return State::Good;
        }
        let missing_for = self.grace_since.map(|since| ended.saturating_sub(since));
        let missing = missing_for.is_some_and(|time| time >= patience.grace.as_std());
        if patience.fail_fast && (terminal || missing) {
            return State::Ended(End::Terminal);
        }
        if patience.retries.is_some_and(|retries| self.failures > retries) {
            return State::Ended(End::Retries);
        }
        let interval = match patience.while_refused {
            Some(eager) if refused => eager.min(patience.interval),
            _ => patience.interval,
        };
        let next = ended.max(started + interval.as_std());
        if ended >= patience.timeout.as_std() {
            State::Ended(End::Timeout)
        } else {
            State::Asking {
                next: next.min(patience.timeout.as_std()),
            }
        }
    }

    /// The time is over, between two rounds or in the middle of one that could not be finished.
    pub fn expire(&mut self, at: Duration) -> State {
        if matches!(self.state, State::Asking { .. }) {
            self.elapsed = at;
            self.state = State::Ended(End::Timeout);
        }
        self.state
    }

    fn note(&mut self, attempt: Attempt) {
        if !attempt.cut || self.last.is_none() {
            self.histogram.add(&attempt.verdict.said().key);
            self.last = Some(attempt.verdict.said().clone());
        }
        self.answered |= attempt.verdict.is_answer();
        if let Verdict::Good { version, .. } = &attempt.verdict {
            self.version.clone_from(version);
        }
        if self.first.len() < FIRST {
            self.first.push(attempt);
        } else {
            if self.latest.len() == LATEST {
                self.latest.pop_front();
                self.left_out += 1;
            }
            self.latest.push_back(attempt);
        }
    }

    /// Where it stands.
    #[must_use]
    pub fn state(&self) -> State {
        self.state
    }

    /// Rounds so far.
    #[must_use]
    pub fn rounds(&self) -> u32 {
        self.rounds
    }

    /// Consecutive good rounds up to now.
    #[must_use]
    pub fn streak(&self) -> u32 {
        self.streak
    }

    /// Whether anything ever answered, well or not.
    #[must_use]
    pub fn answered(&self) -> bool {
        self.answered
    }

    /// The version of the last good answer, where one was asked for.
    #[must_use]
    pub fn version(&self) -> Option<&str> {
        self.version.as_deref()
    }

    /// What was seen, and how often.
    #[must_use]
    pub fn histogram(&self) -> &Histogram {
        &self.histogram
    }

    /// What the last try saw; a try that was cut only counts when it was the only one.
    #[must_use]
    pub fn last(&self) -> Option<&Said> {
        self.last.as_ref()
    }

    /// From the start of the wait to its last event.
    #[must_use]
    pub fn elapsed(&self) -> Duration {
        self.elapsed
    }

    /// The timeline: the first tries and the latest ones, in order.
    pub fn attempts(&self) -> impl Iterator<Item = &Attempt> {
        self.first.iter().chain(&self.latest)
    }

    /// How many tries of the middle [`Progress::attempts`] leaves out.
    #[must_use]
    pub fn left_out(&self) -> u32 {
        self.left_out
    }

    /// The addresses whose silence did not count, and why: see [`Round::new`].
    #[must_use]
    pub fn set_aside(&self) -> &BTreeMap<SocketAddr, String> {
        &self.set_aside
    }

    /// All tries that count.
    #[must_use]
    pub fn tries(&self) -> u32 {
        u32::try_from(self.first.len() + self.latest.len())
            .unwrap_or(u32::MAX)
            .saturating_add(self.left_out)
    }

    /// One line for people: how it ended, after how many tries, and what they saw.
    #[must_use]
    pub fn summary(&self) -> String {
        let tries = match self.tries() {
            1 => "1 try".to_owned(),
            tries => format!("{tries} tries"),
        };
        let elapsed = Elapsed(self.elapsed);
        let seen = if self.histogram.total() == 0 {
            String::new()
        } else {
            format!("; last: {}", self.histogram)
        };
        match self.state {
            State::Asking { .. } => format!("not decided after {tries} in {elapsed}{seen}"),
            State::Good => {
                let streak = match self.streak {
                    0 | 1 => String::new(),
                    streak => format!(", {streak} in a row"),
                };
                format!("good after {tries} in {elapsed}{streak}{seen}")
            }
            State::Ended(End::Timeout) => {
                format!("timeout {} reached after {tries}{seen}", self.patience.timeout)
            }
            State::Ended(End::Retries) => {
                let retries = self.patience.retries.unwrap_or_default();
                format!("retries {retries} used up after {tries} in {elapsed}{seen}")
            }
            State::Ended(End::Terminal) => {
                format!("given up after {tries} in {elapsed}, as waiting does not help{seen}")
            }
        }
    }
}

/// A time for people: `12ms`, `1.2s`, `30s`.
struct Elapsed(Duration);

impl fmt::Display for Elapsed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let millis = self.0.as_millis();
        if millis < 1_000 {
            write!(f, "{millis}ms")
        } else {
            write!(f, "{}.{}s", millis / 1_000, millis % 1_000 / 100)
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{Expectation, HttpAnswer, HttpExpectation, Observation, TlsProblem, judge};

    const REFUSED: Observation = silent(NoAnswer::Refused);

    const fn silent(cause: NoAnswer) -> Observation {
        Observation::NoAnswer {
            cause,
            detail: String::new(),
            elapsed: Duration::ZERO,
        }
    }

    fn status(status: u16) -> Observation {
        Observation::Http(HttpAnswer {
            status,
            ..HttpAnswer::default()
        })
    }

    fn attempt(address: &str, observation: &Observation) -> Attempt {
        let silence = match observation {
            Observation::NoAnswer { cause, .. } => Some(*cause),
            _ => None,
        };
        Attempt {
            round: 1,
            address: Some(address.parse().unwrap()),
            started: Duration::ZERO,
            took: Duration::ZERO,
            verdict: judge(&Expectation::Http(HttpExpectation::default()), observation),
            silence,
            cut: false,
        }
    }

    fn patience() -> Patience {
        Patience::new(quantity::Duration::from_secs(30))
    }

    /// One round at one address at a time, given in milliseconds, that took no time.
    fn feed(progress: &mut Progress, at: u64, observation: &Observation) -> State {
        let at = Duration::from_millis(at);
        progress.feed(Round::new(vec![attempt("10.0.0.1:80", observation)]), at, at)
    }

    fn asking(next: u64) -> State {
        State::Asking {
            next: Duration::from_millis(next),
        }
    }

    #[test]
    fn the_first_round_is_due_at_once_and_the_first_good_one_suffices() {
        let mut progress = Progress::new(patience());
        assert_eq!(progress.state(), asking(0));
        assert_eq!(feed(&mut progress, 0, &status(200)), State::Good);
        assert_eq!(progress.summary(), "good after 1 try in 0ms; last: 200 (1×)");
    }

    #[test]
    fn the_threshold_counts_from_zero_and_any_failure_resets_it() {
        let mut progress = Progress::new(Patience {
            threshold: 3,
            ..patience()
        });
        for (at, seen, state) in [
            (0, 200, asking(500)),
            (500, 200, asking(1_000)),
            (1_000, 503, asking(1_500)),
            (1_500, 200, asking(2_000)),
            (2_000, 200, asking(2_500)),
            (2_500, 200, State::Good),
        ] {
            assert_eq!(feed(&mut progress, at, &status(seen)), state, "at {at}");
        }
        assert_eq!(
            progress.summary(),
            "good after 6 tries in 2.5s, 3 in a row; last: 200 (5×), 503 (1×)"
        );
    }

    #[test]
    fn the_timeout_says_what_it_saw() {
        let mut progress = Progress::new(patience());
        feed(&mut progress, 0, &REFUSED);
        for round in 1..14 {
            feed(&mut progress, round * 500, &status(503));
        }
        assert_eq!(
            progress.expire(Duration::from_secs(30)),
            State::Ended(End::Timeout)
        );
        assert_eq!(
            progress.summary(),
            "timeout 30s reached after 14 tries; last: 503 (13×), refused (1×)"
        );
        assert!(progress.answered());
        assert_eq!(
            feed(&mut progress, 30_001, &status(200)),
            State::Ended(End::Timeout),
            "over is over"
        );
    }

    #[test]
    fn a_round_that_ends_with_the_time_is_the_last_one() {
        let mut progress = Progress::new(patience());
        let (started, ended) = (Duration::from_secs(28), Duration::from_secs(30));
        let mut slow = attempt("10.0.0.1:80", &silent(NoAnswer::Timeout));
        slow.cut = true;
        feed(&mut progress, 0, &status(503));
        assert_eq!(
            progress.feed(Round::new(vec![slow]), started, ended),
            State::Ended(End::Timeout)
        );
        assert_eq!(
            progress.summary(),
            "timeout 30s reached after 2 tries; last: 503 (1×)",
            "a try cut by the end says nothing"
        );
    }

    #[test]
    fn retries_are_further_rounds_after_a_failure() {
        let mut progress = Progress::new(Patience {
            retries: Some(1),
            threshold: 2,
            ..patience()
        });
        assert_eq!(feed(&mut progress, 0, &status(503)), asking(500));
        assert_eq!(
            feed(&mut progress, 500, &status(200)),
            asking(1_000),
            "a good round uses none"
        );
        assert_eq!(
            feed(&mut progress, 1_000, &status(503)),
            State::Ended(End::Retries)
        );
        assert_eq!(
            progress.summary(),
            "retries 1 used up after 3 tries in 1.0s; last: 503 (2×), 200 (1×)"
        );
    }

    #[test]
    fn what_waiting_cannot_repair_ends_it_unless_told_otherwise() {
        let expired = silent(NoAnswer::Tls(TlsProblem::Expired));
        let mut progress = Progress::new(patience());
        assert_eq!(feed(&mut progress, 12, &expired), State::Ended(End::Terminal));
        assert_eq!(
            progress.summary(),
            "given up after 1 try in 12ms, as waiting does not help; last: tls: expired (1×)"
        );
        assert!(!progress.answered());
        let mut stubborn = Progress::new(Patience {
            fail_fast: false,
            ..patience()
        });
        assert_eq!(feed(&mut stubborn, 12, &expired), asking(512));
    }

    #[test]
    fn a_missing_page_is_waited_for_as_long_as_the_grace() {
        assert_eq!(patience().grace.as_millis(), 15_000);
        assert_eq!(
            Patience::grace_of(quantity::Duration::from_secs(4)).as_millis(),
            10_000
        );
        let mut progress = Progress::new(patience());
        for (at, seen, over) in [
            (0, 404, false),
            (14_000, 404, false),
            (14_500, 503, false),
            (15_000, 404, false),
            (29_900, 404, false),
            (30_000, 410, true),
        ] {
            let state = feed(&mut progress, at, &status(seen));
            assert_eq!(state == State::Ended(End::Terminal), over, "at {at}");
        }
    }

    #[test]
    fn a_slow_round_is_followed_at_once_and_a_quick_refusal_sooner_when_allowed() {
        let mut progress = Progress::new(patience());
        let slow = Round::new(vec![attempt("10.0.0.1:80", &status(503))]);
        assert_eq!(
            progress.feed(slow, Duration::from_secs(1), Duration::from_secs(4)),
            asking(4_000)
        );
        let mut eager = Progress::new(Patience {
            while_refused: Some(quantity::Duration::from_millis(20)),
            ..patience()
        });
        assert_eq!(feed(&mut eager, 0, &REFUSED), asking(20));
        assert_eq!(feed(&mut eager, 20, &status(503)), asking(520));
        assert_eq!(
            feed(&mut eager, 29_900, &status(503)),
            asking(30_000),
            "never past the end"
        );
    }

    #[test]
    fn every_address_has_to_be_well() {
        let mut progress = Progress::new(patience());
        let round = |second: &Observation| {
            Round::new(vec![
                attempt("10.0.0.1:80", &status(200)),
                attempt("10.0.0.2:80", second),
            ])
        };
        let at = Duration::ZERO;
        assert_eq!(progress.feed(round(&REFUSED), at, at), asking(500));
        assert_eq!(progress.feed(round(&status(200)), at, at), State::Good);
        assert_eq!(progress.tries(), 4);
        let mut nobody = Progress::new(patience());
        assert_eq!(
            nobody.feed(Round::default(), at, at),
            asking(500),
            "no address is not good"
        );
    }

    #[test]
    fn only_what_cannot_be_reached_from_here_is_set_aside() {
        let feed = |addresses: [(&str, Observation); 2]| {
            let mut progress = Progress::new(patience());
            let attempts = addresses
                .iter()
                .map(|(address, seen)| attempt(address, seen))
                .collect();
            let state = progress.feed(Round::new(attempts), Duration::ZERO, Duration::ZERO);
            (state == State::Good, progress.set_aside().len())
        };
        let ok = || status(200);
        assert_eq!(feed([("[::1]:80", REFUSED), ("127.0.0.1:80", ok())]), (true, 1));
        assert_eq!(
            feed([("[::1]:80", REFUSED), ("127.0.0.1:80", REFUSED)]),
            (false, 0)
        );
        assert_eq!(feed([("[::1]:80", REFUSED), ("10.0.0.1:80", ok())]), (false, 0));
        assert_eq!(
            feed([("[::1]:80", status(503)), ("127.0.0.1:80", ok())]),
            (false, 0)
        );
        let away = || silent(NoAnswer::NoRoute);
        assert_eq!(
            feed([("[2001:db8::1]:80", away()), ("10.0.0.1:80", ok())]),
            (true, 1)
        );
        assert_eq!(
            feed([("[2001:db8::1]:80", away()), ("10.0.0.1:80", REFUSED)]),
            (false, 1)
        );
    }

    #[test]
    fn a_long_timeline_keeps_its_ends() {
        let mut progress = Progress::new(patience());
        for round in 0..150 {
            feed(&mut progress, round, &status(503));
        }
        let kept: Vec<u128> = progress.attempts().map(|_| 1).collect();
        assert_eq!(
            (kept.len(), progress.left_out(), progress.tries()),
            (100, 50, 150)
        );
        assert_eq!(progress.histogram().total(), 150);
    }

    proptest! {
        /// Good means the last `threshold` rounds were good, and asking never goes past the end.
        #[test]
        fn good_is_earned_and_time_is_kept(
            seen in prop::collection::vec(prop_oneof![Just(200u16), Just(503), Just(404)], 1..80),
            threshold in 0u32..5,
            retries in prop::option::of(0u32..10),
        ) {
            let mut progress = Progress::new(Patience { threshold, retries, ..patience() });
            let mut fed = Vec::new();
            while let State::Asking { next } = progress.state() {
                prop_assert!(next <= Duration::from_secs(30));
                let Some(code) = seen.get(fed.len()) else { break };
                fed.push(*code);
                let round = Round::new(vec![attempt("10.0.0.1:80", &status(*code))]);
                progress.feed(round, next, next);
            }
            let streak = fed.iter().rev().take_while(|code| **code == 200).count();
            let wanted = threshold.max(1) as usize;
            prop_assert_eq!(progress.state() == State::Good, streak >= wanted);
            let failures = fed.iter().filter(|code| **code != 200).count();
            let used_up = retries.is_some_and(|retries| failures > retries as usize);
            prop_assert_eq!(progress.state() == State::Ended(End::Retries), used_up);
        }
    }
}
