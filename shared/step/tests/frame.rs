//! The frame as a user meets it: the demo step of `examples/` as a process, through every row of the contract, and
//! the ends that no contract row brings about.

use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use pilotage_tests::command::{Command, binaries};
use pilotage_tests::contract::{Begun, Contract, Given, Lasting, World, assert_valid};

fn demo() -> Command {
    let path: PathBuf = binaries().join("examples/demo-step");
    assert!(
        path.is_file(),
        "{} is missing: run `cargo build --examples`",
        path.display()
    );
    Command::program(path)
}

fn contract() -> Contract {
    Contract {
        name: "pilotage-demo",
        command: demo,
        verdict: Ok(|_: &World| Given::args(["fail"])),
        bad_descriptor: Ok(|world: &World| {
            let path = world.file("services/shop.yaml", "image: shop\n");
            Given::args(["read".as_ref(), "--descriptor".as_ref(), path.as_os_str()])
        }),
        refused: Ok(|world: &World| Given::args(["connect", "--address", &world.refused()])),
        lasting: Ok(Lasting {
            situation: |_| Given::args(["wait"]),
            begun: Begun::Stdout("waiting"),
            at_deadline: 5,
        }),
        effect: Ok(|world: &World| {
            let path = world.folder().join("touched");
            Given::args(["pass".as_ref(), "--touch".as_ref(), path.as_os_str()])
        }),
        secret: Ok(("PILOTAGE_DEMO_TOKEN", |_: &World| Given::args(["leak"]))),
    }
}

macro_rules! questions {
    ($($question:ident),+ $(,)?) => {
        $(#[test]
        fn $question() {
            contract().$question();
        })+
    };
}

questions!(
    reasons,
    help,
    version,
    bad_flag,
    environment_twin,
    json_output,
    bad_descriptor,
    refused,
    deadline,
    terminated,
    interrupted,
    dry_run,
    unwritable_report,
    planted_secret,
);

#[test]
fn an_effect_without_dry_run_is_one() {
    let command = demo();
    let path = command.home().join("touched");
    let output = command.args(["pass", "--touch"]).arg(&path).run_reported();
    assert_eq!(output.code, Some(0), "{output}");
    assert_eq!(output.file("touched"), "x");
    assert_eq!(output.report()["effects"], "complete");
    assert_eq!(output.stdout, "yes\n");
}

#[test]
fn a_step_that_does_not_stop_is_stopped_by_force_and_its_notes_are_in_the_report() {
    for flag in ["--stubborn", "--block"] {
        let command = demo().args(["wait", flag]);
        let report = command.home().join("report.json");
        let running = command.arg("--report").arg(report).spawn();
        running.wait_for_stdout("waiting");
        running.terminate();
        let output = running.wait();
        assert_eq!(output.code, Some(143), "{flag}: {output}");
        let report = output.report();
        assert_valid(&report);
        assert_eq!(report["effects"], "partial", "{flag}: {report:#}");
    }
}

#[test]
fn the_deadline_is_hard_for_a_step_that_blocks_its_thread() {
    let output = demo()
        .args(["wait", "--block", "--deadline", "100ms"])
        .run_reported();
    assert_eq!(output.code, Some(5), "{output}");
    assert_eq!(output.report()["outcome"], "deadline");
}

#[test]
fn a_panic_stays_101_with_a_report_and_its_notes() {
    let output = demo().arg("panic").run_reported();
    assert_eq!((output.code, output.signal), (Some(101), None), "{output}");
    let report = output.report();
    assert_valid(&report);
    assert_eq!(
        (&report["outcome"], &report["exit_code"]),
        (&"internal".into(), &101.into())
    );
    assert_eq!(report["fence"], 7);
    assert!(output.stderr.contains("there is always something"), "{output}");
}

#[test]
fn diagnostics_are_drawn_on_stderr_and_stdout_stays_clean() {
    let output = demo()
        .args(["read", "--descriptor", "-"])
        .stdin("image: shop\n")
        .run();
    assert_eq!(output.code, Some(3), "{output}");
    assert_eq!(output.stdout, "");
    assert!(output.stderr.contains("error[missing-key]"), "{output}");
    assert!(output.stderr.contains("^"), "{output}");
    assert!(output.stderr.contains("error: 1 problem was found"), "{output}");
}

#[test]
fn a_document_is_printed_as_it_is_under_every_output() {
    for format in ["human", "json"] {
        let output = demo().args(["document", "--output", format]).run();
        assert_eq!(output.stdout, "{\"a\": 1}\n", "{output}");
    }
}

#[test]
fn a_pipe_that_nobody_empties_does_not_outlive_the_deadline_and_the_report_is_written() {
    let demo = binaries().join("examples/demo-step");
    let line = format!(
        "mkfifo pipe; exec 3<>pipe; {} document --blanks 1000000 --deadline 100ms --report report.json >pipe",
        demo.display()
    );
    let output = Command::program("/bin/sh").args(["-c", &line]).run();
    assert_eq!(output.code, Some(5), "{output}");
    assert_valid(&output.report());
}

#[test]
fn a_reader_that_went_away_is_no_crash_and_a_full_disk_is_no_success() {
    let sh = |line: &str| {
        let demo = binaries().join("examples/demo-step");
        let line = line.replace("DEMO", &demo.to_string_lossy());
        Command::program("/bin/sh").args(["-c", &line]).run()
    };
    let output = sh("{ DEMO --help; echo $? >&2; } | true");
    assert_eq!(output.stderr, "0\n", "{output}");
    let output = sh("{ DEMO pass; echo $? >&2; } | true");
    assert_eq!(output.stderr, "0\n", "{output}");
    let output = sh("DEMO pass --report report.json >/dev/full");
    assert_eq!(output.code, Some(4), "{output}");
    assert_eq!(output.report()["outcome"], "unavailable", "{output}");
    let output = sh("DEMO pass --report /dev/full");
    assert_eq!(output.code, Some(4), "{output}");
    let told = " itself succeeded; the report `/dev/full` could not be written";
    assert!(output.stderr.contains(told), "{output}");
}

#[test]
fn a_report_in_a_folder_that_cannot_be_written_is_written_in_place() {
    let command = demo();
    let folder = command.home().join("closed");
    std::fs::create_dir(&folder).unwrap();
    let path = folder.join("report.json");
    std::fs::write(&path, "an old and very long report".repeat(1_000)).unwrap();
    std::fs::set_permissions(&folder, std::fs::Permissions::from_mode(0o555)).unwrap();
    let output = command.args(["pass", "--report"]).arg(&path).run();
    assert_eq!(output.code, Some(0), "{output}");
    let report = serde_json::from_str(&output.file("closed/report.json")).unwrap();
    assert_valid(&report);
}

#[test]
fn logs_are_lines_or_json_objects_on_stderr() {
    let leak = |format| {
        demo()
            .env("PILOTAGE_DEMO_TOKEN", "long-enough")
            .args(["leak", "--log-format", format])
            .run()
    };
    let text = leak("text");
    assert!(text.stderr.contains("the token is [secret DEMO_TOKEN]"), "{text}");
    assert!(
        !text.stderr.contains('\u{1b}'),
        "no colours off a terminal: {text}"
    );
    let json = leak("json");
    for line in json.stderr.lines() {
        let event: serde_json::Value = serde_json::from_str(line).unwrap();
        assert!(event["level"].is_string(), "{line}");
    }
}

#[test]
fn quiet_and_verbose_choose_what_is_logged() {
    let leak = |flag| {
        demo()
            .env("PILOTAGE_DEMO_TOKEN", "long-enough")
            .args(["leak", flag])
            .run()
    };
    assert!(leak("-v").stderr.contains("the token is"));
    assert!(!leak("-q").stderr.contains("the token is"));
}

#[test]
fn two_reports_in_one_file_are_a_usage_error() {
    let output = demo().args(["pass", "--report", "x", "--junit", "x"]).run();
    assert_eq!(output.code, Some(2), "{output}");
}

#[test]
fn a_report_that_can_be_written_says_that_another_cannot() {
    let output = demo()
        .args(["pass", "--junit", "/no/such/folder/x"])
        .run_reported();
    assert_eq!(output.code, Some(2), "{output}");
    assert_eq!(output.report()["outcome"], "usage");
}
