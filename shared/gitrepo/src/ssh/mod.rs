//! Repositories behind an SSH server: `git-upload-pack` and `git-receive-pack` on a channel of a kept connection.
//!
//! Nothing of the user is used: no `~/.ssh`, no agent, no configuration. The key and the hosts that are believed are
//! files that the caller names, read anew for each connection.

mod address;
mod channel;
mod key;
mod known_hosts;
mod list;
mod session;
mod words;

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use pilotage_secret::Secret;

pub use address::SshAddress;
pub(crate) use channel::Channel;
use session::Session;

use crate::operation::Operation;
use crate::remote::Meter;
use crate::{Error, Limits, Listing, RefPattern};

/// Who one is to an SSH server, and which servers are believed.
#[derive(Clone, Debug, Default)]
pub struct SshSettings {
    /// The user to log in as where the address names none; empty is `git`.
    pub user: String,
    /// The file with the private key.
    pub key: Option<PathBuf>,
    /// What opens the key when it is encrypted.
    pub passphrase: Option<Secret>,
    /// The file with the host keys that are believed, in the format of OpenSSH's `known_hosts`. Without one, or where it
    /// does not hold the host, no connection is made.
    pub known_hosts: Option<PathBuf>,
}

/// How a repository is reached over SSH: one connection, kept between operations, and a channel for each of them.
#[derive(Debug)]
pub(crate) struct Ssh {
    pub(crate) address: SshAddress,
    settings: SshSettings,
    connect_timeout: Duration,
    pub(crate) limits: Limits,
    pub(crate) meter: Arc<Meter>,
    session: Mutex<Option<Arc<Session>>>,
    /// Set when the server was seen to speak protocol version 2, so that it need not be asked first.
    speaks_v2: AtomicBool,
}

/// How long a kept connection may take to answer at all before a new one is made.
const KEPT_PATIENCE: Duration = Duration::from_secs(5);

impl Ssh {
    pub(crate) fn new(
        address: &SshAddress,
        settings: SshSettings,
        connect_timeout: Duration,
        limits: Limits,
        meter: Arc<Meter>,
    ) -> Self {
        Self {
            address: address.clone(),
            settings,
            connect_timeout,
            limits,
            meter,
            session: Mutex::new(None),
            speaks_v2: AtomicBool::new(false),
        }
    }

    /// The same server with other settings.
    pub(crate) fn with_settings(&self, settings: SshSettings) -> Self {
        let (timeout, meter) = (self.connect_timeout, Arc::clone(&self.meter));
        Self::new(&self.address, settings, timeout, self.limits, meter)
    }

    fn user(&self) -> &str {
        match (self.address.user(), self.settings.user.as_str()) {
            (Some(user), _) => user,
            (None, "") => "git",
            (None, user) => user,
        }
    }

    fn kept(&self) -> MutexGuard<'_, Option<Arc<Session>>> {
        self.session.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Forgets a connection on which something went wrong; it ends when nobody uses it any more.
    fn discard(&self, session: &Arc<Session>) {
        let mut kept = self.kept();
        if kept.as_ref().is_some_and(|kept| Arc::ptr_eq(kept, session)) {
            *kept = None;
        }
    }

    /// Starts `program` for the repository, on the kept connection where that still answers.
    pub(crate) fn run(
        self: &Arc<Self>,
        operation: &Arc<Operation>,
        program: &'static str,
        v2: bool,
    ) -> Result<Channel, Error> {
        let kept = self.kept().clone();
        if let Some(session) = kept {
            match Channel::open(self, operation, &session, program, v2, KEPT_PATIENCE) {
                Ok(channel) => return Ok(channel),
                Err(error) => {
                    self.discard(&session);
                    if operation.is_over() {
                        return Err(error);
                    }
                }
            }
        }
        let session = Arc::new(Session::connect(self, operation)?);
        *self.kept() = Some(Arc::clone(&session));
        let opened = Channel::open(self, operation, &session, program, v2, self.limits.silence);
        opened.inspect_err(|_| self.discard(&session))
    }

    /// Lists the refs: by protocol version 2 where the server takes it, else as version 0 sends them, on the same channel.
    pub(crate) fn list(
        self: &Arc<Self>,
        operation: &Arc<Operation>,
        patterns: &[RefPattern],
    ) -> Result<Listing, Error> {
        let mut channel = self.run(operation, "git-upload-pack", true)?;
        let known = self.speaks_v2.load(Ordering::Relaxed);
        match list::list(&mut channel, patterns, known) {
            Ok(list::Answer { listing, v2 }) => {
                self.speaks_v2.store(v2, Ordering::Relaxed);
                Ok(listing)
            }
            Err(list::Trouble::Refused(words)) => {
                Err(operation.refused(pilotage_diagnostic::printable(&words)))
            }
            Err(list::Trouble::NotGit) => Err(Error::NotGit {
                url: operation.url(),
                detail: "its answer is not that of git (does a login script of the user print something?)"
                    .to_owned(),
            }),
            Err(list::Trouble::Io(error)) => {
                Err(operation.take_trouble().unwrap_or_else(|| Error::Unavailable {
                    url: operation.url(),
                    detail: error.to_string(),
                }))
            }
        }
    }
}
