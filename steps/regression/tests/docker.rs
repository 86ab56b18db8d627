//! Suites in images, on a real engine: they find the service, leave reports, hang, flake and are killed, and nothing of
//! them stays.

#![expect(
    clippy::unwrap_used,
    reason = "a helper of a test fails the test by panicking"
)]

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Output, Stdio};

use pilotage_tests::docker::{Engine, until};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use tempfile::TempDir;

const IMAGE: &str = "pilotage-test-tools";
const SECRET: &str = "planted-secret-of-the-suite";

/// A project of its own on the engine that all tests share, with the network of its environment.
struct World {
    engine: &'static Engine,
    project: &'static str,
    folder: TempDir,
}

struct Ran {
    code: Option<i32>,
    all: String,
    report: Value,
}

impl World {
    fn new(project: &'static str) -> Option<Self> {
        let engine = Engine::shared()?;
        engine.tools(&format!("{IMAGE}:1"));
        let labels = json!({"pilotage.project": project, "pilotage.environment": "qa"});
        let network = json!({"Name": format!("{project}-qa"), "Labels": labels});
        let made = engine.api("POST", "/networks/create", Some(&network));
        assert_eq!(made.status, 201, "{}", made.body);
        Some(Self {
            engine,
            project,
            folder: tempfile::tempdir().unwrap(),
        })
    }

    /// A suite that the shell runs, with more lines of the descriptor's `regression`.
    fn command(&self, script: &str, more: &str, allow: &str) -> Command {
        let path = |name: &str| self.folder.path().join(name);
        let command = serde_json::to_string(&["/bin/sh", "-c", script]).unwrap();
        let descriptor = format!(
            "version: \"1.4.2\"\nimage: shop\nports: [{{name: http, port: 8080}}]\nregression:\n  image: {{name: {IMAGE}, tag: \"1\"}}\n  \
             command: {command}\n  reports: [\"out/**/*.xml\"]\n{more}"
        );
        let config = format!(
            "apiVersion: pilotage/v1\nproject: {}\ntargets: {{box: {{docker: {{host: \"{}\"}}}}}}\n\
             environments: {{qa: {{target: box{allow}}}}}\n",
            self.project,
            self.engine.host(),
        );
        std::fs::write(path("shop.yaml"), descriptor).unwrap();
        std::fs::write(path("pilotage.yaml"), config).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_pilotage-regression"));
        command
            .env_clear()
            .env("PATH", "/usr/bin:/bin")
            .env("PILOTAGE_SECRET_SHOP_TOKEN", SECRET)
            .current_dir(self.folder.path())
            .args(["--descriptor", "shop.yaml", "--config", "pilotage.yaml"])
            .args(["--env", "qa", "--service", "shop", "--report", "report.json"])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    fn run(&self, script: &str, more: &str) -> Ran {
        let output = self.command(script, more, "").output().unwrap();
        self.ran(&output)
    }

    fn ran(&self, output: &Output) -> Ran {
        let report = std::fs::read_to_string(self.folder.path().join("report.json")).unwrap_or_default();
        Ran {
            code: output.status.code(),
            all: format!(
                "{}{}{report}",
                String::from_utf8_lossy(&output.stdout),
                String::from_utf8_lossy(&output.stderr)
            ),
            report: serde_json::from_str(&report).unwrap_or_default(),
        }
    }

    /// The containers that are there of suites of this project.
    fn suites(&self) -> Vec<Value> {
        let all = self
            .engine
            .containers(&format!("pilotage.project={}", self.project));
        all.into_iter()
            .filter(|container| container["Labels"]["pilotage.purpose"] == "regression")
            .collect()
    }
}

impl Drop for World {
    fn drop(&mut self) {
        self.engine.remove_project(self.project);
    }
}

/// Writes a report of one case.
fn case(name: &str, end: &str) -> String {
    format!(
        "mkdir -p /out/deep; echo '<testsuite name=\"s\"><testcase classname=\"C\" name=\"{name}\">{end}</testcase></testsuite>' \
         > /out/deep/{name}.xml\n"
    )
}

const FAILED: &str = "<failure message=\"no\">at line 1</failure>";

#[test]
fn a_suite_in_an_image_finds_the_service_and_its_reports_are_judged() {
    let Some(world) = World::new("suites") else { return };
    let service = json!({
        "Image": format!("{IMAGE}:1"),
        "Cmd": ["/bin/sleep", "600"],
        "Labels": {"pilotage.project": "suites"},
        "NetworkingConfig": {"EndpointsConfig": {"suites-qa": {"Aliases": ["shop"]}}},
    });
    let address = world
        .engine
        .run("suites-qa-shop-1", "suites-qa", &service)
        .unwrap();
    let script = format!(
        "{}echo \"found $(/usr/bin/getent hosts shop) at $PILOTAGE_URL for $PILOTAGE_VERSION in $PILOTAGE_ENVIRONMENT\"\n\
         echo \"the secret is $(cat $PILOTAGE_SECRET_SHOP_TOKEN_FILE)\" >&2\n",
        case("buy", "")
    );
    let ran = world.run(&script, "");
    assert_eq!(ran.code, Some(0), "{}", ran.all);
    assert_eq!(ran.report["result"]["tests"]["passed"], 1, "{}", ran.all);
    assert!(ran.all.contains(&format!("found {address}")), "{}", ran.all);
    assert!(
        ran.all.contains("at http://shop:8080 for 1.4.2 in qa"),
        "{}",
        ran.all
    );
    assert!(
        ran.all.contains("the secret is") && !ran.all.contains(SECRET),
        "{}",
        ran.all
    );
    assert_eq!(world.suites(), [] as [Value; 0]);

    let ran = world.run(&format!("{}exit 1", case("pay", FAILED)), "");
    assert_eq!(ran.code, Some(1), "{}", ran.all);
    assert!(ran.all.contains("C.pay: no"), "{}", ran.all);
    let ran = world.run("echo I test nothing", "");
    assert_eq!(ran.code, Some(1), "no test is no success: {}", ran.all);
    assert_eq!(world.suites(), [] as [Value; 0]);
}

#[test]
fn a_flaky_suite_runs_again_with_the_tests_that_failed() {
    let Some(world) = World::new("flakes") else { return };
    let script = format!(
        "if [ $PILOTAGE_ATTEMPT = 1 ]; then\n{}exit 1\nfi\nread -r failed < $PILOTAGE_FAILED_TESTS\n[ $failed = C.pay ] && {}",
        case("pay", FAILED),
        case("pay", "")
    );
    let ran = world.run(&script, "  retries: 2\n");
    assert_eq!(ran.code, Some(0), "{}", ran.all);
    assert_eq!(ran.report["result"]["tests"]["flaky"], 1, "{}", ran.all);
    assert_eq!(
        ran.report["result"]["runs"].as_array().unwrap().len(),
        2,
        "{}",
        ran.all
    );
}

#[test]
fn a_suite_that_hangs_or_falls_silent_is_ended_and_nothing_is_left() {
    let Some(world) = World::new("hangs") else { return };
    let stubborn = "trap '' TERM; echo here; while :; do sleep 1; done";
    let ran = world.run(stubborn, "  timeout: 2s\n  grace: 1s\n");
    assert_eq!(ran.code, Some(5), "{}", ran.all);
    assert!(
        ran.all.contains("out of time, killed as it did not end"),
        "{}",
        ran.all
    );
    let ran = world.run("sleep 600 & sleep 600", "  idle: 1s\n  grace: 1s\n");
    assert_eq!(ran.code, Some(5), "{}", ran.all);
    assert!(ran.all.contains("silent for too long"), "{}", ran.all);
    assert_eq!(world.suites(), [] as [Value; 0]);
}

/// Waits until the suite has said that it is there.
fn started(world: &World, script: &str) -> Child {
    let mut child = world.command(script, "", "").spawn().unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
    assert!(lines.any(|line| line.unwrap().contains("I am here")));
    // What it says afterwards is of no interest, and it must not stand still for it.
    std::thread::spawn(move || lines.for_each(drop));
    child
}

fn signal(child: &Child, signal: Signal) {
    let pid = Pid::from_raw(i32::try_from(child.id()).unwrap()).unwrap();
    kill_process(pid, signal).unwrap();
}

#[test]
fn a_step_that_is_stopped_takes_its_suite_along_and_one_that_is_killed_leaves_it_to_the_next() {
    let Some(world) = World::new("stops") else { return };
    let child = started(&world, "echo I am here; exec sleep 600");
    signal(&child, Signal::TERM);
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(143));
    assert_eq!(world.suites(), [] as [Value; 0]);

    let mut child = started(&world, "echo I am here; exec sleep 600");
    signal(&child, Signal::KILL);
    child.wait().unwrap();
    assert_eq!(world.suites().len(), 1, "nobody was there to remove it");
    let ran = world.run(&case("buy", ""), "");
    assert_eq!(ran.code, Some(0), "{}", ran.all);
    assert!(until(std::time::Duration::from_secs(20), || world
        .suites()
        .is_empty()));
}

#[test]
fn an_image_that_is_not_granted_or_not_there_is_refused_before_anything_runs() {
    let Some(world) = World::new("grants") else { return };
    let mut command = world.command("exit 0", "", ", allow: {images: [registry.example.com/*]}");
    let ran = world.ran(&command.output().unwrap());
    assert_eq!(ran.code, Some(6), "{}", ran.all);
    assert!(ran.all.contains("is not allowed in `qa`"), "{}", ran.all);

    let mut command = world.command("exit 0", "", "");
    let path = world.folder.path().join("shop.yaml");
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, text.replace(IMAGE, "127.0.0.1:1/none")).unwrap();
    let ran = world.ran(&command.output().unwrap());
    assert_eq!(ran.code, Some(4), "{}", ran.all);
    assert!(ran.all.contains("127.0.0.1:1/none"), "{}", ran.all);
}
