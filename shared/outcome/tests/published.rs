//! The files that readers of other languages build on: they must say what the types say, and every report obeys them.

#![expect(clippy::unwrap_used, reason = "what does not work fails the test")]

use std::path::Path;
use std::time::Duration;

use pilotage_diagnostic::{Diagnostic, Source, Span};
use pilotage_outcome::{
    Attempt, Change, CheckOutcome, CheckResult, Effects, ExitCode, Fault, Invocation, Outcome, Signal,
    StepReport, StepReportData, exit_codes_json, parse_outputs, schema, to_junit,
};
use serde_json::{Value, json};

/// Compares a committed file with what it should hold; `PILOTAGE_UPDATE=1` writes it.
fn assert_fresh(name: &str, value: &Value) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(name);
    let text = format!("{}\n", serde_json::to_string_pretty(value).unwrap());
    if std::env::vars_os().any(|(name, _)| name == "PILOTAGE_UPDATE") {
        std::fs::write(&path, &text).unwrap();
    }
    let committed = std::fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(
        committed, text,
        "{name} is stale: run `PILOTAGE_UPDATE=1 cargo test -p pilotage-outcome`"
    );
}

#[test]
fn the_published_schema_is_fresh() {
    assert_fresh("step-report.schema.json", &schema());
}

#[test]
fn the_published_exit_codes_are_fresh() {
    assert_fresh("exit-codes.json", &exit_codes_json());
}

fn invocation() -> Invocation {
    Invocation {
        step: "healthcheck".to_owned(),
        command: None,
        version: "0.1.0".to_owned(),
        started: "2026-01-01T12:00:00Z".parse().unwrap(),
        elapsed: Duration::from_millis(31_007),
        dry_run: false,
    }
}

fn problem() -> Diagnostic {
    let source = Source::new("services/shop.yaml", "replicas: many\n");
    Diagnostic::error("wrong-type", "`replicas` is no number")
        .at(&source, Span::new(10, 14), "expected a whole number")
        .help("write a number, such as `2`")
}

/// Reports of every outcome, from bare to full.
fn reports() -> Vec<StepReport> {
    let mut reports: Vec<StepReport> = [
        Outcome::Passed,
        Outcome::Failed,
        Outcome::Usage,
        Outcome::Invalid,
        Outcome::Unavailable,
        Outcome::Deadline,
        Outcome::Refused { waiting: false },
        Outcome::Refused { waiting: true },
        Outcome::Superseded,
        Outcome::Internal,
        Outcome::Cancelled(Signal::Interrupt),
        Outcome::Cancelled(Signal::Terminate),
    ]
    .into_iter()
    .map(StepReport::new)
    .collect();
    reports.push(full());
    reports.push(
        Fault::invalid("1 problem was found")
            .diagnostics(problem().into())
            .caused_by(std::io::Error::other("deeper"))
            .help("mend it")
            .into_report(StepReport::passed()),
    );
    reports.push(
        Fault::invalid("no place")
            .diagnostics(Diagnostic::warning("no-place", "nowhere").into())
            .into_report(StepReport::passed()),
    );
    reports.push(StepReport::passed().exit_as(ExitCode::RiskyChanges));
    reports.push(StepReport::new(Outcome::Internal).exit_as(ExitCode::Panicked));
    reports
}

fn full() -> StepReport {
    let tried = CheckResult::new("http /health", CheckOutcome::Failed)
        .reason("timeout 30s reached after 14 tries; last: 503 (13×), refused (1×)")
        .took(Duration::from_secs(30))
        .latency(Duration::from_micros(4_200))
        .attempt(Attempt::new(Duration::ZERO, false, "refused"))
        .attempt(Attempt::new(Duration::from_millis(500), false, "503").latency(Duration::from_micros(4_200)))
        .tries(14)
        .histogram("503 (13×), refused (1×)")
        .detail("body:\n\u{1b}[31m<down> & \"out\"\u{0}\u{fffe}");
    StepReport::of_checks(vec![
        CheckResult::new("tcp admin", CheckOutcome::Passed).took(Duration::from_millis(3)),
        tried,
        CheckResult::new("grpc shop", CheckOutcome::Unavailable).reason("dns"),
        CheckResult::new("exec", CheckOutcome::Skipped).reason("nothing to run"),
    ])
    .release("qa.shop.17".parse().unwrap())
    .project("acme".parse().unwrap())
    .commit("0123456789abcdef0123456789abcdef01234567".parse().unwrap())
    .plan_digest("v1:abc")
    .effects(Effects::Partial)
    .output("version", "1.4.2")
    .output("note", "100%\nsure")
    .change(Change::new("switched", "route shop.example.com").detail("from 1.4.1"))
    .summary("1 of 3 endpoints is well")
    .result(json!({"endpoints": 3}))
}

#[test]
fn every_report_obeys_the_schema_and_reads_back_the_same() {
    let validator = jsonschema::validator_for(&schema()).unwrap();
    for report in reports() {
        let data = StepReportData::new(&report, &invocation());
        let text = data.to_json();
        let value: Value = serde_json::from_str(&text).unwrap();
        let problems: Vec<String> = validator.iter_errors(&value).map(|e| e.to_string()).collect();
        assert!(problems.is_empty(), "{problems:?} in {text}");
        assert_eq!(StepReportData::read(&text).unwrap(), data);
        assert_eq!(data.outcome(), report.outcome);
        assert_eq!(value["exit_code"], report.exit_code().code());
    }
}

#[test]
fn the_schema_refuses_what_is_no_report() {
    let validator = jsonschema::validator_for(&schema()).unwrap();
    let good: Value = serde_json::from_str(&StepReportData::new(&full(), &invocation()).to_json()).unwrap();
    for (key, bad) in [
        ("schema", json!("step-report/v2")),
        ("outcome", json!("fine")),
        ("environment", json!("../qa")),
        ("exit_code", json!("0")),
        ("outputs", json!({"a": 1})),
    ] {
        let mut report = good.clone();
        report[key] = bad;
        assert!(!validator.is_valid(&report), "{key} must be refused");
    }
}

#[test]
fn readers_pass_over_keys_of_a_later_version_and_refuse_another_format() {
    let mut value: Value =
        serde_json::from_str(&StepReportData::new(&full(), &invocation()).to_json()).unwrap();
    value["later"] = json!(1);
    value["checks"][0]["later"] = json!(1);
    assert!(StepReportData::read(&value.to_string()).is_ok());
    value["schema"] = json!("step-report/v2");
    let error = StepReportData::read(&value.to_string()).unwrap_err();
    assert_eq!(
        error.to_string(),
        "its schema is `step-report/v2`, expected `step-report/v1`"
    );
}

#[test]
fn json_of_a_full_report() {
    insta::assert_snapshot!(StepReportData::new(&full(), &invocation()).to_json());
}

#[test]
fn junit_of_a_full_report() {
    insta::assert_snapshot!(to_junit(&StepReportData::new(&full(), &invocation())));
}

#[test]
fn junit_of_an_invalid_descriptor() {
    let report =
        Fault::from(pilotage_diagnostic::Diagnostics::from(problem())).into_report(StepReport::passed());
    insta::assert_snapshot!(to_junit(&StepReportData::new(&report, &invocation())));
}

#[test]
fn a_step_is_as_red_in_junit_as_its_exit_code_says() {
    for report in reports() {
        let xml = to_junit(&StepReportData::new(&report, &invocation()));
        let (failures, errors) = (xml.contains("<failure"), xml.contains("<error"));
        let skipped = xml.contains("<skipped");
        match report.exit_code().junit() {
            "testcase" => assert!(!failures && !errors && !skipped, "{xml}"),
            "failure" => assert!(failures, "{xml}"),
            "error" => assert!(errors && !failures, "{xml}"),
            "skipped" => assert!(skipped && !errors && !failures, "{xml}"),
            other => panic!("{other}"),
        }
        assert!(
            xml.contains("<testcase"),
            "a suite counts only with a case: {xml}"
        );
        let readable = |c: char| matches!(c, '\n' | '\r' | '\t' | ' '..='\u{D7FF}' | '\u{E000}'..='\u{FFFD}' | '\u{10000}'..);
        assert!(xml.chars().all(readable), "{xml:?}");
    }
}

#[test]
fn output_lines_hold_the_outcome_and_the_values() {
    let lines = StepReportData::new(&full(), &invocation()).to_outputs();
    assert_eq!(
        lines,
        "effects=partial\nexit_code=1\nnote=100%25%0Asure\noutcome=failed\nversion=1.4.2\n"
    );
    assert_eq!(parse_outputs(&lines).unwrap()["note"], "100%\nsure");
}

#[test]
fn texts_from_outside_are_changed_and_the_words_of_the_format_stay() {
    let token = "passed";
    let report = full()
        .output("token", token)
        .summary(token)
        .result(json!({ token: [token, {"deep": token}] }));
    let mut data = StepReportData::new(&report, &invocation());
    data.map_texts(&|text| text.replace(token, "[secret]").into());
    let value: Value = serde_json::from_str(&data.to_json()).unwrap();
    assert_eq!(value["checks"][0]["outcome"], "passed", "a word of the format");
    assert_eq!(
        value["result"],
        json!({"[secret]": ["[secret]", {"deep": "[secret]"}]})
    );
    assert_eq!(
        (&value["summary"], &value["outputs"]["token"]),
        (&json!("[secret]"), &json!("[secret]"))
    );
}
