use std::io::{self, Read};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use pilotage_http::reqwest::header::{
    ACCEPT, CACHE_CONTROL, CONTENT_TYPE, HeaderMap, HeaderValue, LOCATION, RETRY_AFTER,
};
use pilotage_http::reqwest::{Client, Method, Response, StatusCode};
use pilotage_http::{Credentials, Failure, HttpSettings};
use url::Url;

use crate::operation::Operation;
use crate::remote::Meter;
use crate::{Error, Limits, Listing, RefPattern, fetch, ls_refs};

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
    pub(crate) limits: Limits,
    pub(crate) meter: Arc<Meter>,
    /// Set when the server was seen not to speak protocol version 2.
    only_v0: AtomicBool,
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

    /// The address as it was given.
    pub(crate) fn url(&self) -> &Url {
        &self.url
    }

    fn base(&self) -> Url {
        lock(&self.moved).clone().unwrap_or_else(|| self.url.clone())
    }

    /// Lists the refs: one request of protocol version 2, or the old way where the server does not speak that.
    pub(crate) fn list(
        self: &Arc<Self>,
        operation: &Arc<Operation>,
        patterns: &[RefPattern],
    ) -> Result<Listing, Error> {
        if !self.only_v0.load(Ordering::Relaxed)
            && let Some(bytes) = self.ls_refs(operation, ls_refs::request(patterns))?
        {
            match ls_refs::answer(&bytes, patterns) {
                ls_refs::Answer::Listed(listing) => return Ok(listing),
                ls_refs::Answer::Refused(detail) => return Err(operation.refused(detail)),
                ls_refs::Answer::Other => {}
            }
        }
        let base = self.base();
        let listing = fetch::advertised(operation, patterns)?;
        // Remembered only now: an address that answers neither way says nothing about versions.
        if base == self.base() {
            self.only_v0.store(true, Ordering::Relaxed);
        }
        Ok(listing)
    }

    /// `GET …/info/refs?service=…`, following redirects.
    pub(crate) fn advertisement(&self, operation: &Arc<Operation>, service: &str) -> Result<Answer, Error> {
        let mut base = self.base();
        for _ in 0..=REDIRECTS {
            let mut url = below(&base, "info/refs");
            url.set_query(Some(&format!("service={service}")));
            let response = self.send(operation, Method::GET, &url, HeaderMap::new(), Vec::new())?;
            if response.status().is_redirection() {
                base = self.redirected(&response, &url, service)?;
                continue;
            }
            self.check(&response, &format!("application/x-{service}-advertisement"))?;
            if base != self.base() {
                *lock(&self.moved) = Some(base);
            }
            return Ok(Answer::new(operation, response));
        }
        Err(Error::NotGit {
            url: self.url.to_string(),
            detail: "it redirects without end".to_owned(),
        })
    }

    /// `POST …/<service>`.
    pub(crate) fn call(
        &self,
        operation: &Arc<Operation>,
        service: &str,
        body: Vec<u8>,
    ) -> Result<Answer, Error> {
        let url = below(&self.base(), service);
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, media_type(service, "request"));
        headers.insert(ACCEPT, media_type(service, "result"));
        if service == "git-receive-pack" {
            operation.tell();
        }
        let response = self.send(operation, Method::POST, &url, headers, body)?;
        self.check(&response, &format!("application/x-{service}-result"))?;
        Ok(Answer::new(operation, response))
    }

    /// The one request of protocol version 2: its answer, or `None` when the server answered with something else, which
    /// says nothing but that another way has to be tried.
    fn ls_refs(&self, operation: &Arc<Operation>, body: Vec<u8>) -> Result<Option<Vec<u8>>, Error> {
        let url = below(&self.base(), "git-upload-pack");
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, media_type("git-upload-pack", "request"));
        headers.insert(ACCEPT, media_type("git-upload-pack", "result"));
        headers.insert("git-protocol", HeaderValue::from_static("version=2"));
        let response = self.send(operation, Method::POST, &url, headers, body)?;
        let status = response.status();
        let asks_later = status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS;
        if asks_later || matches!(status.as_u16(), 401 | 403) {
            return Err(self.status(&response));
        }
        if !status.is_success() || content_type(&response) != "application/x-git-upload-pack-result" {
            return Ok(None);
        }
        let mut bytes = Vec::new();
        match Answer::new(operation, response).read_to_end(&mut bytes) {
            Ok(_) => Ok(Some(bytes)),
            Err(error) => Err(operation.take_trouble().unwrap_or_else(|| Error::Unavailable {
                url: self.url.to_string(),
                detail: error.to_string(),
            })),
        }
    }

    fn send(
        &self,
        operation: &Operation,
        method: Method,
        url: &Url,
        headers: HeaderMap,
        body: Vec<u8>,
    ) -> Result<Response, Error> {
        let meter = &self.meter;
        meter.requests.fetch_add(1, Ordering::Relaxed);
        meter.sent.fetch_add(body.len() as u64, Ordering::Relaxed);
        let mut request = self
            .client
            .request(method, url.clone())
            .headers(headers)
            .header(CACHE_CONTROL, "no-cache")
            .body(body);
        // Credentials belong to the address they were given for, wherever that redirects to.
        if let Some(credentials) = &self.credentials
            && url.origin() == self.url.origin()
        {
            request = request.basic_auth(&credentials.user, Some(credentials.password.expose()));
        }
        answered(operation, request.send())
    }

    /// The base that a redirect of `url` leads to.
    fn redirected(&self, response: &Response, url: &Url, service: &str) -> Result<Url, Error> {
        let not_git = |detail: String| Error::NotGit {
            url: self.url.to_string(),
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
            url: self.url.to_string(),
            detail: format!("it answered with {shown} instead of `{expected}`"),
        })
    }

    fn status(&self, response: &Response) -> Error {
        let url = self.url.to_string();
        match response.status().as_u16() {
            status @ (401 | 403) => Error::Auth {
                url,
                status,
                credentials: self.credentials.is_some(),
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

/// Waits for the network. A request that failed before it was sent has told the server nothing.
fn answered<T>(
    operation: &Operation,
    work: impl Future<Output = Result<T, pilotage_http::reqwest::Error>>,
) -> Result<T, Error> {
    operation.wait(work)?.map_err(|error| {
        let failure = Failure::of(&error);
        if !failure.maybe_sent {
            operation.untell();
        }
        Error::Unavailable {
            url: operation.url(),
            detail: failure.to_string(),
        }
    })
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
        let Some(chunk) = answered(operation, self.response.chunk())? else {
            return Ok(false);
        };
        self.taken += chunk.len() as u64;
        operation
            .meter
            .received
            .fetch_add(chunk.len() as u64, Ordering::Relaxed);
        let most = operation.limits.bytes;
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
