//! The timeline of a check, told once for people and once for programs.

use std::fmt::Write;
use std::net::SocketAddr;
use std::time::Duration;

use pilotage_check::{Attempt, Expectation, Patience};
use pilotage_outcome::{Attempt as KeptAttempt, CheckOutcome, CheckResult};
use pilotage_probe::{Question, Scheme, Watched};
use serde_json::{Value, json};

use crate::{EndpointPlan, Plan};

/// How one endpoint ended.
#[derive(Clone, Debug)]
pub(crate) struct Ending {
    pub(crate) outcome: CheckOutcome,
    /// What is added to the one-line summary.
    pub(crate) note: &'static str,
    pub(crate) watched: Watched,
}

/// Tries in a row that saw the same at one address.
struct Run<'a> {
    from: Duration,
    to: Duration,
    count: u32,
    address: Option<SocketAddr>,
    key: &'a str,
    text: &'a str,
}

fn runs(watched: &Watched) -> Vec<Run<'_>> {
    let mut runs: Vec<Run<'_>> = Vec::new();
    for attempt in watched.progress.attempts() {
        let said = attempt.verdict.said();
        let to = attempt.started + attempt.took;
        // Addresses take turns within a round, so a run is continued by its own address.
        let open = runs.iter_mut().rev().find(|run| run.address == attempt.address);
        match open {
            Some(run) if run.key == said.key => {
                run.to = to;
                run.count += 1;
                run.text = &said.text;
            }
            _ => runs.push(Run {
                from: attempt.started,
                to,
                count: 1,
                address: attempt.address,
                key: &said.key,
                text: &said.text,
            }),
        }
    }
    runs
}

/// The check as it stands in reports.
pub(crate) fn check(plan: &EndpointPlan, ending: &Ending) -> CheckResult {
    let progress = &ending.watched.progress;
    let mut result = CheckResult::new(&plan.endpoint.name, ending.outcome)
        .reason(reason(ending))
        .took(progress.elapsed())
        .histogram(progress.histogram().to_string());
    let mut latency = None;
    for attempt in progress.attempts() {
        let good = attempt.verdict.is_good();
        let kept = KeptAttempt::new(attempt.started, good, told(attempt));
        let kept = match attempt.verdict.is_answer() {
            true => kept.latency(attempt.took),
            false => kept,
        };
        latency = attempt.verdict.is_answer().then_some(attempt.took).or(latency);
        result = result.attempt(kept);
    }
    if let Some(latency) = latency {
        result = result.latency(latency);
    }
    result.tries(progress.tries()).detail(detail(plan, ending))
}

/// What a try saw, and at which address where there are several.
fn told(attempt: &Attempt) -> String {
    let cut = if attempt.cut {
        " (cut by the end of the check)"
    } else {
        ""
    };
    format!("{}{cut}", attempt.verdict.said().text)
}

fn reason(ending: &Ending) -> String {
    let summary = ending.watched.progress.summary();
    match ending.note {
        "" => summary,
        note => format!("{note}: {summary}"),
    }
}

/// Where it was asked, what was expected, what was seen last, and the timeline.
fn detail(plan: &EndpointPlan, ending: &Ending) -> String {
    let progress = &ending.watched.progress;
    let mut text = String::new();
    let _ = writeln!(text, "asked:    {} by {}", place(plan), plan.found);
    let _ = writeln!(text, "expected: {}", expectation(plan));
    if let Some(last) = progress.last() {
        let _ = writeln!(text, "last:     {}", last.text);
    }
    for (address, key) in progress.set_aside() {
        let _ = writeln!(text, "not counted: {address} ({key}), as another address answers");
    }
    if progress.addresses().len() > 1 {
        for (address, seen) in progress.addresses() {
            let _ = writeln!(
                text,
                "address:  {address} {}, {} in a row of {}",
                seen.last, seen.streak, seen.tries
            );
        }
    }
    let runs = runs(&ending.watched);
    let several = runs.iter().any(|run| run.address != runs[0].address);
    if !runs.is_empty() {
        let _ = writeln!(text, "timeline:");
    }
    for run in runs {
        let times = if run.count == 1 {
            String::new()
        } else {
            format!(" ({}×)", run.count)
        };
        let at = match run.address {
            Some(address) if several => format!("{address} "),
            _ => String::new(),
        };
        let _ = writeln!(
            text,
            "  {:>7} - {:>7}  {at}{}{times}",
            seconds(run.from),
            seconds(run.to),
            run.text
        );
    }
    if progress.left_out() > 0 {
        let _ = writeln!(
            text,
            "  ({} tries of the middle are left out)",
            progress.left_out()
        );
    }
    text
}

/// One endpoint for programs.
pub(crate) fn data(plan: &EndpointPlan, ending: &Ending) -> Value {
    let progress = &ending.watched.progress;
    let histogram: Vec<Value> = progress
        .histogram()
        .ranked()
        .into_iter()
        .map(|(key, count)| json!({"seen": key, "count": count}))
        .collect();
    let timeline: Vec<Value> = runs(&ending.watched)
        .into_iter()
        .map(|run| {
            json!({
                "from_ms": millis(run.from),
                "to_ms": millis(run.to),
                "address": run.address.map(|address| address.to_string()),
                "seen": run.key,
                "count": run.count,
            })
        })
        .collect();
    let addresses: Vec<Value> = progress
        .addresses()
        .iter()
        .map(|(address, seen)| {
            json!({
                "address": address.to_string(),
                "tries": seen.tries,
                "good_in_a_row": seen.streak,
                "last": seen.last,
            })
        })
        .collect();
    let set_aside: Vec<Value> = progress
        .set_aside()
        .iter()
        .map(|(address, key)| json!({"address": address.to_string(), "seen": key}))
        .collect();
    json!({
        "name": plan.endpoint.name,
        "at": plan.endpoint.at.as_ref().map(ToString::to_string),
        "found_by": plan.found,
        "outcome": ending.outcome.word(),
        "version": progress.version(),
        "tries": progress.tries(),
        "rounds": progress.rounds(),
        "addresses": addresses,
        "histogram": histogram,
        "timeline": timeline,
        "timeline_left_out": progress.left_out(),
        "not_counted": set_aside,
    })
}

/// The result for people: one line for each endpoint, and the whole timeline of each that is not well.
pub(crate) fn text(plan: &Plan, endings: &[Ending]) -> String {
    let mut text = String::new();
    for (plan, ending) in plan.endpoints.iter().zip(endings) {
        let word = ending.outcome.answer();
        let _ = writeln!(text, "{word:<9} {}  {}", plan.endpoint.name, reason(ending));
        if ending.outcome != CheckOutcome::Passed {
            for line in detail(plan, ending).lines() {
                let _ = writeln!(text, "          {line}");
            }
        }
    }
    text.push_str(&skipped(plan));
    text
}

/// The endpoints that are not asked.
pub(crate) fn skipped(plan: &Plan) -> String {
    let mut text = String::new();
    for skipped in &plan.skipped {
        let _ = writeln!(text, "{:<9} {}  {}", "skipped", skipped.name, skipped.reason);
    }
    text
}

/// The plan, for `--dry-run`.
pub(crate) fn plan(plan: &Plan) -> String {
    let mut text = String::new();
    for endpoint in &plan.endpoints {
        let _ = writeln!(text, "would ask {}", endpoint.endpoint.name);
        let _ = writeln!(text, "          at {} by {}", place(endpoint), endpoint.found);
        let _ = writeln!(text, "          until {}", expectation(endpoint));
    }
    text.push_str(&skipped(plan));
    if !plan.endpoints.is_empty() {
        let _ = writeln!(text, "limits:   {}", limits(&plan.patience));
    }
    text
}

/// The plan, for programs.
pub(crate) fn plan_data(plan: &Plan) -> Value {
    let endpoints: Vec<Value> = plan
        .endpoints
        .iter()
        .map(|plan| {
            json!({
                "name": plan.endpoint.name,
                "at": plan.endpoint.at.as_ref().map(ToString::to_string),
                "found_by": plan.found,
                "expected": expectation(plan),
            })
        })
        .collect();
    let skipped: Vec<Value> = plan
        .skipped
        .iter()
        .map(|skipped| json!({"name": skipped.name, "reason": skipped.reason}))
        .collect();
    let patience = &plan.patience;
    json!({
        "endpoints": endpoints,
        "skipped": skipped,
        "expected_version": plan.version,
        "limits": {
            "timeout": patience.timeout,
            "interval": patience.interval,
            "try_timeout": patience.try_timeout,
            "threshold": patience.threshold,
            "retries": patience.retries,
            "fail_fast": patience.fail_fast,
            "any_address": patience.any_address,
        },
    })
}

fn place(plan: &EndpointPlan) -> String {
    let Some(at) = &plan.endpoint.at else {
        return "the instances that serve".to_owned();
    };
    match &plan.endpoint.question {
        Question::Exec(_) => at.to_string(),
        Question::Tcp => at.to_string(),
        Question::Tls(name) if *name == at.host => format!("tls://{at}"),
        Question::Tls(name) => format!("tls://{at} ({name})"),
        Question::Grpc(request) => {
            let scheme = match request.scheme() {
                Scheme::Http => "grpc",
                Scheme::Https => "grpcs",
            };
            let whom = match request.authority() {
                authority if authority == at.to_string() || authority == at.host => String::new(),
                authority => format!(" (Host: {authority})"),
            };
            format!("{scheme}://{at}/{}{whom}", request.service())
        }
        Question::Http(request)
            if request.authority() == at.to_string() || request.authority() == at.host =>
        {
            format!("{}://{at}{}", request.scheme(), request.path())
        }
        Question::Http(request) => {
            format!(
                "{}://{at}{} (Host: {})",
                request.scheme(),
                request.path(),
                request.authority()
            )
        }
    }
}

fn expectation(plan: &EndpointPlan) -> String {
    let (mut text, min_days) = match &plan.endpoint.expectation {
        Expectation::Tcp => ("a connection is accepted".to_owned(), None),
        Expectation::Tls { min_days } => ("a TLS connection comes up".to_owned(), Some(*min_days)),
        Expectation::Grpc(grpc) => ("SERVING".to_owned(), grpc.min_days),
        Expectation::Exit => ("exit 0".to_owned(), None),
        Expectation::Http(http) => {
            let mut text = format!("status {}", http.status);
            if let Some((source, version)) = &http.version {
                let _ = write!(text, ", version {version} in {source}");
            }
            if let Some(contains) = &http.contains {
                let _ = write!(text, ", a body that contains `{contains}`");
            }
            (text, http.min_days)
        }
    };
    if let Some(min_days) = min_days.filter(|days| *days > 0) {
        let _ = write!(text, ", a certificate good for {min_days} more days");
    }
    pilotage_diagnostic::printable(&text)
}

fn limits(patience: &Patience) -> String {
    let retries = match patience.retries {
        None => String::new(),
        Some(retries) => format!(", {retries} retries"),
    };
    let fast = if patience.fail_fast {
        ""
    } else {
        ", even where waiting does not help"
    };
    format!(
        "{} in a row from {} address, a try at least each {} for at most {}, timeout {}{retries}{fast}",
        patience.threshold.max(1),
        if patience.any_address { "any" } else { "every" },
        patience.interval,
        patience.try_timeout,
        patience.timeout,
    )
}

fn seconds(time: Duration) -> String {
    format!("{}.{:03}s", time.as_secs(), time.subsec_millis())
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
