//! The front door itself: schemas, and steps by name.
#![cfg(test)]

mod world;

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use pilotage_tests::command::{Command, binary};
use world::pilotage;

fn committed(path: &str) -> serde_json::Value {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    serde_json::from_slice(&std::fs::read(root.join(path)).unwrap()).unwrap()
}

#[test]
fn the_schemas_are_the_committed_ones() {
    for (format, path) in [
        ("descriptor", "shared/descriptor/schema.json"),
        ("config", "shared/config/schema.json"),
        ("report", "shared/outcome/step-report.schema.json"),
        ("decision", "shared/gate/decision.schema.json"),
        ("event", "shared/ledger/schemas/release-event.v1.schema.json"),
        ("manifest", "shared/manifest/step-manifest.schema.json"),
    ] {
        let output = pilotage(&format!("schema {format}")).run();
        assert_eq!(output.code, Some(0), "{output}");
        assert!(
            output.json() == committed(path),
            "{format}: {path} is another one"
        );
        // A document is what was asked for, also by a program.
        let json = pilotage(&format!("schema {format} --output json")).run();
        assert_eq!(json.stdout, output.stdout, "{format}");
    }
}

#[test]
fn the_schema_of_a_decision_is_one() {
    let output = pilotage("schema decision").run();
    assert_eq!(output.code, Some(0), "{output}");
    let schema = output.json();
    assert!(jsonschema::meta::is_valid(&schema), "{schema:#}");
    assert!(schema["properties"]["verdict"].is_object(), "{schema:#}");
}

#[test]
fn an_unknown_format_lists_the_known_ones() {
    let output = pilotage("schema descripter").run();
    assert_eq!(output.code, Some(2), "{output}");
    assert!(output.stderr.contains("descriptor"), "{output}");
}

/// A folder with `pilotage` in it, and beside it a step that is what the test says.
struct Beside {
    folder: tempfile::TempDir,
}

impl Beside {
    fn new(step: &str, script: &str) -> Self {
        let folder = tempfile::tempdir_in(binary("pilotage").parent().unwrap()).unwrap();
        std::fs::hard_link(binary("pilotage"), folder.path().join("pilotage")).unwrap();
        let path = folder.path().join(format!("pilotage-{step}"));
        std::fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
        Self { folder }
    }

    fn program(&self) -> PathBuf {
        self.folder.path().join("pilotage")
    }
}

#[test]
fn a_step_gets_its_arguments_and_gives_its_exit_code() {
    let beside = Beside::new(
        "deploy",
        "printf '%s|' \"$@\"; echo; cat; echo \"$X\" >&2; exit 42",
    );
    let output = Command::program(beside.program())
        .args(["deploy", "--env", "qa", "--", "a b", ""])
        .env("X", "from the environment")
        .stdin("from stdin")
        .run();
    assert_eq!(output.code, Some(42), "{output}");
    assert_eq!(output.stdout, "--env|qa|--|a b||\nfrom stdin");
    assert_eq!(output.stderr, "from the environment\n");
}

#[test]
fn the_schema_of_a_message_is_that_of_the_step_beside() {
    let path = "shared/message/notify-message.schema.json";
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(path);
    let script = format!("test \"$*\" = --schema && cat {}", file.display());
    let beside = Beside::new("notify", &script);
    let output = Command::program(beside.program())
        .args(["schema", "message"])
        .run();
    assert_eq!(output.code, Some(0), "{output}");
    assert!(output.json() == committed(path), "{output}");

    let ill = Beside::new("notify", "exit 1");
    let output = Command::program(ill.program()).args(["schema", "message"]).run();
    assert_eq!(output.code, Some(4), "{output}");
}

#[test]
fn a_step_gets_the_signals() {
    let beside = Beside::new(
        "release",
        "trap 'echo told; exit 143' TERM; echo ready; while :; do sleep 0.1; done",
    );
    let running = Command::program(beside.program())
        .args(["release", "run"])
        .spawn();
    running.wait_for_stdout("ready");
    running.terminate();
    let output = running.wait();
    assert_eq!(output.code, Some(143), "{output}");
    assert!(output.stdout.contains("told"), "{output}");
}

#[test]
fn what_is_no_step_is_said() {
    let output = pilotage("promote --env qa").run();
    assert_eq!(output.code, Some(2), "{output}");
    assert!(
        output
            .stderr
            .contains("`pilotage promote` is not in this version"),
        "{output}"
    );

    let output = pilotage("heathcheck http://localhost/").run();
    assert_eq!(output.code, Some(2), "{output}");
    assert!(
        output.stderr.contains("did you mean `pilotage healthcheck`?"),
        "{output}"
    );

    let output = pilotage("-v deploy --env qa").run();
    assert_eq!(output.code, Some(2), "{output}");
    assert!(output.stderr.contains("behind its name"), "{output}");

    let alone = Beside::new("deploy", "");
    let output = Command::program(alone.program()).args(["notify"]).run();
    assert_eq!(output.code, Some(4), "{output}");
    assert!(
        output.stderr.contains("pilotage-notify is neither beside"),
        "{output}"
    );
}

#[test]
fn the_help_lists_the_steps() {
    let output = pilotage("--help").run();
    assert_eq!(output.code, Some(0), "{output}");
    for word in [
        "init",
        "check",
        "why",
        "schema",
        "git-monitor",
        "healthcheck",
        "--report",
    ] {
        assert!(output.stdout.contains(word), "{word}: {output}");
    }
    assert!(!output.stdout.contains("example-service"), "{output}");
}

#[test]
fn the_example_serves_its_version_and_ends_when_told() {
    use std::io::{Read as _, Write as _};
    let port = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let command = pilotage("example-service");
    let artifact = command.home().join("artifact");
    std::fs::write(&artifact, "page = shop\nversion = 1.2.3\n").unwrap();
    let running = command
        .arg("--artifact")
        .arg(&artifact)
        .args(["--port", &port.to_string()])
        .env("GREETING", "hello")
        .spawn();
    let ask = |path: &str| -> Option<String> {
        let mut stream = std::net::TcpStream::connect(("127.0.0.1", port)).ok()?;
        write!(stream, "GET {path} HTTP/1.1\r\nHost: x\r\n\r\n").ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).ok()?;
        Some(answer)
    };
    running.wait_for_stdout("shop 1.2.3 listens");
    let answer = ask("/health").unwrap();
    assert!(
        answer.contains("200 OK") && answer.contains("\"version\":\"1.2.3\""),
        "{answer}"
    );
    assert!(ask("/").unwrap().ends_with("shop 1.2.3: hello\n"));
    assert!(ask("/x").unwrap().contains("404"));
    running.terminate();
    let output = running.wait();
    assert_eq!(output.code, Some(143), "{output}");
}
