use std::borrow::Cow;
use std::fmt;
use std::net::{Shutdown, SocketAddr};
use std::os::fd::AsFd;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use russh::client::{self, AuthResult, Handle};
use russh::keys::ssh_key::{Algorithm, EcdsaCurve, HashAlg, PublicKey};
use russh::keys::{PrivateKeyWithHashAlg, PublicKeyOrCertificate};
use russh::{Preferred, SshId};
use tokio::net::TcpStream;
use tokio::time::error::Elapsed;

use super::known_hosts::{KnownHosts, Verdict};
use super::{Ssh, key};
use crate::operation::Operation;
use crate::{Error, UnknownHost};

/// How often a connection that says nothing is asked whether it lives, and how often in vain before it is given up.
const KEEPALIVE: (Duration, usize) = (Duration::from_secs(15), 3);

/// No file of known hosts is larger.
const MOST: u64 = 16 << 20;

/// An authenticated connection. It ends when the last user lets it go.
pub(crate) struct Session {
    handle: Handle<Server>,
    /// The same socket: shutting it down ends the connection whatever state its task is in.
    _end: End,
}

struct End(std::net::TcpStream);

impl Drop for End {
    fn drop(&mut self) {
        let _ = self.0.shutdown(Shutdown::Both);
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session").finish_non_exhaustive()
    }
}

impl Session {
    /// Connects, checks the host and logs in. Each wait has its limit, and all of them end with the operation.
    pub(super) fn connect(ssh: &Ssh, operation: &Operation) -> Result<Self, Error> {
        let settings = &ssh.settings;
        let Some(key_file) = &settings.key else {
            return Err(Error::NoSshKey { url: operation.url() });
        };
        let private = Arc::new(key::load(key_file, settings.passphrase.as_ref())?);
        let known = known_hosts(settings.known_hosts.as_deref())?;
        let host = ssh.address.known_as();
        let config = Arc::new(client::Config {
            client_id: SshId::Standard(Cow::Borrowed(concat!(
                "SSH-2.0-pilotage_",
                env!("CARGO_PKG_VERSION")
            ))),
            preferred: preferred(&known.kinds(&host)),
            keepalive_interval: Some(KEEPALIVE.0),
            keepalive_max: KEEPALIVE.1,
            nodelay: true,
            ..client::Config::default()
        });
        let socket = dial(ssh, operation)?;
        let end = End(same_socket(&socket).map_err(|error| unavailable(operation, error.to_string()))?);
        let server = Server {
            url: operation.url(),
            host,
            known,
            file: settings
                .known_hosts
                .as_ref()
                .map(|path| path.display().to_string()),
        };
        let shaken = operation.wait(client::connect_stream(config, socket, server))?;
        let mut session = Self {
            handle: shaken.map_err(|trouble| trouble.into_error(operation))?,
            _end: end,
        };
        session.log_in(ssh.user(), private, operation)?;
        Ok(session)
    }

    fn log_in(
        &mut self,
        user: &str,
        private: Arc<russh::keys::PrivateKey>,
        operation: &Operation,
    ) -> Result<(), Error> {
        let fingerprint = private.public_key().fingerprint(HashAlg::Sha256).to_string();
        let handle = &mut self.handle;
        let answer = operation.wait(async {
            let hash = if private.algorithm().is_rsa() {
                // Never `ssh-rsa`, whose signatures are SHA-1.
                let best = handle.best_supported_rsa_hash().await?;
                Some(best.flatten().unwrap_or(HashAlg::Sha512))
            } else {
                None
            };
            let key = PrivateKeyWithHashAlg::new(private, hash);
            handle.authenticate_publickey(user, key).await
        })?;
        match answer {
            Ok(AuthResult::Success) => Ok(()),
            Ok(AuthResult::Failure { .. }) if self.handle.is_closed() => Err(unavailable(
                operation,
                "the server closed the connection while we logged in".to_owned(),
            )),
            Ok(AuthResult::Failure { partial_success, .. }) => Err(Error::Denied {
                url: operation.url(),
                detail: if partial_success {
                    format!("the key {fingerprint} is accepted for {user}, but something more is asked for")
                } else {
                    format!("the key {fingerprint} is not accepted for {user}")
                },
            }),
            Err(error) => Err(self.failed(operation, &error)),
        }
    }

    pub(super) fn handle(&self) -> &Handle<Server> {
        &self.handle
    }

    /// Gives an error of the connection its name.
    pub(super) fn failed(&self, operation: &Operation, error: &russh::Error) -> Error {
        named(operation, error)
    }
}

fn unavailable(operation: &Operation, detail: String) -> Error {
    Error::Unavailable {
        url: operation.url(),
        detail,
    }
}

fn named(operation: &Operation, error: &russh::Error) -> Error {
    use russh::Error as E;
    let detail = match error {
        E::Version => {
            return Error::NotGit {
                url: operation.url(),
                detail: "no SSH server speaks on this port".to_owned(),
            };
        }
        E::NoCommonAlgo { kind, theirs, .. } => {
            let theirs = pilotage_diagnostic::printable(&theirs.join(", "));
            let theirs: String = theirs.chars().take(300).collect();
            format!("it offers no {kind:?} algorithm that is safe enough: {theirs}")
        }
        E::HUP | E::Disconnect | E::SendError => "the server closed the connection".to_owned(),
        E::IO(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => {
            "the server closed the connection".to_owned()
        }
        E::ChannelOpenFailure(reason) => format!("the server opens no channel ({reason:?})"),
        other => pilotage_diagnostic::printable(&other.to_string()),
    };
    unavailable(operation, detail)
}

/// A second handle on a socket.
fn same_socket(socket: &TcpStream) -> std::io::Result<std::net::TcpStream> {
    Ok(socket.as_fd().try_clone_to_owned()?.into())
}

/// Opens a connection to the first address of the host that takes one.
fn dial(ssh: &Ssh, operation: &Operation) -> Result<TcpStream, Error> {
    let (host, port) = (ssh.address.host(), ssh.address.port());
    let found = limited(ssh, operation, tokio::net::lookup_host((host, port)))?;
    let addresses: Vec<SocketAddr> = match found {
        Ok(Ok(addresses)) => addresses.collect(),
        Ok(Err(error)) => {
            return Err(unavailable(
                operation,
                format!("the host name has no address: {error}"),
            ));
        }
        Err(_) => {
            return Err(unavailable(
                operation,
                "the name service did not answer in time".to_owned(),
            ));
        }
    };
    let mut last = "the host name has no address".to_owned();
    for address in addresses {
        match limited(ssh, operation, TcpStream::connect(address))? {
            Ok(Ok(socket)) => {
                let _ = socket.set_nodelay(true);
                return Ok(socket);
            }
            Ok(Err(error)) if error.kind() == std::io::ErrorKind::ConnectionRefused => {
                last = format!("connection refused by {address}");
            }
            Ok(Err(error)) => last = format!("{address} cannot be reached: {error}"),
            Err(_) => {
                let seconds = ssh.connect_timeout.as_secs_f32();
                last = format!("{address} took no connection within {seconds} s");
            }
        }
    }
    Err(unavailable(operation, last))
}

/// One wait of connecting: its result, or nothing within the limit for connecting.
fn limited<F: Future>(
    ssh: &Ssh,
    operation: &Operation,
    work: F,
) -> Result<Result<F::Output, Elapsed>, Error> {
    operation.wait(async { tokio::time::timeout(ssh.connect_timeout, work).await })
}

/// The file as it is now; one that is not there yet holds nothing.
fn known_hosts(path: Option<&Path>) -> Result<KnownHosts, Error> {
    use std::io::Read;
    let Some(path) = path else {
        return Ok(KnownHosts::default());
    };
    let unusable = |detail: String| Error::KnownHosts {
        path: path.display().to_string(),
        detail,
    };
    let mut bytes = Vec::new();
    match std::fs::File::open(path).and_then(|file| file.take(MOST + 1).read_to_end(&mut bytes)) {
        Ok(_) if bytes.len() as u64 > MOST => Err(unusable("it is too large".to_owned())),
        Ok(_) => Ok(KnownHosts::parse(&String::from_utf8_lossy(&bytes))),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(KnownHosts::default()),
        Err(error) => Err(unusable(error.to_string())),
    }
}

/// Our algorithms, those of the host's known keys first: a server has keys of several types and shows the one that we
/// would like to see. SHA-1 signatures are not among them.
fn preferred(kinds: &[&str]) -> Preferred {
    let ecdsa = |curve| Algorithm::Ecdsa { curve };
    let rsa = |hash| Algorithm::Rsa { hash: Some(hash) };
    let mut keys = vec![
        Algorithm::Ed25519,
        ecdsa(EcdsaCurve::NistP256),
        ecdsa(EcdsaCurve::NistP384),
        ecdsa(EcdsaCurve::NistP521),
        rsa(HashAlg::Sha512),
        rsa(HashAlg::Sha256),
    ];
    let is_known = |algorithm: &Algorithm| match algorithm {
        Algorithm::Rsa { .. } => kinds.contains(&"ssh-rsa"),
        other => kinds.contains(&other.as_str()),
    };
    keys.sort_by_key(|algorithm| !is_known(algorithm));
    Preferred {
        key: Cow::Owned(keys),
        ..Preferred::DEFAULT
    }
}

/// Our side of the connection: it believes the hosts that stand in the file, and nobody else.
pub(crate) struct Server {
    url: String,
    host: String,
    known: KnownHosts,
    file: Option<String>,
}

/// Why a connection did not come up.
#[derive(Debug)]
pub(crate) enum Trouble {
    Host(Error),
    Protocol(russh::Error),
}

impl From<russh::Error> for Trouble {
    fn from(error: russh::Error) -> Self {
        Self::Protocol(error)
    }
}

impl Trouble {
    fn into_error(self, operation: &Operation) -> Error {
        match self {
            Self::Host(error) => error,
            Self::Protocol(error) => named(operation, &error),
        }
    }
}

impl client::Handler for Server {
    type Error = Trouble;

    async fn check_server_key(&mut self, shown: &PublicKeyOrCertificate) -> Result<bool, Trouble> {
        self.check(&shown.public_key())
            .map(|()| true)
            .map_err(Trouble::Host)
    }
}

impl Server {
    fn check(&self, shown: &PublicKey) -> Result<(), Error> {
        let kind = shown.algorithm().as_str().to_owned();
        let Ok(bytes) = shown.to_bytes() else {
            return Err(Error::NotGit {
                url: self.url.clone(),
                detail: "its host key cannot be read".to_owned(),
            });
        };
        let fingerprint = shown.fingerprint(HashAlg::Sha256).to_string();
        let file = self.file.clone().unwrap_or_default();
        let refused = |detail| Error::HostRefused {
            url: self.url.clone(),
            detail,
        };
        match self.known.judge(&self.host, &kind, &bytes) {
            Verdict::Known => Ok(()),
            Verdict::Unknown => {
                let line = format!("{} {kind} {}", self.host, encode(&bytes));
                let file = match &self.file {
                    Some(file) => file,
                    None => "a file, and name that by --known-hosts (or PILOTAGE_KNOWN_HOSTS)",
                };
                Err(Error::HostUnknown(Box::new(UnknownHost {
                    url: self.url.clone(),
                    advice: format!(
                        "compare the fingerprint with the one that the server's administrators tell you; when it is the same, add this line to {file}: {line}"
                    ),
                    line,
                    kind,
                    fingerprint,
                })))
            }
            Verdict::Changed { line, kind: known } => Err(refused(format!(
                "THE KEY OF {} HAS CHANGED: it shows {kind} {fingerprint}, and {file}:{line} holds another ({known})",
                self.host
            ))),
            Verdict::Revoked { line } => Err(refused(format!(
                "its key {kind} {fingerprint} is marked @revoked in {file}:{line}"
            ))),
            Verdict::Authority { line } => Err(refused(format!(
                "{file}:{line} trusts it by @cert-authority only, which is not supported here; it shows {kind} {fingerprint}"
            ))),
        }
    }
}

fn encode(bytes: &[u8]) -> String {
    use base64::Engine;
    base64::engine::general_purpose::STANDARD.encode(bytes)
}
