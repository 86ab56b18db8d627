use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

use crate::patience::Trouble;
use crate::{Attempt, Class, Histogram, NoAnswer, Patience, Round, Said, Verdict};

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

/// What one address of a name said.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AddressSeen {
    /// How often it was asked.
    pub tries: u32,
    /// Consecutive good answers up to its last one.
    pub streak: u32,
    /// What its last try saw, as a histogram key.
    pub last: String,
}

/// The fold of all rounds of a wait: consecutive good answers of each address, the timeline and the histogram.
#[derive(Clone, Debug)]
pub struct Progress {
    patience: Patience,
    streak: u32,
    rounds: u32,
    failures: u32,
    addresses: BTreeMap<SocketAddr, AddressSeen>,
    /// When it was first seen, since the last good round, that nobody listens, and that something else is not well.
    refused_since: Option<Duration>,
    bad_since: Option<Duration>,
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
            addresses: BTreeMap::new(),
            refused_since: None,
            bad_since: None,
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
        let any = self.patience.any_address;
        // Of an empty round neither every address nor any is anything.
        let holds = |of: &dyn Fn(&Attempt) -> bool, any: bool| match any {
            true => counted.iter().any(of),
            false => !counted.is_empty() && counted.iter().all(of),
        };
        let good = holds(&|a| a.verdict.is_good(), any);
        let refused = holds(&|a| a.silence == Some(NoAnswer::Refused), false);
        // What one address cannot repair ends it, unless another one suffices.
        let terminal = holds(&|a| a.verdict.terminal(), !any);
        let grace = !good && holds(&|a| a.verdict.class() == Some(Class::Grace), !any);
        let asked: Vec<SocketAddr> = counted.iter().filter_map(|a| a.address).collect();
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
        self.count(&asked, good);
        let pause = if good {
            (self.refused_since, self.bad_since) = (None, None);
            self.patience.interval.as_std()
        } else {
            let (trouble, since) = match refused {
                true => (Trouble::Refused, &mut self.refused_since),
                false => (Trouble::Bad, &mut self.bad_since),
            };
            let lasting = ended.saturating_sub(*since.get_or_insert(started));
            self.patience.pause(trouble, lasting)
        };
        self.state = self.judge(started + pause, ended, terminal);
        self.state
    }

    /// Counts the round: the streak is that of the address with the shortest one, so that one which joins late has to
    /// answer as often as the others; where any address suffices, good rounds are counted.
    fn count(&mut self, asked: &[SocketAddr], good: bool) {
        if !good {
            self.failures += 1;
        }
        self.streak = match (good, self.patience.any_address) {
            (false, _) => 0,
            (true, true) => self.streak + 1,
            // What is asked within the instance has no address.
            (true, false) if asked.is_empty() => self.streak + 1,
            (true, false) => {
                let streaks = asked.iter().filter_map(|address| self.addresses.get(address));
                streaks.map(|seen| seen.streak).min().unwrap_or_default()
            }
        };
        if asked.is_empty() {
            // The name had no address: nobody's row goes on over that.
            self.addresses.values_mut().for_each(|seen| seen.streak = 0);
        }
    }

    fn judge(&self, next: Duration, ended: Duration, terminal: bool) -> State {
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
        if ended >= patience.timeout.as_std() {
            State::Ended(End::Timeout)
        } else {
            State::Asking {
                next: next.max(ended).min(patience.timeout.as_std()),
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
        if let Some(address) = attempt.address {
            let seen = self.addresses.entry(address).or_default();
            seen.tries += 1;
            seen.streak = if attempt.verdict.is_good() {
                seen.streak + 1
            } else {
                0
            };
            if !attempt.cut || seen.last.is_empty() {
                seen.last.clone_from(&attempt.verdict.said().key);
            }
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

    /// Consecutive good answers up to now, of every address that was asked last.
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

    /// The addresses whose tries count, with what each of them said.
    #[must_use]
    pub fn addresses(&self) -> &BTreeMap<SocketAddr, AddressSeen> {
        &self.addresses
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
