use std::net::SocketAddr;
use std::pin::pin;
use std::time::Duration;

use futures::stream::{FuturesUnordered, StreamExt};
use pilotage_check::{Attempt, NoAnswer, Observation, Patience, Progress, Round, State, judge};
use tokio::time::{Instant, sleep_until};

use crate::{Endpoint, Probe, Question};

/// How a wait ended: its [`Progress`], and whether it was told to stop.
#[derive(Clone, Debug)]
pub struct Watched {
    /// The fold of all tries: state, timeline, histogram, one-line summary.
    pub progress: Progress,
    /// Whether `cancel` ended it before there was a verdict.
    pub cancelled: bool,
}

impl Watched {
    /// Whether the endpoint answered well often enough.
    #[must_use]
    pub fn is_good(&self) -> bool {
        self.progress.state() == State::Good
    }
}

/// Asks `endpoint` at every address it has, at once and then as often as the patience says, until it was well often enough, the
/// patience is at its end, or `cancel` completes. Never lasts longer than the patience's time-out.
///
/// Pauses count from the start of a round to the start of the next; a round that takes longer is followed at once.
pub async fn watch<P: Probe>(
    endpoint: &Endpoint,
    patience: &Patience,
    probe: &P,
    cancel: impl Future<Output = ()>,
) -> Watched {
    let mut cancel = pin!(cancel);
    let mut progress = Progress::new(patience.clone());
    let begin = Instant::now();
    while let State::Asking { next } = progress.state() {
        tokio::select! {
            biased;
            () = &mut cancel => return Watched { progress, cancelled: true },
            () = sleep_until(begin + next) => {}
        }
        let started = begin.elapsed();
        if started >= patience.timeout.as_std() {
            progress.expire(started);
            break;
        }
        let number = progress.rounds() + 1;
        let round = tokio::select! {
            biased;
            () = &mut cancel => return Watched { progress, cancelled: true },
            round = round(endpoint, patience, probe, number, begin) => round,
        };
        let before = progress.last().cloned();
        progress.feed(round, started, begin.elapsed());
        if let Some(said) = progress.last()
            && before.is_none_or(|before| before.key != said.key)
        {
            let at = endpoint.at.as_ref().map(tracing::field::display);
            tracing::info!(endpoint = endpoint.name, at, round = number, "{}", said.text);
        }
    }
    Watched {
        progress,
        cancelled: false,
    }
}

async fn round<P: Probe>(
    endpoint: &Endpoint,
    patience: &Patience,
    probe: &P,
    number: u32,
    begin: Instant,
) -> Round {
    let started = begin.elapsed();
    let limit = patience.limit_at(started);
    let clipped = limit < patience.try_timeout.as_std();
    let attempt = |address: Option<SocketAddr>, observation: &Observation| {
        let silence = match observation {
            Observation::NoAnswer { cause, .. } => Some(*cause),
            _ => None,
        };
        Attempt {
            round: number,
            address,
            started,
            took: begin.elapsed().saturating_sub(started),
            verdict: judge(&endpoint.expectation, observation),
            silence,
            cut: clipped && silence == Some(NoAnswer::Timeout),
        }
    };
    let Some(at) = &endpoint.at else {
        let observation = match &endpoint.question {
            Question::Exec(command) => probe.execute(command, limit).await,
            _ => Observation::NoAnswer {
                cause: NoAnswer::Dns,
                detail: "nobody says where it is".to_owned(),
                elapsed: Duration::ZERO,
            },
        };
        return Round::new(vec![attempt(None, &observation)]);
    };
    let addresses = match probe.resolve(at, limit).await {
        Ok(addresses) => addresses,
        Err(observation) => return Round::new(vec![attempt(None, &observation)]),
    };
    let left = limit.saturating_sub(begin.elapsed().saturating_sub(started));
    let attempt = &attempt;
    let tries = addresses.into_iter().enumerate().map(|(place, address)| async move {
        let observation = probe.ask(&endpoint.question, address, left).await;
        let attempt = attempt(Some(address), &observation);
        tracing::debug!(endpoint = endpoint.name, %address, round = number, "{}", attempt.verdict.said().text);
        (place, attempt)
    });
    let mut tries: FuturesUnordered<_> = tries.collect();
    let mut attempts = Vec::with_capacity(tries.len());
    while let Some((place, attempt)) = tries.next().await {
        // Whoever is content with one address does not wait for a silent one beside it.
        let enough = patience.any_address && attempt.verdict.is_good();
        attempts.push((place, attempt));
        if enough {
            break;
        }
    }
    // As the look-up ordered them, so that reports do not depend on who was quicker.
    attempts.sort_by_key(|(place, _)| *place);
    Round::new(attempts.into_iter().map(|(_, attempt)| attempt).collect())
}
