//! The wall clock, as a port: what time it is is asked, never assumed.
//!
//! Elapsed time is another thing: it is measured with `tokio::time::Instant`, which tests pause and advance.

use std::sync::{Arc, Mutex};

use jiff::Timestamp;

/// Tells the wall time. Cheap to clone; every effectful function that needs the time takes one.
#[derive(Clone, Debug)]
pub struct Clock(Source);

#[derive(Clone, Debug)]
enum Source {
    System,
    Fixed(Arc<Mutex<Timestamp>>),
}

impl Clock {
    /// The clock of this machine.
    #[must_use]
    pub fn system() -> Self {
        Self(Source::System)
    }

    /// A clock that stands still at `at` until [`Clock::set`] moves it; for tests and replays.
    #[must_use]
    pub fn fixed(at: Timestamp) -> Self {
        Self(Source::Fixed(Arc::new(Mutex::new(at))))
    }

    /// The wall time now, in UTC.
    #[must_use]
    #[expect(
        clippy::disallowed_methods,
        reason = "this is the one place that asks the machine"
    )]
    pub fn now(&self) -> Timestamp {
        match &self.0 {
            Source::System => Timestamp::now(),
            Source::Fixed(at) => *at.lock().unwrap_or_else(std::sync::PoisonError::into_inner),
        }
    }

    /// Moves a fixed clock; a system clock cannot be moved and stays as it is.
    pub fn set(&self, to: Timestamp) {
        if let Source::Fixed(at) = &self.0 {
            *at.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = to;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fixed_clock_stands_until_it_is_set_for_every_clone() {
        let noon: Timestamp = "2026-01-01T12:00:00Z".parse().unwrap();
        let later: Timestamp = "2026-01-01T12:00:05Z".parse().unwrap();
        let clock = Clock::fixed(noon);
        let clone = clock.clone();
        assert_eq!(clone.now(), noon);
        clock.set(later);
        assert_eq!(clone.now(), later);
    }
}
