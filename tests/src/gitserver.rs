//! Real git for tests: repositories made by the `git` program, and a small HTTP server in front of `git http-backend`
//! that counts what it is asked and fails on demand.
//!
//! Everything is hermetic: no configuration of the machine or the user, fixed people and dates.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "this is test support: what cannot be set up has to fail the test loudly"
)]

use std::collections::HashMap;
use std::fmt::Write as _;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

/// The first second that commits made here carry: 2026-01-01T00:00:00Z.
pub const EPOCH: i64 = 1_767_225_600;

/// A `git` command that sees nothing of this machine's configuration.
#[must_use]
pub fn git_command(directory: &Path) -> Command {
    let mut command = Command::new("git");
    command
        .current_dir(directory)
        .stdin(Stdio::null())
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("GIT_TERMINAL_PROMPT", "0")
        .env("GIT_AUTHOR_NAME", "Ana Costa")
        .env("GIT_AUTHOR_EMAIL", "ana@example.com")
        .env("GIT_AUTHOR_DATE", format!("{EPOCH} +0000"))
        .env("GIT_COMMITTER_NAME", "Ana Costa")
        .env("GIT_COMMITTER_EMAIL", "ana@example.com")
        .env("GIT_COMMITTER_DATE", format!("{EPOCH} +0000"))
        .env("LC_ALL", "C.UTF-8");
    for name in [
        "GIT_DIR",
        "GIT_WORK_TREE",
        "GIT_INDEX_FILE",
        "GIT_OBJECT_DIRECTORY",
        "GIT_CONFIG_COUNT",
    ] {
        command.env_remove(name);
    }
    command
}

/// Runs `git` and returns what it prints, without the last newline.
///
/// # Panics
/// When git says no.
pub fn git(directory: &Path, args: &[&str]) -> String {
    let output = git_command(directory)
        .args(args)
        .output()
        .expect("the git program runs");
    assert!(
        output.status.success(),
        "git {args:?} in {}: {}",
        directory.display(),
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8_lossy(&output.stdout)
        .trim_end_matches('\n')
        .to_owned()
}

/// One person of the tests.
#[derive(Clone, Debug)]
pub struct Person {
    /// The name.
    pub name: String,
    /// The address.
    pub email: String,
}

impl Person {
    /// A person with an address.
    #[must_use]
    pub fn new(name: &str, email: &str) -> Self {
        Self {
            name: name.to_owned(),
            email: email.to_owned(),
        }
    }
}

/// A mode and a content.
type Entry = (String, Vec<u8>);

/// A commit to be made: on the tip of its branch unless told otherwise.
#[derive(Clone, Debug)]
pub struct NewCommit {
    message: String,
    files: Vec<(String, Option<Entry>)>,
    merge: Vec<String>,
    from: Option<String>,
    author: Person,
    committer: Person,
    second: Option<i64>,
}

impl NewCommit {
    /// A commit with this message and no changes yet.
    #[must_use]
    pub fn new(message: &str) -> Self {
        let ana = Person::new("Ana Costa", "ana@example.com");
        Self {
            message: message.to_owned(),
            files: Vec::new(),
            merge: Vec::new(),
            from: None,
            author: ana.clone(),
            committer: ana,
            second: None,
        }
    }

    /// Writes a regular file.
    #[must_use]
    pub fn file(self, path: &str, content: impl AsRef<[u8]>) -> Self {
        self.entry("100644", path, content)
    }

    /// Writes an entry with any mode: `120000` is a symlink, whose content is its target.
    #[must_use]
    pub fn entry(mut self, mode: &str, path: &str, content: impl AsRef<[u8]>) -> Self {
        let content = content.as_ref().to_vec();
        self.files
            .push((path.to_owned(), Some((mode.to_owned(), content))));
        self
    }

    /// Removes a file or directory.
    #[must_use]
    pub fn remove(mut self, path: &str) -> Self {
        self.files.push((path.to_owned(), None));
        self
    }

    /// Adds a parent, making it a merge. The files are those of the first parent with the changes of this commit.
    #[must_use]
    pub fn merge(mut self, commit: &str) -> Self {
        self.merge.push(commit.to_owned());
        self
    }

    /// Takes this commit as the first parent, whatever the branch holds.
    #[must_use]
    pub fn from(mut self, commit: &str) -> Self {
        self.from = Some(commit.to_owned());
        self
    }

    /// Sets author and committer.
    #[must_use]
    pub fn by(mut self, person: &Person) -> Self {
        self.author = person.clone();
        self.committer = person.clone();
        self
    }

    /// Sets the committer.
    #[must_use]
    pub fn committed_by(mut self, person: &Person) -> Self {
        self.committer = person.clone();
        self
    }

    /// Sets the second of both dates; otherwise every commit of a repository is a second later than the one before.
    #[must_use]
    pub fn at(mut self, second: i64) -> Self {
        self.second = Some(second);
        self
    }
}

/// A bare repository on disk, filled by `git fast-import`.
#[derive(Debug)]
pub struct BareRepository {
    path: PathBuf,
    second: AtomicU64,
}

impl BareRepository {
    /// Makes an empty repository at `path` that takes pushes over HTTP.
    pub fn init(path: &Path) -> Self {
        std::fs::create_dir_all(path).unwrap();
        git(path, &["init", "--quiet", "--bare", "--initial-branch=main", "."]);
        for (key, value) in [
            ("http.receivepack", "true"),
            ("receive.denyCurrentBranch", "ignore"),
            ("gc.auto", "0"),
            ("receive.autogc", "false"),
        ] {
            git(path, &["config", key, value]);
        }
        Self::at(path)
    }

    /// Takes a repository that is there already.
    #[must_use]
    pub fn at(path: &Path) -> Self {
        Self {
            path: path.to_owned(),
            second: AtomicU64::new(EPOCH.unsigned_abs()),
        }
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Runs git in it.
    pub fn git(&self, args: &[&str]) -> String {
        git(&self.path, args)
    }

    /// The commit a ref or another expression names.
    pub fn id(&self, expression: &str) -> String {
        self.git(&["rev-parse", "--verify", &format!("{expression}^{{commit}}")])
    }

    /// Makes a commit on a branch (short name) or on any ref (`refs/…`) and returns its id.
    pub fn commit(&self, branch: &str, commit: NewCommit) -> String {
        let name = if branch.starts_with("refs/") {
            branch.to_owned()
        } else {
            format!("refs/heads/{branch}")
        };
        let tick = self.second.fetch_add(1, Ordering::Relaxed).cast_signed();
        let second = commit.second.unwrap_or(tick);
        let exists = git_command(&self.path)
            .args(["rev-parse", "--quiet", "--verify", &name])
            .stdout(Stdio::null())
            .status()
            .unwrap()
            .success();
        let mut stream = Vec::new();
        let person =
            |role: &str, who: &Person| format!("{role} {} <{}> {second} +0000\n", who.name, who.email);
        write!(stream, "commit {name}\nmark :1\n").unwrap();
        stream.extend_from_slice(person("author", &commit.author).as_bytes());
        stream.extend_from_slice(person("committer", &commit.committer).as_bytes());
        data(&mut stream, commit.message.as_bytes());
        match &commit.from {
            Some(from) => writeln!(stream, "from {from}").unwrap(),
            None if exists => writeln!(stream, "from {name}^0").unwrap(),
            None => {}
        }
        for parent in &commit.merge {
            writeln!(stream, "merge {parent}").unwrap();
        }
        for (path, content) in &commit.files {
            match content {
                Some((mode, content)) if mode == "160000" => {
                    writeln!(
                        stream,
                        "M 160000 {} {}",
                        String::from_utf8_lossy(content),
                        quoted(path)
                    )
                    .unwrap();
                }
                Some((mode, content)) => {
                    writeln!(stream, "M {mode} inline {}", quoted(path)).unwrap();
                    data(&mut stream, content);
                }
                None => writeln!(stream, "D {}", quoted(path)).unwrap(),
            }
        }
        stream.extend_from_slice(b"\nget-mark :1\n");
        self.import(&stream).trim().to_owned()
    }

    /// Feeds `git fast-import` with a stream and returns what it prints; for histories too large to make commit by
    /// commit.
    pub fn import(&self, stream: &[u8]) -> String {
        let mut child = git_command(&self.path)
            .args(["fast-import", "--quiet", "--force", "--cat-blob-fd=1"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("git fast-import starts");
        let mut input = child.stdin.take().unwrap();
        std::thread::scope(|scope| {
            scope.spawn(move || drop(input.write_all(stream)));
            let output = child.wait_with_output().unwrap();
            assert!(
                output.status.success(),
                "git fast-import: {}",
                String::from_utf8_lossy(&output.stderr)
            );
            String::from_utf8_lossy(&output.stdout).into_owned()
        })
    }

    /// Fills a branch with `files` small files and then `commits` commits that each change one. The first thousand files
    /// are `services/s<n>.yaml`, the others lie beside them as `files/s<n mod 1000>/f<n>`: one directory of ten thousand
    /// files would make git itself write gigabytes of trees.
    pub fn grow(&self, branch: &str, files: usize, commits: usize) {
        const SERVICES: usize = 1000;
        let path = |file: usize| {
            if file < SERVICES {
                format!("services/s{file}.yaml")
            } else {
                format!("files/s{}/f{file}", file % SERVICES)
            }
        };
        let people = |second: usize| {
            let second = EPOCH + i64::try_from(second).unwrap();
            let ana = "Ana Costa <ana@example.com>";
            format!("author {ana} {second} +0000\ncommitter {ana} {second} +0000\n")
        };
        let mut stream = Vec::new();
        write!(stream, "commit refs/heads/{branch}\n{}", people(0)).unwrap();
        data(&mut stream, b"Begin\n");
        for file in 0..files {
            writeln!(stream, "M 100644 inline {}", path(file)).unwrap();
            data(
                &mut stream,
                format!("version: \"1.0.0\"\nname: s{file}\n").as_bytes(),
            );
        }
        for commit in 1..=commits {
            // A stride that has no factor in common with the count visits every file.
            let file = commit * 7919 % files.max(1);
            write!(stream, "\ncommit refs/heads/{branch}\n{}", people(commit)).unwrap();
            data(&mut stream, format!("Release s{file}\n").as_bytes());
            writeln!(stream, "M 100644 inline {}", path(file)).unwrap();
            data(
                &mut stream,
                format!("version: \"1.0.{commit}\"\nname: s{file}\n").as_bytes(),
            );
        }
        self.import(&stream);
    }
}

fn data(stream: &mut Vec<u8>, content: &[u8]) {
    writeln!(stream, "data {}", content.len()).unwrap();
    stream.extend_from_slice(content);
    stream.push(b'\n');
}

/// A path as fast-import reads it, whatever characters it holds.
fn quoted(path: &str) -> String {
    let mut text = String::from("\"");
    for byte in path.bytes() {
        match byte {
            b'"' | b'\\' => {
                text.push('\\');
                text.push(char::from(byte));
            }
            b' '..=b'~' => text.push(char::from(byte)),
            _ => write!(text, "\\{byte:03o}").unwrap(),
        }
    }
    text.push('"');
    text
}

/// A kind of request a git server gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Asked {
    /// Any request.
    Any,
    /// The advertisement of refs before a fetch or of protocol version 0.
    Advertisement,
    /// The advertisement of refs before a push.
    PushAdvertisement,
    /// The one-request listing of protocol version 2.
    LsRefs,
    /// The request for a pack.
    Fetch,
    /// The request with a pack and the ref updates.
    Push,
}

/// What goes wrong.
#[derive(Clone, Debug)]
pub enum Fault {
    /// No answer, for as long as the server lives.
    Hang,
    /// The request is done, and then there is no answer for as long as the server lives.
    HangAfter,
    /// The answer begins, and the connection ends after this many bytes of its body.
    Die {
        /// Bytes of the body that still arrive.
        after: usize,
    },
    /// The answer begins, and nothing comes after this many bytes of its body, while the connection stays up.
    Stall {
        /// Bytes of the body that still arrive.
        after: usize,
    },
    /// The request is done, and the connection ends without an answer.
    DropReply,
    /// The connection ends before anything is done.
    DropRequest,
    /// This status, and nothing is done.
    Status(u16),
    /// This status although the request was done, as from a proxy that lost patience.
    StatusAfter(u16),
    /// A redirect to the same path below another base URL.
    Redirect {
        /// The base, such as `http://127.0.0.1:1234/new`; the repository's path is appended.
        base: String,
    },
    /// A redirect to exactly this address.
    RedirectTo(String),
    /// 200 with a web page.
    LoginPage,
    /// The right answer, this much later.
    Delay(Duration),
}

/// What a server was asked since it started or since [`GitServer::reset_counts`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// All requests.
    pub requests: u64,
    /// Requests by kind.
    pub by_kind: HashMap<Asked, u64>,
    /// Bytes received, heads included.
    pub bytes_in: u64,
    /// Bytes sent, heads included.
    pub bytes_out: u64,
    /// Connections accepted.
    pub connections: u64,
}

#[derive(Default)]
struct State {
    faults: Vec<(Asked, Fault, usize)>,
    credentials: Option<(String, String)>,
    counts: Counts,
    streams: Vec<TcpStream>,
    authorizations: Vec<bool>,
}

struct Shared {
    root: PathBuf,
    state: Mutex<State>,
    without_v2: AtomicBool,
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

struct Request {
    method: String,
    path: String,
    query: String,
    headers: HashMap<String, String>,
    body: Vec<u8>,
    size: u64,
}

impl Request {
    fn asked(&self) -> Asked {
        if self.method == "GET" {
            return if self.query.contains("git-receive-pack") {
                Asked::PushAdvertisement
            } else {
                Asked::Advertisement
            };
        }
        if self.path.ends_with("/git-receive-pack") {
            return Asked::Push;
        }
        let listing =
            self.headers.contains_key("git-protocol") && self.body.starts_with(b"0013command=ls-refs");
        if listing || self.body.windows(15).any(|window| window == b"command=ls-refs") {
            return Asked::LsRefs;
        }
        Asked::Fetch
    }
}

/// An answer with its whole body.
struct Reply {
    status: String,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

impl Reply {
    fn plain(status: u16, kind: &str, body: &str) -> Self {
        Self {
            status: format!("{status} Answer"),
            headers: vec![("Content-Type".to_owned(), kind.to_owned())],
            body: body.as_bytes().to_vec(),
        }
    }

    fn head(&self) -> Vec<u8> {
        let mut head = format!("HTTP/1.1 {}\r\n", self.status);
        for (name, value) in &self.headers {
            write!(head, "{name}: {value}\r\n").unwrap();
        }
        write!(head, "Content-Length: {}\r\n\r\n", self.body.len()).unwrap();
        head.into_bytes()
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

/// The right answer: credentials, then `git http-backend`.
fn answer(shared: &Shared, request: &Request) -> io::Result<Reply> {
    let credentials = shared.state.lock().unwrap().credentials.clone();
    if let Some((user, password)) = &credentials {
        let expected = format!("Basic {}", base64(format!("{user}:{password}").as_bytes()));
        if request.headers.get("authorization") != Some(&expected) {
            let mut reply = Reply::plain(401, "text/plain", "who are you\n");
            reply
                .headers
                .push(("WWW-Authenticate".to_owned(), "Basic realm=\"git\"".to_owned()));
            return Ok(reply);
        }
    }
    let mut command = git_command(&shared.root);
    command
        .arg("http-backend")
        .env("GIT_PROJECT_ROOT", &shared.root)
        .env("GIT_HTTP_EXPORT_ALL", "1")
        .env("PATH_INFO", &request.path)
        .env("QUERY_STRING", &request.query)
        .env("REQUEST_METHOD", &request.method)
        .env("REMOTE_ADDR", "127.0.0.1")
        .env("CONTENT_LENGTH", request.body.len().to_string())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null());
    let variables = [
        ("content-type", "CONTENT_TYPE"),
        ("content-encoding", "HTTP_CONTENT_ENCODING"),
    ];
    for (header, variable) in variables {
        if let Some(value) = request.headers.get(header) {
            command.env(variable, value);
        }
    }
    if let Some((user, _)) = &credentials {
        command.env("REMOTE_USER", user);
    }
    command.env_remove("GIT_PROTOCOL");
    if let Some(protocol) = request.headers.get("git-protocol")
        && !shared.without_v2.load(Ordering::Relaxed)
    {
        command.env("GIT_PROTOCOL", protocol);
    }
    let mut child = command.spawn()?;
    let mut input = child.stdin.take().unwrap();
    let output = std::thread::scope(|scope| {
        scope.spawn(move || drop(input.write_all(&request.body)));
        child.wait_with_output()
    })?;
    Ok(parse_cgi(&output.stdout))
}

fn parse_cgi(output: &[u8]) -> Reply {
    let end = output.windows(4).position(|window| window == b"\r\n\r\n");
    let (head, body) = match end {
        Some(end) => (&output[..end], &output[end + 4..]),
        None => return Reply::plain(500, "text/plain", "git http-backend failed\n"),
    };
    let mut reply = Reply {
        status: "200 OK".to_owned(),
        headers: Vec::new(),
        body: body.to_vec(),
    };
    for line in String::from_utf8_lossy(head).lines() {
        let Some((name, value)) = line.split_once(':') else {
            continue;
        };
        let value = value.trim().to_owned();
        if name.eq_ignore_ascii_case("status") {
            reply.status = value;
        } else {
            reply.headers.push((name.to_owned(), value));
        }
    }
    reply
}

/// Reads one request; `None` when the other side has closed the connection.
fn read_request(reader: &mut BufReader<TcpStream>, stream: &mut TcpStream) -> io::Result<Option<Request>> {
    let mut line = String::new();
    if reader.read_line(&mut line)? == 0 {
        return Ok(None);
    }
    let mut size = line.len() as u64;
    let mut words = line.split_whitespace();
    let (method, target) = (
        words.next().unwrap_or_default().to_owned(),
        words.next().unwrap_or_default().to_owned(),
    );
    let mut headers = HashMap::new();
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line)? == 0 {
            return Ok(None);
        }
        size += line.len() as u64;
        let line = line.trim_end();
        if line.is_empty() {
            break;
        }
        if let Some((name, value)) = line.split_once(':') {
            headers.insert(name.to_ascii_lowercase(), value.trim().to_owned());
        }
    }
    if headers
        .get("expect")
        .is_some_and(|value| value.eq_ignore_ascii_case("100-continue"))
    {
        stream.write_all(b"HTTP/1.1 100 Continue\r\n\r\n")?;
    }
    let mut body = Vec::new();
    if headers
        .get("transfer-encoding")
        .is_some_and(|value| value.contains("chunked"))
    {
        loop {
            let mut line = String::new();
            reader.read_line(&mut line)?;
            let length = usize::from_str_radix(line.trim(), 16).unwrap_or(0);
            let start = body.len();
            body.resize(start + length, 0);
            reader.read_exact(&mut body[start..])?;
            let mut end = String::new();
            reader.read_line(&mut end)?;
            if length == 0 {
                break;
            }
        }
    } else if let Some(length) = headers.get("content-length").and_then(|value| value.parse().ok()) {
        body.resize(length, 0);
        reader.read_exact(&mut body)?;
    }
    size += body.len() as u64;
    let (path, query) = target.split_once('?').unwrap_or((&target, ""));
    Ok(Some(Request {
        method,
        path: decoded(path),
        query: query.to_owned(),
        headers,
        body,
        size,
    }))
}

fn decoded(path: &str) -> String {
    let bytes = path.as_bytes();
    let mut text = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let hex = bytes
            .get(at + 1..at + 3)
            .and_then(|hex| std::str::from_utf8(hex).ok());
        match (bytes[at], hex.and_then(|hex| u8::from_str_radix(hex, 16).ok())) {
            (b'%', Some(byte)) => {
                text.push(byte);
                at += 3;
            }
            (byte, _) => {
                text.push(byte);
                at += 1;
            }
        }
    }
    String::from_utf8_lossy(&text).into_owned()
}

fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let mut block = [0; 3];
        block[..chunk.len()].copy_from_slice(chunk);
        let number = u32::from_be_bytes([0, block[0], block[1], block[2]]);
        for digit in 0..4_usize {
            if digit <= chunk.len() {
                let index = number >> (18 - 6 * digit) & 63;
                text.push(char::from(DIGITS[index as usize]));
            } else {
                text.push('=');
            }
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_program_git_can_clone_and_push() {
        let world = tempfile::tempdir().unwrap();
        let bare = BareRepository::init(&world.path().join("env.git"));
        let first = bare.commit("main", NewCommit::new("First").file("a b.yaml", "x: 1\n"));
        let server = GitServer::start(world.path());
        git(
            world.path(),
            &["clone", "--quiet", &server.url("env.git"), "clone"],
        );
        let clone = world.path().join("clone");
        assert_eq!(git(&clone, &["rev-parse", "HEAD"]), first);
        std::fs::write(clone.join("b.yaml"), "y: 2\n").unwrap();
        git(&clone, &["add", "."]);
        git(&clone, &["commit", "--quiet", "-m", "Second"]);
        git(&clone, &["push", "--quiet", "origin", "main"]);
        assert_eq!(bare.id("main"), git(&clone, &["rev-parse", "HEAD"]));
        assert!(server.counts().by_kind[&Asked::Push] >= 1);
    }

    #[test]
    fn base64_is_padded() {
        for (text, encoded) in [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("foob", "Zm9vYg=="),
        ] {
            assert_eq!(base64(text.as_bytes()), encoded);
        }
    }
}
