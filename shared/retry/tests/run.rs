//! The loop, on tokio's paused clock: no test here waits for real.

#![expect(
    clippy::unwrap_used,
    reason = "a helper of a test fails the test by panicking"
)]

use std::time::Duration as Std;

use pilotage_quantity::Duration;
use pilotage_retry::{GaveUp, Limits, RetryPolicy, Retryable, Try, Waits, Why, retry};
use tokio::time::Instant;

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
struct Refused(&'static str);

fn policy(limits: Limits) -> RetryPolicy {
    let waits = Waits {
        initial: Duration::from_secs(1),
        factor: 2.0,
        cap: Duration::from_secs(60),
        jitter: 0.0,
    };
    RetryPolicy::new(waits, limits).unwrap()
}

fn tries(tries: u32) -> RetryPolicy {
    policy(Limits {
        tries: Some(tries),
        elapsed: None,
    })
}

fn within(seconds: u64) -> RetryPolicy {
    policy(Limits {
        tries: None,
        elapsed: Some(Duration::from_secs(seconds)),
    })
}

/// Fails with each of `errors` and then succeeds with the number of the try.
async fn play(
    policy: &RetryPolicy,
    errors: &[&'static str],
    decide: impl Fn(&Refused) -> Retryable,
) -> Result<u32, GaveUp<Refused>> {
    retry(policy, decide, async |at: Try| {
        match errors.get(at.number as usize - 1) {
            Some(error) => Err(Refused(error)),
            None => Ok(at.number),
        }
    })
    .await
}

#[tokio::test(start_paused = true)]
async fn it_waits_by_the_schedule_and_stops_at_the_first_success() {
    let begin = Instant::now();
    assert_eq!(play(&tries(5), &["a", "b", "c"], |_| Retryable::Yes).await, Ok(4));
    assert_eq!(begin.elapsed(), Std::from_secs(1 + 2 + 4));
}

#[tokio::test(start_paused = true)]
async fn the_message_tells_all_errors_and_equal_neighbours_once() {
    let gave_up = play(&tries(4), &["refused", "refused", "no route", "503"], |_| {
        Retryable::Yes
    })
    .await
    .unwrap_err();
    assert_eq!(gave_up.why, Why::Tries);
    assert_eq!((gave_up.tries(), gave_up.last()), (4, &Refused("503")));
    assert_eq!(
        gave_up.to_string(),
        "503 (gave up after 4 tries in 7s; before: refused (2×), no route)"
    );
    let same = play(&tries(3), &["503"; 3], |_| Retryable::Yes)
        .await
        .unwrap_err();
    assert_eq!(same.to_string(), "503 (gave up after 3 tries in 3s)");
}

#[tokio::test(start_paused = true)]
async fn an_error_that_will_not_go_away_ends_it_at_once() {
    let begin = Instant::now();
    let decide = |error: &Refused| {
        if error.0 == "401" {
            Retryable::No
        } else {
            Retryable::Yes
        }
    };
    let gave_up = play(&tries(9), &["503", "401"], decide).await.unwrap_err();
    assert_eq!((gave_up.why, gave_up.errors().count()), (Why::NotRetryable, 2));
    assert_eq!(begin.elapsed(), Std::from_secs(1));
}

#[tokio::test(start_paused = true)]
async fn a_wait_the_other_side_asked_for_counts_when_it_is_longer() {
    let begin = Instant::now();
    let decide = |error: &Refused| Retryable::After(Std::from_secs(if error.0 == "long" { 30 } else { 0 }));
    assert_eq!(play(&tries(3), &["long", "short"], decide).await, Ok(3));
    assert_eq!(begin.elapsed(), Std::from_secs(30 + 2));
}

#[tokio::test(start_paused = true)]
async fn a_wait_that_would_end_too_late_is_not_begun() {
    let begin = Instant::now();
    let gave_up = play(&within(6), &["x"; 9], |_| Retryable::Yes).await.unwrap_err();
    assert_eq!((gave_up.why, gave_up.elapsed), (Why::Time, Std::from_secs(3)));
    assert_eq!(begin.elapsed(), Std::from_secs(3));
}

#[tokio::test(start_paused = true)]
async fn a_try_knows_what_is_left() {
    let mut seen = Vec::new();
    let gave_up = retry(
        &within(4),
        |_: &Refused| Retryable::Yes,
        async |at: Try| -> Result<(), _> {
            seen.push((at.number, at.left.unwrap().as_secs()));
            Err(Refused("x"))
        },
    )
    .await
    .unwrap_err();
    assert_eq!((seen, gave_up.tries()), (vec![(1, 4), (2, 3), (3, 1)], 3));
    assert_eq!(
        play(&RetryPolicy::once(), &["x"], |_| Retryable::Yes)
            .await
            .unwrap_err()
            .tries(),
        1
    );
}

#[tokio::test]
async fn jitter_spreads_the_waits_of_two_that_failed_together() {
    // The source of chance the loop itself uses is not injected; two equal runs of waits would mean that it stands still.
    tokio::time::pause();
    let waits = Waits {
        initial: Duration::from_secs(100),
        factor: 1.0,
        cap: Duration::from_secs(100),
        jitter: 1.0,
    };
    let policy = RetryPolicy::new(
        waits,
        Limits {
            tries: Some(4),
            elapsed: None,
        },
    )
    .unwrap();
    let mut ends = Vec::new();
    for _ in 0..4 {
        let begin = Instant::now();
        let _ = play(&policy, &["x"; 4], |_| Retryable::Yes).await;
        ends.push(begin.elapsed());
    }
    ends.dedup();
    assert!(ends.len() > 1, "{ends:?}");
    assert!(ends.iter().all(|end| *end <= Std::from_secs(600)));
}
