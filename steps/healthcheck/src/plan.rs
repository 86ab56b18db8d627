use std::collections::HashSet;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use pilotage_check::{Expectation, HttpExpectation, JsonPath, Patience, VersionSource};
use pilotage_descriptor::{Ask, Descriptor, Endpoint as Described, Port, Publish, Route, State};
use pilotage_probe::{Address, Endpoint, HttpRequest, Question, RequestError, Scheme};
use pilotage_quantity::Duration;

use crate::{Limits, PlanError, PortPlace, Request, Want};

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
    distinguish(&mut endpoints);
    Ok(Plan {
        endpoints,
        skipped: Vec::new(),
        nothing: None,
        patience: patience(Patience::new(DEFAULT_TIMEOUT), request),
        version: request.expect_version.clone(),
    })
}

fn of_url(url: &str, want: &Want, version: Option<&str>) -> Result<Endpoint, RequestError> {
    if let Some(address) = url.strip_prefix("tcp://") {
        return Ok(Endpoint {
            name: url.to_owned(),
            at: address
                .trim_end_matches('/')
                .parse()
                .map_err(RequestError::Address)?,
            question: Question::Tcp,
            expectation: Expectation::Tcp,
        });
    }
    let host = want.host.iter().map(|host| ("host", host.as_str()));
    let (request, at) = HttpRequest::of_url(url, host)?;
    let source = || want.version.clone().or_else(default_source);
    let expectation = HttpExpectation {
        status: want.status.clone(),
        contains: want.contains.clone(),
        version: version.and_then(|version| Some((source()?, version.to_owned()))),
    };
    Ok(Endpoint {
        name: url.to_owned(),
        at,
        question: Question::Http(Box::new(request)),
        expectation: Expectation::Http(expectation),
    })
}

/// Where most services say their version.
fn default_source() -> Option<VersionSource> {
    "$.version".parse::<JsonPath>().ok().map(VersionSource::Json)
}

/// A plan for the endpoints of a descriptor, asked as its users ask.
///
/// `places` says where ports are and wins; `front_door` is where the target's proxy listens, where that is known.
///
/// # Errors
/// When an endpoint cannot be asked, or it cannot be known where.
pub fn plan_of_descriptor(
    descriptor: &Descriptor,
    places: &[PortPlace],
    front_door: Option<SocketAddr>,
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
        places,
        front_door,
        version: &version,
    };
    for (index, described) in check.endpoints.iter().enumerate() {
        match finder.endpoint(index, described)? {
            Ok(endpoint) => plan.endpoints.push(endpoint),
            Err(skipped) => plan.skipped.push(skipped),
        }
    }
    if plan.endpoints.is_empty() {
        plan.nothing = Some("no endpoint of the descriptor can be asked from outside");
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

/// Finds where the endpoints of one descriptor are.
struct Finder<'d> {
    descriptor: &'d Descriptor,
    places: &'d [PortPlace],
    front_door: Option<SocketAddr>,
    version: &'d str,
}

/// Where a port is found.
struct Found {
    scheme: Scheme,
    at: Address,
    how: &'static str,
}

impl Finder<'_> {
    fn endpoint(
        &self,
        index: usize,
        described: &Described,
    ) -> Result<Result<EndpointPlan, SkippedEndpoint>, PlanError> {
        let Some(expectation) = described.ask.expectation(self.version) else {
            return Err(PlanError::Unsupported {
                index,
                kind: described.ask.word(),
            });
        };
        let name = described.port.as_deref().unwrap_or_default();
        let port = self.descriptor.port(name).ok_or_else(|| PlanError::NoPort {
            port: name.to_owned(),
        })?;
        let (name, path) = match &described.ask {
            Ask::Http { path, .. } => (format!("http {path} ({})", port.name), path.as_str()),
            _ => (format!("tcp {}", port.name), "/"),
        };
        let route = route(port, path);
        let Some(found) = self.find(port, route)? else {
            let port = &port.name;
            let reason = format!(
                "port `{port}` is internal: deploy asks it at the instance itself; --address {port}=HOST:PORT asks it from here"
            );
            return Ok(Err(SkippedEndpoint { name, reason }));
        };
        let question = match &described.ask {
            Ask::Http { path, answer } => {
                // As a user's request names it: the route's host, which the front door needs to find the service.
                let authority = match (&answer.host, route) {
                    (Some(host), _) => bracketed(host.as_str()),
                    (None, Some(route)) => bracketed(route.host.as_str()),
                    (None, None) => found.at.to_string(),
                };
                let request = HttpRequest::get(found.scheme, &authority, path, answer.headers())
                    .map_err(|source| PlanError::Endpoint { index, source })?;
                Question::Http(Box::new(request))
            }
            _ => Question::Tcp,
        };
        Ok(Ok(EndpointPlan {
            endpoint: Endpoint {
                name,
                at: found.at,
                question,
                expectation,
            },
            found: found.how,
        }))
    }

    fn find(&self, port: &Port, route: Option<&Route>) -> Result<Option<Found>, PlanError> {
        if let Some(place) = self.places.iter().find(|place| place.port == port.name) {
            return Ok(Some(Found {
                scheme: place.scheme,
                at: place.at.clone(),
                how: "--address",
            }));
        }
        let http = |at, how| {
            Ok(Some(Found {
                scheme: Scheme::Http,
                at,
                how,
            }))
        };
        let no_place = || PlanError::NoPlace {
            port: port.name.clone(),
        };
        match (port.publish, self.front_door, route) {
            (Publish::Internal, _, _) => Ok(None),
            (Publish::Proxy, Some(door), _) => http(
                Address::new(reachable(door.ip()).to_string(), door.port()),
                "front door",
            ),
            (Publish::Proxy, None, Some(route)) => {
                http(Address::new(route.host.as_str(), 80), "the route's host")
            }
            (Publish::Proxy, None, None) => Err(no_place()),
            (Publish::Host { host, bind }, _, _) if !bind.is_unspecified() => {
                http(Address::new(bind.to_string(), host), "the published port")
            }
            // A front door on this machine means that the host is this machine.
            (Publish::Host { host, bind }, Some(_), _) => http(
                Address::new(reachable(bind).to_string(), host),
                "the published port",
            ),
            (Publish::Host { host, .. }, None, _) => match &self.descriptor.domain {
                Some(domain) => http(Address::new(domain.as_str(), host), "the domain"),
                None => Err(no_place()),
            },
        }
    }
}

/// The route of `port` that a request for `path` takes: the longest prefix, else the first.
fn route<'p>(port: &'p Port, path: &str) -> Option<&'p Route> {
    let matches = |route: &&Route| {
        let prefix = route.path.trim_end_matches('/');
        path.strip_prefix(prefix)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with(['/', '?']))
    };
    port.routes
        .iter()
        .filter(matches)
        .max_by_key(|route| route.path.len())
        .or_else(|| port.routes.first())
}

/// An address to connect to for one that is listened on.
fn reachable(ip: IpAddr) -> IpAddr {
    match ip {
        IpAddr::V4(v4) if v4.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(v6) if v6.is_unspecified() => std::net::Ipv6Addr::LOCALHOST.into(),
        other => other,
    }
}

fn bracketed(host: &str) -> String {
    if host.contains(':') {
        format!("[{host}]")
    } else {
        host.to_owned()
    }
}
