use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::net::SocketAddr;

use pilotage_check::{Assertion, JsonPath, StatusSet, VersionSource};
use pilotage_config::Allow;
use pilotage_descriptor::{Capture, Descriptor, Host, Method, SmokeRequest, State};
use pilotage_place::{Finder, PortPlace};
use pilotage_probe::{Address, HttpRequest, RequestError, Scheme};
use pilotage_quantity::Duration;

use crate::order::{Part, order};
use crate::{Limits, PlanError, Request, Want};

/// What will be sent, where, and in which order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// What is sent.
    pub requests: Vec<RequestPlan>,
    /// What is not, and why.
    pub skipped: Vec<SkippedRequest>,
    /// Why there is nothing at all, where there is nothing.
    pub nothing: Option<&'static str>,
    /// The version that has to answer, where one is known.
    pub version: Option<String>,
    /// How long, and how much at once.
    pub limits: Limits,
    /// Where redirects may lead away to; nothing where everything is allowed.
    pub away: Option<Allow>,
}

/// One request. Its texts may hold `{{name}}`, a value captured before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestPlan {
    /// What people call it.
    pub name: String,
    /// The method.
    pub method: Method,
    /// Where it goes.
    pub target: Target,
    /// Headers.
    pub headers: BTreeMap<String, String>,
    /// The body.
    pub body: Option<String>,
    /// Good statuses.
    pub status: StatusSet,
    /// A text in the body.
    pub contains: Option<String>,
    /// Where the version stands, and which it has to be.
    pub version: Option<(VersionSource, String)>,
    /// What else has to hold.
    pub assertions: Vec<Assertion>,
    /// Values that later requests need.
    pub captures: BTreeMap<String, Capture>,
    /// The captured values it needs, and which request captures each.
    pub needs: BTreeMap<String, usize>,
    /// The requests whose end it waits for.
    pub waits_for: BTreeSet<usize>,
    /// Redirects that are followed.
    pub redirects: u32,
    /// Further tries.
    pub retries: u32,
}

/// Where a request goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// Plain or encrypted.
    pub scheme: Scheme,
    /// Whom it asks for: host, and port where it is not the scheme's own.
    pub authority: String,
    /// Path and query.
    pub path: String,
    /// The address that is connected to.
    pub at: Address,
    /// How that was found: `front door`, `--address`, `the URL`.
    pub found: &'static str,
}

/// One request of the descriptor that is not sent from here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SkippedRequest {
    /// What people call it.
    pub name: String,
    /// Why.
    pub reason: String,
}

/// A plan for URLs.
///
/// # Errors
/// When one of them cannot be asked.
pub fn plan_of_urls(urls: &[String], want: &Want, request: &Request) -> Result<Plan, PlanError> {
    let mut requests = Vec::new();
    for url in urls {
        let target = target_of_url(url, want.host.as_deref()).map_err(|source| PlanError::Url {
            url: match source {
                RequestError::Credentials => "the URL".to_owned(),
                _ => url.clone(),
            },
            source,
        })?;
        let mut assertions: Vec<Assertion> = want.matches.iter().cloned().map(Assertion::Matches).collect();
        let headers = want.answer_headers.iter();
        assertions.extend(headers.map(|header| Assertion::Header(header.0.clone(), header.1.clone())));
        let json = want.json.iter();
        assertions.extend(json.map(|value| Assertion::Json(value.0.clone(), value.1.clone())));
        assertions.extend(within(want.within));
        let source = || want.version.clone().or_else(default_source);
        requests.push(RequestPlan {
            name: format!("GET {url}"),
            method: Method::Get,
            target,
            headers: BTreeMap::new(),
            body: None,
            status: want.status.clone(),
            contains: want.contains.clone(),
            version: request
                .expect_version
                .clone()
                .and_then(|version| Some((source()?, version))),
            assertions,
            captures: BTreeMap::new(),
            needs: BTreeMap::new(),
            waits_for: BTreeSet::new(),
            redirects: want.redirects,
            retries: want.retries,
        });
    }
    distinguish(&mut requests);
    Ok(Plan {
        requests,
        skipped: Vec::new(),
        nothing: None,
        version: request.expect_version.clone(),
        limits: request.limits,
        away: None,
    })
}

/// Where most services say their version.
fn default_source() -> Option<VersionSource> {
    "$.version".parse::<JsonPath>().ok().map(VersionSource::Json)
}

fn within(limit: Option<Duration>) -> Option<Assertion> {
    limit.map(|limit| Assertion::Within(limit.as_std()))
}

/// The parts of a URL, whose path may hold placeholders.
fn target_of_url(url: &str, host: Option<&str>) -> Result<Target, RequestError> {
    let (parsed, at) = HttpRequest::of_url(url, [])?;
    let rest = url.split_once("://").map_or("", |(_, rest)| rest);
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let path = rest[end..].split('#').next().unwrap_or_default();
    let path = match path.starts_with('/') {
        true => path.to_owned(),
        false => format!("/{path}"),
    };
    Ok(Target {
        scheme: parsed.scheme(),
        authority: host.map_or_else(|| parsed.authority().to_owned(), str::to_owned),
        path,
        at,
        found: "the URL",
    })
}

/// A plan for the smoke requests of a descriptor, sent as its users would.
///
/// `places` says where ports are and wins; `front_door` is where the target's proxy listens, where that is known; `allow`
/// is what the environment grants, where a configuration says so.
///
/// # Errors
/// When a request cannot be sent or is not allowed, or it cannot be known where a port is.
pub fn plan_of_descriptor(
    descriptor: &Descriptor,
    places: &[PortPlace],
    front_door: Option<SocketAddr>,
    allow: Option<&Allow>,
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
        requests: Vec::new(),
        skipped: Vec::new(),
        nothing: None,
        version: Some(version.clone()),
        limits: request.limits,
        away: Some(allow.cloned().unwrap_or_default()),
    };
    plan.nothing = match descriptor.state {
        State::Retired => Some("the service is retired"),
        State::Active if descriptor.smoke.is_empty() => Some("the descriptor has no smoke requests"),
        State::Active => None,
    };
    if plan.nothing.is_some() {
        return Ok(plan);
    }
    let finder = Finder {
        descriptor,
        said: places,
        front_door,
        within: None,
    };
    let mut sent = Vec::new();
    // Requests that cannot be sent from here take along those that need what they would have captured.
    let mut missing: BTreeMap<&str, String> = BTreeMap::new();
    for (index, described) in descriptor.smoke.iter().enumerate() {
        let lost = described.needs().find_map(|(_, name)| missing.get(name));
        let target = match lost {
            Some(owner) => Err(format!("it needs what `{owner}` would have captured")),
            None => target_of(&finder, index, described, allow)?,
        };
        match target {
            Ok(target) => {
                plan.requests.push(of_described(described, target, &version));
                sent.push(described);
            }
            Err(reason) => {
                let name = described.label();
                missing.extend(described.captures.keys().map(|key| (key.as_str(), name.clone())));
                plan.skipped.push(SkippedRequest { name, reason });
            }
        }
    }
    arrange(&mut plan.requests, &sent);
    if plan.requests.is_empty() {
        plan.nothing = Some("no request of the descriptor can be sent from outside");
    }
    if request.expect_version.is_some() && plan.requests.iter().all(|request| request.version.is_none()) {
        return Err(PlanError::NoVersion);
    }
    distinguish(&mut plan.requests);
    Ok(plan)
}

/// Where a request goes, or why it does not.
fn target_of(
    finder: &Finder<'_>,
    index: usize,
    described: &SmokeRequest,
    allow: Option<&Allow>,
) -> Result<Result<Target, String>, PlanError> {
    let invalid = |source| PlanError::Request { index, source };
    let host = described.answer.host.as_ref().map(Host::authority);
    if described.is_url() {
        if allow.is_some_and(|allow| !allow.url(&described.path)) {
            return Err(PlanError::NotGranted {
                index,
                url: described.path.clone(),
            });
        }
        return target_of_url(&described.path, host.as_deref())
            .map(Ok)
            .map_err(invalid);
    }
    let name = described.port.as_deref().unwrap_or_default();
    let port = finder.descriptor.port(name).ok_or_else(|| PlanError::NoPort {
        port: name.to_owned(),
    })?;
    let Some(place) = finder.find(port, &described.path)? else {
        return Ok(Err(format!(
            "port `{name}` is internal: no user can ask it; --address {name}=HOST:PORT asks it from here"
        )));
    };
    let authority = host.unwrap_or(place.authority);
    // Everything but what is captured later is known now.
    HttpRequest::get(place.scheme, &authority, &described.path, []).map_err(invalid)?;
    Ok(Ok(Target {
        scheme: place.scheme,
        authority,
        path: described.path.clone(),
        at: place.at,
        found: place.found,
    }))
}

fn of_described(described: &SmokeRequest, target: Target, version: &str) -> RequestPlan {
    let mut assertions: Vec<Assertion> = described
        .matches
        .iter()
        .cloned()
        .map(Assertion::Matches)
        .collect();
    let headers = described.answer_headers.iter().cloned();
    assertions.extend(headers.map(|(name, rule)| Assertion::Header(name, rule)));
    let json = described.json.iter().cloned();
    assertions.extend(json.map(|(path, rule)| Assertion::Json(path, rule)));
    assertions.extend(within(described.within));
    RequestPlan {
        name: described.label(),
        method: described.method,
        target,
        headers: described.answer.headers.clone(),
        body: described.body.clone(),
        status: described.answer.status.clone(),
        contains: described.answer.contains.clone(),
        version: described
            .answer
            .version
            .clone()
            .map(|source| (source, version.to_owned())),
        assertions,
        captures: described.captures.clone(),
        needs: BTreeMap::new(),
        waits_for: BTreeSet::new(),
        redirects: described.redirects,
        retries: described.retries,
    }
}

/// Who waits for whom.
fn arrange(requests: &mut [RequestPlan], described: &[&SmokeRequest]) {
    let parts: Vec<Part<'_>> = described
        .iter()
        .map(|request| Part {
            needs: request.needs().map(|(_, name)| name).collect(),
            captures: request.captures.keys().map(String::as_str).collect(),
            changes: request.changes,
        })
        .collect();
    let waits = order(&parts);
    for (index, (request, waits_for)) in requests.iter_mut().zip(waits).enumerate() {
        let owner = |name: &str| {
            parts[..index]
                .iter()
                .position(|part| part.captures.contains(name))
        };
        let needs = parts[index].needs.iter();
        request.needs = needs
            .filter_map(|name| Some(((*name).to_owned(), owner(name)?)))
            .collect();
        request.waits_for = waits_for;
    }
}

/// Report readers tell checks apart by their names.
fn distinguish(requests: &mut [RequestPlan]) {
    let mut seen = HashSet::new();
    for request in requests {
        let base = request.name.clone();
        let mut number = 1;
        while !seen.insert(request.name.clone()) {
            number += 1;
            request.name = format!("{base} #{number}");
        }
    }
}
