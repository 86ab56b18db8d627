//! The server: one thread a connection, until it is dropped.

use std::io::{self, BufReader, Write as _};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use super::backend::answer;
use super::exchange::{Reply, read_request};
use super::fault::{Asked, Counts, Fault};

#[derive(Default)]
pub(super) struct State {
    faults: Vec<(Asked, Fault, usize)>,
    pub(super) credentials: Option<(String, String)>,
    counts: Counts,
    streams: Vec<TcpStream>,
    authorizations: Vec<bool>,
}

pub(super) struct Shared {
    pub(super) root: PathBuf,
    pub(super) state: Mutex<State>,
    pub(super) without_v2: AtomicBool,
    stopped: Mutex<bool>,
    stop: Condvar,
}

/// A git server on 127.0.0.1, serving every repository below a directory until it is dropped.
pub struct GitServer {
    address: SocketAddr,
    shared: Arc<Shared>,
    listener: Option<JoinHandle<()>>,
}

impl GitServer {
    /// Starts to serve the repositories below `root`.
    #[must_use]
    pub fn start(root: &Path) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port of this machine");
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared {
            root: root.canonicalize().unwrap(),
            state: Mutex::default(),
            without_v2: AtomicBool::new(false),
            stopped: Mutex::new(false),
            stop: Condvar::new(),
        });
        let accepting = Arc::clone(&shared);
        let listener = std::thread::spawn(move || {
            for stream in listener.incoming() {
                let Ok(stream) = stream else { continue };
                if *accepting.stopped.lock().unwrap() {
                    break;
                }
                {
                    let mut state = accepting.state.lock().unwrap();
                    state.counts.connections += 1;
                    state.streams.push(stream.try_clone().unwrap());
                }
                let shared = Arc::clone(&accepting);
                std::thread::spawn(move || drop(serve(&shared, stream)));
            }
        });
        Self {
            address,
            shared,
            listener: Some(listener),
        }
    }

    /// The address of a repository, by its path below the root.
    #[must_use]
    pub fn url(&self, repository: &str) -> String {
        format!("http://{}/{repository}", self.address)
    }

    /// The address of the server itself, `http://127.0.0.1:<port>`.
    #[must_use]
    pub fn base(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Asks for this user and password from now on.
    pub fn require(&self, user: &str, password: &str) {
        self.shared.state.lock().unwrap().credentials = Some((user.to_owned(), password.to_owned()));
    }

    /// Lets the next `times` requests of a kind go wrong.
    pub fn fault(&self, asked: Asked, fault: Fault, times: usize) {
        self.shared
            .state
            .lock()
            .unwrap()
            .faults
            .push((asked, fault, times));
    }

    /// Forgets faults that have not happened yet.
    pub fn heal(&self) {
        self.shared.state.lock().unwrap().faults.clear();
    }

    /// Speaks protocol version 0 only, as a front end does that drops the `Git-Protocol` header.
    pub fn without_v2(&self) {
        self.shared.without_v2.store(true, Ordering::Relaxed);
    }

    /// What was asked so far.
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.shared.state.lock().unwrap().counts.clone()
    }

    /// Whether each request so far carried credentials, in order.
    #[must_use]
    pub fn authorizations(&self) -> Vec<bool> {
        self.shared.state.lock().unwrap().authorizations.clone()
    }

    /// Counts from zero again.
    pub fn reset_counts(&self) {
        self.shared.state.lock().unwrap().counts = Counts::default();
    }
}

impl Drop for GitServer {
    fn drop(&mut self) {
        *self.shared.stopped.lock().unwrap() = true;
        self.shared.stop.notify_all();
        for stream in self.shared.state.lock().unwrap().streams.drain(..) {
            drop(stream.shutdown(Shutdown::Both));
        }
        // Wakes the listener, which then sees that it is over.
        drop(TcpStream::connect(self.address));
        if let Some(listener) = self.listener.take() {
            drop(listener.join());
        }
    }
}

impl Shared {
    /// Waits until the server ends, or for `most`.
    fn wait(&self, most: Option<Duration>) {
        let stopped = self.stopped.lock().unwrap();
        match most {
            Some(most) => drop(
                self.stop
                    .wait_timeout_while(stopped, most, |stopped| !*stopped)
                    .unwrap(),
            ),
            None => drop(self.stop.wait_while(stopped, |stopped| !*stopped).unwrap()),
        }
    }

    fn take_fault(&self, asked: Asked) -> Option<Fault> {
        let mut state = self.state.lock().unwrap();
        let index = state
            .faults
            .iter()
            .position(|(kind, _, left)| *left > 0 && (*kind == Asked::Any || *kind == asked))?;
        state.faults[index].2 -= 1;
        Some(state.faults[index].1.clone())
    }
}

/// Serves one connection, request after request.
fn serve(shared: &Shared, mut stream: TcpStream) -> io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    while let Some(request) = read_request(&mut reader, &mut stream)? {
        let asked = request.asked();
        {
            let mut state = shared.state.lock().unwrap();
            state.counts.requests += 1;
            *state.counts.by_kind.entry(asked).or_default() += 1;
            state.counts.bytes_in += request.size;
            state
                .authorizations
                .push(request.headers.contains_key("authorization"));
        }
        let reply = match shared.take_fault(asked) {
            Some(Fault::Hang) => {
                shared.wait(None);
                return Ok(());
            }
            Some(Fault::HangAfter) => {
                answer(shared, &request)?;
                shared.wait(None);
                return Ok(());
            }
            Some(Fault::DropRequest) => return stream.shutdown(Shutdown::Both),
            Some(Fault::DropReply) => {
                answer(shared, &request)?;
                return stream.shutdown(Shutdown::Both);
            }
            Some(Fault::Die { after }) => {
                let reply = answer(shared, &request)?;
                send(shared, &mut stream, &reply, after)?;
                return stream.shutdown(Shutdown::Both);
            }
            Some(Fault::Stall { after }) => {
                let reply = answer(shared, &request)?;
                send(shared, &mut stream, &reply, after)?;
                shared.wait(None);
                return Ok(());
            }
            Some(Fault::Status(status)) => Reply::plain(status, "text/plain", "no\n"),
            Some(Fault::StatusAfter(status)) => {
                answer(shared, &request)?;
                Reply::plain(status, "text/plain", "no\n")
            }
            Some(Fault::Redirect { base }) => {
                let query = if request.query.is_empty() {
                    String::new()
                } else {
                    format!("?{}", request.query)
                };
                redirect(format!("{base}{}{query}", request.path))
            }
            Some(Fault::RedirectTo(location)) => redirect(location),
            Some(Fault::LoginPage) => {
                Reply::plain(200, "text/html; charset=utf-8", "<html>Please log in</html>\n")
            }
            Some(Fault::Delay(time)) => {
                shared.wait(Some(time));
                answer(shared, &request)?
            }
            None => answer(shared, &request)?,
        };
        send(shared, &mut stream, &reply, usize::MAX)?;
    }
    Ok(())
}

fn redirect(location: String) -> Reply {
    let mut reply = Reply::plain(302, "text/plain", "elsewhere\n");
    reply.headers.push(("Location".to_owned(), location));
    reply
}

fn send(shared: &Shared, stream: &mut TcpStream, reply: &Reply, most: usize) -> io::Result<()> {
    let head = reply.head();
    let body = &reply.body[..reply.body.len().min(most)];
    // Counted before it leaves, so that whoever has the answer finds it counted.
    shared.state.lock().unwrap().counts.bytes_out += (head.len() + body.len()) as u64;
    stream.write_all(&head)?;
    stream.write_all(body)?;
    stream.flush()
}
