use std::collections::HashSet;
use std::net::SocketAddr;

use pilotage_check::{Expectation, GrpcExpectation, HttpExpectation, JsonPath, Patience, VersionSource};
use pilotage_descriptor::{Ask, Descriptor, Endpoint as Described, Host, State};
use pilotage_place::{Finder, PortPlace};
use pilotage_probe::{Address, Endpoint, GrpcRequest, HttpRequest, Question, RequestError, Scheme};
use pilotage_quantity::Duration;

use crate::{Limits, PlanError, Request, Want};

/// What will be asked, where, and for how long.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// What is asked, all at once.
    pub endpoints: Vec<EndpointPlan>,
    /// What is not, and why.
    pub skipped: Vec<SkippedEndpoint>,
    /// Why there is nothing at all, where there is nothing.
    pub nothing: Option<&'static str>,
    /// How long and how often.
    pub patience: Patience,
    /// The version that has to answer, where one is known.
    pub version: Option<String>,
}

/// One endpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EndpointPlan {
    /// What is asked.
    pub endpoint: Endpoint,
    /// How its place was found: `front door`, `--address`.
    pub found: &'static str,
}

/// One endpoint of the descriptor that is not asked from here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SkippedEndpoint {
    /// What people call it.
    pub name: String,
    /// Why.
    pub reason: String,
}

/// What the configuration says of the place where a service runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Surroundings {
    /// Where the target's proxy listens, where that is known.
    pub front_door: Option<SocketAddr>,
    /// Whether commands can be run in its instances from here.
    pub commands: bool,
}

const DEFAULT_TIMEOUT: Duration = Duration::from_secs(60);

/// A plan for URLs.
///
/// # Errors
/// When one of them cannot be asked.
pub fn plan_of_urls(urls: &[String], want: &Want, request: &Request) -> Result<Plan, PlanError> {
    let mut endpoints = Vec::new();
    for url in urls {
        endpoints.push(EndpointPlan {
            endpoint: of_url(url, want, request.expect_version.as_deref()).map_err(|source| {
                PlanError::Url {
                    url: match source {
                        RequestError::Credentials => "the URL".to_owned(),
                        _ => url.clone(),
                    },
                    source,
                }
            })?,
            found: "the URL",
        });
    }
    let http = |plan: &EndpointPlan| matches!(plan.endpoint.question, Question::Http(_));
    if request.expect_version.is_some() && !endpoints.iter().any(http) {
        return Err(PlanError::NoHttp);
    }
    if want.min_tls_days.is_some() && !endpoints.iter().any(|plan| over_tls(&plan.endpoint.question)) {
        return Err(PlanError::NoTls);
    }
    distinguish(&mut endpoints);
    Ok(Plan {
        endpoints,
        skipped: Vec::new(),
        nothing: None,
        patience: patience(Patience::new(DEFAULT_TIMEOUT), request),
        version: request.expect_version.clone(),
    })
}

fn over_tls(question: &Question) -> bool {
    match question {
        Question::Tcp | Question::Exec(_) => false,
        Question::Tls(_) => true,
        Question::Http(request) => request.scheme() == Scheme::Https,
        Question::Grpc(request) => request.scheme() == Scheme::Https,
    }
}

fn of_url(url: &str, want: &Want, version: Option<&str>) -> Result<Endpoint, RequestError> {
    let ask = |at: Address, question, expectation| Endpoint {
        name: url.to_owned(),
        at: Some(at),
        question,
        expectation,
    };
    let min_days = want.min_tls_days;
    match url.split_once("://") {
        Some(("tcp", address)) => {
            let at = address.trim_end_matches('/').parse()?;
            return Ok(ask(at, Question::Tcp, Expectation::Tcp));
        }
        Some(("tls", address)) => {
            let at: Address = address.trim_end_matches('/').parse()?;
            let expectation = Expectation::Tls {
                min_days: min_days.unwrap_or_default(),
            };
            return Ok(ask(at.clone(), Question::Tls(at.host), expectation));
        }
        Some((scheme @ ("grpc" | "grpcs"), rest)) => {
            let (scheme, default) = match scheme {
                "grpcs" => (Scheme::Https, Some(":443")),
                _ => (Scheme::Http, None),
            };
            let (address, service) = rest.split_once('/').unwrap_or((rest, ""));
            let at: Address = match (address.parse(), default) {
                (Err(_), Some(default)) => format!("{address}{default}").parse()?,
                (parsed, _) => parsed?,
            };
            let authority = want.host.clone().unwrap_or_else(|| at.to_string());
            let request = GrpcRequest::new(scheme, &authority, service)?;
            let expectation = Expectation::Grpc(GrpcExpectation {
                service: service.to_owned(),
                min_days: min_days.filter(|_| scheme == Scheme::Https),
            });
            return Ok(ask(at, Question::Grpc(Box::new(request)), expectation));
        }
        _ => {}
    }
    let host = want.host.iter().map(|host| ("host", host.as_str()));
    let (request, at) = HttpRequest::of_url(url, host)?;
    let source = || want.version.clone().or_else(default_source);
    let expectation = HttpExpectation {
        status: want.status.clone(),
        contains: want.contains.clone(),
        version: version.and_then(|version| Some((source()?, version.to_owned()))),
        min_days: min_days.filter(|_| request.scheme() == Scheme::Https),
    };
    Ok(ask(
        at,
        Question::Http(Box::new(request)),
        Expectation::Http(expectation),
    ))
}

/// Where most services say their version.
fn default_source() -> Option<VersionSource> {
    "$.version".parse::<JsonPath>().ok().map(VersionSource::Json)
}

/// A plan for the endpoints of a descriptor, asked as its users ask.
///
/// `places` says where ports are and wins.
///
/// # Errors
/// When an endpoint cannot be asked, or it cannot be known where.
pub fn plan_of_descriptor(
    descriptor: &Descriptor,
    places: &[PortPlace],
    surroundings: Surroundings,
    request: &Request,
) -> Result<Plan, PlanError> {
    if let Some(place) = places.iter().find(|place| descriptor.port(&place.port).is_none()) {
        return Err(PlanError::NoPort {
            port: place.port.clone(),
        });
    }
    let version = request
        .expect_version
        .clone()
        .unwrap_or_else(|| descriptor.version.to_string());
    let mut plan = Plan {
        endpoints: Vec::new(),
        skipped: Vec::new(),
        nothing: None,
        patience: patience(Patience::new(DEFAULT_TIMEOUT), request),
        version: Some(version.clone()),
    };
    let check = match (&descriptor.healthcheck, descriptor.state) {
        (_, State::Retired) => {
            plan.nothing = Some("the service is retired");
            return Ok(plan);
        }
        (Some(check), State::Active) if !check.endpoints.is_empty() => check,
        (_, State::Active) => {
            plan.nothing = Some("the descriptor has no healthcheck endpoints");
            return Ok(plan);
        }
    };
    plan.patience = patience(check.patience(), request);
    let finder = Finder {
        descriptor,
        said: places,
        front_door: surroundings.front_door,
        within: None,
    };
    for (index, described) in check.endpoints.iter().enumerate() {
        match of_described(&finder, surroundings.commands, index, described, &version)? {
            Ok(endpoint) => plan.endpoints.push(endpoint),
            Err(skipped) => plan.skipped.push(skipped),
        }
    }
    if plan.endpoints.is_empty() {
        plan.nothing = Some("no endpoint of the descriptor can be asked from here");
    }
    let says_version = |plan: &EndpointPlan| matches!(&plan.endpoint.expectation, Expectation::Http(http) if http.version.is_some());
    if request.expect_version.is_some() && !plan.endpoints.iter().any(says_version) {
        return Err(PlanError::NoVersion);
    }
    distinguish(&mut plan.endpoints);
    Ok(plan)
}

/// With the limits that were said on the command line.
fn patience(from: Patience, request: &Request) -> Patience {
    let Limits {
        timeout,
        interval,
        try_timeout,
        threshold,
        retries,
    } = request.limits.clone();
    let timeout = timeout.unwrap_or(from.timeout);
    Patience {
        timeout,
        interval: interval.unwrap_or(from.interval),
        try_timeout: try_timeout.unwrap_or(from.try_timeout),
        threshold: threshold.unwrap_or(from.threshold),
        retries: retries.or(from.retries),
        grace: Patience::grace_of(timeout),
        fail_fast: !request.keep_trying,
        any_address: request.any_address,
    }
}

/// Report readers tell checks apart by their names.
fn distinguish(endpoints: &mut [EndpointPlan]) {
    let mut seen = HashSet::new();
    for plan in endpoints {
        let base = plan.endpoint.name.clone();
        let mut number = 1;
        while !seen.insert(plan.endpoint.name.clone()) {
            number += 1;
            plan.endpoint.name = format!("{base} #{number}");
        }
    }
}

/// One endpoint of the descriptor, or why it is not asked from here.
fn of_described(
    finder: &Finder<'_>,
    commands: bool,
    index: usize,
    described: &Described,
    version: &str,
) -> Result<Result<EndpointPlan, SkippedEndpoint>, PlanError> {
    let expectation = described.expectation(version);
    if let Ask::Exec { argv } = &described.ask {
        let name = format!("exec {}", argv.join(" "));
        if !commands {
            let reason = "a command runs in the instance: deploy runs it there, and pilotage-healthcheck where --config names a target \
                          whose instances it can enter"
                .to_owned();
            return Ok(Err(SkippedEndpoint { name, reason }));
        }
        return Ok(Ok(EndpointPlan {
            endpoint: Endpoint {
                name,
                at: None,
                question: Question::Exec(argv.clone()),
                expectation,
            },
            found: "its labels",
        }));
    }
    let name = described.port.as_deref().unwrap_or_default();
    let port = finder.descriptor.port(name).ok_or_else(|| PlanError::NoPort {
        port: name.to_owned(),
    })?;
    let (name, path) = match &described.ask {
        Ask::Http { path, .. } => (format!("http {path} ({})", port.name), path.as_str()),
        Ask::Grpc { service } if service.is_empty() => (format!("grpc ({})", port.name), "/"),
        Ask::Grpc { service } => (format!("grpc {service} ({})", port.name), "/"),
        _ if described.tls.is_some() => (format!("tls {}", port.name), "/"),
        _ => (format!("tcp {}", port.name), "/"),
    };
    let Some(place) = finder.find(port, path)? else {
        let port = &port.name;
        let reason = format!(
            "port `{port}` is internal: deploy asks it at the instance itself; --address {port}=HOST:PORT asks it from here"
        );
        return Ok(Err(SkippedEndpoint { name, reason }));
    };
    let place = match described.tls {
        Some(_) => place.over_tls(),
        None => place,
    };
    let invalid = |source| PlanError::Endpoint { index, source };
    let question = match &described.ask {
        Ask::Http { path, answer } => {
            let authority = answer.host.as_ref().map_or(place.authority, Host::authority);
            let request = HttpRequest::get(place.scheme, &authority, path, answer.headers());
            Question::Http(Box::new(request.map_err(invalid)?))
        }
        Ask::Grpc { service } => {
            let request = GrpcRequest::new(place.scheme, &place.authority, service);
            Question::Grpc(Box::new(request.map_err(invalid)?))
        }
        _ if described.tls.is_some() => Question::Tls(host_of(&place.authority).to_owned()),
        _ => Question::Tcp,
    };
    Ok(Ok(EndpointPlan {
        endpoint: Endpoint {
            name,
            at: Some(place.at),
            question,
            expectation,
        },
        found: place.found,
    }))
}

/// The host of `shop.example.com:8443` and of `[::1]:8443`.
fn host_of(authority: &str) -> &str {
    let host = match authority.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|b| b.is_ascii_digit()) && !host.ends_with(':') => host,
        _ => authority,
    };
    host.trim_start_matches('[').trim_end_matches(']')
}
