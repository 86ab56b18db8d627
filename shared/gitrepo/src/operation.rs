use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::http::Http;
use crate::remote::Meter;
use crate::ssh::Ssh;
use crate::{Error, Limits, machine};

/// A server that repositories are asked of. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) enum Server {
    Http(Arc<Http>),
    Ssh(Arc<Ssh>),
}

/// One operation over a network with its hard end. Whatever goes wrong on the way is kept here with its type, because
/// libgit2 keeps only the text of an error.
#[derive(Debug)]
pub(crate) struct Operation {
    pub(crate) server: Server,
    pub(crate) limits: Limits,
    pub(crate) meter: Arc<Meter>,
    deadline: Instant,
    allowed: Duration,
    trouble: Mutex<Option<Error>>,
    /// Whether the request that changes something left this machine.
    told: AtomicBool,
}

impl Operation {
    pub(crate) fn start(server: &Server, allowed: Duration) -> Arc<Self> {
        let (limits, meter) = match server {
            Server::Http(http) => (http.limits, &http.meter),
            Server::Ssh(ssh) => (ssh.limits, &ssh.meter),
        };
        Arc::new(Self {
            server: server.clone(),
            limits,
            meter: Arc::clone(meter),
            deadline: Instant::now() + allowed,
            allowed,
            trouble: Mutex::new(None),
            told: AtomicBool::new(false),
        })
    }

    pub(crate) fn is_over(&self) -> bool {
        Instant::now() >= self.deadline
    }

    /// Whether a push may have reached the server.
    pub(crate) fn told(&self) -> bool {
        self.told.load(Ordering::Relaxed)
    }

    /// A push is about to leave this machine.
    pub(crate) fn tell(&self) {
        self.told.store(true, Ordering::Relaxed);
    }

    /// It certainly did not leave.
    pub(crate) fn untell(&self) {
        self.told.store(false, Ordering::Relaxed);
    }

    /// The first thing that went wrong on the network, if anything did.
    pub(crate) fn take_trouble(&self) -> Option<Error> {
        self.trouble.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    pub(crate) fn note(&self, error: Error) {
        let mut trouble = self.trouble.lock().unwrap_or_else(PoisonError::into_inner);
        trouble.get_or_insert(error);
    }

    /// The address as it was given.
    pub(crate) fn url(&self) -> String {
        match &self.server {
            Server::Http(http) => http.url().to_string(),
            Server::Ssh(ssh) => ssh.address.to_string(),
        }
    }

    /// An address by which libgit2 finds the transport of this crate. Where that leads is the operation's business.
    pub(crate) fn transport_url(&self) -> String {
        match &self.server {
            Server::Http(http) => http.url().to_string(),
            Server::Ssh(_) => "ssh://operation/repository".to_owned(),
        }
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

    /// Waits for the network, but neither past the end of the operation nor longer than a server may be silent.
    pub(crate) fn wait<F: Future>(&self, work: F) -> Result<F::Output, Error> {
        let silence = Instant::now() + self.limits.silence;
        let until = self.deadline.min(silence);
        match machine::runtime().block_on(async { tokio::time::timeout_at(until, work).await }) {
            Ok(output) => Ok(output),
            Err(_) if self.is_over() => Err(self.deadline_passed()),
            Err(_) => Err(Error::Unavailable {
                url: self.url(),
                detail: format!(
                    "the server was silent for {} s",
                    self.limits.silence.as_secs_f32()
                ),
            }),
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
}
