//! What the figures work on: binaries, environment repositories of any size, a process target.

use std::fmt::Write as _;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use pilotage_tests::command::binaries;
use pilotage_tests::gitserver::{BareRepository, EPOCH};
use tempfile::TempDir;

use crate::Trouble;

/// How long anything is waited for before the figure counts as not measured.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// A folder of one figure. With it go the services that a process target in it has started.
pub(crate) struct Folder(TempDir);

impl Folder {
    pub(crate) fn new(figure: &str) -> std::io::Result<Self> {
        TempDir::with_prefix(format!("pilotage-bench-{figure}-")).map(Self)
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let entries = std::fs::read_dir(self.path()).into_iter().flatten().flatten();
        for target in entries.filter(|entry| entry.path().join(CONFIG).is_file()) {
            // Whoever waits has the numbers already; what could not be stopped is in no one's way.
            let _ = down(&target.path());
        }
    }
}

/// A built binary of the house or of the tests.
pub(crate) fn binary(name: &str) -> Result<PathBuf, Trouble> {
    let path = binaries().join(name);
    if path.is_file() {
        Ok(path)
    } else {
        Err(format!("{name} was not built; `make bench` does it").into())
    }
}

/// A command of the house that sees nothing of this machine's environment.
pub(crate) fn step(name: &str, home: &Path) -> Result<Command, Trouble> {
    let mut command = Command::new(binary(name)?);
    command
        .env_clear()
        .env("PATH", "/usr/local/bin:/usr/bin:/bin")
        .env("HOME", home)
        .env("TMPDIR", home)
        .current_dir(home)
        .stdin(Stdio::null());
    Ok(command)
}

/// Runs a command that has to go well.
pub(crate) fn run(command: &mut Command) -> Result<Output, Trouble> {
    let output = command.output()?;
    if output.status.success() {
        return Ok(output);
    }
    let program = Path::new(command.get_program());
    Err(format!(
        "{} ended with {}: {}{}",
        program.file_name().unwrap_or_default().to_string_lossy(),
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr).trim()
    )
    .into())
}

/// Asks again and again until there is an answer.
pub(crate) fn wait_for<T>(
    what: &str,
    pause: Duration,
    mut ask: impl FnMut() -> Result<Option<T>, Trouble>,
) -> Result<T, Trouble> {
    let begin = Instant::now();
    loop {
        if let Some(answer) = ask()? {
            return Ok(answer);
        }
        if begin.elapsed() > PATIENCE {
            return Err(format!("{what} did not come within {} s", PATIENCE.as_secs()).into());
        }
        std::thread::sleep(pause);
    }
}

/// A child that is killed when nobody waits for it any more.
pub(crate) struct Running(pub(crate) Child);

impl Running {
    pub(crate) fn start(command: &mut Command) -> Result<Self, Trouble> {
        Ok(Self(command.spawn()?))
    }

    pub(crate) fn pid(&self) -> u32 {
        self.0.id()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A descriptor as people write them: about thirty lines with two overlays.
pub(crate) fn descriptor(service: &str, version: &str) -> String {
    format!(
        "kind: service
version: \"{version}\"
image: registry.example.com/{service}
maintainer: {{name: Ana Costa, email: ana@example.com}}
domain: {service}.example.com
ports:
  - {{name: http, port: 8080, publish: proxy}}
  - {{name: admin, port: 9090}}
requires: [\"db.internal:5432\"]
resources: {{cpu: 500m, memory: 256Mi, replicas: 2}}
stop: {{signal: TERM, grace: 30s}}
env:
  LOG_LEVEL: info
  CACHE_SIZE: \"1000\"
files: {{/etc/app/greeting.txt: {{content: \"hello\"}}}}
secrets:
  DB_PASSWORD: {{file: /run/secrets/db}}
healthcheck:
  endpoints:
    - {{http: /health, port: http, status: 200-299, version: {{json: $.version}}}}
    - {{tcp: admin}}
  timeout: 60s
  interval: 500ms
  try_timeout: 3s
  threshold: 2
smoke:
  - {{get: /, status: 200, contains: Shop}}
notify: {{slack: [\"#shop\"], email: [shop@example.com]}}
environments:
  qa:   {{domain: {service}.qa.example.com, resources: {{replicas: 1}}}}
  prod: {{resources: {{replicas: 4}}, env: {{LOG_LEVEL: warn}}}}
"
    )
}

/// Three environments whose services are taken as running when they are first seen, and that grant what
/// [`descriptor`] asks for.
pub(crate) const ADOPTING: &str = "apiVersion: pilotage/v1
project: bench
targets:
  box: {docker: {proxy: {haproxy: {api: /run/haproxy/admin.sock}}}}
environments:
  qa:    {target: box, first: adopt, allow: {secret_files: [/run/secrets]}}
  stage: {target: box, first: adopt, from: qa, allow: {secret_files: [/run/secrets]}}
  prod:  {target: box, first: adopt, from: stage, allow: {secret_files: [/run/secrets]}}
";

/// How many services the large repositories have.
pub(crate) const SERVICES: usize = 1000;

/// The path of the n-th file of a large repository: the services first, the others beside them.
pub(crate) fn path(file: usize) -> String {
    if file < SERVICES {
        format!("services/s{file}.yaml")
    } else {
        format!("files/s{}/f{file}", file % SERVICES)
    }
}

/// A stream for `git fast-import`: commits on one branch.
pub(crate) struct History {
    branch: &'static str,
    stream: Vec<u8>,
    commits: usize,
}

impl History {
    pub(crate) fn of(branch: &'static str) -> Self {
        Self {
            branch,
            stream: Vec::new(),
            commits: 0,
        }
    }

    /// Adds a commit with these files. The first continues the branch, when it is there and `continues`.
    pub(crate) fn commit(&mut self, message: &str, continues: bool, files: &[(String, String)]) {
        let Self {
            branch,
            stream,
            commits,
        } = self;
        let second = EPOCH + i64::try_from(*commits).unwrap_or_default();
        let mut text = format!("commit refs/heads/{branch}\n");
        for role in ["author", "committer"] {
            let _ = writeln!(text, "{role} Ana Costa <ana@example.com> {second} +0000");
        }
        let _ = writeln!(text, "data {}\n{message}", message.len());
        if *commits == 0 && continues {
            let _ = writeln!(text, "from refs/heads/{branch}^0");
        }
        for (path, content) in files {
            let _ = writeln!(text, "M 100644 inline {path}\ndata {}\n{content}", content.len());
        }
        text.push('\n');
        stream.extend_from_slice(text.as_bytes());
        *commits += 1;
    }

    pub(crate) fn write(self, repository: &BareRepository) {
        repository.import(&self.stream);
    }
}

const CONFIG: &str = "pilotage.yaml";

/// A process target in a folder of its own, and the environment `qa` on it.
pub(crate) struct ProcessTarget {
    pub(crate) folder: PathBuf,
    pub(crate) listen: SocketAddr,
}

impl ProcessTarget {
    pub(crate) fn new(folder: PathBuf) -> Result<Self, Trouble> {
        std::fs::create_dir_all(&folder)?;
        let listen = free_port()?;
        let target = Self { folder, listen };
        let command = serde_json::to_string(&[
            &binary("sample-service")?.to_string_lossy(),
            "--artifact",
            "{artifact}",
            "--port",
            "{port}",
        ])?;
        let folder = target.folder.display();
        let config = format!(
            "apiVersion: pilotage/v1
project: bench
targets:
  here:
    process:
      state: {folder}/state
      command: {command}
      artifact: \"{folder}/artifacts/{{service}}/{{version}}\"
      listen: \"{listen}\"
environments:
  qa: {{target: here, first: deploy}}
"
        );
        std::fs::write(target.config_file(), config)?;
        Ok(target)
    }

    pub(crate) fn config_file(&self) -> PathBuf {
        self.folder.join(CONFIG)
    }

    pub(crate) fn config(&self) -> Result<String, Trouble> {
        Ok(std::fs::read_to_string(self.config_file())?)
    }

    /// Puts an artifact where the target looks for it, and says where that is.
    pub(crate) fn artifact(&self, service: &str, version: &str, more: &str) -> Result<PathBuf, Trouble> {
        let folder = self.folder.join("artifacts").join(service);
        std::fs::create_dir_all(&folder)?;
        let path = folder.join(version);
        std::fs::write(&path, format!("version = {version}\n{more}\n"))?;
        Ok(path)
    }

    /// A descriptor for it, with the defaults of the health check.
    pub(crate) fn descriptor(service: &str, version: &str) -> String {
        format!(
            "version: \"{version}\"
domain: {service}.example.com
ports: [{{name: http, port: 8080, publish: proxy}}]
healthcheck: {{endpoints: [{{http: /health, version: {{json: $.version}}}}]}}
stop: {{grace: 2s}}
"
        )
    }

    /// What the service's version is, as a user hears it through the front door.
    pub(crate) fn answers(&self, service: &str, version: &str) -> bool {
        let host = format!("{service}.example.com");
        get(self.listen, &host, "/version")
            .is_some_and(|(status, body)| status == 200 && body.trim() == version)
    }

    pub(crate) fn down(&self) -> Result<(), Trouble> {
        down(&self.folder)
    }
}

fn down(folder: &Path) -> Result<(), Trouble> {
    let mut command = step("pilotage-deploy", folder)?;
    command
        .args(["down", "--target", "here", "--config"])
        .arg(folder.join(CONFIG));
    run(&mut command).map(drop)
}

/// Starts a version of the sample service as a person would in a shell.
pub(crate) fn by_hand(artifact: &Path) -> Result<(Running, SocketAddr), Trouble> {
    let address = free_port()?;
    let mut command = Command::new(binary("sample-service")?);
    command
        .arg("--artifact")
        .arg(artifact)
        .args(["--port", &address.port().to_string()])
        .stdin(Stdio::null())
        .stderr(Stdio::null());
    Ok((Running::start(&mut command)?, address))
}

/// Whether `/health` says 200.
pub(crate) fn well(address: SocketAddr) -> bool {
    get(address, "localhost", "/health").is_some_and(|(status, _)| status == 200)
}

/// One request on a connection of its own: status and body.
fn get(address: SocketAddr, host: &str, path: &str) -> Option<(u16, String)> {
    let mut stream = TcpStream::connect(address).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(5))).ok()?;
    write!(
        stream,
        "GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"
    )
    .ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    let status = answer.split(' ').nth(1)?.parse().ok()?;
    let (_, body) = answer.split_once("\r\n\r\n")?;
    Some((status, body.to_owned()))
}

fn free_port() -> std::io::Result<SocketAddr> {
    TcpListener::bind("127.0.0.1:0")?.local_addr()
}
