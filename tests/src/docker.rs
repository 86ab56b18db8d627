//! A Docker engine of our own, in a network of its own: neither the machine's engine nor another world is touched, and
//! nothing is left when the last handle goes or the test is killed.

use std::fs;
use std::io::{Read, Write};
use std::net::{IpAddr, SocketAddr};
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, OnceLock};
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::time::Instant;

/// Ends the engine when standard input ends, which also happens when whoever holds the other end is killed.
const KEEPER: &str = r#"
ip link set lo up
dockerd --data-root "$1/data" --exec-root "$1/exec" --pidfile "$1/pid" --host "unix://$1/docker.sock" \
  --bridge none --default-address-pool base=10.90.0.0/16,size=24 >>"$1/log" 2>&1 &
read -r _
kill $!
wait $!
umount -R "$1/data" "$1/exec" 2>/dev/null
rm -rf "$1"
"#;
/// How long an engine may take to answer.
const UP: Duration = Duration::from_secs(30);

/// An engine with a name for its socket.
#[derive(Debug)]
pub struct Engine {
    folder: PathBuf,
    keeper: Mutex<Option<Child>>,
}

/// What the engine answered: its status and its JSON, or its text.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// The body.
    pub body: Value,
}

impl Engine {
    /// The engine that all tests of one program share. None, with a printed reason, where none can be started.
    #[must_use]
    #[expect(
        clippy::print_stderr,
        reason = "a test that proves less than it could has to say so"
    )]
    pub fn shared() -> Option<&'static Self> {
        static SHARED: OnceLock<Result<Engine, String>> = OnceLock::new();
        match SHARED.get_or_init(Self::start) {
            Ok(engine) => Some(engine),
            Err(reason) => {
                eprintln!("no Docker engine, so nothing is tried on one: {reason}");
                None
            }
        }
    }

    /// Starts an engine.
    ///
    /// # Errors
    /// The reason why none can be had here, in words.
    pub fn start() -> Result<Self, String> {
        if !rustix::process::geteuid().is_root() {
            return Err("only root can start one".to_owned());
        }
        for program in ["dockerd", "ip", "unshare"] {
            let found = Command::new("sh")
                .args(["-c", &format!("command -v {program}")])
                .output();
            if !found.is_ok_and(|found| found.status.success()) {
                return Err(format!(
                    "{program} is not installed; `tests/setup test` installs it on Debian"
                ));
            }
        }
        let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
        let keeper = Command::new("unshare")
            .args(["--net", "sh", "-c", KEEPER, "keeper"])
            .arg(folder.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|error| error.to_string())?;
        // From here on the keeper removes it.
        let engine = Self {
            folder: folder.keep(),
            keeper: Mutex::new(Some(keeper)),
        };
        engine.wait()?;
        Ok(engine)
    }

    fn wait(&self) -> Result<(), String> {
        let answers = || matches!(self.try_api("GET", "/_ping", None), Ok(answer) if answer.status == 200);
        if !until(UP, answers) {
            let log = fs::read_to_string(self.folder.join("log")).unwrap_or_default();
            let lines: Vec<&str> = log.lines().rev().take(5).collect();
            return Err(format!(
                "dockerd does not answer within {UP:?}: {}",
                lines.join("\n")
            ));
        }
        Ok(())
    }

    /// The engine's address as `pilotage.yaml` has it.
    #[must_use]
    pub fn host(&self) -> String {
        format!("unix://{}", self.socket().display())
    }

    fn socket(&self) -> PathBuf {
        self.folder.join("docker.sock")
    }

    /// Moves the calling thread, and whatever it starts from now on, into the engine's network: there are the containers.
    #[expect(unsafe_code, reason = "setns has no safe form in the libraries at hand")]
    pub fn enter(&self) {
        let pid = self
            .keeper
            .lock()
            .ok()
            .and_then(|keeper| keeper.as_ref().map(Child::id));
        let opened = pid.and_then(|pid| fs::File::open(format!("/proc/{pid}/ns/net")).ok());
        // SAFETY: setns(2) takes an open descriptor of a namespace and changes nothing but this thread's network.
        let entered =
            opened.is_some_and(|file| unsafe { libc::setns(file.as_raw_fd(), libc::CLONE_NEWNET) } == 0);
        assert!(entered, "the engine's network cannot be entered");
    }

    /// One request of the engine's API.
    ///
    /// # Panics
    /// When the engine does not answer.
    #[must_use]
    #[expect(
        clippy::panic,
        reason = "a world that does not answer fails the test that asks it"
    )]
    pub fn api(&self, method: &str, path: &str, body: Option<&Value>) -> Answer {
        let bytes = body.map(|body| body.to_string().into_bytes());
        match self.try_api(method, path, bytes.as_deref()) {
            Ok(answer) => answer,
            Err(error) => panic!("{method} {path}: {error}"),
        }
    }

    /// Pushes an image as whom `auth` says (the JSON of the engine's API), and says what the engine said.
    ///
    /// # Panics
    /// When the engine does not answer.
    #[must_use]
    pub fn push(&self, name: &str, tag: &str, auth: &str) -> String {
        let auth = base64_url(auth.as_bytes());
        let path = format!("/images/{name}/push?tag={tag}");
        let answer = self.request("POST", &path, &format!("X-Registry-Auth: {auth}\r\n"), &[]);
        let answer = answer.unwrap_or_else(|error| unreachable(&error));
        answer.body.to_string()
    }

    fn try_api(&self, method: &str, path: &str, body: Option<&[u8]>) -> std::io::Result<Answer> {
        self.request(method, path, "", body.unwrap_or_default())
    }

    fn request(&self, method: &str, path: &str, headers: &str, body: &[u8]) -> std::io::Result<Answer> {
        let mut stream = UnixStream::connect(self.socket())?;
        stream.set_read_timeout(Some(UP * 2))?;
        let kind = if path.starts_with("/build") {
            "application/x-tar"
        } else {
            "application/json"
        };
        write!(
            stream,
            "{method} /v1.41{path} HTTP/1.0\r\nHost: engine\r\nContent-Type: {kind}\r\n{headers}Content-Length: {}\r\n\r\n",
            body.len()
        )?;
        stream.write_all(body)?;
        let mut bytes = Vec::new();
        match stream.read_to_end(&mut bytes) {
            // It closes without having read the last of a body that it did not need.
            Err(error) if bytes.is_empty() => return Err(error),
            _ => {}
        }
        let text = String::from_utf8_lossy(&bytes);
        let (head, body) = text
            .split_once("\r\n\r\n")
            .ok_or_else(|| std::io::Error::other("no whole answer"))?;
        let status = head
            .split(' ')
            .nth(1)
            .and_then(|status| status.parse().ok())
            .unwrap_or(0);
        let body = serde_json::from_str(body).unwrap_or_else(|_| Value::String(body.to_owned()));
        Ok(Answer { status, body })
    }

    /// Builds the image `name` of the sample service with these variables.
    ///
    /// # Panics
    /// When it cannot be built.
    pub fn image(&self, name: &str, variables: &[(&str, &str)]) {
        static BASE: Mutex<()> = Mutex::new(());
        let base = "sample-service:base";
        {
            let _one = BASE.lock();
            if self.api("GET", &format!("/images/{base}/json"), None).status != 200 {
                let rootfs = rootfs(&sample());
                self.build(rootfs.path(), base);
            }
        }
        let folder = tempfile::tempdir().unwrap_or_else(|error| unreachable(&error));
        let mut lines = format!("FROM {base}\n");
        for (name, value) in variables {
            lines.push_str(&format!("ENV {name}={}\n", json!(value)));
        }
        fs::write(folder.path().join("Dockerfile"), lines).unwrap_or_else(|error| unreachable(&error));
        self.build(folder.path(), name);
    }

    /// Builds the image `name` that has a shell and a few small tools of this machine, and nothing else.
    ///
    /// # Panics
    /// When it cannot be built.
    pub fn tools(&self, name: &str) {
        if self.api("GET", &format!("/images/{name}/json"), None).status == 200 {
            return;
        }
        let folder = tempfile::tempdir().unwrap_or_else(|error| unreachable(&error));
        for program in [
            "/bin/sh",
            "/bin/cat",
            "/bin/sleep",
            "/bin/mkdir",
            "/bin/ls",
            "/usr/bin/getent",
        ] {
            copy_program(
                Path::new(program),
                Path::new(program),
                &folder.path().join("rootfs"),
            );
        }
        let lines = "FROM scratch\nCOPY rootfs/ /\nENV PATH=/bin\n";
        fs::write(folder.path().join("Dockerfile"), lines).unwrap_or_else(|error| unreachable(&error));
        self.build(folder.path(), name);
    }

    fn build(&self, folder: &Path, name: &str) {
        let tar = Command::new("tar")
            .args(["-c", "-b1", "-C"])
            .arg(folder)
            .arg(".")
            .output();
        let tar = tar.unwrap_or_else(|error| unreachable(&error));
        let answer = self.try_api("POST", &format!("/build?q=1&rm=1&t={name}"), Some(&tar.stdout));
        let answer = answer.unwrap_or_else(|error| unreachable(&error));
        let built = self.api("GET", &format!("/images/{name}/json"), None);
        assert!(built.status == 200, "{name} is not built: {}", answer.body);
    }

    /// Starts a container and says where it is on `network`.
    ///
    /// # Panics
    /// When it does not start.
    pub fn run(&self, name: &str, network: &str, body: &Value) -> Option<IpAddr> {
        let mut body = body.clone();
        body["HostConfig"]["NetworkMode"] = json!(network);
        let created = self.api("POST", &format!("/containers/create?name={name}"), Some(&body));
        assert_eq!(created.status, 201, "{}", created.body);
        let started = self.api("POST", &format!("/containers/{name}/start"), None);
        assert_eq!(started.status, 204, "{}", started.body);
        self.address(name, network)
    }

    /// Where a container is on a network.
    #[must_use]
    pub fn address(&self, name: &str, network: &str) -> Option<IpAddr> {
        let found = self.api("GET", &format!("/containers/{name}/json"), None).body;
        found["NetworkSettings"]["Networks"][network]["IPAddress"]
            .as_str()?
            .parse()
            .ok()
    }

    /// The containers that carry a label, with whatever the engine says of them in a list.
    #[must_use]
    pub fn containers(&self, label: &str) -> Vec<Value> {
        let filters = percent(&json!({"label": [label]}).to_string());
        let answer = self.api("GET", &format!("/containers/json?all=1&filters={filters}"), None);
        answer.body.as_array().cloned().unwrap_or_default()
    }

    /// Removes everything whose label `pilotage.project` says `project`.
    pub fn remove_project(&self, project: &str) {
        let label = format!("pilotage.project={project}");
        let filters = percent(&json!({"label": [label]}).to_string());
        for container in self.containers(&label) {
            let id = container["Id"].as_str().unwrap_or_default();
            let _ = self.api("DELETE", &format!("/containers/{id}?force=1&v=1"), None);
        }
        for (list, one) in [("networks", "Id"), ("volumes", "Name")] {
            let listed = self.api("GET", &format!("/{list}?filters={filters}"), None).body;
            let listed = listed.get("Volumes").cloned().unwrap_or(listed);
            for object in listed.as_array().into_iter().flatten() {
                let name = object[one].as_str().unwrap_or_default();
                let _ = self.api("DELETE", &format!("/{list}/{name}"), None);
            }
        }
    }
}

impl Engine {
    /// Ends the engine and removes everything of it.
    pub fn stop(&self) {
        if let Ok(mut keeper) = self.keeper.lock()
            && let Some(mut keeper) = keeper.take()
        {
            drop(keeper.stdin.take());
            let _ = keeper.wait();
        }
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        self.stop();
    }
}

#[expect(
    clippy::panic,
    reason = "a world that cannot be made fails the test that wants it"
)]
fn unreachable<T>(error: &dyn std::fmt::Display) -> T {
    panic!("{error}")
}

/// The sample service, built with the tests that use it.
fn sample() -> PathBuf {
    let program = std::env::current_exe().unwrap_or_default();
    // target/debug/deps/<test>
    let folder = program.ancestors().nth(2).unwrap_or(Path::new("."));
    let built = ["sample-service", "examples/sample-service"].map(|name| folder.join(name));
    let found = built.iter().find(|path| path.exists());
    assert!(
        found.is_some(),
        "the sample service is not built: cargo build --workspace --bins"
    );
    found.cloned().unwrap_or_default()
}

/// A file system that holds a program, whatever it is linked with, and nothing else.
fn rootfs(program: &Path) -> TempDir {
    let folder = tempfile::tempdir().unwrap_or_else(|error| unreachable(&error));
    copy_program(
        program,
        Path::new("/sample-service"),
        &folder.path().join("rootfs"),
    );
    let lines = "FROM scratch\nCOPY rootfs/ /\nENV SAMPLE_BIND=0.0.0.0\nENTRYPOINT [\"/sample-service\"]\n";
    fs::write(folder.path().join("Dockerfile"), lines).unwrap_or_else(|error| unreachable(&error));
    folder
}

/// Copies a program to `to` below `root`, with whatever it is linked with.
fn copy_program(program: &Path, to: &Path, root: &Path) {
    let linked = Command::new("ldd").arg(program).output();
    let linked = linked.map(|linked| String::from_utf8_lossy(&linked.stdout).into_owned());
    let copy = |from: &Path, to: &Path| {
        let to = root.join(to.strip_prefix("/").unwrap_or(to));
        fs::create_dir_all(to.parent().unwrap_or(root))
            .and_then(|()| fs::copy(from, &to))
            .unwrap_or_else(|error| unreachable(&format!("{}: {error}", from.display())));
    };
    copy(program, to);
    // Lines such as `libc.so.6 => /lib/x86_64-linux-gnu/libc.so.6 (0x…)`; nothing for a static program.
    for word in linked
        .unwrap_or_default()
        .split_whitespace()
        .filter(|word| word.starts_with('/'))
    {
        copy(Path::new(word), Path::new(word));
    }
}

/// RFC 4648, section 5, with padding.
fn base64_url(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut text = String::new();
    for three in bytes.chunks(3) {
        let mut number = 0_u32;
        for at in 0..3 {
            number = number << 8 | u32::from(three.get(at).copied().unwrap_or(0));
        }
        for at in 0..4 {
            let six = (number >> (18 - 6 * at) & 63) as usize;
            text.push(if at <= three.len() {
                char::from(ALPHABET[six])
            } else {
                '='
            });
        }
    }
    text
}

fn percent(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02X}")).collect()
}

/// Looks every few milliseconds, for as long as `limit`, until what is waited for is there; whether it came.
#[expect(
    clippy::disallowed_methods,
    reason = "what other programs do cannot be waited for in any other way"
)]
pub fn until(limit: Duration, mut there: impl FnMut() -> bool) -> bool {
    let end = Instant::now() + limit;
    loop {
        if there() {
            return true;
        }
        if Instant::now() > end {
            return false;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// One request over HTTP on a connection of its own: status and body.
///
/// # Errors
/// When there is no whole answer; a failed request in a user's eyes.
pub fn get(address: SocketAddr, path: &str) -> std::io::Result<(u16, String)> {
    let mut stream = std::net::TcpStream::connect_timeout(&address, Duration::from_secs(5))?;
    stream.set_read_timeout(Some(Duration::from_secs(20)))?;
    write!(
        stream,
        "GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n"
    )?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let (head, body) = answer
        .split_once("\r\n\r\n")
        .ok_or_else(|| std::io::Error::other(format!("no whole answer: {answer:?}")))?;
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
    Ok((status.unwrap_or(0), body.to_owned()))
}
