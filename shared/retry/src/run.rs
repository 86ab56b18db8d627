use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

use tokio::time::Instant;

use crate::RetryPolicy;

/// Whether another try makes sense: decided by the caller, who knows what failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retryable {
    /// Try again after the policy's wait.
    Yes,
    /// Another try would fail in the same way, or could do harm.
    No,
    /// Try again after this wait, which the other side asked for; the policy's own wait counts when it is longer. Put a
    /// cap on what a stranger asks for before it gets here.
    After(Duration),
}

/// What a try is told about itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Try {
    /// Counted from 1.
    pub number: u32,
    /// What is left of the policy's time when the try begins; `None` without such a limit.
    pub left: Option<Duration>,
}

/// Why no further try was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// The last error was one that another try would not change.
    NotRetryable,
    /// All tries were made.
    Tries,
    /// The next wait would have ended after the time limit.
    Time,
}

/// No try succeeded. Keeps every error, oldest first, so that a message can tell the whole story.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GaveUp<E> {
    errors: Vec<E>,
    last: E,
    /// Why it ended.
    pub why: Why,
    /// From the beginning of the first try to the end of the last one.
    pub elapsed: Duration,
}

impl<E> GaveUp<E> {
    /// The error of the last try.
    pub const fn last(&self) -> &E {
        &self.last
    }

    /// The error of the last try, to keep.
    pub fn into_last(self) -> E {
        self.last
    }

    /// All errors, oldest first.
    pub fn errors(&self) -> impl Iterator<Item = &E> {
        self.errors.iter().chain(std::iter::once(&self.last))
    }

    /// How many tries were made.
    pub fn tries(&self) -> usize {
        self.errors.len() + 1
    }
}

impl<E: fmt::Display> fmt::Display for GaveUp<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.last)?;
        if self.errors.is_empty() {
            return Ok(());
        }
        let elapsed = pilotage_quantity::Duration::from_millis(
            u64::try_from(self.elapsed.as_millis()).unwrap_or(u64::MAX),
        );
        write!(f, " (gave up after {} tries in {elapsed}", self.tries())?;
        // Equal neighbours are told once, with their number.
        let mut told: Vec<(String, usize)> = Vec::new();
        for error in &self.errors {
            let text = error.to_string();
            match told.last_mut() {
                Some((last, count)) if *last == text => *count += 1,
                _ => told.push((text, 1)),
            }
        }
        let last = self.last.to_string();
        told.retain(|(text, _)| *text != last);
        for (index, (text, count)) in told.iter().enumerate() {
            f.write_str(if index == 0 { "; before: " } else { ", " })?;
            f.write_str(text)?;
            if *count > 1 {
                write!(f, " ({count}×)")?;
            }
        }
        f.write_str(")")
    }
}

impl<E: std::error::Error + 'static> std::error::Error for GaveUp<E> {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.last.source()
    }
}

/// Runs `operation` until it succeeds, `decide` says that another try is of no use, or the policy ends.
///
/// Nothing cuts a running try: the operation bounds itself, by [`Try::left`] where it wants to. To cancel, drop the future.
///
/// # Errors
/// [`GaveUp`] with the errors of all tries.
pub async fn retry<T, E>(
    policy: &RetryPolicy,
    decide: impl Fn(&E) -> Retryable,
    mut operation: impl AsyncFnMut(Try) -> Result<T, E>,
) -> Result<T, GaveUp<E>> {
    let begin = Instant::now();
    let limit = policy.limits().elapsed.map(|elapsed| elapsed.as_std());
    let mut waits = policy.schedule(random);
    let mut errors = Vec::new();
    let mut number = 0_u32;
    loop {
        number = number.saturating_add(1);
        let left = limit.map(|limit| limit.saturating_sub(begin.elapsed()));
        let last = match operation(Try { number, left }).await {
            Ok(value) => return Ok(value),
            Err(error) => error,
        };
        let elapsed = begin.elapsed();
        let gave_up = |errors, last, why| {
            Err(GaveUp {
                errors,
                last,
                why,
                elapsed,
            })
        };
        let asked = match decide(&last) {
            Retryable::No => return gave_up(errors, last, Why::NotRetryable),
            Retryable::Yes => Duration::ZERO,
            Retryable::After(wait) => wait,
        };
        let Some(wait) = waits.next() else {
            return gave_up(errors, last, Why::Tries);
        };
        let wait = wait.max(asked);
        if limit.is_some_and(|limit| elapsed.saturating_add(wait) > limit) {
            return gave_up(errors, last, Why::Time);
        }
        errors.push(last);
        tokio::time::sleep(wait).await;
    }
}

/// A number from 0 to 1 out of the standard library's random hash keys: good enough to spread waits, no dependency.
fn random() -> f64 {
    let bits = RandomState::new().hash_one(0_u8) >> 11;
    #[expect(clippy::cast_precision_loss, reason = "53 bits fit a double exactly")]
    let numerator = bits as f64;
    numerator / 9_007_199_254_740_992.0
}
