use std::collections::HashMap;
use std::error::Error;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use pilotage_check::{HttpAnswer, NoAnswer, Observation, TlsProblem};
use pilotage_http::reqwest::{self, Client, Response, header};
use pilotage_http::{FailureKind, HttpError, HttpSettings, Proxies, TlsProblem as HttpTlsProblem};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};

use crate::{Address, HttpRequest, Probe, Question, Scheme};

/// How much of a body is read; what lies beyond is not looked at.
pub const BODY_BYTES: usize = 256 * 1024;

/// Headers kept of an answer, and the length of one value.
const HEADERS: usize = 100;
const HEADER_BYTES: usize = 8 * 1024;

/// Asks over the network: straight, without a proxy, without following a redirect, with a fresh connection each time.
/// `Host` and the TLS name stay those of the request, whatever address is asked.
#[derive(Debug)]
pub struct Prober {
    settings: HttpSettings,
    /// For everything where the address can stand in the URL.
    plain: Client,
    /// For TLS to a name: a client that finds the name at one address. Trust stores are large, so clients are kept.
    named: Mutex<HashMap<(String, IpAddr), Client>>,
}

/// Named clients kept; names with more addresses get theirs built again.
const NAMED: usize = 64;

impl Prober {
    /// A prober that trusts what the settings trust. Their time limits, proxies and redirects do not apply.
    ///
    /// # Errors
    /// When a CA file is of no use.
    pub fn new(settings: &HttpSettings) -> Result<Self, HttpError> {
        let settings = HttpSettings {
            // The limit of each try is the only one.
            connect_timeout: Duration::from_secs(3_600),
            timeout: None,
            proxies: Proxies::none(),
            redirects: 0,
            reuse_connections: false,
            ..settings.clone()
        };
        Ok(Self {
            plain: pilotage_http::client(&settings)?,
            settings,
            named: Mutex::default(),
        })
    }

    /// One request at one address.
    pub async fn http(&self, request: &HttpRequest, to: SocketAddr, limit: Duration) -> Observation {
        let started = Instant::now();
        match timeout(limit, self.exchange(request, to, started)).await {
            Ok(observation) => observation,
            Err(_) => no_answer(NoAnswer::Timeout, &within(limit), started),
        }
    }

    /// One connection to one address, closed at once.
    pub async fn tcp(&self, to: SocketAddr, limit: Duration) -> Observation {
        let started = Instant::now();
        match timeout(limit, TcpStream::connect(to)).await {
            Ok(Ok(_)) => Observation::Connected {
                elapsed: started.elapsed(),
            },
            Ok(Err(error)) => no_answer(of_io(&error), &error.to_string(), started),
            Err(_) => no_answer(NoAnswer::Timeout, &within(limit), started),
        }
    }

    async fn exchange(&self, request: &HttpRequest, to: SocketAddr, started: Instant) -> Observation {
        let mut url = request.url().clone();
        // Neither fails: the URL has a host and is of a kind with ports.
        let _ = url.set_port(Some(to.port()));
        let name = url.domain().map(str::to_owned);
        let client = match (request.scheme(), name) {
            (Scheme::Https, Some(name)) => match self.named(&name, to) {
                Ok(client) => client,
                Err(error) => return no_answer(NoAnswer::Protocol, &error.to_string(), started),
            },
            _ => {
                let _ = url.set_ip_host(to.ip());
                self.plain.clone()
            }
        };
        let mut sent = client
            .request(request.method().clone(), url)
            .headers(request.headers().clone())
            .header(header::HOST, request.host().clone());
        if let Some(body) = request.body() {
            sent = sent.body(body.to_owned());
        }
        let sent = sent.send().await;
        match sent {
            Ok(response) => read(response, started).await,
            Err(error) => failed(&error, "", started),
        }
    }

    fn named(&self, name: &str, to: SocketAddr) -> Result<Client, HttpError> {
        let mut named = self.named.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (name.to_owned(), to.ip());
        if let Some(client) = named.get(&key) {
            return Ok(client.clone());
        }
        let client = pilotage_http::client_builder(&self.settings)?
            .resolve(name, to)
            .build()
            .map_err(HttpError::Client)?;
        if named.len() == NAMED {
            named.clear();
        }
        named.insert(key, client.clone());
        Ok(client)
    }
}

impl Probe for Prober {
    async fn resolve(&self, at: &Address, limit: Duration) -> Result<Vec<SocketAddr>, Observation> {
        if let Some(ip) = at.ip() {
            return Ok(vec![SocketAddr::new(ip, at.port)]);
        }
        let started = Instant::now();
        let silent = |detail: &str| no_answer(NoAnswer::Dns, detail, started);
        match timeout(limit, tokio::net::lookup_host((at.host.as_str(), at.port))).await {
            Ok(Ok(found)) => {
                let mut addresses: Vec<SocketAddr> = found.collect();
                addresses.sort_unstable();
                addresses.dedup();
                if addresses.is_empty() {
                    return Err(silent("the name has no address"));
                }
                Ok(addresses)
            }
            Ok(Err(error)) => Err(silent(&error.to_string())),
            Err(_) => Err(silent(&format!("the look-up took longer than {limit:?}"))),
        }
    }

    async fn ask(&self, question: &Question, to: SocketAddr, limit: Duration) -> Observation {
        match question {
            Question::Tcp => self.tcp(to, limit).await,
            Question::Http(request) => self.http(request, to, limit).await,
        }
    }
}

async fn read(response: Response, started: Instant) -> Observation {
    let status = response.status().as_u16();
    let headers = response
        .headers()
        .iter()
        .take(HEADERS)
        .map(|(name, value)| {
            let value = &value.as_bytes()[..value.len().min(HEADER_BYTES)];
            (
                name.as_str().to_owned(),
                String::from_utf8_lossy(value).into_owned(),
            )
        })
        .collect();
    match pilotage_http::read_body(response, BODY_BYTES).await {
        Ok(body) => Observation::Http(HttpAnswer {
            status,
            headers,
            body: body.bytes.to_vec(),
            truncated: body.truncated,
            elapsed: started.elapsed(),
        }),
        Err(error) => failed(&error, &format!("{status}, but its body broke off: "), started),
    }
}

fn failed(error: &reqwest::Error, before: &str, started: Instant) -> Observation {
    let failure = pilotage_http::Failure::of(error);
    let cause = match failure.kind {
        FailureKind::Dns => NoAnswer::Dns,
        FailureKind::Refused => NoAnswer::Refused,
        FailureKind::Unreachable if no_route(error) => NoAnswer::NoRoute,
        FailureKind::Unreachable => NoAnswer::Unreachable,
        FailureKind::Tls(problem) => NoAnswer::Tls(tls(problem)),
        FailureKind::Timeout => NoAnswer::Timeout,
        FailureKind::Reset => NoAnswer::Reset,
        FailureKind::Protocol
        | FailureKind::Proxy
        | FailureKind::Redirect
        | FailureKind::Request
        | FailureKind::Other => NoAnswer::Protocol,
    };
    // An end of file in the middle of a handshake is a server that hung up, and is reported as a reset.
    no_answer(cause, &format!("{before}{}", failure.detail), started)
}

fn tls(problem: HttpTlsProblem) -> TlsProblem {
    match problem {
        HttpTlsProblem::UnknownIssuer => TlsProblem::UnknownAuthority,
        HttpTlsProblem::Expired => TlsProblem::Expired,
        HttpTlsProblem::NotYetValid => TlsProblem::NotYetValid,
        HttpTlsProblem::WrongName => TlsProblem::WrongName,
        HttpTlsProblem::Revoked => TlsProblem::Revoked,
        HttpTlsProblem::BadCertificate => TlsProblem::BadCertificate,
        HttpTlsProblem::NotTls => TlsProblem::NotTls,
        HttpTlsProblem::Handshake => TlsProblem::Handshake,
    }
}

fn no_route(error: &reqwest::Error) -> bool {
    let mut cause = error.source();
    while let Some(error) = cause {
        if error.downcast_ref::<io::Error>().map(of_io) == Some(NoAnswer::NoRoute) {
            return true;
        }
        cause = error.source();
    }
    false
}

fn of_io(error: &io::Error) -> NoAnswer {
    match error.kind() {
        io::ErrorKind::ConnectionRefused => NoAnswer::Refused,
        io::ErrorKind::TimedOut => NoAnswer::Timeout,
        io::ErrorKind::NetworkUnreachable | io::ErrorKind::AddrNotAvailable | io::ErrorKind::Unsupported => {
            NoAnswer::NoRoute
        }
        io::ErrorKind::ConnectionReset | io::ErrorKind::ConnectionAborted | io::ErrorKind::BrokenPipe => {
            NoAnswer::Reset
        }
        _ => NoAnswer::Unreachable,
    }
}

fn no_answer(cause: NoAnswer, detail: &str, started: Instant) -> Observation {
    Observation::NoAnswer {
        cause,
        detail: detail.to_owned(),
        elapsed: started.elapsed(),
    }
}

fn within(limit: Duration) -> String {
    format!("no answer within {limit:?}")
}
