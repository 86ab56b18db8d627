//! How the requests went, told once for people and once for programs. Captured values are in neither.

use std::fmt::Write;
use std::time::Duration;

use pilotage_check::Assertion;
use pilotage_diagnostic::printable;
use pilotage_outcome::{Attempt, CheckOutcome, CheckResult};
use pilotage_step::CancelReason;
use serde_json::{Value, json};

use crate::outgoing::Values;
use crate::{Plan, RequestPlan};

/// How one request ended.
pub(crate) struct Ending {
    pub(crate) outcome: CheckOutcome,
    /// Why, where no try says it.
    pub(crate) note: String,
    /// Since the first request began.
    pub(crate) started: Duration,
    pub(crate) tries: Vec<Try>,
    pub(crate) captured: Values,
}

/// One try.
pub(crate) struct Try {
    /// Since its request began.
    pub(crate) at: Duration,
    pub(crate) latency: Option<Duration>,
    pub(crate) answered: bool,
    pub(crate) good: bool,
    pub(crate) key: String,
    pub(crate) texts: Vec<String>,
}

impl Ending {
    pub(crate) fn new(started: Duration) -> Self {
        Self {
            outcome: CheckOutcome::Skipped,
            note: String::new(),
            started,
            tries: Vec::new(),
            captured: Values::new(),
        }
    }

    pub(crate) fn ended(self, outcome: CheckOutcome, note: String) -> Self {
        Self {
            outcome,
            note,
            ..self
        }
    }

    pub(crate) fn cut(self, reason: CancelReason) -> Self {
        let note = match reason {
            CancelReason::Deadline => "the deadline of the step came first",
            CancelReason::Signal(_) => "stopped by a signal",
        };
        self.ended(CheckOutcome::Deadline, note.to_owned())
    }

    fn last(&self) -> Option<&Try> {
        self.tries.last()
    }

    /// Why it ended so, on one line.
    fn reason(&self) -> String {
        let seen = self
            .last()
            .map(|tried| tried.texts.join("; "))
            .unwrap_or_default();
        match (self.note.as_str(), seen.as_str()) {
            (note, "") => note.to_owned(),
            ("", seen) => seen.to_owned(),
            (note, seen) => format!("{note}; before: {seen}"),
        }
    }

    fn latency(&self) -> Option<Duration> {
        self.last().and_then(|tried| tried.latency)
    }
}

/// The request as it stands in reports.
pub(crate) fn check(request: &RequestPlan, ending: &Ending) -> CheckResult {
    let mut result = CheckResult::new(&request.name, ending.outcome)
        .reason(ending.reason())
        .detail(detail(request, ending));
    for tried in &ending.tries {
        let kept = Attempt::new(tried.at, tried.good, tried.texts.join("; "));
        result = result.attempt(match tried.latency {
            Some(latency) => kept.latency(latency),
            None => kept,
        });
    }
    match ending.latency() {
        Some(latency) => result.latency(latency).took(latency),
        None => result,
    }
}

fn detail(request: &RequestPlan, ending: &Ending) -> String {
    let mut text = String::new();
    let _ = writeln!(text, "sent:     {} by {}", line(request), request.target.found);
    let _ = writeln!(text, "expected: {}", expectation(request));
    if let Some(tried) = ending.last() {
        for (index, seen) in tried.texts.iter().enumerate() {
            let label = if index == 0 { "seen:    " } else { "         " };
            let _ = writeln!(text, "{label} {seen}");
        }
    }
    text
}

/// One request for programs.
pub(crate) fn data(request: &RequestPlan, ending: &Ending) -> Value {
    let millis = |time: Duration| time.as_micros() as f64 / 1e3;
    let tries: Vec<Value> = ending
        .tries
        .iter()
        .map(|tried| {
            json!({
                "at_ms": millis(tried.at),
                "latency_ms": tried.latency.map(millis),
                "good": tried.good,
                "seen": tried.key,
                "problems": if tried.good { &[] } else { tried.texts.as_slice() },
            })
        })
        .collect();
    json!({
        "name": request.name,
        "method": request.method.token(),
        "path": request.target.path,
        "at": request.target.at.to_string(),
        "found_by": request.target.found,
        "outcome": ending.outcome.word(),
        "reason": ending.reason(),
        "started_ms": millis(ending.started),
        "latency_ms": ending.latency().map(millis),
        "captured": ending.captured.keys().collect::<Vec<_>>(),
        "tries": tries,
    })
}

/// The result for people: one line for each request, and the whole story of each that is not well.
pub(crate) fn text(plan: &Plan, endings: &[Ending]) -> String {
    let mut text = String::new();
    for (request, ending) in plan.requests.iter().zip(endings) {
        let word = ending.outcome.answer();
        let latency = ending
            .latency()
            .map(|latency| format!(" ({:.1} ms)", latency.as_secs_f64() * 1e3));
        let _ = writeln!(
            text,
            "{word:<9} {}  {}{}",
            printable(&request.name),
            ending.reason(),
            latency.unwrap_or_default()
        );
        if !matches!(ending.outcome, CheckOutcome::Passed | CheckOutcome::Skipped) {
            for line in detail(request, ending).lines() {
                let _ = writeln!(text, "          {line}");
            }
        }
    }
    text.push_str(&skipped(plan));
    text
}

fn skipped(plan: &Plan) -> String {
    let mut text = String::new();
    for skipped in &plan.skipped {
        let _ = writeln!(
            text,
            "{:<9} {}  {}",
            "skipped",
            printable(&skipped.name),
            skipped.reason
        );
    }
    text
}

/// The end in one line: the first request that failed is named, for its reason says why.
pub(crate) fn summary(plan: &Plan, endings: &[Ending]) -> String {
    if let Some(nothing) = plan.nothing {
        return format!("nothing to send: {nothing}");
    }
    let good = endings
        .iter()
        .filter(|ending| ending.outcome == CheckOutcome::Passed)
        .count();
    let pairs = || plan.requests.iter().zip(endings);
    let worst = pairs()
        .find(|(_, ending)| ending.outcome == CheckOutcome::Failed)
        .or_else(|| {
            pairs()
                .find(|(_, ending)| !matches!(ending.outcome, CheckOutcome::Passed | CheckOutcome::Skipped))
        });
    let count = format!("{good} of {} requests well", endings.len());
    match worst {
        None => count,
        Some((request, ending)) => format!("{count}; {}: {}", printable(&request.name), ending.reason()),
    }
}

/// The plan, for `--dry-run`.
pub(crate) fn plan(plan: &Plan) -> String {
    let mut text = String::new();
    for request in &plan.requests {
        let _ = writeln!(text, "would send {}", printable(&request.name));
        let _ = writeln!(text, "          {} by {}", line(request), request.target.found);
        let _ = writeln!(text, "          expects {}", expectation(request));
        let names: Vec<&str> = request
            .waits_for
            .iter()
            .filter_map(|index| Some(plan.requests.get(*index)?.name.as_str()))
            .collect();
        if !names.is_empty() {
            let _ = writeln!(text, "          after {}", printable(&names.join(", ")));
        }
    }
    text.push_str(&skipped(plan));
    if !plan.requests.is_empty() {
        let _ = writeln!(
            text,
            "limits:   {} at once, at most {} for a try",
            plan.limits.parallel, plan.limits.try_timeout
        );
    }
    text
}

/// The plan, for programs.
pub(crate) fn plan_data(plan: &Plan) -> Value {
    let requests: Vec<Value> = plan
        .requests
        .iter()
        .map(|request| {
            json!({
                "name": request.name,
                "method": request.method.token(),
                "path": request.target.path,
                "at": request.target.at.to_string(),
                "found_by": request.target.found,
                "expected": expectation(request),
                "after": request.waits_for,
                "captures": request.captures.keys().collect::<Vec<_>>(),
            })
        })
        .collect();
    let skipped: Vec<Value> = plan
        .skipped
        .iter()
        .map(|skipped| json!({"name": skipped.name, "reason": skipped.reason}))
        .collect();
    json!({
        "requests": requests,
        "skipped": skipped,
        "expected_version": plan.version,
        "limits": {"parallel": plan.limits.parallel, "try_timeout": plan.limits.try_timeout},
    })
}

/// Method and place.
fn line(request: &RequestPlan) -> String {
    let target = &request.target;
    let at = &target.at;
    let text = if target.authority == at.to_string() || target.authority == at.host {
        format!(
            "{} {}://{at}{}",
            request.method.token(),
            target.scheme,
            target.path
        )
    } else {
        let method = request.method.token();
        format!(
            "{method} {}://{at}{} (Host: {})",
            target.scheme, target.path, target.authority
        )
    };
    printable(&text)
}

fn expectation(request: &RequestPlan) -> String {
    let mut text = format!("status {}", request.status);
    if let Some((source, version)) = &request.version {
        let _ = write!(text, ", version {version} in {source}");
    }
    if let Some(contains) = &request.contains {
        let _ = write!(text, ", a body that contains `{contains}`");
    }
    for assertion in &request.assertions {
        let _ = match assertion {
            Assertion::Matches(expression) => write!(text, ", a body that matches `{expression}`"),
            Assertion::Header(name, rule) => write!(text, ", header `{name}`: {rule}"),
            Assertion::Json(path, rule) => write!(text, ", `{path}`: {rule}"),
            Assertion::Within(limit) => write!(text, ", within {limit:?}"),
        };
    }
    printable(&text)
}
