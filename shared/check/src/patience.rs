use std::time::Duration;

use pilotage_quantity as quantity;

/// How long and how often an endpoint is asked before the answer is no.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Patience {
    /// The hard end, from the first try; a running try is cut.
    pub timeout: quantity::Duration,
    /// From the start of one round to the start of the next at most, and between two good ones. What is not well is asked
    /// again sooner at first: see [`Patience::pause`].
    pub interval: quantity::Duration,
    /// The end of one try, from its start.
    pub try_timeout: quantity::Duration,
    /// Consecutive good rounds, counted from zero; 0 means 1.
    pub threshold: u32,
    /// Further rounds after a failed one; `None` asks until the time-out. The first failure takes none. As each one counts,
    /// all of them are a whole interval apart.
    pub retries: Option<u32>,
    /// How long 404 and 410 may go on without a break before waiting longer is held to be of no use.
    pub grace: quantity::Duration,
    /// Whether a failure that waiting does not repair ends it.
    pub fail_fast: bool,
    /// Whether one good address of a name suffices; otherwise every one has to be well.
    pub any_address: bool,
}

/// How soon a port is tried again that nobody listens on: it costs both sides next to nothing.
const WHILE_REFUSED: Duration = Duration::from_millis(20);
/// How soon something that answers badly, or is silent in another way, is asked again: it has to work for its answer.
const WHILE_BAD: Duration = Duration::from_millis(50);

/// What a round that was not good saw.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Trouble {
    /// Nobody listens.
    Refused,
    /// Anything else.
    Bad,
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
            any_address: false,
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

    /// From the start of a round that was not good to the start of the next, when the trouble has lasted for `lasting`.
    ///
    /// The longer it lasts, the less a little more matters: the pause is a hundredth of it while nobody listens and a tenth
    /// otherwise, never longer than the interval. So the end of a trouble is seen soon, and something that stays bad is
    /// asked a number of times that grows with the logarithm of the time.
    pub(crate) fn pause(&self, trouble: Trouble, lasting: Duration) -> Duration {
        let interval = self.interval.as_std();
        if self.retries.is_some() {
            return interval;
        }
        let pause = match trouble {
            Trouble::Refused => WHILE_REFUSED.max(lasting / 100),
            Trouble::Bad => WHILE_BAD.max(lasting / 10),
        };
        pause.min(interval)
    }
}
