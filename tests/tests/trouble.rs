//! Bad luck from outside, brought about for the real binaries: disks, clocks, networks, git servers. Each ends with its
//! code and words that help, and the same command goes well once the trouble is over.

#![expect(
    clippy::unwrap_used,
    reason = "what a test is made from is written in the test"
)]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command as Program, Stdio};

use pilotage_tests::command::{Command, Output, binary};
use pilotage_tests::gitserver::{Asked, BareRepository, Fault, GitServer, NewCommit};
use serde_json::Value;
use tempfile::TempDir;

const POLICY: &str = "\
apiVersion: pilotage/v1
project: acme
targets: {box: {docker: {}}}
environments:
  qa: {target: box, first: deploy}
";
const SHOP: &str = "version: \"1.0.0\"\nimage: registry.example.com/shop\nkind: worker\n";

/// What reads an environment repository, each in its own way.
const READERS: [(&str, &[&str]); 3] = [
    ("pilotage-git-monitor", &["explain"]),
    ("pilotage-release", &["status"]),
    ("pilotage", &["check"]),
];

fn served() -> (TempDir, GitServer) {
    let folder = tempfile::tempdir().unwrap();
    let repository = BareRepository::init(&folder.path().join("envs.git"));
    repository.commit("main", NewCommit::new("Policy").file("pilotage.yaml", POLICY));
    repository.commit("qa", NewCommit::new("Begin").file("services/shop.yaml", SHOP));
    let server = GitServer::start(folder.path());
    (folder, server)
}

fn read(binary: &str, args: &[&str], url: &str) -> Command {
    Command::step(binary).args(args).args(["--repo", url])
}

#[track_caller]
fn expect(output: &Output, code: i32, words: &[&str]) {
    assert_eq!(output.code, Some(code), "{output}");
    for words in words {
        assert!(output.everything().contains(words), "no `{words}` in {output}");
    }
}

#[test]
fn wrong_credentials_are_told_and_never_shown() {
    let (_folder, server) = served();
    server.require("ana", "right-password");
    for (binary, args) in READERS {
        let with = |password: &str| {
            read(binary, args, &server.url("envs.git"))
                .env("PILOTAGE_GIT_USER", "ana")
                .env("PILOTAGE_GIT_PASSWORD", password)
                .run_reported()
        };
        let wrong = with("wr0ng-password");
        expect(&wrong, 4, &["401"]);
        assert!(!wrong.everything().contains("wr0ng-password"), "{wrong}");
        expect(&with("right-password"), 0, &[]);
    }
}

#[test]
fn a_git_server_that_dies_in_the_middle_is_no_answer_and_leaves_nothing_behind() {
    for (binary, args) in READERS {
        let (_folder, server) = served();
        let ask = || read(binary, args, &server.url("envs.git")).run_reported();
        for asked in [Asked::Any, Asked::Fetch] {
            server.fault(asked, Fault::Die { after: 9 }, 100);
            let died = ask();
            expect(&died, 4, &[]);
            assert_eq!(died.report()["outcome"], "unavailable", "{died}");
            server.heal();
        }
        expect(&ask(), 0, &[]);
    }
}

#[test]
fn a_git_server_that_hangs_in_the_middle_meets_the_deadline() {
    for (binary, args) in READERS {
        let (_folder, server) = served();
        server.fault(Asked::Fetch, Fault::Stall { after: 9 }, 100);
        let hung = read(binary, args, &server.url("envs.git"))
            .args(["--deadline", "1s"])
            .run_reported();
        expect(&hung, 5, &["deadline"]);
    }
}

#[test]
fn without_a_network_there_is_no_answer() {
    if !root("a network of one's own") {
        return;
    }
    for (name, args) in READERS {
        let output = Command::program("/usr/bin/env")
            .args(["unshare", "--net"])
            .arg(binary(name))
            .args(args)
            .args(["--repo", "http://192.0.2.1/envs.git"])
            .run_reported();
        expect(&output, 4, &["192.0.2.1"]);
        assert_eq!(output.report()["outcome"], "unavailable", "{output}");
    }
}

/// Whether the trouble can be brought about; says so when not.
#[expect(
    clippy::print_stderr,
    reason = "a test that proves less than it could has to say so"
)]
fn root(what: &str) -> bool {
    let root = rustix::process::geteuid().is_root();
    if !root {
        eprintln!("not root: {what} cannot be had, and nothing is tried");
    }
    root
}

/// A small file system of its own.
struct Disk(PathBuf);

impl Disk {
    fn mount(path: PathBuf, options: &str) -> Self {
        fs::create_dir_all(&path).unwrap();
        run(Program::new("mount")
            .args(["-t", "tmpfs", "-o", options, "tmpfs"])
            .arg(&path));
        Self(path)
    }

    fn remount(&self, options: &str) {
        run(Program::new("mount")
            .args(["-o", &format!("remount,{options}")])
            .arg(&self.0));
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Program::new("umount").arg("--lazy").arg(&self.0).status();
    }
}

#[track_caller]
fn run(program: &mut Program) {
    let output = program.stdin(Stdio::null()).output().unwrap();
    assert!(
        output.status.success(),
        "{program:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
}

/// A worker on a process target.
struct Deploys {
    folder: TempDir,
}

impl Deploys {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().display();
        let target = format!(
            "box: {{process: {{state: {path}/state, command: [/bin/sh, \"{{artifact}}\"], artifact: \"{path}/{{version}}\", listen: \"127.0.0.1:18997\"}}}}"
        );
        fs::write(
            folder.path().join("pilotage.yaml"),
            POLICY.replace("box: {docker: {}}", &target),
        )
        .unwrap();
        Self { folder }
    }

    fn state(&self) -> PathBuf {
        self.folder.path().join("state")
    }

    /// An artifact that is at least so many bytes long.
    fn artifact(&self, version: &str, bytes: usize) {
        let text = format!("exec tail -f /dev/null\n#{}\n", "-".repeat(bytes));
        fs::write(self.folder.path().join(version), text).unwrap();
        let descriptor = format!("version: \"{version}\"\nkind: worker\nstop: {{grace: 5s}}\n");
        fs::write(self.folder.path().join("shop.yaml"), descriptor).unwrap();
    }

    fn command(&self) -> Command {
        let file = |name: &str| self.folder.path().join(name);
        Command::step("pilotage-deploy")
            .args(["--env", "qa", "--config"])
            .arg(file("pilotage.yaml"))
            .arg("--descriptor")
            .arg(file("shop.yaml"))
    }

    fn serving(&self) -> String {
        let status = self.command().arg("status").run_reported();
        expect(&status, 0, &[]);
        status.report()["outputs"]["version"]
            .as_str()
            .unwrap_or_default()
            .to_owned()
    }
}

impl Drop for Deploys {
    fn drop(&mut self) {
        let down = Command::step("pilotage-deploy")
            .args(["down", "--target", "box", "--config"])
            .arg(self.folder.path().join("pilotage.yaml"))
            .run();
        assert!(std::thread::panicking() || down.code == Some(0), "{down}");
    }
}

#[test]
fn a_state_directory_without_space_keeps_what_serves() {
    if !root("a small disk") {
        return;
    }
    let deploys = Deploys::new();
    let _disk = Disk::mount(deploys.state(), "size=256k");
    deploys.artifact("1.0.0", 10);
    expect(&deploys.command().run_reported(), 0, &[]);
    deploys.artifact("1.1.0", 1_000_000);
    let full = deploys.command().run_reported();
    expect(
        &full,
        4,
        &["free space on the disk", "what serves was not touched"],
    );
    assert_eq!(full.report()["effects"], "none", "{full}");
    assert_eq!(deploys.serving(), "1.0.0");
    deploys.artifact("1.1.0", 10);
    expect(&deploys.command().run_reported(), 0, &[]);
    assert_eq!(deploys.serving(), "1.1.0");
    // The disk goes before what is on it is asked to end.
    drop(deploys);
}

#[test]
fn a_state_directory_that_cannot_be_written_is_told_before_any_effect() {
    if !root("a disk that is only read") {
        return;
    }
    let deploys = Deploys::new();
    let disk = Disk::mount(deploys.state(), "size=256k,ro");
    deploys.artifact("1.0.0", 10);
    let output = deploys.command().run_reported();
    expect(
        &output,
        4,
        &[&deploys.state().display().to_string(), "Read-only file system"],
    );
    assert_eq!(output.report()["effects"], "none", "{output}");
    disk.remount("rw");
    expect(&deploys.command().run_reported(), 0, &[]);
    drop(deploys);
}

#[test]
fn a_report_that_finds_no_space_is_no_success() {
    if !root("a small disk") {
        return;
    }
    let deploys = Deploys::new();
    deploys.artifact("1.0.0", 10);
    let disk = Disk::mount(deploys.folder.path().join("reports"), "size=64k");
    // A full disk still has room for a name.
    let filler = disk.0.join("filler");
    let _ = fs::write(&filler, vec![b'-'; 1 << 20]);
    let report = disk.0.join("report.json");
    let output = deploys.command().arg("--report").arg(&report).run();
    assert!(matches!(output.code, Some(2 | 4)), "{output}");
    assert!(
        output.stderr.contains("report.json") && output.stderr.contains("No space left"),
        "{output}"
    );
    fs::remove_file(filler).unwrap();
    let output = deploys.command().arg("--report").arg(&report).run();
    expect(&output, 0, &[]);
    let told: Value = serde_json::from_slice(&fs::read(report).unwrap()).unwrap();
    assert_eq!(told["outcome"], "passed");
}

/// A library that moves the clock of whoever loads it by `PILOTAGE_TEST_SKEW` seconds; the monotonic one stays.
const SKEW: &str = r#"
#define _GNU_SOURCE
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>
int clock_gettime(clockid_t clock, struct timespec *now) {
    int result = (int)syscall(SYS_clock_gettime, clock, now);
    const char *skew = getenv("PILOTAGE_TEST_SKEW");
    if (result == 0 && clock == CLOCK_REALTIME && skew) now->tv_sec += atol(skew);
    return result;
}
"#;

fn skew_library(folder: &Path) -> PathBuf {
    let (source, library) = (folder.join("skew.c"), folder.join("skew.so"));
    fs::write(&source, SKEW).unwrap();
    run(Program::new("cc")
        .args(["-shared", "-fPIC", "-o"])
        .arg(&library)
        .arg(&source));
    library
}

#[test]
fn a_clock_five_minutes_off_changes_no_verdict() {
    let folder = tempfile::tempdir().unwrap();
    let library = skew_library(folder.path());
    let off = |command: Command, seconds: i64| {
        command
            .env("LD_PRELOAD", &library)
            .env("PILOTAGE_TEST_SKEW", seconds.to_string())
            .run_reported()
    };
    let started = |output: &Output| output.report()["started"].as_str().unwrap().to_owned();
    let (_repository, server) = served();
    for (binary, args) in READERS {
        // Each runs after the one before and by a clock that says it was earlier.
        let told: Vec<Output> = [300, 0, -300]
            .map(|seconds| off(read(binary, args, &server.url("envs.git")), seconds))
            .into();
        for pair in told.windows(2) {
            assert!(
                started(&pair[0]) > started(&pair[1]),
                "the clocks are off: {}",
                pair[1]
            );
        }
        for output in &told {
            expect(output, 0, &[]);
        }
    }
    // A deploy by a clock that is ahead, the next by one that is behind: the later one wins all the same.
    let deploys = Deploys::new();
    for (version, fence, seconds) in [("1.0.0", "1", 300), ("1.1.0", "2", -300), ("1.2.0", "3", 300)] {
        deploys.artifact(version, 10);
        expect(&off(deploys.command().args(["--fence", fence]), seconds), 0, &[]);
        assert_eq!(deploys.serving(), version);
    }
    let stale = off(deploys.command().args(["--fence", "2"]), 300);
    expect(&stale, 6, &["fence 2 is stale"]);
}
