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
