//! A project of its own on a real engine, the real binary, and clients in containers.
#![expect(
    clippy::unwrap_used,
    reason = "a world that cannot be made fails the test that wants it"
)]

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use pilotage_tests::docker::{Engine, get, until};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::time::Instant;

pub(crate) const DEPLOY: &str = env!("CARGO_BIN_EXE_pilotage-deploy");

pub(crate) struct World {
    pub(crate) engine: &'static Engine,
    pub(crate) project: String,
    directory: TempDir,
}

/// How a run of the binary ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
    pub(crate) report: Value,
    pub(crate) took: Duration,
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

    pub(crate) fn text(&self) -> String {
        format!("{}{}{}", self.stdout, self.stderr, self.report)
    }

    #[track_caller]
    pub(crate) fn says(self, words: &[&str]) -> Self {
        let text = self.text();
        for word in words {
            assert!(text.contains(word), "`{word}` is not in\n{text}");
        }
        self
    }
}

impl World {
    /// None where no engine can be had.
    pub(crate) fn new() -> Option<Self> {
        Engine::shared().map(Self::on)
    }

    fn on(engine: &'static Engine) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        engine.enter();
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let world = Self {
            engine,
            project: format!("p{}n{count}", std::process::id()),
            directory: tempfile::tempdir().unwrap(),
        };
        world.config(&engine.host(), "");
        world
    }

    /// Writes the configuration, with `more` lines of YAML for the target.
    pub(crate) fn config(&self, host: &str, more: &str) {
        let text = format!(
            "apiVersion: pilotage/v1\nproject: {}\ntargets:\n  box:\n    docker:\n      host: \"{host}\"\n{more}\n\
             environments:\n  qa: {{target: box, allow: {{host_ports: [\"1024-65535\"], secret_files: [\"{}\"]}}}}\n",
            self.project,
            self.path("secrets").display(),
        );
        fs::write(self.path("pilotage.yaml"), text).unwrap();
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub(crate) fn network(&self) -> String {
        format!("{}-qa", self.project)
    }

    /// The container of an instance.
    pub(crate) fn name(&self, instance: u64) -> String {
        format!("{}-qa-shop-{instance}", self.project)
    }

    /// An image of the sample service in this version that behaves as the variables say.
    pub(crate) fn image(&self, version: &str, variables: &[(&str, &str)]) {
        let mut all = vec![("SAMPLE_VERSION", version), ("SAMPLE_PAGE", "Shop")];
        all.extend(variables);
        self.engine
            .image(&format!("{}/shop:{version}", self.project), &all);
    }

    /// Writes the descriptor of a web service, with `more` lines of YAML.
    pub(crate) fn web(&self, version: &str, more: &str) {
        self.descriptor(&format!(
            "version: \"{version}\"\nimage: {}/shop\n\
             ports: [{{name: http, port: 8080}}]\n\
             healthcheck: {{timeout: 20s, interval: 20ms, endpoints: [{{http: /health, version: {{json: $.version}}}}]}}\n\
             stop: {{grace: 5s}}\n{more}\n",
            self.project
        ));
    }

    pub(crate) fn descriptor(&self, text: &str) {
        fs::write(self.path("shop.yaml"), text).unwrap();
    }

    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(DEPLOY);
        // The whole environment is chosen here: what the tests run in must not reach the step.
        command
            .env_clear()
            .args(arguments)
            .args(["--descriptor".as_ref(), self.path("shop.yaml").as_os_str()])
            .args(["--config".as_ref(), self.path("pilotage.yaml").as_os_str()])
            .args(["--env", "qa"])
            .args(["--report".as_ref(), self.path("report.json").as_os_str()])
            .stdin(Stdio::null());
        command
    }

    pub(crate) fn deploy(&self, arguments: &[&str]) -> Ended {
        self.run(self.command(arguments))
    }

    pub(crate) fn run(&self, mut command: Command) -> Ended {
        let _ = fs::remove_file(self.path("report.json"));
        let begin = Instant::now();
        let output = command.output().unwrap();
        Ended {
            code: output.status.code(),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
            report: fs::read(self.path("report.json"))
                .ok()
                .and_then(|bytes| serde_json::from_slice(&bytes).ok())
                .unwrap_or_default(),
            took: begin.elapsed(),
        }
    }

    /// What an instance answers on a path.
    pub(crate) fn ask(&self, instance: u64, path: &str) -> (u16, String) {
        let address = self
            .engine
            .address(&self.name(instance), &self.network())
            .unwrap();
        get(SocketAddr::new(address, 8080), path).unwrap()
    }

    /// Instances by number with the engine's word for their state.
    pub(crate) fn states(&self) -> Vec<(String, String)> {
        let label = format!("pilotage.project={}", self.project);
        let mut states: Vec<(String, String)> = self
            .engine
            .containers(&label)
            .iter()
            .map(|found| {
                let name = found["Names"][0].as_str().unwrap_or_default();
                let number = name.rsplit('-').next().unwrap_or_default();
                (
                    number.to_owned(),
                    found["State"].as_str().unwrap_or_default().to_owned(),
                )
            })
            .collect();
        states.sort();
        states
    }

    #[track_caller]
    pub(crate) fn expect_states(&self, expected: &[(&str, &str)]) {
        let states = self.states();
        let states: Vec<(&str, &str)> = states
            .iter()
            .map(|(id, state)| (id.as_str(), state.as_str()))
            .collect();
        assert_eq!(states, expected);
    }

    pub(crate) fn inspect(&self, name: &str) -> Value {
        self.engine
            .api("GET", &format!("/containers/{name}/json"), None)
            .body
    }

    /// A container on the environment's network that asks `shop` all the time.
    pub(crate) fn client(&self) -> Client<'_> {
        let name = format!("{}-client", self.project);
        let body = json!({"Image": "sample-service:base", "Env": ["SAMPLE_ASK=shop:8080", "PORT=8080"]});
        let address = self.engine.run(&name, &self.network(), &body).unwrap();
        let client = Client {
            world: self,
            name,
            address: SocketAddr::new(address, 8080),
        };
        client.wait(|asked| asked["all"]["total"].as_u64() > Some(20));
        client
    }
}

impl Drop for World {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            self.engine.remove_project(&self.project);
        }
    }
}

pub(crate) struct Client<'w> {
    world: &'w World,
    name: String,
    address: SocketAddr,
}

impl Client<'_> {
    pub(crate) fn asked(&self) -> Value {
        let (_, body) = get(self.address, "/asked").unwrap();
        serde_json::from_str(&body).unwrap()
    }

    /// Comes back when what was asked is as wanted.
    #[track_caller]
    pub(crate) fn wait(&self, wanted: impl Fn(&Value) -> bool) -> Value {
        let mut asked = Value::Null;
        let there = until(Duration::from_secs(20), || {
            let answer = get(self.address, "/asked").ok();
            asked = answer
                .and_then(|(_, body)| serde_json::from_str(&body).ok())
                .unwrap_or_default();
            wanted(&asked)
        });
        assert!(there, "{asked:#}");
        asked
    }
}

impl Drop for Client<'_> {
    fn drop(&mut self) {
        let path = format!("/containers/{}?force=1", self.name);
        let _ = self.world.engine.api("DELETE", &path, None);
    }
}

pub(crate) fn write(path: &Path, text: &str) {
    fs::write(path, text).unwrap();
}
