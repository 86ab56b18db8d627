//! The wait, on a paused clock: when it asks, and when it ends.

#![expect(
    clippy::unwrap_used,
    reason = "a helper of a test fails the test by panicking"
)]

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Mutex;
use std::time::Duration;

use pilotage_check::{End, Expectation, HttpAnswer, HttpExpectation, NoAnswer, Observation, Patience, State};
use pilotage_probe::{Address, Endpoint, HttpRequest, Probe, Question, Scheme, Watched, watch};
use pilotage_quantity as quantity;
use tokio::time::{Instant, sleep};

/// What one try sees, and how long it takes in milliseconds.
type Seen = (u64, Observation);

fn status(status: u16) -> Observation {
    Observation::Http(HttpAnswer {
        status,
        ..HttpAnswer::default()
    })
}

fn silent(cause: NoAnswer) -> Observation {
    Observation::NoAnswer {
        cause,
        detail: String::new(),
        elapsed: Duration::ZERO,
    }
}

/// A service at fixed addresses whose answers are scripted; the last one of each address repeats.
struct Scripted {
    begin: Instant,
    script: Vec<(SocketAddr, Mutex<VecDeque<Seen>>)>,
    asked: Mutex<Vec<(u64, String, u64)>>,
}

impl Scripted {
    fn new(script: &[(&str, &[Seen])]) -> Self {
        Self {
            begin: Instant::now(),
            script: script
                .iter()
                .map(|(address, seen)| {
                    (
                        address.parse().unwrap(),
                        Mutex::new(seen.iter().cloned().collect()),
                    )
                })
                .collect(),
            asked: Mutex::default(),
        }
    }

    /// When each try began, in milliseconds.
    fn times(&self) -> Vec<u64> {
        self.asked.lock().unwrap().iter().map(|(at, ..)| *at).collect()
    }
}

impl Probe for Scripted {
    async fn resolve(&self, _: &Address, _: Duration) -> Result<Vec<SocketAddr>, Observation> {
        if self.script.is_empty() {
            return Err(silent(NoAnswer::Dns));
        }
        Ok(self.script.iter().map(|(address, _)| *address).collect())
    }

    async fn ask(&self, _: &Question, to: SocketAddr, limit: Duration) -> Observation {
        let millis = |time: Duration| u64::try_from(time.as_millis()).unwrap();
        let at = millis(self.begin.elapsed());
        self.asked
            .lock()
            .unwrap()
            .push((at, to.to_string(), millis(limit)));
        let (_, script) = self.script.iter().find(|(address, _)| *address == to).unwrap();
        let (takes, seen) = {
            let mut script = script.lock().unwrap();
            if script.len() > 1 {
                script.pop_front().unwrap()
            } else {
                script.front().cloned().unwrap()
            }
        };
        let takes = Duration::from_millis(takes);
        sleep(takes.min(limit)).await;
        if takes >= limit {
            silent(NoAnswer::Timeout)
        } else {
            seen
        }
    }
}

fn endpoint() -> Endpoint {
    Endpoint {
        name: "http /health".to_owned(),
        at: Some(Address::new("shop", 80)),
        question: Question::Http(Box::new(
            HttpRequest::get(Scheme::Http, "shop", "/health", []).unwrap(),
        )),
        expectation: Expectation::Http(HttpExpectation::default()),
    }
}

fn patience(timeout_ms: u64) -> Patience {
    Patience::new(quantity::Duration::from_millis(timeout_ms))
}

async fn run(scripted: &Scripted, patience: &Patience) -> Watched {
    watch(&endpoint(), patience, scripted, std::future::pending()).await
}

const A: &str = "10.0.0.1:80";
const B: &str = "10.0.0.2:80";

#[tokio::test(start_paused = true)]
async fn it_asks_at_once_and_then_from_start_to_start() {
    let scripted = Scripted::new(&[(
        A,
        &[
            (0, silent(NoAnswer::Refused)),
            (200, status(503)),
            (700, status(503)),
            (10, status(200)),
        ],
    )]);
    let watched = run(&scripted, &patience(30_000)).await;
    assert!(watched.is_good());
    assert_eq!(
        scripted.times(),
        [0, 20, 220, 920],
        "a slow try is followed at once"
    );
    assert_eq!(
        watched.progress.summary(),
        "good after 4 tries in 930ms; last: 200 (1×), 503 (2×), refused (1×)"
    );
}

#[tokio::test(start_paused = true)]
async fn a_try_ends_by_its_own_limit_and_the_last_one_by_the_timeout() {
    let scripted = Scripted::new(&[(A, &[(0, status(503)), (60_000, status(200))])]);
    let begin = Instant::now();
    let watched = run(&scripted, &patience(5_000)).await;
    assert_eq!(begin.elapsed(), Duration::from_secs(5), "the end is hard");
    let limits: Vec<u64> = scripted
        .asked
        .lock()
        .unwrap()
        .iter()
        .map(|(.., limit)| *limit)
        .collect();
    assert_eq!(scripted.times(), [0, 50, 3_050]);
    assert_eq!(limits, [3_000, 3_000, 1_950]);
    assert_eq!(watched.progress.state(), State::Ended(End::Timeout));
    assert_eq!(
        watched.progress.summary(),
        "timeout 5s reached after 3 tries; last: timeout (1×), 503 (1×)",
        "the try that was cut is in no count of what was seen"
    );
}

#[tokio::test(start_paused = true)]
async fn nothing_is_asked_after_the_end() {
    let scripted = Scripted::new(&[(A, &[(0, status(503))])]);
    let watched = run(&scripted, &patience(1_200)).await;
    assert_eq!(scripted.times().last(), Some(&1_183));
    assert_eq!(watched.progress.elapsed(), Duration::from_millis(1_200));
}

#[tokio::test(start_paused = true)]
async fn every_address_is_asked_in_every_round() {
    let scripted = Scripted::new(&[
        (A, &[(0, status(200))]),
        (B, &[(100, status(503)), (0, status(200))]),
    ]);
    let watched = run(&scripted, &patience(30_000)).await;
    assert!(watched.is_good());
    assert_eq!(scripted.times(), [0, 0, 100, 100]);
}

#[tokio::test(start_paused = true)]
async fn a_name_without_address_is_asked_again() {
    let watched = run(&Scripted::new(&[]), &patience(1_000)).await;
    assert_eq!(
        watched.progress.summary(),
        "timeout 1s reached after 18 tries; last: dns (18×)"
    );
    assert!(!watched.progress.answered());
}

#[tokio::test(start_paused = true)]
async fn a_cancelled_wait_keeps_what_it_saw() {
    let scripted = Scripted::new(&[(A, &[(0, status(503)), (2_000, status(200))])]);
    let begin = Instant::now();
    let cancel = sleep(Duration::from_millis(700));
    let watched = watch(&endpoint(), &patience(30_000), &scripted, cancel).await;
    assert_eq!(
        begin.elapsed(),
        Duration::from_millis(700),
        "in the middle of a try"
    );
    assert!(watched.cancelled && !watched.is_good());
    assert_eq!(
        watched.progress.summary(),
        "not decided after 1 try in 0ms; last: 503 (1×)"
    );
}

#[tokio::test(start_paused = true)]
async fn nobody_listening_is_asked_most_often() {
    let scripted = Scripted::new(&[(
        A,
        &[
            (0, silent(NoAnswer::Refused)),
            (0, silent(NoAnswer::Refused)),
            (0, status(503)),
            (0, status(200)),
        ],
    )]);
    assert!(run(&scripted, &patience(30_000)).await.is_good());
    assert_eq!(scripted.times(), [0, 20, 40, 90]);
}

#[tokio::test(start_paused = true)]
async fn a_trouble_of_a_minute_costs_few_questions() {
    for (seen, most) in [(silent(NoAnswer::Refused), 450), (status(503), 160)] {
        let scripted = Scripted::new(&[(A, &[(0, seen)])]);
        assert!(!run(&scripted, &patience(60_000)).await.is_good());
        let asked = scripted.times().len();
        assert!((most - 50..most).contains(&asked), "{asked}");
    }
}

#[tokio::test(start_paused = true)]
async fn where_any_address_suffices_a_silent_one_holds_nothing_up() {
    let scripted = Scripted::new(&[(A, &[(60_000, status(200))]), (B, &[(100, status(200))])]);
    let patience = Patience {
        any_address: true,
        ..patience(30_000)
    };
    let begin = Instant::now();
    assert!(run(&scripted, &patience).await.is_good());
    assert_eq!(begin.elapsed(), Duration::from_millis(100));
}
