//! Asking an instance directly whether it is well.

use std::future::Future;
use std::net::SocketAddr;
use std::time::Duration;

use futures::future::try_join_all;
use pilotage_check::{Expectation, Patience};
use pilotage_descriptor::{Ask, Descriptor, Healthcheck};
use pilotage_outcome::{Attempt, CheckOutcome, CheckResult};
use pilotage_probe::{Address, Endpoint, HttpRequest, Probe, Question, Scheme, Watched, watch};
use pilotage_quantity as quantity;

use crate::error::TargetError;
use crate::live::InstanceId;
use crate::port::{Ending, Target};

/// How long a service without a healthcheck may take until it accepts a connection.
const ACCEPT: quantity::Duration = quantity::Duration::from_secs(60);
/// How long something without ports has to run to count as started.
const ALIVE: Duration = Duration::from_secs(1);
/// How often a port is tried that nobody listens on yet: it costs next to nothing.
const WHILE_REFUSED: quantity::Duration = quantity::Duration::from_millis(20);
/// How long the one good answer after the switch may take.
const AGAIN: quantity::Duration = quantity::Duration::from_secs(10);

/// What came out of asking an instance.
#[derive(Clone, Debug)]
pub struct Proved {
    /// Whether it is well.
    pub good: bool,
    /// What was asked, and the answers.
    pub checks: Vec<CheckResult>,
    /// How it ended, when it did while it was asked.
    pub ending: Option<Ending>,
}

/// How thoroughly to ask.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Depth {
    /// As the descriptor says: until the threshold or the time-out; what the service requires as well.
    Whole,
    /// Until one good answer.
    Once,
}

/// Asks an instance directly whether it is well. An instance that ends is not asked any further.
///
/// # Errors
/// When the instance cannot be reached at all, or the descriptor asks what cannot be asked.
pub async fn prove<T: Target, P: Probe>(
    target: &T,
    probe: &P,
    descriptor: &Descriptor,
    instance: InstanceId,
    depth: Depth,
) -> Result<Proved, TargetError> {
    let questions = questions(target, descriptor, instance, depth).await?;
    let asking = async {
        if questions.is_empty() {
            tokio::time::sleep(if depth == Depth::Whole {
                ALIVE
            } else {
                Duration::ZERO
            })
            .await;
            let check = CheckResult::new("alive", CheckOutcome::Passed).reason("it keeps running");
            return (true, vec![check]);
        }
        // The first bad answer decides; the others would only take time.
        let all = try_join_all(questions.iter().map(|(endpoint, patience)| async move {
            let watched = watch(endpoint, patience, probe, std::future::pending()).await;
            let check = check(&endpoint.name, &watched);
            if watched.is_good() { Ok(check) } else { Err(check) }
        }));
        match all.await {
            Ok(checks) => (true, checks),
            Err(check) => (false, vec![check]),
        }
    };
    let alive: &mut (dyn Future<Output = Ending> + Unpin) = &mut Box::pin(target.ended(instance));
    tokio::select! {
        biased;
        ending = alive => {
            let check = CheckResult::new("alive", CheckOutcome::Failed).reason(ending.text.clone());
            Ok(Proved { good: false, checks: vec![check], ending: Some(ending) })
        }
        (good, checks) = asking => Ok(Proved { good, checks, ending: None }),
    }
}

async fn questions<T: Target>(
    target: &T,
    descriptor: &Descriptor,
    instance: InstanceId,
    depth: Depth,
) -> Result<Vec<(Endpoint, Patience)>, TargetError> {
    let mut questions = Vec::new();
    match &descriptor.healthcheck {
        Some(healthcheck) => {
            for endpoint in &healthcheck.endpoints {
                let Some(port) = &endpoint.port else { continue };
                let at = target.reach(instance, port).await?;
                let question = question(&endpoint.ask, port, descriptor, at)
                    .map_err(|reason| TargetError::Instance { instance, reason })?;
                questions.push((question, patience(healthcheck, depth)));
            }
        }
        None => {
            if let Some(port) = descriptor.ports.first() {
                let at = target.reach(instance, &port.name).await?;
                questions.push((tcp(format!("tcp {}", port.name), address(at)), accepting()));
            }
        }
    }
    if depth == Depth::Whole {
        for required in &descriptor.requires {
            let at = Address::new(required.host.as_str(), required.port);
            questions.push((tcp(format!("requires {required}"), at), accepting()));
        }
    }
    Ok(questions)
}

fn question(ask: &Ask, port: &str, descriptor: &Descriptor, at: SocketAddr) -> Result<Endpoint, String> {
    let expectation = ask
        .expectation(descriptor.version.as_str())
        .ok_or("cannot be asked this way")?;
    let (name, question) = match ask {
        Ask::Http { path, answer } => {
            let authority = answer
                .host
                .as_ref()
                .map_or_else(|| at.to_string(), |host| host.as_str().to_owned());
            let request = HttpRequest::get(Scheme::Http, &authority, path, answer.headers())
                .map_err(|error| format!("cannot be asked: {error}"))?;
            (
                format!("http {path} on {port}"),
                Question::Http(Box::new(request)),
            )
        }
        _ => (format!("tcp {port}"), Question::Tcp),
    };
    Ok(Endpoint {
        name,
        at: address(at),
        question,
        expectation,
    })
}

fn address(at: SocketAddr) -> Address {
    Address::new(at.ip().to_string(), at.port())
}

fn tcp(name: String, at: Address) -> Endpoint {
    Endpoint {
        name,
        at,
        question: Question::Tcp,
        expectation: Expectation::Tcp,
    }
}

fn accepting() -> Patience {
    Patience {
        while_refused: Some(WHILE_REFUSED),
        ..Patience::new(ACCEPT)
    }
}

fn patience(healthcheck: &Healthcheck, depth: Depth) -> Patience {
    let whole = Patience {
        while_refused: Some(WHILE_REFUSED),
        ..healthcheck.patience()
    };
    match depth {
        Depth::Whole => whole,
        Depth::Once => Patience {
            timeout: whole.timeout.min(AGAIN),
            threshold: 1,
            ..whole
        },
    }
}

fn check(name: &str, watched: &Watched) -> CheckResult {
    let progress = &watched.progress;
    let outcome = if watched.is_good() {
        CheckOutcome::Passed
    } else {
        CheckOutcome::Failed
    };
    let mut check = CheckResult::new(name, outcome)
        .reason(match progress.last() {
            Some(last) if !watched.is_good() => format!("{}: {}", progress.summary(), last.text),
            _ => progress.summary(),
        })
        .took(progress.elapsed())
        .histogram(progress.histogram().to_string());
    for attempt in progress.attempts() {
        check = check.attempt(
            Attempt::new(
                attempt.started,
                attempt.verdict.is_good(),
                attempt.verdict.said().text.clone(),
            )
            .latency(attempt.took),
        );
    }
    let kept = check.tries;
    check.tries(kept.saturating_add(progress.left_out()))
}
