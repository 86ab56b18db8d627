//! The front door at work.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use pilotage_clock::Clock;
use rustix::fs::{FlockOperation, flock};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use tokio::sync::Notify;

use super::control::{Answer, Ask, short_path};
use super::head::{self, BadHead, Head};
use super::routes::{Found, Routes};

/// The longest head that is read.
const HEAD: usize = 64 * 1024;
/// How long a client may take to send its head.
const HEAD_TIME: Duration = Duration::from_secs(30);
/// How long a connection to an instance on this machine may take.
const CONNECT: Duration = Duration::from_secs(5);
/// How long a client is listened to after its answer is complete, so that closing does not cut the answer's end.
const LINGER: Duration = Duration::from_secs(1);
/// How long open connections may take when the front door ends.
const END: Duration = Duration::from_secs(5);
/// How often it looks whether its state directory is still there.
const LOOK: Duration = Duration::from_secs(1);

/// Why there is no front door.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FrontError {
    /// Another one serves the same state directory.
    #[error("another front door serves {}", .0.display())]
    Running(PathBuf),
    /// The address is not to be had.
    #[error("cannot listen on {address}")]
    Listen {
        /// Which.
        address: SocketAddr,
        /// Why not.
        source: io::Error,
    },
    /// A file of the state directory.
    #[error("failed to {doing} in {}", path.display())]
    State {
        /// What.
        doing: &'static str,
        /// Where.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
}

/// What all connections share.
struct Door {
    routes: Routes,
    listen: SocketAddr,
    /// Held for reading from the look at the routes to the count of the connection; whoever gets it for writing knows
    /// that every connection led by an older route is counted.
    looking: RwLock<()>,
    open: Mutex<BTreeMap<SocketAddr, usize>>,
    changed: Notify,
    stop: Notify,
}

/// Serves until it is told to stop, `cancelled` comes back, or the state directory is gone.
pub(crate) async fn serve(
    state: &Path,
    listen: SocketAddr,
    clock: Clock,
    cancelled: impl Future<Output = ()>,
) -> Result<(), FrontError> {
    let failed = |doing: &'static str| {
        let path = state.to_owned();
        move |source: io::Error| FrontError::State { doing, path, source }
    };
    let lock = fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(state.join("front-door.lock"))
        .map_err(failed("open the front door's lock"))?;
    match flock(&lock, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => {}
        Err(rustix::io::Errno::WOULDBLOCK) => return Err(FrontError::Running(state.to_owned())),
        Err(error) => return Err(failed("lock")(error.into())),
    }
    let listener = TcpListener::bind(listen)
        .await
        .map_err(|source| FrontError::Listen {
            address: listen,
            source,
        })?;
    let listen = listener.local_addr().unwrap_or(listen);
    let (directory, socket) = short_path(state).map_err(failed("open"))?;
    // Whoever held the lock before is gone, and its socket is nobody's.
    let _ = fs::remove_file(&socket);
    let control = UnixListener::bind(&socket).map_err(failed("make a socket"))?;
    tracing::info!("the front door of {} listens on {listen}", state.display());

    let door = Arc::new(Door {
        routes: Routes::new(state, clock),
        listen,
        looking: RwLock::new(()),
        open: Mutex::default(),
        changed: Notify::new(),
        stop: Notify::new(),
    });
    let mut look = tokio::time::interval(LOOK);
    let mut cancelled = std::pin::pin!(cancelled);
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((client, _)) => {
                    let door = Arc::clone(&door);
                    tokio::spawn(async move { door.client(client).await });
                }
                Err(error) => {
                    // Too many open files, mostly; the next ones may fit again.
                    tracing::error!("a connection was lost: {error}");
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
            },
            accepted = control.accept() => if let Ok((stream, _)) = accepted {
                let door = Arc::clone(&door);
                tokio::spawn(async move {
                    if let Err(error) = door.answer(stream).await {
                        tracing::warn!("a question was not answered: {error}");
                    }
                });
            },
            () = door.stop.notified() => break,
            () = &mut cancelled => break,
            _ = look.tick() => if !door.routes.exist() {
                tracing::info!("{} is gone", state.display());
                break;
            },
        }
    }
    drop(listener);
    let _ = fs::remove_file(&socket);
    drop(directory);
    let _ = tokio::time::timeout(END, door.closed(None)).await;
    drop(lock);
    Ok(())
}

/// Counts one connection to an address while it lives.
struct Counted<'d> {
    door: &'d Door,
    address: SocketAddr,
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        let mut open = self.door.open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = open.get_mut(&self.address) {
            *count -= 1;
            if *count == 0 {
                open.remove(&self.address);
            }
        }
        drop(open);
        self.door.changed.notify_waiters();
    }
}

impl Door {
    fn open_to(&self, addresses: Option<&[SocketAddr]>) -> usize {
        let open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.iter()
            .filter(|(address, _)| addresses.is_none_or(|wanted| wanted.contains(address)))
            .map(|(_, count)| count)
            .sum()
    }

    /// Comes back when no connection to these addresses (to any, without) is open.
    async fn closed(&self, addresses: Option<&[SocketAddr]>) {
        loop {
            let mut changed = std::pin::pin!(self.changed.notified());
            // Registered before the look, so that a change in between is not missed.
            changed.as_mut().enable();
            if self.open_to(addresses) == 0 {
                return;
            }
            changed.await;
        }
    }

    fn lookup(&self, host: &str, path: &str) -> (Found, Option<Counted<'_>>) {
        let _looking = self.looking.read().unwrap_or_else(PoisonError::into_inner);
        let found = self.routes.find(host, path);
        let counted = match found {
            Found::Address(address) => {
                *self
                    .open
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .entry(address)
                    .or_insert(0) += 1;
                Some(Counted { door: self, address })
            }
            Found::Host | Found::Nothing => None,
        };
        (found, counted)
    }

    async fn answer(&self, stream: UnixStream) -> io::Result<()> {
        let mut stream = BufReader::new(stream);
        let mut line = String::new();
        stream.read_line(&mut line).await?;
        let mut answer = Answer {
            pid: std::process::id(),
            listen: self.listen,
            address: None,
            open: 0,
        };
        let question: Ask = serde_json::from_str(&line)?;
        match &question {
            Ask::Status | Ask::Stop => answer.open = self.open_to(None),
            Ask::Lookup { host, path } => {
                if let Found::Address(address) = self.routes.find(host, path) {
                    answer.address = Some(address);
                }
            }
            Ask::Drained {
                addresses,
                timeout_ms,
            } => {
                drop(self.looking.write().unwrap_or_else(PoisonError::into_inner));
                let limit = Duration::from_millis(*timeout_ms);
                let _ = tokio::time::timeout(limit, self.closed(Some(addresses))).await;
                answer.open = self.open_to(Some(addresses));
            }
        }
        let mut line = serde_json::to_vec(&answer)?;
        line.push(b'\n');
        stream.write_all(&line).await?;
        stream.shutdown().await?;
        if question == Ask::Stop {
            self.stop.notify_one();
        }
        Ok(())
    }

    async fn client(&self, mut client: TcpStream) {
        let _ = client.set_nodelay(true);
        let mut bytes = Vec::new();
        let read = tokio::time::timeout(HEAD_TIME, read_head(&mut client, &mut bytes)).await;
        let head = match read {
            Ok(Ok(Some(end))) => match head::parse(&bytes[..end]) {
                Ok(head) => (head, end),
                Err(BadHead::Malformed) => {
                    return page(&mut client, "400 Bad Request", "this is no HTTP/1 request").await;
                }
                Err(BadHead::Host) => {
                    return page(&mut client, "400 Bad Request", "exactly one Host is needed").await;
                }
            },
            Ok(Ok(None)) if bytes.len() >= HEAD => {
                return page(
                    &mut client,
                    "431 Request Header Fields Too Large",
                    "the request's head is too long",
                )
                .await;
            }
            // Gone, or silent for too long, before it asked for anything.
            Ok(Ok(None) | Err(_)) | Err(_) => return,
        };
        let (head, end) = head;
        let Some((counted, backend)) = self.connect(&head, &mut client).await else {
            return;
        };
        let answered = splice(&mut client, backend, &head.forward, &bytes[end..]).await;
        // The instance has done its part; how long the client takes to close is not its concern.
        drop(counted);
        match answered {
            Answered::Nothing => {
                page(
                    &mut client,
                    "502 Bad Gateway",
                    "the instance closed the connection without an answer",
                )
                .await;
            }
            Answered::Whole => linger(&mut client).await,
            // Dropped as it is: the client must see that the answer is not whole.
            Answered::Cut(error) => {
                tracing::warn!("{}{}: the answer was cut off: {error}", head.host, head.path)
            }
        }
    }

    /// A connection to the instance that serves now. One that stopped listening after the routes were read has been
    /// switched away from: the routes are read again.
    async fn connect(&self, head: &Head, client: &mut TcpStream) -> Option<(Counted<'_>, TcpStream)> {
        let mut tried = None;
        loop {
            let (found, counted) = self.lookup(&head.host, &head.path);
            match (found, counted) {
                (Found::Address(address), Some(counted)) if tried != Some(address) => {
                    let connected = tokio::time::timeout(CONNECT, TcpStream::connect(address)).await;
                    match connected {
                        Ok(Ok(backend)) => {
                            let _ = backend.set_nodelay(true);
                            return Some((counted, backend));
                        }
                        Ok(Err(error)) => tracing::warn!("{}{}: {address}: {error}", head.host, head.path),
                        Err(_) => {
                            tracing::warn!("{}{}: {address}: no connection in time", head.host, head.path)
                        }
                    }
                    tried = Some(address);
                }
                (Found::Address(_), _) => {
                    page(
                        client,
                        "503 Service Unavailable",
                        "the instance that serves does not listen",
                    )
                    .await;
                    return None;
                }
                (Found::Host, _) => {
                    page(client, "404 Not Found", "no service has this path").await;
                    return None;
                }
                (Found::Nothing, _) => {
                    page(client, "404 Not Found", "no service has this host").await;
                    return None;
                }
            }
        }
    }
}

/// Reads until the head is whole; none when the client ends or the head is too long before that.
async fn read_head(client: &mut TcpStream, bytes: &mut Vec<u8>) -> io::Result<Option<usize>> {
    let mut buffer = [0; 8192];
    loop {
        let count = client.read(&mut buffer).await?;
        if count == 0 {
            return Ok(None);
        }
        // The end may lie across two reads.
        let from = bytes.len().saturating_sub(3);
        bytes.extend_from_slice(&buffer[..count]);
        if let Some(end) = head::end(&bytes[from..]) {
            return Ok(Some(from + end));
        }
        if bytes.len() >= HEAD {
            return Ok(None);
        }
    }
}

/// What an instance made of a request.
enum Answered {
    /// It closed without a word.
    Nothing,
    /// It said something and closed.
    Whole,
    /// Its answer, or the client's connection, broke off.
    Cut(io::Error),
}

/// Passes both ways until the instance has said everything.
async fn splice(client: &mut TcpStream, mut backend: TcpStream, head: &[u8], body: &[u8]) -> Answered {
    let (mut from_client, mut to_client) = client.split();
    let (mut from_backend, mut to_backend) = backend.split();
    let up = async {
        let sent = async {
            to_backend.write_all(head).await?;
            to_backend.write_all(body).await?;
            tokio::io::copy(&mut from_client, &mut to_backend).await?;
            to_backend.shutdown().await
        };
        // An instance may answer without reading everything; what it says decides.
        let _ = sent.await;
        std::future::pending::<Answered>().await
    };
    let down = async {
        let mut buffer = vec![0; 16 * 1024];
        let mut silent = true;
        loop {
            match from_backend.read(&mut buffer).await {
                Ok(0) | Err(_) if silent => return Answered::Nothing,
                Ok(0) => return Answered::Whole,
                Ok(count) => {
                    silent = false;
                    if let Err(error) = to_client.write_all(&buffer[..count]).await {
                        return Answered::Cut(error);
                    }
                }
                Err(error) => return Answered::Cut(error),
            }
        }
    };
    tokio::select! {
        answered = down => answered,
        never = up => never,
    }
}

/// Ends the client's connection so that it can still read everything: closing with unread input would reset it.
async fn linger(client: &mut TcpStream) {
    if client.shutdown().await.is_err() {
        return;
    }
    let drain = async {
        let mut buffer = [0; 4096];
        while matches!(client.read(&mut buffer).await, Ok(count) if count > 0) {}
    };
    let _ = tokio::time::timeout(LINGER, drain).await;
}

async fn page(client: &mut TcpStream, status: &str, text: &str) {
    let body = format!("{status}: {text}\n");
    let answer = format!(
        "HTTP/1.1 {status}\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    );
    if client.write_all(answer.as_bytes()).await.is_ok() {
        linger(client).await;
    }
}
