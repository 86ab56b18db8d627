use std::time::Duration;

use backoff::backoff::Backoff;
use backoff::exponential::ExponentialBackoff;

use crate::Waits;

/// The waits of a policy, in order: pure, given the source of chance.
#[derive(Debug)]
pub struct Schedule<C> {
    base: ExponentialBackoff<Standing>,
    jitter: f64,
    waits_left: Option<u32>,
    chance: C,
}

/// `backoff` asks a clock to end by itself; the limits are the loop's, on tokio's clock, so this one never moves.
#[derive(Clone, Copy, Debug)]
struct Standing(std::time::Instant);

impl backoff::Clock for Standing {
    fn now(&self) -> std::time::Instant {
        self.0
    }
}

impl<C: FnMut() -> f64> Schedule<C> {
    pub(crate) fn new(waits: Waits, tries: Option<u32>, chance: C) -> Self {
        let start = tokio::time::Instant::now().into_std();
        Self {
            base: ExponentialBackoff {
                current_interval: waits.initial.as_std(),
                initial_interval: waits.initial.as_std(),
                // Its own randomness cannot be injected.
                randomization_factor: 0.0,
                multiplier: waits.factor,
                max_interval: waits.cap.as_std(),
                start_time: start,
                max_elapsed_time: None,
                clock: Standing(start),
            },
            jitter: waits.jitter,
            waits_left: tries.map(|tries| tries.saturating_sub(1)),
            chance,
        }
    }
}

impl<C: FnMut() -> f64> Iterator for Schedule<C> {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
        if let Some(left) = &mut self.waits_left {
            *left = left.checked_sub(1)?;
        }
        let base = self.base.next_backoff()?;
        if self.jitter == 0.0 {
            return Some(base);
        }
        let chance = (self.chance)().clamp(0.0, 1.0);
        Some(base.mul_f64((2.0 * chance - 1.0).mul_add(self.jitter, 1.0)))
    }
}
