//! Properties of the waits, and what a policy refuses.

#![expect(
    clippy::unwrap_used,
    reason = "a helper of a test fails the test by panicking"
)]

use std::time::Duration as Std;

use pilotage_quantity::Duration;
use pilotage_retry::{Limits, PolicyError, RetryPolicy, Waits};
use proptest::prelude::*;

const WAITS: Waits = Waits {
    initial: Duration::from_millis(100),
    factor: 2.0,
    cap: Duration::from_secs(1),
    jitter: 0.0,
};
const THREE: Limits = Limits {
    elapsed: None,
    tries: Some(3),
};

fn policy() -> impl Strategy<Value = RetryPolicy> {
    (
        1_u64..10_000,
        1.0_f64..20.0,
        0_u64..100_000,
        0.0_f64..=1.0,
        1_u32..40,
    )
        .prop_map(|(initial, factor, more, jitter, tries)| {
            let waits = Waits {
                initial: Duration::from_millis(initial),
                factor,
                cap: Duration::from_millis(initial + more),
                jitter,
            };
            RetryPolicy::new(
                waits,
                Limits {
                    elapsed: None,
                    tries: Some(tries),
                },
            )
            .unwrap()
        })
}

proptest! {
    #[test]
    fn waits_stay_within_the_jitter_of_a_growing_capped_base(policy in policy(), chance in 0.0_f64..1.0) {
        let waits = policy.waits();
        let tolerance = 0.000_01;
        let mut base = waits.initial.as_std().as_secs_f64();
        let cap = waits.cap.as_std().as_secs_f64();
        let all: Vec<Std> = policy.schedule(|| chance).collect();
        prop_assert_eq!(all.len(), policy.limits().tries.unwrap() as usize - 1);
        for wait in all {
            let wait = wait.as_secs_f64();
            prop_assert!(wait >= base * (1.0 - waits.jitter) - tolerance, "{wait} is under {base}");
            prop_assert!(wait <= base * (1.0 + waits.jitter) + tolerance, "{wait} is over {base}");
            base = (base * waits.factor).min(cap);
        }
    }

    #[test]
    fn without_jitter_waits_never_shrink_and_never_pass_the_cap(policy in policy()) {
        let plain = RetryPolicy::new(Waits { jitter: 0.0, ..policy.waits() }, policy.limits()).unwrap();
        let mut before = Std::ZERO;
        for wait in plain.schedule(|| 0.9) {
            prop_assert!(wait >= before && wait <= plain.waits().cap.as_std());
            before = wait;
        }
    }

    #[test]
    fn the_same_chance_gives_the_same_waits(policy in policy(), chance in 0.0_f64..1.0) {
        let once: Vec<Std> = policy.schedule(|| chance).collect();
        let again: Vec<Std> = policy.schedule(|| chance).collect();
        prop_assert_eq!(once, again);
    }
}

#[test]
fn waits_double_up_to_the_cap() {
    let policy = RetryPolicy::new(
        WAITS,
        Limits {
            elapsed: Some(Duration::from_secs(60)),
            tries: None,
        },
    )
    .unwrap();
    let waits: Vec<u128> = policy
        .schedule(|| 0.5)
        .take(6)
        .map(|wait| wait.as_millis())
        .collect();
    assert_eq!(waits, [100, 200, 400, 800, 1000, 1000]);
}

#[test]
fn policies_that_make_no_sense_are_refused() {
    for (waits, limits, error) in [
        (
            Waits {
                initial: Duration::ZERO,
                ..WAITS
            },
            THREE,
            PolicyError::NoWait,
        ),
        (
            Waits {
                cap: Duration::from_millis(99),
                ..WAITS
            },
            THREE,
            PolicyError::Cap,
        ),
        (Waits { factor: 0.5, ..WAITS }, THREE, PolicyError::Factor),
        (
            Waits {
                factor: f64::NAN,
                ..WAITS
            },
            THREE,
            PolicyError::Factor,
        ),
        (
            Waits {
                factor: f64::INFINITY,
                ..WAITS
            },
            THREE,
            PolicyError::Factor,
        ),
        (Waits { jitter: 1.5, ..WAITS }, THREE, PolicyError::Jitter),
        (
            Waits {
                jitter: f64::NAN,
                ..WAITS
            },
            THREE,
            PolicyError::Jitter,
        ),
        (WAITS, Limits::default(), PolicyError::Unlimited),
        (
            WAITS,
            Limits {
                tries: Some(0),
                elapsed: None,
            },
            PolicyError::NoTry,
        ),
    ] {
        assert_eq!(RetryPolicy::new(waits, limits), Err(error));
    }
}
