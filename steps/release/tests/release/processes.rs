//! The real step with the real stages on processes; the other binaries of the house lie beside it.

use std::path::PathBuf;
use std::time::Duration;

use pilotage_tests::command::{Command, Output, PATIENCE, binary};
use pilotage_tests::gitserver::{Asked, Fault, GitServer};
use rustix::process::Signal;
use serde_json::Value;

use crate::world::World;

/// A world whose environments land on processes of this machine.
pub(crate) struct ProcessWorld {
    pub(crate) world: World,
}

impl ProcessWorld {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().to_string_lossy().into_owned();
        let port = std::net::TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap()
            .port();
        let service = binary("sample-service").to_string_lossy().into_owned();
        let config = format!(
            r#"apiVersion: pilotage/v1
project: acme
targets:
  here: {{process: {{state: "{root}/state", command: ["{service}", "--artifact", "{{artifact}}", "--port", "{{port}}"], artifact: "{root}/artifacts/{{service}}/{{version}}", listen: "127.0.0.1:{port}"}}}}
environments:
  qa: {{target: here, first: deploy}}
  prod: {{target: here, from: qa, first: deploy}}
"#
        );
        let world = World::with_folder(folder, &config);
        Self { world }
    }

    fn root(&self) -> PathBuf {
        self.world.folder.path().to_owned()
    }

    pub(crate) fn artifact(&self, version: &str, more: &str) {
        let folder = self.root().join("artifacts/shop");
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join(version), format!("version = {version}\n{more}")).unwrap();
    }

    /// Pushes a version of shop, healthy when its artifact is.
    pub(crate) fn push(&self, branch: &str, version: &str, timeout: &str) {
        let more = format!(
            "domain: shop.example.com\nstop: {{grace: 1s}}\nhealthcheck: {{endpoints: [{{http: /health, version: {{json: $.version}}}}], \
             timeout: {timeout}, interval: 20ms}}\n"
        );
        let text =
            format!("version: \"{version}\"\nports: [{{name: http, port: 8080, publish: proxy}}]\n{more}");
        let commit = pilotage_tests::gitserver::NewCommit::new(version).file("services/shop.yaml", text);
        self.world.repository.commit(branch, commit);
    }

    fn command(&self, subcommand: &str) -> Command {
        self.command_at(subcommand, &self.world.repository.path().to_string_lossy())
    }

    fn command_at(&self, subcommand: &str, repository: &str) -> Command {
        Command::step("pilotage-release")
            .args([subcommand, "--repo", repository])
            .arg("--cache-dir")
            .arg(self.root().join("cache"))
    }

    pub(crate) fn run(&self, environment: &str) -> Command {
        self.command("run")
            .args(["--env", environment, "--service", "shop"])
    }

    pub(crate) fn status(&self, environment: &str) -> Value {
        let output = self
            .command("status")
            .args(["--env", environment, "--output", "json"])
            .run();
        assert_eq!(output.code, Some(0), "{output}");
        output.json()["result"]["services"][0].clone()
    }
}

impl Drop for ProcessWorld {
    fn drop(&mut self) {
        let config = self.root().join("config.yaml");
        let text = self.world.repository.git(&["show", "main:pilotage.yaml"]);
        if std::fs::write(&config, text).is_ok() {
            let down = Command::step("pilotage-deploy")
                .args(["down", "--target", "here", "--config"])
                .arg(&config);
            drop(down.run());
        }
    }
}

pub(crate) fn assert_code(output: &Output, code: i32) {
    assert_eq!(output.code, Some(code), "{output}");
}

#[test]
fn by_hand_the_target_is_looked_at_before_there_is_nothing_to_do() {
    let here = ProcessWorld::new();
    here.artifact("1.0.0", "");
    let more = "secrets: {DB: {env: PILOTAGE_SECRET_SHOP_DB}}\n";
    here.world.push_with("qa", "shop", "1.0.0", more);
    let run = |secret: &str, more: &[&str]| {
        let run = here.run("qa").args(more);
        let output = run.env("PILOTAGE_SECRET_SHOP_DB", secret).run();
        assert_code(&output, 0);
        output
    };
    let release = || here.status("qa")["release"].clone();
    let output = run("one", &[]);
    assert!(output.stdout.contains("released as qa.shop.1"), "{output}");
    let output = run("one", &[]);
    assert!(output.stdout.contains("nothing to do"), "{output}");
    assert_eq!(release(), "qa.shop.1");

    // A secret that changed stands in no commit and in no record.
    let output = run("two", &["--dry-run"]);
    assert!(output.stdout.contains("start"), "{output}");
    assert_eq!(release(), "qa.shop.1");
    let output = run("two", &[]);
    assert!(output.stdout.contains("released as qa.shop.2"), "{output}");
    let output = run("two", &[]);
    assert!(output.stdout.contains("nothing to do"), "{output}");
    assert_eq!(release(), "qa.shop.2");
}

#[test]
fn a_version_is_released_and_a_sick_one_is_held_while_the_old_one_serves() {
    let here = ProcessWorld::new();
    here.artifact("1.0.0", "");
    here.artifact("1.1.0", "health = never\n");
    here.push("qa", "1.0.0", "20s");

    let dry = here.run("qa").arg("--dry-run").run();
    assert_code(&dry, 0);
    assert!(dry.stdout.contains("1.0.0, for the first time"), "{dry}");
    assert!(!here.root().join("state").exists(), "nothing was changed");
    assert_eq!(here.status("qa")["state"], "never");

    let output = here.run("qa").run_reported();
    assert_code(&output, 0);
    assert_eq!(output.report()["outputs"]["release"], "qa.shop.1");
    assert!(output.stderr.contains("qa/shop deploy │"), "{output}");
    assert_eq!(here.status("qa")["version"], "1.0.0");

    here.push("qa", "1.1.0", "500ms");
    let output = here.run("qa").run();
    assert_code(&output, 1);
    assert!(
        output.stdout.contains("held: git asks for 1.1.0, 1.0.0 stays"),
        "{output}"
    );
    let status = here.status("qa");
    assert_eq!(
        (&status["state"], &status["version"]),
        (&"held".into(), &"1.0.0".into())
    );

    let back = here
        .command("rollback")
        .args([
            "--env",
            "qa",
            "--service",
            "shop",
            "--reason",
            "ill",
            "--by",
            "Bob <bob@example.com>",
        ])
        .run();
    assert_code(&back, 0);
    let status = here.status("qa");
    assert_eq!(
        (&status["state"], &status["by"]),
        (&"runs".into(), &"Bob <bob@example.com>".into())
    );
}

#[test]
fn a_signal_in_the_middle_ends_it_with_its_end_written_and_the_next_run_goes_on() {
    let here = ProcessWorld::new();
    here.artifact("1.0.0", "healthy-after = 60s\n");
    here.push("qa", "1.0.0", "50s");
    let running = here.run("qa").spawn();
    running.wait_for_stderr("qa/shop deploy │");
    running.wait_for_stderr("prove instance");
    running.terminate();
    let output = running.wait();
    assert_code(&output, 143);
    let status = here.status("qa");
    assert_eq!(status["state"], "never", "{status}");
    assert!(
        status["notes"][0]
            .as_str()
            .unwrap()
            .contains("qa.shop.1 cancelled"),
        "{status}"
    );

    here.artifact("1.0.0", "");
    let output = here.run("qa").run();
    assert_code(&output, 0);
    assert_eq!(here.status("qa")["release"], "qa.shop.2");
}

#[test]
fn a_release_that_is_killed_at_any_moment_is_taken_up_by_the_same_command() {
    // Each of these lines is said right after something was written: to the ledger, to the plan, to the target.
    for moment in [
        "begun",
        "notify passed",
        "start instance",
        "switch to",
        "deploy passed",
        "healthcheck passed",
    ] {
        let here = ProcessWorld::new();
        here.artifact("1.0.0", "healthy-after = 100ms\n");
        here.push("qa", "1.0.0", "20s");
        let running = here.run("qa").spawn();
        running.wait_for_stderr(moment);
        running.kill();
        let killed = running.wait();
        assert!(
            killed.signal == Some(9) || killed.code == Some(0),
            "{moment}: {killed}"
        );
        let output = here.run("qa").run();
        assert_code(&output, 0);
        let status = here.status("qa");
        assert_eq!(
            (&status["state"], &status["version"]),
            (&"runs".into(), &"1.0.0".into()),
            "{moment}: {output}"
        );
    }
}

/// The writes of one run by hand: the decision, the begin, the end.
const WRITES: usize = 3;

#[test]
fn a_release_that_is_killed_at_any_write_of_the_ledger_is_taken_up_by_the_same_command() {
    for write in 0..WRITES {
        for fault in [Fault::Hang, Fault::HangAfter] {
            let moment = format!("write {write} of the ledger, {fault:?}");
            let here = ProcessWorld::new();
            here.artifact("1.0.0", "");
            here.push("qa", "1.0.0", "20s");
            let server = GitServer::start(&here.root());
            let url = server.url("env.git");
            let run = || {
                here.command_at("run", &url)
                    .args(["--env", "qa", "--service", "shop"])
            };
            if write > 0 {
                server.fault(Asked::Push, Fault::Delay(Duration::ZERO), write);
            }
            server.fault(Asked::Push, fault, 1);
            let running = run().spawn();
            until(|| {
                server
                    .counts()
                    .by_kind
                    .get(&Asked::Push)
                    .is_some_and(|seen| *seen > write as u64)
            });
            running.kill();
            assert_eq!(running.wait().signal, Some(9), "{moment}");
            server.heal();
            let output = run().run();
            assert_code(&output, 0);
            let status = here.status("qa");
            assert_eq!(
                (&status["state"], &status["version"]),
                (&"runs".into(), &"1.0.0".into()),
                "{moment}: {output}"
            );
        }
    }
}

#[test]
fn a_holder_that_stood_still_changes_nothing_when_it_wakes_up() {
    let here = ProcessWorld::new();
    here.artifact("1.0.0", "healthy-after = 500ms\n");
    here.push("qa", "1.0.0", "20s");
    let first = here.run("qa").spawn();
    first.wait_for_stderr("prove instance");
    first.signal(Signal::STOP);
    let refused = here.run("qa").run();
    assert_code(&refused, 6);
    assert!(refused.stdout.contains("held since"), "{refused}");
    assert!(
        refused.stdout.contains(&format!("by process {} on", first.pid())),
        "{refused}"
    );

    let given_up = here
        .command("abandon")
        .args([
            "--env",
            "qa",
            "--service",
            "shop",
            "--reason",
            "it hangs",
            "--by",
            "Bob <bob@example.com>",
        ])
        .run();
    assert_code(&given_up, 0);
    let second = here.run("qa").run();
    assert_code(&second, 0);
    assert_eq!(here.status("qa")["release"], "qa.shop.2");

    first.signal(Signal::CONT);
    let first = first.wait();
    assert_code(&first, 6);
    let status = here.status("qa");
    assert_eq!(
        (&status["release"], &status["state"]),
        (&"qa.shop.2".into(), &"runs".into()),
        "{first}"
    );
}

#[test]
fn the_stages_of_a_plan_can_be_run_by_somebody_else() {
    let here = ProcessWorld::new();
    here.artifact("1.0.0", "");
    here.push("qa", "1.0.0", "20s");
    let plan = here.root().join("plan");
    let at = |subcommand: &str, flag: &str| here.command(subcommand).arg(flag).arg(&plan);
    assert_code(
        &at("plan", "--out")
            .args(["--env", "qa", "--service", "shop"])
            .run(),
        0,
    );
    let early = at("finish", "--dir").run();
    assert_code(&early, 2);
    let begun = at("begin", "--dir")
        .args(["--build", "https://ci.example.com/job/shop/7/"])
        .run();
    assert_code(&begun, 0);
    let busy = here.run("qa").run();
    assert_code(&busy, 6);
    assert!(
        busy.stdout.contains("https://ci.example.com/job/shop/7/"),
        "{busy}"
    );

    // What a CI's library does: line by line, with nothing but the environment file of each stage.
    for line in std::fs::read_to_string(plan.join("stages")).unwrap().lines() {
        let mut words = line.split(' ');
        let (index, step) = (words.next().unwrap(), words.next().unwrap());
        let mut command = Command::step(&format!("pilotage-{step}"));
        for variable in std::fs::read_to_string(plan.join(format!("{index}-{step}.env")))
            .unwrap()
            .lines()
        {
            let (name, value) = variable.split_once('=').unwrap();
            command = command.env(name, value);
        }
        assert_code(&command.run(), 0);
    }
    let finished = at("finish", "--dir").run();
    assert_code(&finished, 0);
    assert!(
        finished
            .stdout
            .starts_with("shop 1.0.0 in qa: released as qa.shop.1"),
        "{finished}"
    );
    assert_code(&at("finish", "--dir").run(), 0);
    let status = here.status("qa");
    assert_eq!(
        (&status["state"], &status["release"]),
        (&"runs".into(), &"qa.shop.1".into())
    );
}

#[test]
fn planning_starts_nothing_and_a_begin_records_what_it_rests_on() {
    let here = ProcessWorld::new();
    here.artifact("1.0.0", "");
    here.push("qa", "1.0.0", "20s");
    let monitor = || {
        let mut desk = here.world.desk();
        let monitor = desk.ledger().monitor(&crate::world::name("qa")).unwrap();
        let record = monitor
            .services
            .get(&crate::world::name::<pilotage_name::ServiceName>("shop"));
        record.map(|record| (record.accepted.is_some(), record.outbox.is_some()))
    };
    let plan = here.root().join("plan");
    let at = |subcommand: &str, flag: &str| here.command(subcommand).arg(flag).arg(&plan);
    let planned = at("plan", "--out")
        .args(["--env", "qa", "--service", "shop"])
        .run();
    assert_code(&planned, 0);
    assert_eq!(monitor(), None, "there is nothing that a monitor could start");
    let begun = at("begin", "--dir")
        .args(["--build", "https://ci.example.com/7/"])
        .run();
    assert_code(&begun, 0);
    assert_eq!(monitor(), Some((true, true)));
    let text = std::fs::read_to_string(plan.join("release.json")).unwrap();
    let release: Value = serde_json::from_str(&text).unwrap();
    let tip = here.world.repository.id("refs/pilotage/monitor/qa");
    assert_eq!(release["decision"], tip, "the decision that was recorded");
}

#[test]
fn what_a_killed_run_leaves_in_the_temporary_folder_goes_with_the_next_one() {
    let here = ProcessWorld::new();
    here.artifact("1.0.0", "healthy-after = 60s\n");
    here.push("qa", "1.0.0", "50s");
    let temporary = here.root().join("tmp");
    std::fs::create_dir(&temporary).unwrap();
    let run = || here.run("qa").env("TMPDIR", &temporary);
    let running = run().spawn();
    running.wait_for_stderr("prove instance");
    running.kill();
    assert_eq!(running.wait().signal, Some(9));
    let left = || {
        let parents = std::fs::read_dir(&temporary).unwrap();
        let owners = parents.flat_map(|parent| std::fs::read_dir(parent.unwrap().path()).unwrap());
        owners.map(|owner| owner.unwrap().path()).collect::<Vec<_>>()
    };
    let before = left();
    assert_eq!(before.len(), 1, "{before:?}");
    assert!(before[0].join("shop/descriptor.yaml").is_file());
    here.artifact("1.0.0", "");
    assert_code(&run().run(), 0);
    assert_eq!(std::fs::read_dir(&temporary).unwrap().count(), 0);
}

/// Waits for something that only can be looked at, with an end to the patience.
fn until(seen: impl Fn() -> bool) {
    let (_keep, tick) = std::sync::mpsc::channel::<()>();
    for _ in 0..PATIENCE.as_millis() / 10 {
        if seen() {
            return;
        }
        let _ = tick.recv_timeout(Duration::from_millis(10));
    }
    panic!("it never came to that");
}

#[test]
fn a_stage_that_never_ends_is_no_reason_to_wait_for_ever() {
    let here = ProcessWorld::new();
    here.artifact("1.0.0", "healthy-after = 60s\n");
    here.push("qa", "1.0.0", "50s");
    let output = here.run("qa").args(["--deadline", "1s"]).run();
    assert_code(&output, 5);
    assert_eq!(here.status("qa")["state"], "never");
}
