use pilotage_quantity::Duration;

use crate::Schedule;

/// How the waits between tries grow.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Waits {
    /// The wait after the first try.
    pub initial: Duration,
    /// By how much each wait is longer than the one before it; 1 keeps them equal.
    pub factor: f64,
    /// No wait is longer than this, before jitter.
    pub cap: Duration,
    /// The part of a wait that is left to chance, from 0 (none) to 1: a wait of `w` becomes one from `w * (1 - jitter)` to
    /// `w * (1 + jitter)`, so that many that failed together do not come back together.
    pub jitter: f64,
}

/// When to stop trying. At least one of the two has to be there.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Limits {
    /// No wait begins that would end later than this after the first try began. A running try is not cut.
    pub elapsed: Option<Duration>,
    /// How many tries there are, the first one included.
    pub tries: Option<u32>,
}

/// A checked policy: how long to wait between tries, and when to give up.
#[derive(Clone, Debug, PartialEq)]
pub struct RetryPolicy {
    waits: Waits,
    limits: Limits,
}

/// Why values make no policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PolicyError {
    /// A wait of nothing would be a busy loop.
    #[error("the first wait must be longer than 0")]
    NoWait,
    /// The cap would cut the first wait.
    #[error("the longest wait is shorter than the first one")]
    Cap,
    /// Waits may not shrink.
    #[error("the factor must be a number from 1 to 1000")]
    Factor,
    /// A part is from 0 to 1.
    #[error("the jitter must be a number from 0 to 1")]
    Jitter,
    /// It would try for ever.
    #[error("a limit is missing: give the tries, the time, or both")]
    Unlimited,
    /// The first try is a try.
    #[error("at least one try is needed")]
    NoTry,
}

impl RetryPolicy {
    /// Checks the values.
    ///
    /// # Errors
    /// When they would give a busy loop, an endless one, or no try at all.
    pub fn new(waits: Waits, limits: Limits) -> Result<Self, PolicyError> {
        if waits.initial == Duration::ZERO {
            return Err(PolicyError::NoWait);
        }
        if waits.cap < waits.initial {
            return Err(PolicyError::Cap);
        }
        if !(1.0..=1000.0).contains(&waits.factor) {
            return Err(PolicyError::Factor);
        }
        if !(0.0..=1.0).contains(&waits.jitter) {
            return Err(PolicyError::Jitter);
        }
        match limits {
            Limits {
                elapsed: None,
                tries: None,
            } => Err(PolicyError::Unlimited),
            Limits { tries: Some(0), .. } => Err(PolicyError::NoTry),
            _ => Ok(Self { waits, limits }),
        }
    }

    /// One try and no second one.
    #[must_use]
    pub fn once() -> Self {
        let wait = Duration::from_secs(1);
        Self {
            waits: Waits {
                initial: wait,
                factor: 1.0,
                cap: wait,
                jitter: 0.0,
            },
            limits: Limits {
                elapsed: None,
                tries: Some(1),
            },
        }
    }

    /// How the waits grow.
    #[must_use]
    pub const fn waits(&self) -> Waits {
        self.waits
    }

    /// When it gives up.
    #[must_use]
    pub const fn limits(&self) -> Limits {
        self.limits
    }

    /// The waits between the tries, one after another; `chance` gives numbers from 0 (included) to 1 (excluded) and decides the
    /// jitter. It ends after the last try of the policy; the limit on time is the loop's to watch.
    pub fn schedule<C: FnMut() -> f64>(&self, chance: C) -> Schedule<C> {
        Schedule::new(self.waits, self.limits.tries, chance)
    }
}
