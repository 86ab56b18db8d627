//! A process target in a directory of its own, the real binary, and a client.
#![expect(
    clippy::unwrap_used,
    reason = "a world that cannot be made fails the test that wants it"
)]

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;

pub(crate) const DEPLOY: &str = env!("CARGO_BIN_EXE_pilotage-deploy");

pub(crate) struct World {
    directory: TempDir,
    pub(crate) listen: SocketAddr,
}

/// How a run of the binary ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
    pub(crate) report: Value,
}

impl Ended {
    #[track_caller]
    pub(crate) fn expect(self, code: i32) -> Self {
        assert_eq!(
            self.code,
            Some(code),
            "{}\n{}\n{:#}",
            self.stdout,
            self.stderr,
            self.report
        );
        self
    }

    pub(crate) fn output(&self, key: &str) -> &str {
        self.report["outputs"][key].as_str().unwrap_or_default()
    }

    pub(crate) fn effects(&self) -> &str {
        self.report["effects"].as_str().unwrap_or_default()
    }

    pub(crate) fn says(&self, text: &str) -> bool {
        self.stderr.contains(text) || self.stdout.contains(text)
    }
}

impl World {
    pub(crate) fn new() -> Self {
        Self::with_command(&[&sample(), "--artifact", "{artifact}", "--port", "{port}"])
    }

    pub(crate) fn with_command(command: &[&str]) -> Self {
        let world = Self {
            directory: tempfile::tempdir().unwrap(),
            listen: free_port(),
        };
        let config = format!(
            "apiVersion: pilotage/v1\nproject: acme\ntargets:\n  here:\n    process:\n      state: {state}\n      \
             command: {command}\n      artifact: \"{artifacts}/{{service}}/{{version}}\"\n      listen: \"{listen}\"\n\
             environments:\n  qa: {{target: here, allow: {{host_ports: [\"1024-65535\"], secret_files: [\"{secrets}\"]}}}}\n",
            state = world.state().display(),
            command = serde_json::to_string(command).unwrap(),
            artifacts = world.path("artifacts").display(),
            listen = world.listen,
            secrets = world.path("secrets").display(),
        );
        fs::write(world.path("pilotage.yaml"), config).unwrap();
        fs::create_dir_all(world.path("artifacts/shop")).unwrap();
        world
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub(crate) fn state(&self) -> PathBuf {
        self.path("state")
    }

    pub(crate) fn instances(&self) -> Vec<String> {
        names(&self.state().join("services/acme.qa.shop/instances"))
    }

    /// An artifact that says its version, and `more` lines that say how it behaves.
    pub(crate) fn artifact(&self, version: &str, more: &str) {
        let text = format!("version = {version}\npage = Shop\n{more}\n");
        fs::write(self.path("artifacts/shop").join(version), text).unwrap();
    }

    /// Writes the descriptor of a web service, with `more` lines of YAML.
    pub(crate) fn web(&self, version: &str, more: &str) {
        self.descriptor(&format!(
            "version: \"{version}\"\ndomain: shop.example.com\n\
             ports: [{{name: http, port: 8080, publish: proxy}}, {{name: admin, port: 9090}}]\n\
             healthcheck: {{timeout: 20s, interval: 20ms, endpoints: [{{http: /health, port: http, version: {{json: $.version}}}}]}}\n\
             stop: {{grace: 5s}}\n{more}\n"
        ));
    }

    pub(crate) fn descriptor(&self, text: &str) {
        fs::write(self.path("shop.yaml"), text).unwrap();
    }

    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(DEPLOY);
        self.arguments(&mut command, arguments);
        command
    }

    fn arguments(&self, command: &mut Command, arguments: &[&str]) {
        // The whole environment is chosen here: what the tests run in must not reach the step.
        command
            .env_clear()
            .env("PATH", "/usr/bin:/bin")
            .args(arguments)
            .args(["--descriptor".as_ref(), self.path("shop.yaml").as_os_str()])
            .args(["--config".as_ref(), self.path("pilotage.yaml").as_os_str()])
            .args(["--env", "qa"])
            .args(["--report".as_ref(), self.path("report.json").as_os_str()])
            .stdin(Stdio::null());
    }

    pub(crate) fn deploy(&self, arguments: &[&str]) -> Ended {
        self.run(self.command(arguments), &[])
    }

    pub(crate) fn run(&self, mut command: Command, variables: &[(&str, &str)]) -> Ended {
        let _ = fs::remove_file(self.path("report.json"));
        let output = command.envs(variables.iter().copied()).output().unwrap();
        self.ended(output.status.code(), output.stdout, output.stderr)
    }

    fn ended(&self, code: Option<i32>, stdout: Vec<u8>, stderr: Vec<u8>) -> Ended {
        Ended {
            code,
            stdout: String::from_utf8(stdout).unwrap(),
            stderr: String::from_utf8(stderr).unwrap(),
            report: fs::read(self.path("report.json"))
                .ok()
                .and_then(|bytes| serde_json::from_slice(&bytes).ok())
                .unwrap_or_default(),
        }
    }

    /// Starts a deploy and comes back when it has logged `text`.
    pub(crate) fn deploy_until(&self, arguments: &[&str], text: &str) -> Started<'_> {
        let mut child = self
            .command(arguments)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stderr = BufReader::new(child.stderr.take().unwrap());
        let mut seen = String::new();
        while !seen.contains(text) {
            assert_ne!(
                stderr.read_line(&mut seen).unwrap(),
                0,
                "it ended without `{text}`: {seen}"
            );
        }
        Started {
            world: self,
            child,
            stderr,
            seen,
        }
    }

    /// The binary under strace: the `when`-th of `calls` in a thread gets `what` injected. Children go free.
    pub(crate) fn traced(&self, arguments: &[&str], calls: &str, what: &str, when: usize) -> Ended {
        let mut command = Command::new("strace");
        command
            .args(["-f", "-qq", "--detach-on=execve", "-o", "/dev/null"])
            .args(["-e", &format!("trace={calls}")])
            .args(["-e", &format!("inject={calls}:{what}:when={when}")])
            .arg(DEPLOY);
        self.arguments(&mut command, arguments);
        self.run(command, &[])
    }

    /// What the front door answers for `/`: status and body.
    pub(crate) fn ask(&self) -> (u16, String) {
        get(self.listen, "shop.example.com", "/").unwrap()
    }

    /// The processes that carry this target's label, with their instances.
    pub(crate) fn processes(&self) -> BTreeMap<u32, String> {
        let state = format!("PILOTAGE_STATE={}", self.state().display());
        names(Path::new("/proc"))
            .iter()
            .filter_map(|name| name.parse::<u32>().ok())
            .filter_map(|pid| {
                let bytes = fs::read(format!("/proc/{pid}/environ")).ok()?;
                let entries: Vec<&str> = bytes
                    .split(|b| *b == 0)
                    .filter_map(|e| std::str::from_utf8(e).ok())
                    .collect();
                let ours = entries.contains(&state.as_str());
                let instance = entries
                    .iter()
                    .find_map(|entry| entry.strip_prefix("PILOTAGE_INSTANCE="))?;
                ours.then(|| (pid, instance.to_owned()))
            })
            .collect()
    }

    pub(crate) fn down(&self) -> Ended {
        let mut command = Command::new(DEPLOY);
        command
            .env_clear()
            .args(["down", "--target", "here", "--config"])
            .arg(self.path("pilotage.yaml"))
            .args(["--report".as_ref(), self.path("report.json").as_os_str()]);
        self.run(command, &[])
    }
}

impl Drop for World {
    fn drop(&mut self) {
        let ended = self.down();
        if !std::thread::panicking() {
            ended.expect(0);
            assert_eq!(self.processes(), BTreeMap::new(), "processes are left");
        }
    }
}

/// A deploy at work.
pub(crate) struct Started<'w> {
    world: &'w World,
    pub(crate) child: Child,
    stderr: BufReader<std::process::ChildStderr>,
    seen: String,
}

impl Started<'_> {
    pub(crate) fn signal(&self, signal: rustix::process::Signal) {
        let pid = rustix::process::Pid::from_raw(self.child.id().try_into().unwrap()).unwrap();
        rustix::process::kill_process(pid, signal).unwrap();
    }

    pub(crate) fn wait(mut self) -> Ended {
        self.stderr.read_to_string(&mut self.seen).unwrap();
        let mut stdout = Vec::new();
        self.child
            .stdout
            .take()
            .unwrap()
            .read_to_end(&mut stdout)
            .unwrap();
        let status = self.child.wait().unwrap();
        self.world.ended(status.code(), stdout, self.seen.into_bytes())
    }
}

/// One request on a connection of its own; `Err` is a failed request in a user's eyes.
pub(crate) fn get(address: SocketAddr, host: &str, path: &str) -> std::io::Result<(u16, String)> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(Duration::from_secs(20)))?;
    write!(stream, "GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n")?;
    let mut stream = BufReader::new(stream);
    let bad = |text: &str| std::io::Error::other(format!("no whole answer: {text:?}"));
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if stream.read_line(&mut head)? == 0 {
            return Err(bad(&head));
        }
    }
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
    let length = head
        .lines()
        .find_map(|line| line.strip_prefix("Content-Length: "))
        .and_then(|length| length.parse().ok());
    let (Some(status), Some(length)) = (status, length) else {
        return Err(bad(&head));
    };
    let mut body = vec![0; length];
    stream.read_exact(&mut body)?;
    Ok((status, String::from_utf8_lossy(&body).into_owned()))
}

pub(crate) fn free_port() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

pub(crate) fn sample() -> String {
    let built = Path::new(DEPLOY)
        .parent()
        .unwrap()
        .join("examples/sample-service");
    assert!(built.exists(), "{} is not built", built.display());
    built.display().to_string()
}

pub(crate) fn names(directory: &Path) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(directory)
        .map(|entries| {
            entries
                .flatten()
                .map(|entry| entry.file_name().to_string_lossy().into_owned())
                .collect()
        })
        .unwrap_or_default();
    names.sort();
    names
}

/// Whether exact places of a run can be hit; says so when not.
#[expect(
    clippy::print_stderr,
    reason = "a test that proves less than it could has to say so"
)]
pub(crate) fn strace_is_there() -> bool {
    let there = Command::new("strace").arg("-V").output().is_ok();
    if !there {
        eprintln!("strace is not installed: nothing can be made to fail at an exact place");
    }
    there
}
