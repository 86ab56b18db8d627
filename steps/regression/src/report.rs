//! How a suite went, told once for people and once for programs.

use std::fmt::Write;
use std::time::Duration;

use pilotage_diagnostic::printable;
use pilotage_junit::Totals;
use pilotage_outcome::{Attempt, CheckOutcome, CheckResult};
use serde_json::{Value, json};

use crate::{Ended, Exit, Judgement, Plan, Work};

/// One run of the suite, and what it brought.
#[derive(Clone, Debug)]
pub(crate) struct Tried {
    pub(crate) at: Duration,
    pub(crate) ended: Option<Ended>,
    pub(crate) good: bool,
    /// Reports that are new since it began.
    pub(crate) reports: usize,
    pub(crate) broken: Vec<String>,
}

/// Everything there is to tell.
#[derive(Clone, Debug)]
pub(crate) struct SuiteRun {
    pub(crate) tries: Vec<Tried>,
    pub(crate) totals: Totals,
    pub(crate) judgement: Judgement,
    /// What people should know besides.
    pub(crate) notes: Vec<String>,
    /// Where the merged report is.
    pub(crate) merged: Option<String>,
}

/// How a run ended, in words.
fn exit(ended: &Ended) -> String {
    let mut text = match &ended.exit {
        Exit::Code(code) => format!("ended with {code}"),
        Exit::Signal(signal) => format!("ended by signal {signal}"),
        Exit::TimedOut => "out of time".to_owned(),
        Exit::Idle => "silent for too long".to_owned(),
        Exit::Stopped(reason) => format!("stopped by {reason}"),
        Exit::NotStarted(why) => why.clone(),
    };
    if ended.killed {
        text.push_str(", killed as it did not end when it was asked to");
    }
    if ended.left_behind {
        text.push_str(", what it left running was ended");
    }
    text
}

fn line(tried: &Tried) -> String {
    let reports = match tried.reports {
        1 => "1 report".to_owned(),
        count => format!("{count} reports"),
    };
    match &tried.ended {
        Some(ended) => format!(
            "{} after {:.1}s, {reports}",
            exit(ended),
            ended.took.as_secs_f64()
        ),
        None => reports,
    }
}

/// The suite as a check of the step's report.
pub(crate) fn check(suite_run: &SuiteRun) -> CheckResult {
    let mut check = CheckResult::new("suite", suite_run.judgement.outcome)
        .reason(&suite_run.judgement.reason)
        .detail(detail(suite_run));
    for tried in &suite_run.tries {
        check = check.attempt(Attempt::new(tried.at, tried.good, line(tried)));
    }
    match suite_run.tries.last() {
        Some(last) => {
            let took = last.ended.as_ref().map_or(Duration::ZERO, |ended| ended.took);
            check.took(last.at + took)
        }
        None => check,
    }
}

/// What failed, what is odd, and what the suite said last.
fn detail(suite_run: &SuiteRun) -> String {
    let mut text = String::new();
    for failing in &suite_run.totals.failing {
        let name = printable(&format!("{}.{}", failing.class, failing.name));
        let _ = writeln!(text, "failed: {name}: {}", printable(&failing.message));
    }
    let untold = suite_run
        .totals
        .failed
        .saturating_sub(suite_run.totals.failing.len());
    if untold > 0 {
        let _ = writeln!(text, "and {untold} more");
    }
    for broken in suite_run.tries.iter().flat_map(|tried| &tried.broken) {
        let _ = writeln!(text, "unreadable: {}", printable(broken));
    }
    for note in &suite_run.notes {
        let _ = writeln!(text, "note: {}", printable(note));
    }
    let last = suite_run.tries.last().and_then(|tried| tried.ended.as_ref());
    if let Some(ended) =
        last.filter(|ended| suite_run.judgement.outcome != CheckOutcome::Passed && !ended.last.is_empty())
    {
        let _ = writeln!(text, "its last lines:");
        for line in &ended.last {
            let _ = writeln!(text, "  {line}");
        }
    }
    text
}

/// The result for people.
pub(crate) fn text(suite_run: &SuiteRun) -> String {
    let word = match suite_run.judgement.outcome {
        CheckOutcome::Passed => "ok",
        CheckOutcome::Unavailable => "not run",
        CheckOutcome::Deadline => "cut",
        _ => "failed",
    };
    let mut text = format!("{word:<9} suite  {}\n", printable(&suite_run.judgement.reason));
    for (number, tried) in suite_run.tries.iter().enumerate() {
        let _ = writeln!(text, "          run {}: {}", number + 1, printable(&line(tried)));
    }
    for line in detail(suite_run).lines() {
        let _ = writeln!(text, "          {line}");
    }
    if let Some(merged) = &suite_run.merged {
        let _ = writeln!(text, "          merged report: {}", printable(merged));
    }
    text
}

/// The result for programs.
pub(crate) fn data(suite_run: &SuiteRun) -> Value {
    let Totals {
        cases,
        passed,
        failed,
        skipped,
        quarantined,
        flaky,
        seconds,
        failing,
    } = &suite_run.totals;
    let failing: Vec<Value> = failing
        .iter()
        .map(|case| json!({"class": case.class, "name": case.name, "message": case.message}))
        .collect();
    let tries: Vec<Value> = suite_run
        .tries
        .iter()
        .map(|tried| {
            json!({
                "exit": tried.ended.as_ref().map(exit),
                "seconds": tried.ended.as_ref().map(|ended| ended.took.as_secs_f64()),
                "good": tried.good,
                "reports": tried.reports,
                "unreadable": tried.broken,
            })
        })
        .collect();
    json!({
        "tests": {
            "cases": cases, "passed": passed, "failed": failed, "skipped": skipped,
            "quarantined": quarantined, "flaky": flaky, "seconds": seconds,
        },
        "failing": failing,
        "runs": tries,
        "notes": suite_run.notes,
        "merged": suite_run.merged,
    })
}

/// The plan, for `--dry-run`.
pub(crate) fn plan(plan: &Plan, directory: &str) -> String {
    let mut text = String::new();
    match &plan.work {
        Work::Nothing(why) => {
            let _ = writeln!(text, "nothing to run: {why}");
            return text;
        }
        Work::Judge => text.push_str("would judge the reports that are there\n"),
        Work::Command(command) => {
            let _ = writeln!(text, "would run {}", printable(&command.join(" ")));
        }
        Work::Image { image, command } => {
            let command = printable(&command.join(" "));
            let _ = writeln!(text, "would run the image {image} {command}");
        }
    }
    if !matches!(plan.work, Work::Judge) {
        let limits = &plan.limits;
        let idle = limits.idle.map(|idle| format!(", silent for at most {idle}"));
        let _ = writeln!(
            text,
            "          for at most {}{}, grace {}, retries {}",
            limits.timeout,
            idle.unwrap_or_default(),
            limits.grace,
            limits.retries
        );
    }
    if !matches!(plan.work, Work::Image { .. }) {
        let _ = writeln!(text, "          in {}", printable(directory));
    }
    for (name, value) in &plan.variables {
        let _ = writeln!(text, "          {name}={}", printable(value));
    }
    for glob in &plan.reports {
        let _ = writeln!(text, "          reports {}", printable(&glob.to_string()));
    }
    text
}

/// The plan, for programs.
pub(crate) fn plan_data(plan: &Plan, directory: &str) -> Value {
    let command = match &plan.work {
        Work::Command(command) | Work::Image { command, .. } => json!(command),
        Work::Nothing(_) | Work::Judge => Value::Null,
    };
    let image = match &plan.work {
        Work::Image { image, .. } => json!(image.to_string()),
        _ => Value::Null,
    };
    json!({
        "image": image,
        "command": command,
        "directory": directory,
        "variables": plan.variables,
        "reports": plan.reports.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "limits": {
            "timeout": plan.limits.timeout, "idle": plan.limits.idle,
            "grace": plan.limits.grace, "retries": plan.limits.retries,
        },
    })
}
