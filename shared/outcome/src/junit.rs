//! The report as JUnit XML in the dialect that the Jenkins junit plugin reads.
//!
//! What the dialect asks for (jenkinsci/junit-plugin, `SuiteResult` and `CaseResult`): a suite counts only with a case
//! in it; the class is `classname` and its package what stands before the last dot; skipped wins over failure, and of
//! failure and error only the first is read; suites of one name are merged; characters that XML 1.0 does not know make
//! the whole file unreadable. A step that is red must have a red case, also where no check is to blame.

use std::fmt::Write as _;
use std::time::Duration;

use quick_junit::{NonSuccessKind, Report, TestCase, TestCaseStatus, TestSuite};

use crate::{CheckData, CheckOutcome, Outcome, StepReportData};

/// The report as JUnit XML: one suite for the step, one case for each check, and one case for the step itself where it
/// has no checks or ended in a way that none of them explains.
#[must_use]
pub fn to_junit(report: &StepReportData) -> String {
    let class = class_name(report);
    let mut suite = TestSuite::new(clean(&class));
    suite.set_time(Duration::from_millis(report.duration_ms));
    suite
        .extra
        .insert("timestamp".into(), report.started.to_string().into());
    for check in &report.checks {
        suite.add_test_case(check_case(check, &class));
    }
    if !explained_by_checks(report) {
        suite.add_test_case(step_case(report, &class));
    }
    let mut document = Report::new(clean(&class));
    document.set_time(Duration::from_millis(report.duration_ms));
    document.add_test_suite(suite);
    // Writing into memory cannot fail, and every text in it is valid XML by then.
    document.to_string().unwrap_or_default()
}

/// `healthcheck.qa.shop`, or `pilotage.healthcheck` where no service is known: always with a dot, because a class
/// without one lands in the package `(root)`.
fn class_name(report: &StepReportData) -> String {
    match (&report.environment, &report.service) {
        (Some(environment), Some(service)) => format!("{}.{environment}.{service}", report.step),
        (Some(environment), None) => format!("{}.{environment}", report.step),
        (None, Some(service)) => format!("{}.{service}", report.step),
        (None, None) => format!("pilotage.{}", report.step),
    }
}

fn explained_by_checks(report: &StepReportData) -> bool {
    if report.outcome().is_passed() {
        return !report.checks.is_empty();
    }
    report
        .checks
        .iter()
        .any(|check| check.outcome.outcome().word() == report.outcome().word())
}

fn check_case(check: &CheckData, class: &str) -> TestCase {
    let kind = match check.outcome {
        CheckOutcome::Passed => None,
        CheckOutcome::Skipped => {
            let mut status = TestCaseStatus::skipped();
            if !check.reason.is_empty() {
                status.set_message(clean(&check.reason));
            }
            return case(&check.name, class, status, check);
        }
        CheckOutcome::Failed => Some(NonSuccessKind::Failure),
        CheckOutcome::Invalid
        | CheckOutcome::Unavailable
        | CheckOutcome::Deadline
        | CheckOutcome::Refused
        | CheckOutcome::Waiting => Some(NonSuccessKind::Error),
    };
    let status = match kind {
        None => TestCaseStatus::success(),
        Some(kind) => {
            let message = match check.reason.as_str() {
                "" => check.outcome.word(),
                reason => reason,
            };
            let mut status = TestCaseStatus::non_success(kind);
            status.set_message(clean(message));
            status.set_type(check.outcome.word());
            status.set_description(clean(&story(check)));
            status
        }
    };
    case(&check.name, class, status, check)
}

fn case(name: &str, class: &str, status: TestCaseStatus, check: &CheckData) -> TestCase {
    let mut case = TestCase::new(clean(name), status);
    case.set_classname(clean(class));
    if let Some(millis) = check.duration_ms {
        case.set_time(Duration::try_from_secs_f64(millis / 1e3).unwrap_or_default());
    }
    // What went wrong carries its story itself.
    let story = story(check);
    if !story.is_empty() && matches!(check.outcome, CheckOutcome::Passed | CheckOutcome::Skipped) {
        case.set_system_out(clean(&story));
    }
    case
}

/// The tries, their count and the details, as a person reads them.
fn story(check: &CheckData) -> String {
    let mut text = String::new();
    for attempt in &check.attempts {
        let mark = if attempt.good { "good" } else { "bad" };
        // Writing to a String cannot fail.
        let _ = write!(text, "{:>9.3}s  {mark:4}  {}", attempt.at_ms / 1e3, attempt.text);
        if let Some(latency) = attempt.latency_ms {
            let _ = write!(text, " ({latency:.1} ms)");
        }
        text.push('\n');
    }
    if !check.histogram.is_empty() {
        let _ = writeln!(text, "{} tries: {}", check.tries, check.histogram);
    }
    if !check.detail.is_empty() {
        let _ = writeln!(text, "{}", check.detail);
    }
    text
}

/// The case of the step itself.
fn step_case(report: &StepReportData, class: &str) -> TestCase {
    let outcome = report.outcome();
    let message = match report.summary.as_str() {
        "" => outcome.to_string(),
        summary => summary.to_owned(),
    };
    let status = match outcome {
        Outcome::Passed => TestCaseStatus::success(),
        Outcome::Superseded => {
            let mut status = TestCaseStatus::skipped();
            status.set_message(clean(&message));
            status
        }
        _ => {
            let mut status = TestCaseStatus::non_success(match outcome {
                Outcome::Failed => NonSuccessKind::Failure,
                _ => NonSuccessKind::Error,
            });
            status.set_message(clean(&message));
            status.set_type(outcome.word());
            status.set_description(clean(&step_story(report, &message)));
            status
        }
    };
    let name = report.command.as_deref().unwrap_or(&report.step);
    let mut case = TestCase::new(clean(name), status);
    case.set_classname(clean(class));
    case.set_time(Duration::from_millis(report.duration_ms));
    case
}

fn step_story(report: &StepReportData, message: &str) -> String {
    let mut text = format!("{message}\n");
    for cause in &report.causes {
        let _ = writeln!(text, "because: {cause}");
    }
    for diagnostic in &report.diagnostics {
        let place = diagnostic
            .place
            .as_ref()
            .map(|place| format!("{}:{}:{}: ", place.file, place.line, place.column))
            .unwrap_or_default();
        let _ = writeln!(text, "{place}{}: {}", diagnostic.code, diagnostic.message);
        for help in &diagnostic.help {
            let _ = writeln!(text, "  help: {help}");
        }
    }
    for help in &report.help {
        let _ = writeln!(text, "help: {help}");
    }
    text
}

/// Without the characters that XML 1.0 does not know: the writer below drops most controls, but lets the rest pass.
fn clean(text: &str) -> String {
    text.chars()
        .filter(|c| {
            matches!(c, '\t' | '\n' | '\r' | '\u{20}'..='\u{D7FF}' | '\u{E000}'..='\u{FFFD}' | '\u{10000}'..)
        })
        .collect()
}
