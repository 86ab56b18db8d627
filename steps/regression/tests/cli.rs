//! The binary as it is used, with suites that behave as suites do: they pass, fail, flake, hang, fork and talk.

#![expect(
    clippy::unwrap_used,
    reason = "a helper of a test fails the test by panicking"
)]

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use rustix::process::{Pid, Signal, kill_process, test_kill_process};
use serde_json::Value;
use tempfile::TempDir;

/// A folder with a suite in it.
struct Bench {
    folder: TempDir,
}

struct Ran {
    code: Option<i32>,
    stdout: String,
    stderr: String,
    report: Value,
    merged: String,
}

impl Ran {
    fn everything(&self) -> String {
        format!("{}{}{}{}", self.stdout, self.stderr, self.report, self.merged)
    }

    fn tests(&self) -> [u64; 5] {
        let tests = &self.report["result"]["tests"];
        ["passed", "failed", "skipped", "quarantined", "flaky"].map(|key| tests[key].as_u64().unwrap())
    }
}

impl Bench {
    /// `script` is run by `sh`; in it, `case NAME END` writes a report of one case.
    fn new(script: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let prelude = "mkdir -p out\ncase_() { printf '<testsuite name=\"s\"><testcase name=\"%s\" classname=\"C\">%s</testcase></testsuite>' \"$1\" \"$2\" > \"out/$1.xml\"; }\nNO='<failure message=\"no\">at line 1</failure>'\n";
        std::fs::write(folder.path().join("suite.sh"), format!("{prelude}{script}\n")).unwrap();
        Self { folder }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn file(&self, name: &str, text: &str) -> String {
        std::fs::write(self.path(name), text).unwrap();
        self.path(name).to_str().unwrap().to_owned()
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_pilotage-regression"));
        command
            .env_clear()
            .env("PATH", "/usr/bin:/bin")
            .current_dir(self.folder.path())
            .args(["--report", "report.json", "--junit", "step.xml"])
            .args(args)
            .stdin(Stdio::null());
        command
    }

    fn run(&self, args: &[&str]) -> Ran {
        let output = self.command(args).output().unwrap();
        self.ran(output.status.code(), &output.stdout, &output.stderr)
    }

    fn ran(&self, code: Option<i32>, stdout: &[u8], stderr: &[u8]) -> Ran {
        let read = |name| std::fs::read_to_string(self.path(name)).unwrap_or_default();
        Ran {
            code,
            stdout: String::from_utf8(stdout.to_vec()).unwrap(),
            stderr: String::from_utf8(stderr.to_vec()).unwrap(),
            report: serde_json::from_str(&read("report.json")).unwrap_or_default(),
            merged: read("step.suite.xml"),
        }
    }

    /// Runs the suite itself, with these flags.
    fn suite(&self, args: &[&str]) -> Ran {
        self.run(&[&["--results", "out/**/*.xml"], args, &["--", "sh", "suite.sh"]].concat())
    }
}

/// Waits until a process is gone; the test's own patience is that of its runner.
fn gone(pid: &Path) -> bool {
    let number = std::fs::read_to_string(pid).unwrap();
    let pid = Pid::from_raw(number.trim().parse().unwrap()).unwrap();
    for _ in 0..2_000 {
        // A zombie that nobody has taken yet is gone, too.
        let stat =
            std::fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_nonzero())).unwrap_or_default();
        if test_kill_process(pid).is_err() || stat.contains(") Z ") {
            return true;
        }
        std::thread::yield_now();
    }
    false
}

#[test]
fn a_suite_is_counted_by_its_reports() {
    let ran = Bench::new("case_ a; case_ b; case_ c '<skipped/>'; echo done").suite(&[]);
    assert_eq!(
        (ran.code, ran.tests()),
        (Some(0), [2, 0, 1, 0, 0]),
        "{}",
        ran.everything()
    );
    assert!(
        ran.stdout
            .starts_with("ok        suite  2 of 3 tests passed, 1 skipped\n"),
        "{}",
        ran.stdout
    );
    assert!(ran.stderr.contains("suite │ done"), "{}", ran.stderr);
    assert!(
        ran.merged
            .contains("<testsuites name=\"regression\" tests=\"3\" failures=\"0\""),
        "{}",
        ran.merged
    );
}

#[test]
fn what_failed_is_named_and_an_exit_without_a_failure_is_one() {
    let ran = Bench::new("case_ a; case_ b \"$NO\"; exit 0").suite(&[]);
    assert_eq!(
        (ran.code, ran.tests()),
        (Some(1), [1, 1, 0, 0, 0]),
        "a runner that hides its exit"
    );
    assert!(
        ran.stdout.contains("1 of 2 tests failed; C.b: no"),
        "{}",
        ran.stdout
    );
    let ran = Bench::new("case_ a; echo cannot connect; exit 7").suite(&[]);
    assert_eq!(ran.code, Some(1));
    assert!(
        ran.stdout
            .contains("it ended with 7, and none of 1 test has failed"),
        "{}",
        ran.stdout
    );
    assert!(
        ran.stdout.contains("its last lines:\n            cannot connect"),
        "{}",
        ran.stdout
    );
}

#[test]
fn no_test_is_no_success_and_reports_of_yesterday_are_none() {
    let bench = Bench::new("true");
    std::fs::create_dir(bench.path("out")).unwrap();
    bench.file(
        "out/old.xml",
        "<testsuite name='s'><testcase name='old'/></testsuite>",
    );
    let ran = bench.suite(&[]);
    assert_eq!((ran.code, ran.tests()), (Some(1), [0, 0, 0, 0, 0]));
    assert!(ran.stdout.contains("no test ran"), "{}", ran.stdout);
    let ran = Bench::new("case_ a '<skipped/>'").suite(&[]);
    assert!(
        ran.code == Some(1) && ran.stdout.contains("no test ran: all 1 were skipped"),
        "{}",
        ran.stdout
    );
    // Reports alone are another thing: whoever names them says that they count.
    let ran = bench.run(&["--results", "out/*.xml"]);
    assert_eq!(
        (ran.code, ran.tests()),
        (Some(0), [1, 0, 0, 0, 0]),
        "{}",
        ran.everything()
    );
}

#[test]
fn a_suite_runs_again_where_it_may_and_tells_what_flaked() {
    let script =
        "case_ fine; if [ \"$PILOTAGE_ATTEMPT\" = 1 ]; then case_ flaky \"$NO\"; exit 1; fi; case_ flaky";
    let ran = Bench::new(script).suite(&[]);
    assert_eq!((ran.code, ran.tests()), (Some(1), [1, 1, 0, 0, 0]));
    let ran = Bench::new(script).suite(&["--retries", "2"]);
    assert_eq!(
        (ran.code, ran.tests()),
        (Some(0), [2, 0, 0, 0, 1]),
        "{}",
        ran.everything()
    );
    assert_eq!(ran.report["checks"][0]["tries"], 2);
    assert!(
        ran.merged
            .contains("<flakyFailure message=\"no\"><stackTrace>at line 1</stackTrace>"),
        "{}",
        ran.merged
    );
}

#[test]
fn a_runner_that_can_runs_the_failed_tests_alone() {
    let script = "if [ \"$PILOTAGE_ATTEMPT\" = 1 ]; then case_ fine; case_ known \"$NO\"; case_ flaky \"$NO\"; exit 1; fi
sed 's/^/again: /' \"$PILOTAGE_FAILED_TESTS\"; case_ flaky";
    let bench = Bench::new(script);
    let list = "tests: [{test: C.known, issue: SHOP-1, owner: ana, until: 2999-01-01}]\n";
    let file = bench.file("quarantine.yaml", list);
    let ran = bench.suite(&["--retries", "1", "--quarantine", &file]);
    assert_eq!(
        (ran.code, ran.tests()),
        (Some(0), [2, 0, 0, 1, 1]),
        "{}",
        ran.everything()
    );
    let again: Vec<&str> = ran
        .stderr
        .lines()
        .filter(|line| line.contains("again: "))
        .collect();
    assert_eq!(again, ["suite │ again: C.flaky"]);
}

#[test]
fn unreadable_reports_are_red_and_leave_the_others_alone() {
    for broken in [
        "",
        "<testsuite><testcase name='x'/>",
        "<!DOCTYPE a [<!ENTITY b 'c'>]><testsuite/>",
        "plain text",
        "<html/>",
    ] {
        let bench = Bench::new("case_ a; cp broken out/broken.xml");
        bench.file("broken", broken);
        let ran = bench.suite(&[]);
        assert_eq!(ran.code, Some(1), "{broken}: {}", ran.everything());
        assert!(
            ran.stdout.contains("a report cannot be read: out/broken.xml: "),
            "{}",
            ran.stdout
        );
        assert!(ran.merged.contains("<testcase name=\"a\""), "{}", ran.merged);
    }
}

#[test]
fn what_hangs_is_ended_with_everything_it_has_started() {
    for flags in [["--timeout", "300ms"], ["--idle", "300ms"]] {
        // It says nothing, does not end when asked to, and has a child that does not either.
        let script = "case_ a; trap '' TERM; (trap '' TERM; echo $$ > /dev/null; exec sleep 600) & echo $! > child.pid; echo $$ > own.pid; wait; wait";
        let bench = Bench::new(script);
        let ran = bench.suite(&[&flags[..], &["--grace", "200ms"]].concat());
        assert_eq!(ran.code, Some(5), "{flags:?} {}", ran.everything());
        assert!(
            ran.stdout
                .contains("killed as it did not end when it was asked to"),
            "{}",
            ran.stdout
        );
        assert_eq!(ran.tests()[0], 1, "what it reported until then counts");
        assert!(
            gone(&bench.path("own.pid")) && gone(&bench.path("child.pid")),
            "{flags:?}"
        );
    }
}

#[test]
fn what_a_suite_leaves_running_neither_holds_the_step_nor_outlives_it() {
    let bench = Bench::new("case_ a; sleep 600 & echo $! > child.pid");
    let ran = bench.suite(&[]);
    assert_eq!(ran.code, Some(0), "{}", ran.everything());
    assert!(
        ran.stdout.contains("what it left running was ended"),
        "{}",
        ran.stdout
    );
    assert!(gone(&bench.path("child.pid")));
}

#[test]
fn a_suite_that_ends_when_it_is_asked_to_has_time_for_its_reports() {
    let bench = Bench::new("trap 'case_ late \"$NO\"; exit 1' TERM; echo ready; sleep 600 & wait");
    let ran = bench.suite(&["--timeout", "500ms"]);
    assert_eq!(
        (ran.code, ran.tests()),
        (Some(1), [0, 1, 0, 0, 0]),
        "a clear no: {}",
        ran.everything()
    );
    assert!(
        ran.stdout
            .contains("1 of 1 test failed; C.late: no; its time was over before its end"),
        "{}",
        ran.stdout
    );
}

#[test]
fn a_signal_ends_the_suite_and_what_it_reported_is_kept() {
    let bench = Bench::new("case_ a; echo $$ > own.pid; echo ready; sleep 600 & wait");
    let mut child = bench
        .command(&["--results", "out/*.xml", "--", "sh", "suite.sh"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stderr = BufReader::new(child.stderr.take().unwrap());
    let mut line = String::new();
    while !line.contains("ready") {
        line.clear();
        assert!(
            stderr.read_line(&mut line).unwrap() > 0,
            "it ended before it was ready"
        );
    }
    kill_process(Pid::from_child(&child), Signal::TERM).unwrap();
    let output = child.wait_with_output().unwrap();
    let ran = bench.ran(output.status.code(), &output.stdout, b"");
    assert_eq!(ran.code, Some(143), "{}", ran.everything());
    assert!(ran.merged.contains("<testcase name=\"a\""), "{}", ran.merged);
    assert!(gone(&bench.path("own.pid")));
}

#[test]
fn secrets_are_in_nothing_that_a_suite_says_or_writes() {
    let secret = "hush-secret/1+2";
    let bench = Bench::new(
        "echo \"token $S\"; printf 'half hush-'; printf 'secret/1+2\\n' >&1; case_ \"leak\" \"<failure message='$S'>$S</failure>\"; exit 1",
    );
    let output = bench
        .command(&["--results", "out/*.xml", "--", "sh", "suite.sh"])
        .env("PILOTAGE_SECRET_SHOP_TOKEN", secret)
        .env("S", secret)
        .output()
        .unwrap();
    let ran = bench.ran(output.status.code(), &output.stdout, &output.stderr);
    assert_eq!(ran.code, Some(1));
    assert!(!ran.everything().contains(secret), "{}", ran.everything());
    assert!(
        ran.stderr.contains("token [secret SECRET_SHOP_TOKEN]"),
        "{}",
        ran.stderr
    );
    assert!(
        ran.merged.contains("message=\"[secret SECRET_SHOP_TOKEN]\""),
        "{}",
        ran.merged
    );
}

#[test]
fn quarantine_excuses_a_failure_until_its_end() {
    let bench = Bench::new("case_ a; case_ known \"$NO\"; exit 1");
    let list = |until: &str, test: &str| {
        format!("tests:\n  - {{test: \"{test}\", issue: SHOP-12, owner: ana, until: {until}}}\n")
    };
    for (until, test, code, tests, told) in [
        (
            "2999-01-01",
            "C.known",
            0,
            [1, 0, 0, 1, 0],
            "1 of 2 tests passed, 1 in quarantine",
        ),
        (
            "2999-01-01",
            "C.other",
            1,
            [1, 1, 0, 0, 0],
            "the quarantine of `C.other` fits no test",
        ),
        (
            "2020-01-01",
            "C.known",
            1,
            [1, 1, 0, 0, 0],
            "the quarantine of `C.known` ended on 2020-01-01: SHOP-12, ana",
        ),
        (
            "2020-01-01",
            "C.gone",
            1,
            [1, 1, 0, 0, 0],
            "the quarantine of `C.gone` ended on 2020-01-01",
        ),
    ] {
        let file = bench.file("quarantine.yaml", &list(until, test));
        let ran = bench.suite(&["--quarantine", &file]);
        assert_eq!(
            (ran.code, ran.tests()),
            (Some(code), tests),
            "{until} {test} {}",
            ran.everything()
        );
        assert!(ran.stdout.contains(told), "{}", ran.stdout);
    }
    let file = bench.file("quarantine.yaml", "tests:\n  - {test: C.known}\n");
    let ran = bench.suite(&["--quarantine", &file]);
    assert_eq!(ran.code, Some(3));
    assert!(ran.stderr.contains("needs the key `owner`"), "{}", ran.stderr);
}

#[test]
fn a_descriptors_command_needs_a_grant_and_is_told_where_the_service_is() {
    let bench = Bench::new("env | grep ^PILOTAGE_ | sort; env | grep -c FOREIGN; case_ a");
    let descriptor = bench.file(
        "shop.yaml",
        "version: \"1.4.2\"\nimage: shop\nports: [{name: http, port: 80, publish: proxy, routes: [{host: shop.example.com}]}]\nregression: {command: [sh, suite.sh], env: {MODE: full}, reports: [\"out/*.xml\"]}\n",
    );
    let config = |allow: &str| {
        format!(
            "apiVersion: pilotage/v1\nproject: acme\ntargets: {{here: {{process: {{state: /tmp/x, command: [x], artifact: /tmp/x, listen: \"127.0.0.1:18080\"}}}}}}\nenvironments: {{qa: {{target: here, allow: {allow}}}}}\n"
        )
    };
    let args = |more: &[&'static str]| -> Vec<String> {
        let base = ["--descriptor", &descriptor, "--env", "qa"].map(str::to_owned);
        base.into_iter()
            .chain(more.iter().map(|arg| (*arg).to_owned()))
            .collect()
    };
    let run = |args: Vec<String>| {
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        let mut command = bench.command(&args);
        let output = command
            .env("FOREIGN", "x")
            .env("PILOTAGE_SECRET_SHOP_KEY", "hush-hush")
            .output()
            .unwrap();
        bench.ran(output.status.code(), &output.stdout, &output.stderr)
    };
    let ran = run(args(&[]));
    assert_eq!(ran.code, Some(6), "nobody grants it: {}", ran.everything());
    bench.file("pilotage.yaml", &config("{}"));
    let ran = run(args(&["--config", "pilotage.yaml"]));
    assert_eq!(ran.code, Some(6), "{}", ran.everything());
    assert!(ran.stderr.contains("allow: {commands: true}"), "{}", ran.stderr);
    assert!(!bench.path("out").exists(), "nothing ran");
    bench.file("pilotage.yaml", &config("{commands: true}"));
    let ran = run(args(&["--config", "pilotage.yaml", "--release", "qa.shop.17"]));
    assert_eq!(ran.code, Some(0), "{}", ran.everything());
    for line in [
        "PILOTAGE_ATTEMPT=1",
        "PILOTAGE_ENVIRONMENT=qa",
        "PILOTAGE_HOST=shop.example.com",
        "PILOTAGE_PROJECT=acme",
        "PILOTAGE_RELEASE=qa.shop.17",
        "PILOTAGE_SECRET_SHOP_KEY=[secret SECRET_SHOP_KEY]",
        "PILOTAGE_SERVICE=shop",
        "PILOTAGE_URL=http://127.0.0.1:18080",
        "PILOTAGE_VERSION=1.4.2",
    ] {
        assert!(
            ran.stderr.contains(&format!("suite │ {line}\n")),
            "{line}: {}",
            ran.stderr
        );
    }
    assert!(
        ran.stderr.contains("suite │ 0\n"),
        "variables of others do not reach it: {}",
        ran.stderr
    );
}

#[test]
fn an_image_on_a_target_without_an_engine_is_refused_by_name_and_nothing_to_run_is_no_fault() {
    let bench = Bench::new("true");
    let descriptor = bench.file(
        "shop.yaml",
        "version: \"1\"\nimage: shop\nregression: {image: shop-tests}\n",
    );
    let ran = bench.run(&["--descriptor", &descriptor, "--env", "qa"]);
    assert_eq!(ran.code, Some(6), "nobody grants it: {}", ran.everything());
    let config = bench.file(
        "pilotage.yaml",
        "apiVersion: pilotage/v1\nproject: acme\ntargets: {here: {process: {state: /tmp/x, command: [x], artifact: /tmp/x, listen: \"127.0.0.1:18080\"}}}\nenvironments: {qa: {target: here}}\n",
    );
    let ran = bench.run(&["--descriptor", &descriptor, "--env", "qa", "--config", &config]);
    assert_eq!(ran.code, Some(3), "{}", ran.everything());
    assert!(
        ran.stderr.contains("shop.yaml:3:21")
            && ran
                .stderr
                .contains("the suite is the image `shop-tests`, and the service's target runs no images"),
        "{}",
        ran.stderr
    );
    let descriptor = bench.file("shop.yaml", "version: \"1\"\nimage: shop\n");
    let ran = bench.run(&["--descriptor", &descriptor, "--env", "qa"]);
    assert_eq!(ran.code, Some(0));
    assert!(
        ran.stdout
            .contains("nothing to run: the descriptor has no regression suite"),
        "{}",
        ran.stdout
    );
}

#[test]
fn a_suite_that_cannot_be_started_has_no_answer() {
    let bench = Bench::new("true");
    let ran = bench.run(&["--retries", "3", "--", "no-such-program"]);
    assert_eq!(ran.code, Some(4), "{}", ran.everything());
    assert_eq!(
        ran.report["checks"][0]["tries"], 1,
        "and no other run would have one"
    );
    for args in [
        &[][..],
        &["--timeout", "0s", "--", "true"],
        &["--results", "../x.xml"],
        &["--quarantine", "/no/such", "--", "true"],
    ] {
        assert_eq!(bench.run(args).code, Some(2), "{args:?}");
    }
}

#[test]
fn a_dry_run_runs_nothing() {
    let bench = Bench::new("case_ a");
    let ran = bench.suite(&["--dry-run"]);
    assert_eq!(ran.code, Some(0), "{}", ran.everything());
    assert!(
        ran.stdout.contains("would run sh suite.sh") && !bench.path("out").exists(),
        "{}",
        ran.stdout
    );
}
