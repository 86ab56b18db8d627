use std::collections::HashMap;
use std::error::Error;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use pilotage_check::{GrpcAnswer, HttpAnswer, NoAnswer, Observation, TlsProblem};
use pilotage_clock::Clock;
use pilotage_http::reqwest::tls::TlsInfo;
use pilotage_http::reqwest::{self, Client, Response, header};
use pilotage_http::rustls::ClientConfig;
use pilotage_http::rustls::pki_types::ServerName;
use pilotage_http::{FailureKind, HttpError, HttpSettings, Proxies, TlsProblem as HttpTlsProblem};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};
use tokio_rustls::TlsConnector;

use crate::certificate::certificate;
use crate::{Address, GrpcRequest, HttpRequest, Probe, Question, Scheme, grpc};

/// How much of a body is read; what lies beyond is not looked at.
pub const BODY_BYTES: usize = 256 * 1024;

/// Headers kept of an answer, and the length of one value.
const HEADERS: usize = 100;
const HEADER_BYTES: usize = 8 * 1024;

/// Asks over the network: straight, without a proxy, without following a redirect, with a fresh connection each time unless
/// it was built [`Prober::reusing`] them. `Host` and the TLS name stay those of the request, whatever address is asked.
#[derive(Debug)]
pub struct Prober {
    settings: HttpSettings,
    clock: Clock,
    /// Trust stores are large, and are read when something asks for TLS.
    tls: OnceLock<ClientConfig>,
    /// A client for each way of asking.
    clients: Mutex<HashMap<Way, Client>>,
}

/// Clients kept; names with more addresses get theirs built again.
const CLIENTS: usize = 64;

/// What a client is good for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Way {
    tls: bool,
    http2: bool,
    /// The name that is found at one address; none where the address can stand in the URL.
    named: Option<(String, IpAddr)>,
}

impl Prober {
    /// A prober that trusts what the settings trust. Their time limits, proxies and redirects do not apply.
    ///
    /// # Errors
    /// When a CA file is of no use.
    pub fn new(settings: &HttpSettings) -> Result<Self, HttpError> {
        Self::build(settings, false)
    }

    /// The same, for whom it does not matter that several requests share a connection.
    ///
    /// # Errors
    /// When a CA file is of no use.
    pub fn reusing(settings: &HttpSettings) -> Result<Self, HttpError> {
        Self::build(settings, true)
    }

    fn build(settings: &HttpSettings, reuse_connections: bool) -> Result<Self, HttpError> {
        let settings = HttpSettings {
            // The limit of each try is the only one.
            connect_timeout: Duration::from_secs(3_600),
            timeout: None,
            proxies: Proxies::none(),
            redirects: 0,
            reuse_connections,
            ..settings.clone()
        };
        // A CA file of no use is told before anything is asked.
        let own = HttpSettings {
            system_roots: false,
            ..settings.clone()
        };
        pilotage_http::tls_config(&own)?;
        Ok(Self {
            settings,
            clock: Clock::system(),
            tls: OnceLock::new(),
            clients: Mutex::default(),
        })
    }

    /// One request at one address.
    pub async fn http(&self, request: &HttpRequest, to: SocketAddr, limit: Duration) -> Observation {
        within(limit, |started| self.exchange(request, to, started)).await
    }

    /// One connection to one address, closed at once.
    pub async fn tcp(&self, to: SocketAddr, limit: Duration) -> Observation {
        within(limit, |started| async move {
            match TcpStream::connect(to).await {
                Ok(_) => Observation::Connected {
                    elapsed: started.elapsed(),
                },
                Err(error) => no_answer(of_io(&error), &error.to_string(), started),
            }
        })
        .await
    }

    /// One handshake with whoever has `name` at one address, closed at once.
    pub async fn tls(&self, name: &str, to: SocketAddr, limit: Duration) -> Observation {
        within(limit, |started| self.handshake(name, to, started)).await
    }

    /// One question for the health of a gRPC server at one address.
    pub async fn grpc(&self, request: &GrpcRequest, to: SocketAddr, limit: Duration) -> Observation {
        within(limit, |started| self.health(request, to, started)).await
    }

    async fn exchange(&self, request: &HttpRequest, to: SocketAddr, started: Instant) -> Observation {
        let mut url = request.url().clone();
        // Neither fails: the URL has a host and is of a kind with ports.
        let _ = url.set_port(Some(to.port()));
        let tls = request.scheme() == Scheme::Https;
        let named = url
            .domain()
            .filter(|_| tls)
            .map(|name| (name.to_owned(), to.ip()));
        if named.is_none() {
            let _ = url.set_ip_host(to.ip());
        }
        let way = Way {
            tls,
            http2: false,
            named,
        };
        let client = match self.client(way) {
            Ok(client) => client,
            Err(error) => return no_answer(NoAnswer::Protocol, &error.to_string(), started),
        };
        let mut sent = client
            .request(request.method().clone(), url)
            .headers(request.headers().clone())
            .header(header::HOST, request.host().clone());
        if let Some(body) = request.body() {
            sent = sent.body(body.to_owned());
        }
        match sent.send().await {
            Ok(response) => self.read(response, started).await,
            Err(error) => failed(&error, "", started),
        }
    }

    async fn health(&self, request: &GrpcRequest, to: SocketAddr, started: Instant) -> Observation {
        let mut url = request.url().clone();
        // HTTP/2 has no `Host` beside its URL, so a name stays in it and is found at the address.
        let _ = url.set_port(Some(to.port()));
        let way = Way {
            tls: request.scheme() == Scheme::Https,
            http2: true,
            named: url.domain().map(|name| (name.to_owned(), to.ip())),
        };
        if way.named.is_none() {
            let _ = url.set_ip_host(to.ip());
        }
        let client = match self.client(way) {
            Ok(client) => client,
            Err(error) => return no_answer(NoAnswer::Protocol, &error.to_string(), started),
        };
        match grpc::check(client, &url, request.service()).await {
            Ok((said, der)) => Observation::Grpc(GrpcAnswer {
                said,
                certificate: der.and_then(|der| certificate(&der, &self.clock)),
                elapsed: started.elapsed(),
            }),
            Err(silence) => match silence.cause() {
                Some(error) => failed(error, "", started),
                None => no_answer(NoAnswer::Protocol, &silence.to_string(), started),
            },
        }
    }

    async fn handshake(&self, name: &str, to: SocketAddr, started: Instant) -> Observation {
        let name = match ServerName::try_from(name.to_owned()) {
            Ok(name) => name,
            Err(error) => return no_answer(NoAnswer::Protocol, &error.to_string(), started),
        };
        let config = match self.trusted() {
            Ok(config) => config,
            Err(error) => return no_answer(NoAnswer::Protocol, &error.to_string(), started),
        };
        let stream = match TcpStream::connect(to).await {
            Ok(stream) => stream,
            Err(error) => return no_answer(of_io(&error), &error.to_string(), started),
        };
        match TlsConnector::from(Arc::new(config)).connect(name, stream).await {
            Ok(stream) => {
                let shown = stream.get_ref().1.peer_certificates();
                let leaf = shown.and_then(<[_]>::first);
                match leaf.and_then(|der| certificate(der, &self.clock)) {
                    Some(certificate) => Observation::Secured {
                        certificate,
                        elapsed: started.elapsed(),
                    },
                    None => no_answer(
                        NoAnswer::Tls(TlsProblem::BadCertificate),
                        "the certificate cannot be read",
                        started,
                    ),
                }
            }
            Err(error) => {
                let failure = pilotage_http::Failure::of_io(&error);
                no_answer(cause(failure.kind, of_io(&error)), &failure.detail, started)
            }
        }
    }

    fn trusted(&self) -> Result<ClientConfig, HttpError> {
        if let Some(config) = self.tls.get() {
            return Ok(config.clone());
        }
        let config = pilotage_http::tls_config(&self.settings)?;
        Ok(self.tls.get_or_init(|| config).clone())
    }

    fn client(&self, way: Way) -> Result<Client, HttpError> {
        let mut clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(client) = clients.get(&way) {
            return Ok(client.clone());
        }
        let settings = HttpSettings {
            http2: way.http2,
            system_roots: way.tls,
            ..self.settings.clone()
        };
        let tls = match way.tls {
            true => self.trusted()?,
            // Nobody shakes hands over it.
            false => pilotage_http::tls_config(&settings)?,
        };
        let mut builder = pilotage_http::builder_with(&settings, tls)?.tls_info(true);
        if let Some((name, ip)) = &way.named {
            // The port stands in the URL.
            builder = builder.resolve(name, SocketAddr::new(*ip, 0));
        }
        let client = builder.build().map_err(HttpError::Client)?;
        if clients.len() == CLIENTS {
            clients.clear();
        }
        clients.insert(way, client.clone());
        Ok(client)
    }

    async fn read(&self, response: Response, started: Instant) -> Observation {
        let status = response.status().as_u16();
        let certificate = leaf(response.extensions()).and_then(|der| certificate(&der, &self.clock));
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
                certificate,
                elapsed: started.elapsed(),
            }),
            Err(error) => failed(&error, &format!("{status}, but its body broke off: "), started),
        }
    }
}

/// The certificate that came with an answer, in DER.
pub(crate) fn leaf(extensions: &tonic::codegen::http::Extensions) -> Option<Vec<u8>> {
    extensions
        .get::<TlsInfo>()
        .and_then(TlsInfo::peer_certificate)
        .map(<[u8]>::to_vec)
}

/// One try, over within `limit`.
async fn within<F: Future<Output = Observation>>(
    limit: Duration,
    attempt: impl FnOnce(Instant) -> F,
) -> Observation {
    let started = Instant::now();
    match timeout(limit, attempt(started)).await {
        Ok(observation) => observation,
        Err(_) => no_answer(NoAnswer::Timeout, &format!("no answer within {limit:?}"), started),
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
            Question::Tls(name) => self.tls(name, to, limit).await,
            Question::Grpc(request) => self.grpc(request, to, limit).await,
            // It has no address, so nobody asks it at one.
            Question::Exec(command) => self.execute(command, limit).await,
            Question::Http(request) => self.http(request, to, limit).await,
        }
    }
}

fn failed(error: &reqwest::Error, before: &str, started: Instant) -> Observation {
    let failure = pilotage_http::Failure::of(error);
    let unreachable = match no_route(error) {
        true => NoAnswer::NoRoute,
        false => NoAnswer::Unreachable,
    };
    let cause = cause(failure.kind, unreachable);
    // An end of file in the middle of a handshake is a server that hung up, and is reported as a reset.
    no_answer(cause, &format!("{before}{}", failure.detail), started)
}

/// The cause that a kind of failure is; `unreachable` says which of the two it is where no way leads there.
fn cause(kind: FailureKind, unreachable: NoAnswer) -> NoAnswer {
    match kind {
        FailureKind::Dns => NoAnswer::Dns,
        FailureKind::Refused => NoAnswer::Refused,
        FailureKind::Unreachable => unreachable,
        FailureKind::Tls(problem) => NoAnswer::Tls(tls(problem)),
        FailureKind::Timeout => NoAnswer::Timeout,
        FailureKind::Reset => NoAnswer::Reset,
        FailureKind::Protocol
        | FailureKind::Proxy
        | FailureKind::Redirect
        | FailureKind::Request
        | FailureKind::Other => NoAnswer::Protocol,
    }
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
