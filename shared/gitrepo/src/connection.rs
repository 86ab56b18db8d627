use std::io::{self, Read};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use pilotage_http::reqwest::header::{
    ACCEPT, CACHE_CONTROL, CONTENT_TYPE, HeaderMap, HeaderValue, LOCATION, RETRY_AFTER,
};
use pilotage_http::reqwest::{Client, Method, Response, StatusCode};
use pilotage_http::{Credentials, Failure, HttpSettings};
use tokio::time::Instant;
use url::Url;

use crate::remote::Meter;
use crate::{Error, Limits, machine};

/// Redirects followed for one listing; servers use one or two.
const REDIRECTS: usize = 5;

/// How a repository is reached over HTTP: one client, so connections are kept between operations.
#[derive(Debug)]
pub(crate) struct Http {
    client: Client,
    url: Url,
    /// Where a redirect has led; later requests go there at once.
    moved: Mutex<Option<Url>>,
    credentials: Option<Credentials>,
    limits: Limits,
    meter: Arc<Meter>,
    /// Set when the server was seen not to speak protocol version 2.
    pub(crate) only_v0: AtomicBool,
}

impl Http {
    pub(crate) fn new(
        url: &Url,
        settings: &HttpSettings,
        credentials: Option<Credentials>,
        limits: Limits,
        meter: Arc<Meter>,
    ) -> Result<Self, Error> {
        let settings = HttpSettings {
            // Every wait below has a limit of its own, and redirects need care with credentials.
            timeout: None,
            redirects: 0,
            // Some servers only take a client for git whose name begins so.
            user_agent: format!("git/2.0 ({})", settings.user_agent),
            ..settings.clone()
        };
        let client = pilotage_http::client(&settings).map_err(|source| Error::Http { source })?;
        if credentials.is_some() && url.scheme() == "http" && !is_loopback(url) {
            tracing::warn!(%url, "credentials go over plain http");
        }
        Ok(Self {
            client,
            url: url.clone(),
            moved: Mutex::new(None),
            credentials,
            limits,
            meter,
            only_v0: AtomicBool::new(false),
        })
    }

    fn base(&self) -> Url {
        lock(&self.moved).clone().unwrap_or_else(|| self.url.clone())
    }
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(url::Host::Domain(name)) => name == "localhost",
        Some(url::Host::Ipv4(address)) => address.is_loopback(),
        Some(url::Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// One operation over HTTP with its hard end. Whatever goes wrong on the way is kept here with its type, because
/// libgit2 keeps only the text of an error.
#[derive(Debug)]
pub(crate) struct Operation {
    http: Arc<Http>,
    deadline: Instant,
    allowed: Duration,
    trouble: Mutex<Option<Error>>,
    /// Whether the request that changes something left this machine.
    told: AtomicBool,
    learned: AtomicBool,
}

impl Operation {
    pub(crate) fn start(http: &Arc<Http>, allowed: Duration) -> Arc<Self> {
        Arc::new(Self {
            http: Arc::clone(http),
            deadline: Instant::now() + allowed,
            allowed,
            trouble: Mutex::new(None),
            told: AtomicBool::new(false),
            learned: AtomicBool::new(false),
        })
    }

    pub(crate) fn is_over(&self) -> bool {
        Instant::now() >= self.deadline
    }

    /// Whether a push may have reached the server.
    pub(crate) fn told(&self) -> bool {
        self.told.load(Ordering::Relaxed)
    }

    /// The first thing that went wrong on the network, if anything did.
    pub(crate) fn take_trouble(&self) -> Option<Error> {
        lock(&self.trouble).take()
    }

    pub(crate) fn note(&self, error: Error) {
        lock(&self.trouble).get_or_insert(error);
    }

    /// The address as it was given.
    pub(crate) fn url(&self) -> String {
        self.http.url.to_string()
    }

    /// Whether a redirect led to another address during this operation.
    pub(crate) fn learned_address(&self) -> bool {
        self.learned.load(Ordering::Relaxed)
    }

    pub(crate) fn refused(&self, detail: String) -> Error {
        Error::Refused {
            url: self.url(),
            detail,
        }
    }

    pub(crate) fn deadline_passed(&self) -> Error {
        Error::Deadline {
            url: self.url(),
            seconds: self.allowed.as_secs(),
        }
    }

    /// Gives an error of a libgit2 call over this operation its name.
    pub(crate) fn failed(&self, doing: &'static str, source: git2::Error) -> Error {
        use git2::ErrorClass;
        if let Some(trouble) = self.take_trouble() {
            return trouble;
        }
        if self.is_over() {
            return self.deadline_passed();
        }
        if source.message().starts_with("remote error") {
            return self.refused(source.message().to_owned());
        }
        match source.class() {
            ErrorClass::Os | ErrorClass::Filesystem | ErrorClass::NoMemory => Error::Git { doing, source },
            ErrorClass::Odb | ErrorClass::Zlib | ErrorClass::Object | ErrorClass::Reference => {
                Error::Git { doing, source }
            }
            _ => Error::Unavailable {
                url: self.url(),
                detail: format!(
                    "the answer breaks off or cannot be understood ({})",
                    source.message()
                ),
            },
        }
    }

    /// `GET …/info/refs?service=…`, following redirects.
    pub(crate) fn advertisement(self: &Arc<Self>, service: &str) -> Result<Answer, Error> {
        let mut base = self.http.base();
        for _ in 0..=REDIRECTS {
            let mut url = below(&base, "info/refs");
            url.set_query(Some(&format!("service={service}")));
            let response = self.send(Method::GET, &url, HeaderMap::new(), Vec::new())?;
            if response.status().is_redirection() {
                base = self.redirected(&response, &url, service)?;
                continue;
            }
            self.check(&response, &format!("application/x-{service}-advertisement"))?;
            if base != self.http.base() {
                *lock(&self.http.moved) = Some(base);
                self.learned.store(true, Ordering::Relaxed);
            }
            return Ok(Answer::new(self, response));
        }
        Err(Error::NotGit {
            url: self.url(),
            detail: "it redirects without end".to_owned(),
        })
    }

    /// `POST …/<service>`.
    pub(crate) fn call(self: &Arc<Self>, service: &str, body: Vec<u8>) -> Result<Answer, Error> {
        let url = below(&self.http.base(), service);
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, media_type(service, "request"));
        headers.insert(ACCEPT, media_type(service, "result"));
        if service == "git-receive-pack" {
            self.told.store(true, Ordering::Relaxed);
        }
        let response = self.send(Method::POST, &url, headers, body)?;
        self.check(&response, &format!("application/x-{service}-result"))?;
        Ok(Answer::new(self, response))
    }

    /// The one request of protocol version 2: its answer, or `None` when the server answered with something else, which
    /// says nothing but that another way has to be tried.
    pub(crate) fn ls_refs(self: &Arc<Self>, body: Vec<u8>) -> Result<Option<Vec<u8>>, Error> {
        let url = below(&self.http.base(), "git-upload-pack");
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, media_type("git-upload-pack", "request"));
        headers.insert(ACCEPT, media_type("git-upload-pack", "result"));
        headers.insert("git-protocol", HeaderValue::from_static("version=2"));
        let response = self.send(Method::POST, &url, headers, body)?;
        let status = response.status();
        let asks_later = status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS;
        if asks_later || matches!(status.as_u16(), 401 | 403) {
            return Err(self.status(&response));
        }
        if !status.is_success() || content_type(&response) != "application/x-git-upload-pack-result" {
            return Ok(None);
        }
        let mut bytes = Vec::new();
        match Answer::new(self, response).read_to_end(&mut bytes) {
            Ok(_) => Ok(Some(bytes)),
            Err(error) => Err(self.take_trouble().unwrap_or_else(|| Error::Unavailable {
                url: self.url(),
                detail: error.to_string(),
            })),
        }
    }

    fn send(&self, method: Method, url: &Url, headers: HeaderMap, body: Vec<u8>) -> Result<Response, Error> {
        let meter = &self.http.meter;
        meter.requests.fetch_add(1, Ordering::Relaxed);
        meter.sent.fetch_add(body.len() as u64, Ordering::Relaxed);
        let mut request = self
            .http
            .client
            .request(method, url.clone())
            .headers(headers)
            .header(CACHE_CONTROL, "no-cache")
            .body(body);
        // Credentials belong to the address they were given for, wherever that redirects to.
        if let Some(credentials) = &self.http.credentials
            && url.origin() == self.http.url.origin()
        {
            request = request.basic_auth(&credentials.user, Some(credentials.password.expose()));
        }
        self.wait(request.send())
    }

    /// Waits for the network, but neither past the end of the operation nor longer than a server may be silent.
    fn wait<T>(
        &self,
        work: impl Future<Output = Result<T, pilotage_http::reqwest::Error>>,
    ) -> Result<T, Error> {
        let silence = Instant::now() + self.http.limits.silence;
        let until = self.deadline.min(silence);
        match machine::runtime().block_on(async { tokio::time::timeout_at(until, work).await }) {
            Ok(Ok(value)) => Ok(value),
            Ok(Err(error)) => {
                let failure = Failure::of(&error);
                if !failure.maybe_sent {
                    self.told.store(false, Ordering::Relaxed);
                }
                Err(Error::Unavailable {
                    url: self.url(),
                    detail: failure.to_string(),
                })
            }
            Err(_) if self.is_over() => Err(self.deadline_passed()),
            Err(_) => Err(Error::Unavailable {
                url: self.url(),
                detail: format!(
                    "the server was silent for {} s",
                    self.http.limits.silence.as_secs_f32()
                ),
            }),
        }
    }

    /// The base that a redirect of `url` leads to.
    fn redirected(&self, response: &Response, url: &Url, service: &str) -> Result<Url, Error> {
        let not_git = |detail: String| Error::NotGit {
            url: self.url(),
            detail,
        };
        let location = response
            .headers()
            .get(LOCATION)
            .and_then(|value| value.to_str().ok())
            .ok_or_else(|| not_git("it redirects to nowhere".to_owned()))?;
        let target = url
            .join(location)
            .map_err(|_| not_git("it redirects to something that is no address".to_owned()))?;
        if url.scheme() == "https" && target.scheme() != "https" {
            return Err(not_git("it redirects from https to plain http".to_owned()));
        }
        let suffix = "/info/refs";
        let good = target.path().ends_with(suffix) && target.query() == Some(&format!("service={service}"));
        if !good {
            return Err(not_git(
                "it redirects to a page that is no repository (a login page, perhaps)".to_owned(),
            ));
        }
        let mut base = target.clone();
        base.set_query(None);
        base.set_path(&target.path()[..target.path().len() - suffix.len()]);
        Ok(base)
    }

    fn check(&self, response: &Response, expected: &str) -> Result<(), Error> {
        if response.status() != StatusCode::OK {
            return Err(self.status(response));
        }
        let kind = content_type(response);
        if kind == expected {
            return Ok(());
        }
        let shown = if kind.is_empty() {
            "no content type".to_owned()
        } else {
            format!("`{kind}`")
        };
        Err(Error::NotGit {
            url: self.url(),
            detail: format!("it answered with {shown} instead of `{expected}`"),
        })
    }

    fn status(&self, response: &Response) -> Error {
        let url = self.url();
        match response.status().as_u16() {
            status @ (401 | 403) => Error::Auth {
                url,
                status,
                credentials: self.http.credentials.is_some(),
            },
            404 | 410 => Error::NoRepository { url },
            status => Error::Status {
                url,
                status,
                retry_after: response
                    .headers()
                    .get(RETRY_AFTER)
                    .and_then(|value| value.to_str().ok()?.trim().parse().ok()),
            },
        }
    }
}

fn media_type(service: &str, kind: &str) -> HeaderValue {
    HeaderValue::from_str(&format!("application/x-{service}-{kind}"))
        .unwrap_or(HeaderValue::from_static("*/*"))
}

fn below(base: &Url, path: &str) -> Url {
    let mut url = base.clone();
    url.set_path(&format!("{}/{path}", base.path().trim_end_matches('/')));
    url
}

/// The media type without its parameters, in lower case.
fn content_type(response: &Response) -> String {
    let value = response
        .headers()
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok());
    let kind = value.unwrap_or_default().split(';').next().unwrap_or_default();
    kind.trim().to_ascii_lowercase()
}

/// The body of an answer, read within the limits of its operation.
pub(crate) struct Answer {
    operation: Arc<Operation>,
    response: Response,
    chunk: Bytes,
    taken: u64,
}

impl Answer {
    fn new(operation: &Arc<Operation>, response: Response) -> Self {
        Self {
            operation: Arc::clone(operation),
            response,
            chunk: Bytes::new(),
            taken: 0,
        }
    }

    fn next_chunk(&mut self) -> Result<bool, Error> {
        let operation = &self.operation;
        if operation.is_over() {
            return Err(operation.deadline_passed());
        }
        let Some(chunk) = operation.wait(self.response.chunk())? else {
            return Ok(false);
        };
        self.taken += chunk.len() as u64;
        operation
            .http
            .meter
            .received
            .fetch_add(chunk.len() as u64, Ordering::Relaxed);
        let most = operation.http.limits.bytes;
        if self.taken > most {
            return Err(Error::TooLarge {
                what: format!("the answer of {}", operation.url()),
                most,
            });
        }
        self.chunk = chunk;
        Ok(true)
    }
}

impl Read for Answer {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.chunk.is_empty() {
            match self.next_chunk() {
                Ok(true) => {}
                Ok(false) => return Ok(0),
                Err(error) => {
                    // A NUL in this text would end the process inside libgit2's bindings.
                    let text = error.to_string().replace('\0', " ");
                    self.operation.note(error);
                    return Err(io::Error::other(text));
                }
            }
        }
        let length = buffer.len().min(self.chunk.len());
        buffer[..length].copy_from_slice(&self.chunk.split_to(length));
        Ok(length)
    }
}
