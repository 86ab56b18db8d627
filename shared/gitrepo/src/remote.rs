use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use pilotage_http::{Credentials, HttpSettings};

use crate::http::Http;
use crate::operation::{Operation, Server};
use crate::ssh::{Ssh, SshSettings};
use crate::{
    Error, Listing, RefPattern, RefUpdate, RemoteUrl, Repository, UpdateResult, local, machine, push,
};

/// How long and how much a remote may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The hard end of one operation (a listing, a fetch, a push), from its call to its return.
    pub operation: Duration,
    /// The longest silence of a server inside an operation.
    pub silence: Duration,
    /// The most bytes one answer may have.
    pub bytes: u64,
}

impl Default for Limits {
    /// Two minutes, thirty seconds of silence, 2 GiB.
    fn default() -> Self {
        Self {
            operation: Duration::from_secs(120),
            silence: Duration::from_secs(30),
            bytes: 2 << 30,
        }
    }
}

/// What was asked over the network since the remote was opened; bodies only, without headers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Traffic {
    /// Requests sent; over SSH, programs started on the server.
    pub requests: u64,
    /// Bytes sent.
    pub sent: u64,
    /// Bytes received.
    pub received: u64,
}

#[derive(Debug, Default)]
pub(crate) struct Meter {
    pub(crate) requests: AtomicU64,
    pub(crate) sent: AtomicU64,
    pub(crate) received: AtomicU64,
}

/// A repository somewhere else: its refs are listed and moved here, its objects are read from a [`crate::Cache`].
/// Cheap to clone; can be used from several threads.
#[derive(Clone, Debug)]
pub struct Remote {
    url: RemoteUrl,
    limits: Limits,
    reach: Reach,
    meter: Arc<Meter>,
}

/// The way to a remote.
#[derive(Clone, Debug)]
pub(crate) enum Reach {
    /// A directory of this machine.
    Path(PathBuf),
    /// A server.
    Server(Server),
}

impl Remote {
    /// Prepares to reach a repository; nothing is asked yet.
    ///
    /// Credentials are sent to this address only, never to one it redirects to. The time limits of `settings` are not
    /// used beside that for connecting: those of `limits` hold.
    pub fn open(
        url: RemoteUrl,
        settings: &HttpSettings,
        credentials: Option<Credentials>,
        limits: Limits,
    ) -> Result<Self, Error> {
        machine::prepare();
        let meter = Arc::<Meter>::default();
        let reach = if let Some(http) = url.http() {
            let http = Http::new(http, settings, credentials, limits, Arc::clone(&meter))?;
            Reach::Server(Server::Http(Arc::new(http)))
        } else if let Some(address) = url.ssh() {
            let (timeout, meter) = (settings.connect_timeout, Arc::clone(&meter));
            let ssh = Ssh::new(address, SshSettings::default(), timeout, limits, meter);
            Reach::Server(Server::Ssh(Arc::new(ssh)))
        } else {
            Reach::Path(url.path().unwrap_or(Path::new(".")).to_owned())
        };
        Ok(Self {
            url,
            limits,
            reach,
            meter,
        })
    }

    /// Who we are to an SSH server and which hosts are believed. Without this no SSH server is asked anything; other
    /// addresses do not need it.
    #[must_use]
    pub fn with_ssh(mut self, settings: &SshSettings) -> Self {
        if let Reach::Server(Server::Ssh(ssh)) = &self.reach {
            self.reach = Reach::Server(Server::Ssh(Arc::new(ssh.with_settings(settings.clone()))));
        }
        self
    }

    /// Prepares to reach a repository on this machine.
    #[must_use]
    pub fn at_path(path: &Path) -> Self {
        machine::prepare();
        Self {
            url: RemoteUrl::from_path(path),
            limits: Limits::default(),
            reach: Reach::Path(path.to_owned()),
            meter: Arc::default(),
        }
    }

    /// The address.
    #[must_use]
    pub fn url(&self) -> &RemoteUrl {
        &self.url
    }

    /// What was asked over the network so far.
    #[must_use]
    pub fn traffic(&self) -> Traffic {
        Traffic {
            requests: self.meter.requests.load(Ordering::Relaxed),
            sent: self.meter.sent.load(Ordering::Relaxed),
            received: self.meter.received.load(Ordering::Relaxed),
        }
    }

    /// The refs that the patterns mean, as they are now: over HTTP one request, over SSH one channel. An answer that holds none of them is
    /// an error ([`Error::EmptyListing`]), never to be read as "deleted".
    pub fn list(&self, patterns: &[&str]) -> Result<Listing, Error> {
        let listing = self.list_or_empty(patterns)?;
        if listing.refs.is_empty() {
            return Err(Error::EmptyListing {
                url: self.url.to_string(),
                patterns: patterns.join(", "),
            });
        }
        Ok(listing)
    }

    /// The same, where none may be right: a repository that is still empty.
    pub fn list_or_empty(&self, patterns: &[&str]) -> Result<Listing, Error> {
        self.list_within(&RefPattern::parse_all(patterns)?, self.limits.operation)
    }

    /// Moves refs, each by compare-and-swap and independently of the others, in one push. The objects are taken from
    /// `from`. One result per update, in their order.
    ///
    /// Over a network the server compares; a repository on this machine is written directly, without its hooks. A reply
    /// that was lost is settled by reading the refs again.
    pub fn push(&self, from: &Repository, updates: &[RefUpdate]) -> Result<Vec<UpdateResult>, Error> {
        push::check(from, updates)?;
        if updates.is_empty() {
            return Ok(Vec::new());
        }
        match &self.reach {
            Reach::Path(path) => local::push(path, from, updates, self.limits.silence),
            Reach::Server(server) => push::Push::new(self, server, from, updates).run(),
        }
    }

    pub(crate) fn limits(&self) -> Limits {
        self.limits
    }

    pub(crate) fn reach(&self) -> &Reach {
        &self.reach
    }

    pub(crate) fn list_within(&self, patterns: &[RefPattern], allowed: Duration) -> Result<Listing, Error> {
        match &self.reach {
            Reach::Path(path) => Repository::open(path)?.refs_matching(patterns),
            Reach::Server(server) => {
                let operation = Operation::start(server, allowed);
                match server {
                    Server::Http(http) => http.list(&operation, patterns),
                    Server::Ssh(ssh) => ssh.list(&operation, patterns),
                }
            }
        }
    }
}
