//! Asking an instance directly whether it is well.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::time::Duration;

use futures::future::try_join_all;
use pilotage_check::{Expectation, Observation, Patience};
use pilotage_descriptor::{Ask, Descriptor, Endpoint as Described, Healthcheck, Host, Kind, Publish};
use pilotage_outcome::{Attempt, CheckOutcome, CheckResult};
use pilotage_probe::{
    Address, Endpoint, GrpcRequest, HttpRequest, Probe, Question, RequestError, Scheme, Watched, watch,
};
use pilotage_quantity as quantity;

use crate::error::TargetError;
use crate::live::Replica;
use crate::port::{Setback, Target};

/// How long a service without a healthcheck may take until it accepts a connection.
const ACCEPT: quantity::Duration = quantity::Duration::from_secs(60);
/// How long something without ports has to run to count as started.
const ALIVE: Duration = Duration::from_secs(1);
/// How long it may take to find out that an instance which cannot be reached has ended.
const ENDED: Duration = Duration::from_secs(1);
/// How long it may take to find out how one ended of which it is known that it did, and what it said last.
const LAST_WORDS: Duration = Duration::from_secs(15);
/// How long the one good answer after the switch may take.
const AGAIN: quantity::Duration = quantity::Duration::from_secs(10);

/// How often it is looked at who listens while an instance is asked.
const LOOK: Duration = Duration::from_millis(100);

/// What came out of asking an instance.
#[derive(Clone, Debug)]
pub struct Proved {
    /// Whether it is well.
    pub good: bool,
    /// What was asked, and the answers.
    pub checks: Vec<CheckResult>,
    /// Whether starting it again may help.
    pub again: bool,
}

/// How thoroughly to ask.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Depth {
    /// As the descriptor says: until the threshold or the time-out; what the service requires as well.
    Whole,
    /// Until one good answer.
    Once,
}

/// Asks a replica directly whether it is well; a job is well when it has ended well, and that is waited for. One that ends, or in whose place somebody else answers, is not
/// asked any further.
///
/// # Errors
/// When the instance cannot be reached at all, or the descriptor asks what cannot be asked.
pub async fn prove<T: Target, P: Probe>(
    target: &T,
    probe: &P,
    descriptor: &Descriptor,
    of: Replica,
    depth: Depth,
) -> Result<Proved, TargetError> {
    if descriptor.kind == Kind::Job {
        return Ok(to_its_end(target, of).await);
    }
    let questions = match questions(target, descriptor, of, depth).await {
        Ok(questions) => questions,
        // One that has ended already cannot be reached, and that it has ended says more.
        Err(error) => return Ok(set_back("alive", ending(target, of, error).await?)),
    };
    let ports: BTreeSet<&str> = questions.iter().filter_map(|question| question.port).collect();
    let asking = async {
        let inside = Inside {
            target,
            probe,
            replica: of,
        };
        let checks = ask(&questions, &inside, depth).await;
        let good = checks.iter().all(|check| check.outcome == CheckOutcome::Passed);
        // A good answer counts only when it was the instance that gave it.
        let found = if good {
            stranger(target, of, &ports).await
        } else {
            None
        };
        (good, checks, found)
    };
    let intruded = async {
        loop {
            if let Some(found) = stranger(target, of, &ports).await {
                return found;
            }
            tokio::time::sleep(LOOK).await;
        }
    };
    Ok(tokio::select! {
        biased;
        ending = target.ended(of) => set_back("alive", ending),
        found = intruded, if !ports.is_empty() => set_back("listener", found),
        (good, checks, found) = asking => match found {
            Some(found) => set_back("listener", found),
            None => Proved { good, checks, again: false },
        },
    })
}

/// Waits for the end of a job.
async fn to_its_end<T: Target>(target: &T, of: Replica) -> Proved {
    let end = target.ended(of).await;
    match end.done {
        true => Proved {
            good: true,
            checks: vec![CheckResult::new("exit", CheckOutcome::Passed).reason(end.text)],
            again: false,
        },
        false => set_back("exit", end),
    }
}

/// What `descriptor` requires and whether it can be reached, before something is started that needs it from its first
/// moment on.
pub(crate) async fn required<T: Target, P: Probe>(
    target: &T,
    probe: &P,
    descriptor: &Descriptor,
) -> Vec<CheckResult> {
    let questions = requirements(target, descriptor).await;
    match questions.is_empty() {
        true => Vec::new(),
        false => ask(&questions, probe, Depth::Whole).await,
    }
}

/// How the instance ended, when that is what `error` comes from. That it has ended is an answer and not the want of one,
/// whenever it happened.
///
/// # Errors
/// With `error`, when the instance has not ended as far as can be told.
pub(crate) async fn ending<T: Target>(
    target: &T,
    of: Replica,
    error: TargetError,
) -> Result<Setback, TargetError> {
    let known = matches!(error, TargetError::Ended { .. });
    let limit = if known { LAST_WORDS } else { ENDED };
    match tokio::time::timeout(limit, target.ended(of)).await {
        Ok(ending) => Ok(ending),
        Err(_) if known => Ok(Setback::new("it ended, and how cannot be found out")),
        Err(_) => Err(error),
    }
}

fn set_back(check: &str, setback: Setback) -> Proved {
    Proved {
        good: false,
        checks: vec![CheckResult::new(check, CheckOutcome::Failed).reason(setback.text)],
        again: setback.again,
    }
}

/// Who else listens on one of the ports that are asked.
async fn stranger<T: Target>(target: &T, of: Replica, ports: &BTreeSet<&str>) -> Option<Setback> {
    for port in ports {
        let found = target.stranger(of, port).await;
        if found.is_some() {
            return found;
        }
    }
    None
}

/// The answers; the first bad one alone, as the others would only take time.
async fn ask<P: Probe>(questions: &[Asked<'_>], probe: &P, depth: Depth) -> Vec<CheckResult> {
    if questions.is_empty() {
        let long_enough = if depth == Depth::Whole {
            ALIVE
        } else {
            Duration::ZERO
        };
        tokio::time::sleep(long_enough).await;
        return vec![CheckResult::new("alive", CheckOutcome::Passed).reason("it keeps running")];
    }
    let all = try_join_all(questions.iter().map(|asked| async move {
        let watched = watch(&asked.endpoint, &asked.patience, probe, std::future::pending()).await;
        let check = check(asked, &watched);
        if watched.is_good() { Ok(check) } else { Err(check) }
    }));
    all.await.unwrap_or_else(|bad| vec![bad])
}

/// One question.
struct Asked<'d> {
    endpoint: Endpoint,
    patience: Patience,
    /// The port of the instance; none for a command in it.
    port: Option<&'d str>,
    /// Whether it is the instance that is asked, and not somebody whom the service requires.
    own: bool,
}

/// Asks an instance over the network, and runs commands in it.
struct Inside<'a, T, P> {
    target: &'a T,
    probe: &'a P,
    replica: Replica,
}

impl<T: Target, P: Probe> Probe for Inside<'_, T, P> {
    async fn resolve(&self, at: &Address, limit: Duration) -> Result<Vec<SocketAddr>, Observation> {
        self.probe.resolve(at, limit).await
    }

    async fn ask(&self, question: &Question, to: SocketAddr, limit: Duration) -> Observation {
        self.probe.ask(question, to, limit).await
    }

    async fn execute(&self, command: &[String], limit: Duration) -> Observation {
        self.target.execute(self.replica, command, limit).await
    }
}

async fn questions<'d, T: Target>(
    target: &T,
    descriptor: &'d Descriptor,
    of: Replica,
    depth: Depth,
) -> Result<Vec<Asked<'d>>, TargetError> {
    let mut questions = Vec::new();
    match &descriptor.healthcheck {
        Some(healthcheck) => {
            for endpoint in &healthcheck.endpoints {
                if let Ask::Exec { argv } = &endpoint.ask {
                    questions.push(Asked {
                        endpoint: Endpoint {
                            name: format!("exec {}", argv.join(" ")),
                            at: None,
                            question: Question::Exec(argv.clone()),
                            expectation: endpoint.expectation(descriptor.version.as_str()),
                        },
                        patience: patience(healthcheck, depth),
                        port: None,
                        own: true,
                    });
                    continue;
                }
                let Some(port) = endpoint.port.as_deref() else {
                    continue;
                };
                let at = target.reach(of, port).await?;
                let endpoint =
                    question(endpoint, port, descriptor, at).map_err(|error| TargetError::Instance {
                        instance: of.instance,
                        reason: format!("cannot be asked: {error}"),
                    })?;
                questions.push(Asked {
                    endpoint,
                    patience: patience(healthcheck, depth),
                    port: Some(port),
                    own: true,
                });
            }
        }
        None => {
            if let Some(port) = descriptor.ports.first() {
                let at = target.reach(of, &port.name).await?;
                questions.push(Asked {
                    endpoint: tcp(format!("tcp {}", port.name), address(at)),
                    patience: Patience::new(ACCEPT),
                    port: Some(&port.name),
                    own: true,
                });
            }
        }
    }
    if depth == Depth::Whole {
        questions.extend(requirements(target, descriptor).await);
    }
    Ok(questions)
}

/// Whether what the service requires can be reached.
async fn requirements<T: Target>(target: &T, descriptor: &Descriptor) -> Vec<Asked<'static>> {
    let timeout = descriptor
        .healthcheck
        .as_ref()
        .map_or(ACCEPT, |check| check.timeout);
    let mut questions = Vec::new();
    for required in &descriptor.requires {
        let at = match target.peer(required.host.as_str()).await {
            Some(peer) => address(SocketAddr::new(peer, required.port)),
            None => Address::new(required.host.as_str(), required.port),
        };
        questions.push(Asked {
            endpoint: tcp(format!("requires {required}"), at),
            patience: Patience::new(timeout),
            port: None,
            own: false,
        });
    }
    questions
}

/// How an endpoint is asked at the instance itself: over TLS where it says so, unless that is what its proxy is for.
fn question(
    described: &Described,
    port: &str,
    descriptor: &Descriptor,
    at: SocketAddr,
) -> Result<Endpoint, RequestError> {
    let proxied = descriptor
        .port(port)
        .is_some_and(|port| port.publish == Publish::Proxy);
    let described = Described {
        tls: described.tls.clone().filter(|_| !proxied),
        ..described.clone()
    };
    // The name that the certificate is for.
    let domain = match (&described.tls, &descriptor.domain) {
        (Some(_), Some(domain)) => Some(domain.to_string()),
        _ => None,
    };
    let scheme = match described.tls {
        Some(_) => Scheme::Https,
        None => Scheme::Http,
    };
    let authority = || match &domain {
        Some(domain) => format!("{domain}:{}", at.port()),
        None => at.to_string(),
    };
    let (name, question) = match &described.ask {
        Ask::Http { path, answer } => {
            let authority = answer.host.as_ref().map_or_else(authority, Host::authority);
            let request = HttpRequest::get(scheme, &authority, path, answer.headers())?;
            (
                format!("http {path} on {port}"),
                Question::Http(Box::new(request)),
            )
        }
        Ask::Grpc { service } => {
            let request = GrpcRequest::new(scheme, &authority(), service)?;
            let name = match service.as_str() {
                "" => format!("grpc on {port}"),
                service => format!("grpc {service} on {port}"),
            };
            (name, Question::Grpc(Box::new(request)))
        }
        _ if described.tls.is_some() => (
            format!("tls {port}"),
            Question::Tls(domain.unwrap_or_else(|| at.ip().to_string())),
        ),
        _ => (format!("tcp {port}"), Question::Tcp),
    };
    Ok(Endpoint {
        name,
        at: Some(address(at)),
        question,
        expectation: described.expectation(descriptor.version.as_str()),
    })
}

fn address(at: SocketAddr) -> Address {
    Address::new(at.ip().to_string(), at.port())
}

fn tcp(name: String, at: Address) -> Endpoint {
    Endpoint {
        name,
        at: Some(at),
        question: Question::Tcp,
        expectation: Expectation::Tcp,
    }
}

fn patience(healthcheck: &Healthcheck, depth: Depth) -> Patience {
    let whole = healthcheck.patience();
    match depth {
        Depth::Whole => whole,
        Depth::Once => Patience {
            timeout: whole.timeout.min(AGAIN),
            threshold: 1,
            ..whole
        },
    }
}

fn check(asked: &Asked<'_>, watched: &Watched) -> CheckResult {
    let progress = &watched.progress;
    let outcome = match (watched.is_good(), asked.own) {
        (true, _) => CheckOutcome::Passed,
        (false, true) => CheckOutcome::Failed,
        // That somebody else does not answer says nothing of this version.
        (false, false) => CheckOutcome::Unavailable,
    };
    let mut check = CheckResult::new(asked.endpoint.name.as_str(), outcome)
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

#[cfg(test)]
mod tests {
    use pilotage_descriptor::Source;

    use super::*;

    #[test]
    fn tls_is_asked_of_the_instance_unless_its_proxy_speaks_it() {
        let text = "\
version: \"1\"
image: shop
domain: shop.example.com
ports:
  - {name: http, port: 8080, publish: proxy}
  - {name: grpc, port: 9000, publish: {host: 9000}}
  - {name: raw, port: 9001}
healthcheck:
  endpoints:
    - {http: /health, port: http, tls: {min_days: 14}}
    - {grpc: shop.Orders, port: grpc, tls: {min_days: 14}}
    - {grpc: \"\", port: raw}
    - {tcp: raw, tls: {}}
    - {tcp: raw}
";
        let descriptor = Descriptor::read(&Source::new("shop.yaml", text)).unwrap();
        let at = "10.0.0.5:9000".parse().unwrap();
        let endpoints = &descriptor.healthcheck.as_ref().unwrap().endpoints;
        let asked: Vec<String> = endpoints
            .iter()
            .map(|endpoint| {
                let asked = question(endpoint, endpoint.port.as_deref().unwrap(), &descriptor, at).unwrap();
                let how = match &asked.question {
                    Question::Http(request) => format!("{}://{}", request.scheme(), request.authority()),
                    Question::Grpc(request) => format!("{}://{}", request.scheme(), request.authority()),
                    Question::Tls(name) => format!("tls {name}"),
                    Question::Tcp => "open".to_owned(),
                    Question::Exec(command) => command.join(" "),
                };
                let days = match &asked.expectation {
                    Expectation::Http(http) => http.min_days,
                    Expectation::Grpc(grpc) => grpc.min_days,
                    Expectation::Tls { min_days } => Some(*min_days),
                    Expectation::Tcp | Expectation::Exit => None,
                };
                format!("{}: {how}, {days:?} days", asked.name)
            })
            .collect();
        assert_eq!(
            asked,
            [
                "http /health on http: http://10.0.0.5:9000, None days",
                "grpc shop.Orders on grpc: https://shop.example.com:9000, Some(14) days",
                "grpc on raw: http://10.0.0.5:9000, None days",
                "tls raw: tls shop.example.com, Some(0) days",
                "tcp raw: open, None days",
            ]
        );
    }
}
