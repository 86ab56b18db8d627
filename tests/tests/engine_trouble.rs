//! Bad luck with a Docker engine, brought about for whole releases by the real binaries: it is away, it is restarted in the
//! middle, it has no such image. Each ends with its code and words that help, what serves goes on serving, and the same
//! command goes well once the trouble is over.

#![expect(
    clippy::unwrap_used,
    reason = "what a test is made from is written in the test"
)]

use pilotage_tests::command::{Command, Output};
use pilotage_tests::docker::Engine;
use pilotage_tests::gitserver::{BareRepository, NewCommit};
use serde_json::Value;
use tempfile::TempDir;

/// An engine of its own, which may be stopped and started, and a service on it.
struct World {
    engine: Engine,
    folder: TempDir,
    repository: BareRepository,
}

impl World {
    /// None where no engine can be had.
    #[expect(
        clippy::print_stderr,
        reason = "a test that proves less than it could has to say so"
    )]
    fn new() -> Option<Self> {
        let engine = match Engine::start() {
            Ok(engine) => engine,
            Err(reason) => {
                eprintln!("no Docker engine, so nothing is tried on one: {reason}");
                return None;
            }
        };
        engine.enter();
        let folder = tempfile::tempdir().unwrap();
        let repository = BareRepository::init(&folder.path().join("env.git"));
        let policy = format!(
            "apiVersion: pilotage/v1\nproject: acme\ntargets: {{box: {{docker: {{host: \"{}\"}}}}}}\n\
             environments: {{qa: {{target: box, first: deploy}}}}\n",
            engine.host()
        );
        repository.commit("main", NewCommit::new("Policy").file("pilotage.yaml", policy));
        Some(Self {
            engine,
            folder,
            repository,
        })
    }

    /// Makes an image; `start_after` is how long its service takes to listen.
    fn image(&self, version: &str, start_after: &str) {
        let variables = [("SAMPLE_VERSION", version), ("SAMPLE_START_AFTER", start_after)];
        self.engine.image(&format!("acme/shop:{version}"), &variables);
    }

    fn push(&self, version: &str) {
        let text = format!(
            "version: \"{version}\"\nimage: acme/shop\nports: [{{name: http, port: 8080}}]\nstop: {{grace: 2s}}\n\
             healthcheck: {{timeout: 30s, endpoints: [{{http: /health, version: {{json: $.version}}}}]}}\n"
        );
        let commit = NewCommit::new(&format!("Release {version}")).file("services/shop.yaml", text);
        self.repository.commit("qa", commit);
    }

    fn release(&self) -> Command {
        Command::step("pilotage-release")
            .args(["run", "--env", "qa", "--service", "shop", "--repo"])
            .arg(self.repository.path())
            .arg("--cache-dir")
            .arg(self.folder.path().join("cache"))
    }

    #[track_caller]
    fn released(&self, version: &str) {
        let output = self.release().run();
        assert_eq!(output.code, Some(0), "{output}");
        assert_eq!(self.serving(), [version], "{output}");
    }

    /// The versions of the containers that run.
    fn serving(&self) -> Vec<String> {
        let containers = self.engine.containers("pilotage.project=acme");
        let running = containers.iter().filter(|found| found["State"] == "running");
        let version = |found: &Value| found["Labels"]["pilotage.version"].as_str().map(str::to_owned);
        running.filter_map(version).collect()
    }
}

#[track_caller]
fn expect(output: &Output, code: i32, words: &[&str]) {
    assert_eq!(output.code, Some(code), "{output}");
    for words in words {
        assert!(output.everything().contains(words), "no `{words}` in {output}");
    }
}

#[test]
fn an_engine_that_is_away_is_no_verdict_and_the_same_command_goes_well_later() {
    let Some(world) = World::new() else { return };
    world.image("1.0.0", "0s");
    world.push("1.0.0");
    world.engine.down();
    expect(&world.release().run(), 4, &["docker.sock"]);
    world.engine.up();
    world.released("1.0.0");
}

#[test]
fn an_engine_that_is_restarted_in_the_middle_of_a_release_loses_nothing() {
    let Some(world) = World::new() else { return };
    world.image("1.0.0", "0s");
    world.push("1.0.0");
    world.released("1.0.0");
    world.image("1.1.0", "5s");
    world.push("1.1.0");
    let release = world.release().spawn();
    release.wait_for_stderr("prove instance #2");
    world.engine.down();
    world.engine.up();
    let output = release.wait();
    assert_ne!(output.code, Some(0), "{output}");
    assert!(
        world.serving().contains(&"1.0.0".to_owned()),
        "what served serves again: {:?}\n{output}",
        world.serving()
    );
    // An engine that is back within the time of the proof has ended the new instance as well, which then counts as one
    // that ended by itself: only somebody's new commit brings it again.
    let next = match output.code {
        Some(1) => {
            world.image("1.1.1", "0s");
            world.push("1.1.1");
            "1.1.1"
        }
        _ => "1.1.0",
    };
    world.released(next);
}

#[test]
fn an_image_that_does_not_exist_changes_nothing_and_is_released_once_it_does() {
    let Some(world) = World::new() else { return };
    world.image("1.0.0", "0s");
    world.push("1.0.0");
    world.released("1.0.0");
    world.push("1.1.0");
    let output = world.release().run();
    assert_ne!(output.code, Some(0), "{output}");
    expect(&output, output.code.unwrap_or(0), &["acme/shop:1.1.0"]);
    assert_eq!(world.serving(), ["1.0.0"], "{output}");
    world.image("1.1.0", "0s");
    world.released("1.1.0");
}
