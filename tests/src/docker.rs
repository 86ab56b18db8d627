//! A Docker engine of our own, in a network of its own: neither the machine's engine nor another world is touched, and
//! nothing is left when the last handle goes or the test is killed. The demo uses the machine's engine in the same way.

use std::fs;
use std::io::{Read, Write};
use std::net::{IpAddr, SocketAddr};
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::Instant;

use crate::command::binaries;

/// Stops and starts the engine as the lines of standard input say, and ends it with them, which also happens when whoever
/// holds the other end is killed.
const KEEPER: &str = r#"
home=$1
ip link set lo up
up() {
dockerd --data-root "$home/data" --exec-root "$home/exec" --pidfile "$home/pid" --host "unix://$home/docker.sock" \
  --host tcp://127.0.0.1:2376 --tlsverify --tlscacert "$home/tls/ca.pem" --tlscert "$home/tls/cert.pem" \
  --tlskey "$home/tls/key.pem" --bridge none --default-address-pool base=10.90.0.0/16,size=24 >>"$home/log" 2>&1 &
}
down() {
kill $!
wait $!
}
up
while read -r word; do "$word"; done
down
umount -R "$home/data" "$home/exec" 2>/dev/null
rm -rf "$home"
"#;
/// The sample service that does nothing special.
const BASE_IMAGE: &str = "sample-service:base";
/// The digest of a layer with nothing in it: 1,024 bytes of zero.
const EMPTY_LAYER: &str = "sha256:5f70bf18a086007016e948b04aed3b82103a36bea41755b6cddfaf10ace3c6ef";
/// How long an engine may take to answer.
const UP: Duration = Duration::from_secs(30);

/// An engine: one of our own, or the machine's.
#[derive(Debug)]
pub struct Engine {
    socket: PathBuf,
    /// Who ends it; nobody but its owner ends the machine's.
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
        certificates(&folder.path().join("tls"))?;
        let keeper = Command::new("unshare")
            .args(["--net", "sh", "-c", KEEPER, "keeper"])
            .arg(folder.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|error| error.to_string())?;
        // From here on the keeper removes it.
        let folder = folder.keep();
        let engine = Self {
            socket: folder.join("docker.sock"),
            keeper: Mutex::new(Some(keeper)),
        };
        engine.wait(&folder)?;
        Ok(engine)
    }

    /// The engine that listens on a socket of this machine.
    ///
    /// # Errors
    /// It does not answer.
    pub fn at(socket: PathBuf) -> std::io::Result<Self> {
        let engine = Self {
            socket,
            keeper: Mutex::new(None),
        };
        match engine.try_api("GET", "/_ping", None)?.status {
            200 => Ok(engine),
            other => Err(std::io::Error::other(format!("it answers {other} to a ping"))),
        }
    }

    fn wait(&self, folder: &Path) -> Result<(), String> {
        let answers = || matches!(self.try_api("GET", "/_ping", None), Ok(answer) if answer.status == 200);
        if !until(UP, answers) {
            let log = fs::read_to_string(folder.join("log")).unwrap_or_default();
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
        format!("unix://{}", self.socket.display())
    }

    /// The address over the network of an engine of our own, for whoever is in its network, and the folder with the
    /// certificates for it: `ca.pem`, `cert.pem` and `key.pem`, which do for both sides.
    #[must_use]
    pub fn secured(&self) -> (&'static str, PathBuf) {
        ("tcp://127.0.0.1:2376", self.socket.with_file_name("tls"))
    }

    /// Makes the image `name` for another architecture, of a file system with nothing in it.
    ///
    /// # Panics
    /// When the engine does not answer.
    #[must_use]
    pub fn elsewhere(&self, name: &str, tag: &str) -> Answer {
        let packed = || -> std::io::Result<Answer> {
            let folder = tempfile::tempdir()?;
            let manifest = json!([{"Config": "config.json", "RepoTags": [format!("{name}:{tag}")], "Layers": ["layer.tar"]}]);
            let config = json!({"architecture": "arm64", "os": "linux", "config": {"Cmd": ["/program"]},
                "rootfs": {"type": "layers", "diff_ids": [EMPTY_LAYER]}});
            fs::write(folder.path().join("manifest.json"), manifest.to_string())?;
            fs::write(folder.path().join("config.json"), config.to_string())?;
            // The end of a tar archive: two blocks of nothing.
            fs::write(folder.path().join("layer.tar"), [0; 1024])?;
            let tar = Command::new("tar")
                .args(["-c", "-C"])
                .arg(folder.path())
                .arg(".")
                .output()?;
            self.try_api("POST", "/images/load?quiet=1", Some(&tar.stdout))
        };
        packed().unwrap_or_else(|error| unreachable(&error))
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
        match self.request(method, path, body) {
            Ok(answer) => answer,
            Err(error) => panic!("{method} {path}: {error}"),
        }
    }

    /// As [`Engine::api`], for whoever goes on without an answer.
    ///
    /// # Errors
    /// The engine does not answer.
    pub fn request(&self, method: &str, path: &str, body: Option<&Value>) -> std::io::Result<Answer> {
        let bytes = body.map(|body| body.to_string().into_bytes());
        self.try_api(method, path, bytes.as_deref())
    }

    /// Pushes an image as whom `auth` says (the JSON of the engine's API), and says what the engine said.
    ///
    /// # Panics
    /// When the engine does not answer.
    #[must_use]
    pub fn push(&self, name: &str, tag: &str, auth: &str) -> String {
        let auth = base64_url(auth.as_bytes());
        let path = format!("/images/{name}/push?tag={tag}");
        let answer = self.send("POST", &path, &format!("X-Registry-Auth: {auth}\r\n"), &[]);
        let answer = answer.unwrap_or_else(|error| unreachable(&error));
        answer.body.to_string()
    }

    fn try_api(&self, method: &str, path: &str, body: Option<&[u8]>) -> std::io::Result<Answer> {
        self.send(method, path, "", body.unwrap_or_default())
    }

    fn send(&self, method: &str, path: &str, headers: &str, body: &[u8]) -> std::io::Result<Answer> {
        let mut stream = UnixStream::connect(&self.socket)?;
        stream.set_read_timeout(Some(UP * 2))?;
        let kind = match path.starts_with("/images/create") || path.starts_with("/images/load") {
            true => "application/x-tar",
            false => "application/json",
        };
        write!(
            stream,
            "{method} {path} HTTP/1.0\r\nHost: engine\r\nContent-Type: {kind}\r\n{headers}Content-Length: {}\r\n\r\n",
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

    /// Makes the image `name` of the sample service with these variables, and `sample-service:base` without any.
    ///
    /// # Panics
    /// When it cannot be made.
    pub fn image(&self, name: &str, variables: &[(&str, &str)]) {
        static BASE: Mutex<()> = Mutex::new(());
        let make = |name: &str, variables: &[(&str, &str)]| {
            let made = self.import(name, &sample(), variables);
            assert!(made.is_ok(), "{name}: {made:?}");
        };
        {
            let _one = BASE.lock();
            if self
                .api("GET", &format!("/images/{BASE_IMAGE}/json"), None)
                .status
                != 200
            {
                make(BASE_IMAGE, &[]);
            }
        }
        make(name, variables);
    }

    /// Makes the image `name` that has a shell and a few small tools of this machine, and nothing else.
    ///
    /// # Panics
    /// When it cannot be made.
    pub fn tools(&self, name: &str) {
        if self.api("GET", &format!("/images/{name}/json"), None).status == 200 {
            return;
        }
        let tools = [
            "/bin/sh",
            "/bin/cat",
            "/bin/sleep",
            "/bin/mkdir",
            "/bin/ls",
            "/usr/bin/getent",
        ]
        .map(Path::new);
        let files = file_system(&tools.map(|tool| (tool, tool)));
        let made = files.and_then(|files| self.take(name, &files, &["ENV PATH=/bin".to_owned()]));
        assert!(made.is_ok(), "{name}: {made:?}");
    }

    /// Makes the image `name` that holds a program, whatever it is linked with, and nothing else.
    ///
    /// # Errors
    /// The program cannot be read, or the engine does not want the image.
    pub fn import(&self, name: &str, program: &Path, variables: &[(&str, &str)]) -> std::io::Result<()> {
        let own = Path::new("/").join(program.file_name().unwrap_or_default());
        let mut changes = vec![format!("ENTRYPOINT {}", json!([own.to_string_lossy()]))];
        for (name, value) in [("SAMPLE_BIND", "0.0.0.0")].iter().chain(variables) {
            changes.push(format!("ENV {name}={}", json!(value)));
        }
        self.take(name, &file_system(&[(program, &own)])?, &changes)
    }

    /// Makes an image of a file system and of what the lines of a Dockerfile say of it.
    fn take(&self, name: &str, files: &[u8], changes: &[String]) -> std::io::Result<()> {
        let (repository, tag) = name.rsplit_once(':').unwrap_or((name, "latest"));
        let mut path = format!(
            "/images/create?fromSrc=-&repo={}&tag={}",
            percent(repository),
            percent(tag)
        );
        for change in changes {
            path.push_str(&format!("&changes={}", percent(change)));
        }
        let answer = self.try_api("POST", &path, Some(files))?;
        // The engine says `200` before it looks at what it was sent.
        let told = answer.body.to_string();
        match answer.status {
            200 if told.contains("sha256:") => Ok(()),
            _ => Err(std::io::Error::other(told)),
        }
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
        self.remove(&format!("pilotage.project={project}"));
    }

    /// Removes every container, network and volume that carries a label.
    pub fn remove(&self, label: &str) {
        for object in self.objects(label) {
            let _ = self.request("DELETE", &format!("{object}?force=1&v=1"), None);
        }
    }

    /// Every container, network and volume that carries a label, as the engine's API names it.
    #[must_use]
    pub fn objects(&self, label: &str) -> Vec<String> {
        let filters = percent(&json!({"label": [label]}).to_string());
        let lists = [
            ("containers", "/json?all=1&", "Id"),
            ("networks", "?", "Id"),
            ("volumes", "?", "Name"),
        ];
        let mut found = Vec::new();
        for (kind, list, id) in lists {
            let answer = self.request("GET", &format!("/{kind}{list}filters={filters}"), None);
            let listed = answer.map(|answer| answer.body).unwrap_or_default();
            let listed = listed.get("Volumes").cloned().unwrap_or(listed);
            let ids = listed
                .as_array()
                .into_iter()
                .flatten()
                .filter_map(|object| object[id].as_str());
            found.extend(ids.map(|id| format!("/{kind}/{id}")));
        }
        found
    }

    /// The images whose names fit a pattern such as `acme/*`.
    #[must_use]
    pub fn images(&self, pattern: &str) -> Vec<String> {
        let filters = percent(&json!({"reference": [pattern]}).to_string());
        let answer = self.request("GET", &format!("/images/json?filters={filters}"), None);
        let listed = answer.map(|answer| answer.body).unwrap_or_default();
        let tags = |image: &Value| image["RepoTags"].as_array().cloned().unwrap_or_default();
        let tags = listed.as_array().into_iter().flatten().flat_map(tags);
        tags.filter_map(|tag| tag.as_str().map(str::to_owned)).collect()
    }

    /// Removes the images whose names fit a pattern.
    pub fn remove_images(&self, pattern: &str) {
        for image in self.images(pattern) {
            let _ = self.request("DELETE", &format!("/images/{image}?force=1"), None);
        }
    }
}

impl Engine {
    /// Stops the engine; what it holds stays.
    ///
    /// # Panics
    /// It does not stop, or is not our own.
    pub fn down(&self) {
        self.say("down");
        let gone = until(UP, || self.request("GET", "/_ping", None).is_err());
        assert!(gone, "dockerd still answers");
    }

    /// Starts the engine again.
    ///
    /// # Panics
    /// It does not start, or is not our own.
    pub fn up(&self) {
        self.say("up");
        let there = || matches!(self.request("GET", "/_ping", None), Ok(answer) if answer.status == 200);
        assert!(until(UP, there), "dockerd does not answer");
    }

    fn say(&self, word: &str) {
        let mut keeper = self.keeper.lock().unwrap_or_else(PoisonError::into_inner);
        let input = keeper.as_mut().and_then(|keeper| keeper.stdin.as_mut());
        let said = input.is_some_and(|input| writeln!(input, "{word}").is_ok());
        assert!(said, "nobody keeps the engine");
    }

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

/// An authority, and a certificate of it that does for both sides of a connection to this machine.
fn certificates(folder: &Path) -> Result<(), String> {
    let made = || -> Result<[(&str, String); 3], rcgen::Error> {
        let mut params = rcgen::CertificateParams::new(Vec::new())?;
        params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let authority = rcgen::CertifiedIssuer::self_signed(params, rcgen::KeyPair::generate()?)?;
        let mut params = rcgen::CertificateParams::new(["127.0.0.1".to_owned(), "localhost".to_owned()])?;
        params.extended_key_usages = vec![
            rcgen::ExtendedKeyUsagePurpose::ServerAuth,
            rcgen::ExtendedKeyUsagePurpose::ClientAuth,
        ];
        let key = rcgen::KeyPair::generate()?;
        let certificate = params.signed_by(&key, &authority)?;
        Ok([
            ("ca.pem", authority.pem()),
            ("cert.pem", certificate.pem()),
            ("key.pem", key.serialize_pem()),
        ])
    };
    fs::create_dir_all(folder).map_err(|error| error.to_string())?;
    for (name, text) in made().map_err(|error| error.to_string())? {
        fs::write(folder.join(name), text).map_err(|error| error.to_string())?;
    }
    Ok(())
}

#[expect(
    clippy::panic,
    reason = "a world that cannot be made fails the test that wants it"
)]
fn unreachable<T>(error: &dyn std::fmt::Display) -> T {
    panic!("{error}")
}

/// The sample service, built with the tests that use it.
///
/// # Panics
/// When it is not built.
#[must_use]
pub fn sample() -> PathBuf {
    let folder = binaries();
    let built = ["sample-service", "examples/sample-service"].map(|name| folder.join(name));
    let found = built.iter().find(|path| path.exists());
    assert!(
        found.is_some(),
        "the sample service is not built: cargo build --workspace --bins"
    );
    found.cloned().unwrap_or_default()
}

/// A file system as a tar archive: programs at their places in it, whatever they are linked with, and nothing else.
fn file_system(programs: &[(&Path, &Path)]) -> std::io::Result<Vec<u8>> {
    let folder = tempfile::tempdir()?;
    let copy = |from: &Path, to: &Path| -> std::io::Result<()> {
        let to = folder.path().join(to.strip_prefix("/").unwrap_or(to));
        fs::create_dir_all(to.parent().unwrap_or(folder.path()))?;
        fs::copy(from, &to).map(drop)
    };
    for (program, place) in programs {
        copy(program, place)?;
        // Lines such as `libc.so.6 => /lib/x86_64-linux-gnu/libc.so.6 (0x…)`; nothing for a static program.
        let linked = Command::new("ldd").arg(program).output()?;
        let linked = String::from_utf8_lossy(&linked.stdout).into_owned();
        for word in linked.split_whitespace().filter(|word| word.starts_with('/')) {
            copy(Path::new(word), Path::new(word))?;
        }
    }
    let tar = Command::new("tar")
        .args(["-c", "-b1", "-C"])
        .arg(folder.path())
        .arg(".")
        .output()?;
    match tar.status.success() {
        true => Ok(tar.stdout),
        false => Err(std::io::Error::other(
            String::from_utf8_lossy(&tar.stderr).into_owned(),
        )),
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
