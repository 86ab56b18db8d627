//! Rounds to the end of a wait.

#![expect(
    clippy::unwrap_used,
    reason = "a helper of a test fails the test by panicking"
)]

use std::time::Duration;

use pilotage_check::{
    Attempt, End, Expectation, HttpAnswer, HttpExpectation, NoAnswer, Observation, Patience, Progress, Round,
    State, TlsProblem, judge,
};
use pilotage_quantity as quantity;
use proptest::prelude::*;

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
        (1_000, 503, asking(1_050)),
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
    assert_eq!(feed(&mut stubborn, 12, &expired), asking(62));
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
fn a_slow_round_is_followed_at_once() {
    let mut progress = Progress::new(patience());
    let slow = Round::new(vec![attempt("10.0.0.1:80", &status(503))]);
    assert_eq!(
        progress.feed(slow, Duration::from_secs(1), Duration::from_secs(4)),
        asking(4_000)
    );
}

#[test]
fn it_asks_often_at_first_and_rarely_when_it_lasts() {
    let mut progress = Progress::new(patience());
    for (at, seen, next) in [
        (0, REFUSED, 20),
        (20, REFUSED, 40),
        // A hundredth of the time that nobody has listened for, a tenth of the time that it was bad in another way.
        (10_000, REFUSED, 10_100),
        (10_100, status(503), 10_150),
        (10_600, status(503), 10_650),
        (12_100, status(503), 12_300),
        (20_000, silent(NoAnswer::Timeout), 20_500),
        (21_000, REFUSED, 21_210),
        // After a good answer it begins anew.
        (21_210, status(200), 21_710),
        (21_710, status(503), 21_760),
        (29_990, status(503), 30_000),
    ] {
        progress = match feed(&mut progress, at, &seen) {
            State::Good => Progress::new(patience()),
            state => {
                assert_eq!(state, asking(next), "at {at}");
                progress
            }
        };
    }
}

#[test]
fn the_interval_is_the_longest_pause_and_the_only_one_between_counted_retries() {
    let of = |interval, retries| Patience {
        interval: quantity::Duration::from_millis(interval),
        retries,
        ..patience()
    };
    for (patience, seen, next) in [
        (of(10, None), REFUSED, 10),
        (of(10, None), status(503), 10),
        (of(2_000, None), status(503), 50),
        (of(2_000, Some(3)), status(503), 2_000),
        (of(2_000, Some(3)), REFUSED, 2_000),
    ] {
        assert_eq!(feed(&mut Progress::new(patience), 0, &seen), asking(next));
    }
}

/// One round at several addresses, that took no time.
fn round(seen: &[(&str, u16)]) -> Round {
    let attempts = seen
        .iter()
        .map(|(address, code)| attempt(address, &status(*code)));
    Round::new(attempts.collect())
}

const A: &str = "10.0.0.1:80";
const B: &str = "10.0.0.2:80";

#[test]
fn an_address_that_joins_late_answers_as_often_as_the_others() {
    let mut progress = Progress::new(Patience {
        threshold: 2,
        ..patience()
    });
    let at = Duration::ZERO;
    progress.feed(round(&[(A, 200)]), at, at);
    assert_eq!(progress.feed(round(&[(A, 200), (B, 200)]), at, at), asking(500));
    assert_eq!(progress.feed(round(&[(A, 200), (B, 200)]), at, at), State::Good);
    let streaks: Vec<u32> = progress.addresses().values().map(|seen| seen.streak).collect();
    assert_eq!((streaks, progress.streak()), (vec![3, 2], 2));
}

#[test]
fn a_name_that_is_lost_for_a_while_begins_from_zero() {
    let mut progress = Progress::new(Patience {
        threshold: 2,
        ..patience()
    });
    let at = Duration::ZERO;
    progress.feed(round(&[(A, 200)]), at, at);
    progress.feed(Round::default(), at, at);
    assert_eq!(progress.feed(round(&[(A, 200)]), at, at), asking(500));
    assert_eq!(progress.feed(round(&[(A, 200)]), at, at), State::Good);
}

#[test]
fn where_any_address_suffices_one_is_enough_and_one_cannot_end_it() {
    let any = || {
        Progress::new(Patience {
            any_address: true,
            threshold: 2,
            ..patience()
        })
    };
    let at = Duration::ZERO;
    let mut progress = any();
    assert_eq!(progress.feed(round(&[(A, 401), (B, 503)]), at, at), asking(50));
    assert_eq!(progress.feed(round(&[(A, 401), (B, 200)]), at, at), asking(500));
    assert_eq!(progress.feed(round(&[(A, 200), (B, 503)]), at, at), State::Good);
    let mut hopeless = any();
    let ended = State::Ended(End::Terminal);
    assert_eq!(hopeless.feed(round(&[(A, 401), (B, 403)]), at, at), ended);
    assert_eq!(any().feed(Round::default(), at, at), asking(50));
    let mut every = Progress::new(patience());
    assert_eq!(every.feed(round(&[(A, 401), (B, 200)]), at, at), ended);
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
    assert_eq!(progress.feed(round(&REFUSED), at, at), asking(50));
    assert_eq!(progress.feed(round(&status(200)), at, at), State::Good);
    assert_eq!(progress.tries(), 4);
    let mut nobody = Progress::new(patience());
    assert_eq!(
        nobody.feed(Round::default(), at, at),
        asking(50),
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
