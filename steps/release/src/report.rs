//! What a run has to say at its end: for people, for programs, and for a CI's list of tests. Pure.

use std::collections::BTreeMap;

use pilotage_diagnostic::{printable, printable_lines};
use pilotage_name::{EnvironmentName, ProjectName, ServiceName};
use pilotage_outcome::{Change, CheckOutcome, CheckResult, Effects, Outcome, StepReport};
use pilotage_quantity::Duration;
use serde_json::{Value, json};

use crate::record::StageRecord;
use crate::release::ReleaseEnd;
use crate::service_end::{ServiceEnd, worst};
use crate::written::Written;

/// The report of a run.
#[must_use]
pub fn report(
    project: &ProjectName,
    environment: &EnvironmentName,
    ends: BTreeMap<ServiceName, ServiceEnd>,
) -> StepReport {
    let mut report = StepReport::new(worst(ends.values().map(ServiceEnd::outcome)))
        .project(project.clone())
        .environment(environment.clone());
    report.effects = effects(&ends);
    let alone = ends.len() == 1;
    let mut results = Vec::new();
    for (service, end) in ends {
        let text = text(environment, &service, &end);
        report.text.push_str(&text);
        results.push(result(&service, &end));
        if let ServiceEnd::Released(end) = &end {
            for record in &end.records {
                report.checks.push(check(&service, record));
                let changes = record.report.iter().flat_map(|report| &report.changes);
                report.changes.extend(changes.map(|change| {
                    Change::new(change.action.clone(), format!("{service}: {}", change.subject))
                        .detail(change.detail.clone())
                }));
            }
        } else {
            report.checks.push(check_of(&service, &end));
        }
        if alone {
            report.summary = text.lines().next().unwrap_or_default().to_owned();
            report = match &end {
                ServiceEnd::Released(end) => alone_with(report.service(service), end),
                _ => report.service(service),
            };
        }
        if let ServiceEnd::Broken(diagnostics) = end {
            report = report.diagnostics(diagnostics);
        }
    }
    if !alone {
        let good = results
            .iter()
            .filter(|result| result["outcome"] == "passed")
            .count();
        report.summary = format!("{good} of {} services of {environment} went well", results.len());
    }
    report.result(json!({"services": results}))
}

fn effects(ends: &BTreeMap<ServiceName, ServiceEnd>) -> Effects {
    let all = || ends.values().map(ServiceEnd::effects);
    match (all().min(), all().max()) {
        (Some(least), Some(most)) if least == most => most,
        (Some(_), Some(most)) if most != Effects::None => Effects::Partial,
        _ => Effects::None,
    }
}

fn alone_with(mut report: StepReport, end: &ReleaseEnd) -> StepReport {
    let plan = &end.plan;
    report = report
        .commit(plan.commit.clone())
        .plan_digest(plan.digest.clone())
        .output("version", plan.version.clone())
        .output("outcome", end.judgement.outcome.word())
        .output("commit", plan.commit.to_string());
    if let Some(lease) = &plan.lease {
        report = report
            .output("release", lease.release.to_string())
            .release(lease.release.clone());
    }
    if let Some(proof) = &end.judgement.proof {
        report = report.output("digest", proof.digest.clone());
    }
    report
}

/// What became of one service, for people; the first line says it all.
#[must_use]
pub fn text(environment: &EnvironmentName, service: &ServiceName, end: &ServiceEnd) -> String {
    match end {
        ServiceEnd::Released(end) => released(end),
        ServiceEnd::Nothing(why) => format!("{}\n", printable(why)),
        ServiceEnd::Refused(refusal) => refusal.text(),
        ServiceEnd::Broken(diagnostics) => {
            let mut text = format!("{service} in {environment}: its descriptor has errors\n");
            for diagnostic in diagnostics.iter() {
                text.push_str(&format!("  {}\n", printable(&diagnostic.line())));
            }
            text
        }
        ServiceEnd::Superseded(why)
        | ServiceEnd::Held(why)
        | ServiceEnd::NotBegun(why)
        | ServiceEnd::Failed(_, why) => format!("{}\n", printable(why)),
    }
}

fn released(end: &ReleaseEnd) -> String {
    let plan = &end.plan;
    let name = plan
        .lease
        .as_ref()
        .map(|lease| format!(" as {}", lease.release))
        .unwrap_or_default();
    let judgement = &end.judgement;
    let what = printable(&plan.what());
    let verb = match judgement.outcome {
        Outcome::Passed if plan.observe => "would be released; the environment is observed".to_owned(),
        Outcome::Passed if plan.retires => format!("retired{name}"),
        Outcome::Passed => format!("released{name}"),
        Outcome::Cancelled(signal) => format!("cancelled{name} by {signal}"),
        outcome => format!("{outcome}{name}"),
    };
    let ran: Vec<String> = end
        .records
        .iter()
        .filter(|record| record.took.is_some())
        .map(|record| {
            let took = Duration::from_millis(record.milliseconds());
            match record.passed() {
                true => format!("{} {took}", record.name()),
                false => format!("{} {} {took}", record.name(), record.word()),
            }
        })
        .collect();
    let mut text = match ran.is_empty() {
        true => format!("{what}: {verb}\n"),
        false => format!("{what}: {verb} ({})\n", ran.join(", ")),
    };
    for line in plan.takeover.iter().chain(&judgement.reason).chain(&plan.notes) {
        text.push_str(&format!("  {}\n", printable_lines(line, "    ")));
    }
    if judgement.rejects() {
        text.push_str(&match &plan.from_version {
            Some(version) => format!(
                "  held: git asks for {}, {version} stays; a new commit (a corrected version, a `git revert`) ends that\n",
                plan.version
            ),
            None => "  held: a new commit ends that\n".to_owned(),
        });
    }
    match &end.written {
        Written::Yes | Written::Already | Written::Observed => {}
        // Who has it now is said by the reason, unless it was lost only at the end.
        Written::Lost(by) if judgement.reason.iter().any(|reason| reason.contains(by)) => {
            text.push_str("  its end is not ours to write\n");
        }
        Written::Lost(by) => {
            text.push_str(&format!(
                "  the release was taken over meanwhile ({}); its end is not ours to write\n",
                printable(by)
            ));
        }
        Written::No(why) => {
            text.push_str(&format!(
                "  its end could not be written: {}; the same command takes it up again\n",
                printable(why)
            ));
        }
    }
    text
}

fn check(service: &ServiceName, record: &StageRecord) -> CheckResult {
    let name = format!("{service} {}", record.stem());
    let outcome = match record.outcome {
        None => CheckOutcome::Skipped,
        Some(Outcome::Passed) => CheckOutcome::Passed,
        Some(Outcome::Failed) => CheckOutcome::Failed,
        Some(Outcome::Invalid | Outcome::Usage) => CheckOutcome::Invalid,
        Some(Outcome::Deadline) => CheckOutcome::Deadline,
        Some(Outcome::Refused { waiting: true }) => CheckOutcome::Waiting,
        Some(Outcome::Refused { waiting: false }) => CheckOutcome::Refused,
        Some(Outcome::Superseded) => CheckOutcome::Skipped,
        Some(Outcome::Unavailable | Outcome::Internal | Outcome::Cancelled(_)) => CheckOutcome::Unavailable,
    };
    let check = CheckResult::new(name, outcome).reason(record.summary.clone());
    match record.took {
        Some(took) => check.took(took),
        None => check,
    }
}

fn check_of(service: &ServiceName, end: &ServiceEnd) -> CheckResult {
    let outcome = match end.outcome() {
        Outcome::Passed => CheckOutcome::Passed,
        Outcome::Superseded => CheckOutcome::Skipped,
        Outcome::Invalid => CheckOutcome::Invalid,
        Outcome::Refused { waiting: true } => CheckOutcome::Waiting,
        Outcome::Refused { waiting: false } => CheckOutcome::Refused,
        _ => CheckOutcome::Unavailable,
    };
    let check = CheckResult::new(format!("{service} begin"), outcome);
    match end {
        ServiceEnd::Refused(refusal) => check.reason(refusal.headline.clone()).detail(refusal.text()),
        ServiceEnd::Nothing(why)
        | ServiceEnd::Superseded(why)
        | ServiceEnd::Held(why)
        | ServiceEnd::NotBegun(why)
        | ServiceEnd::Failed(_, why) => check.reason(why.clone()),
        ServiceEnd::Broken(_) => check.reason("its descriptor has errors"),
        ServiceEnd::Released(_) => check,
    }
}

fn result(service: &ServiceName, end: &ServiceEnd) -> Value {
    let mut value = json!({"service": service, "outcome": end.outcome().word()});
    let more = match end {
        ServiceEnd::Released(end) => json!({
            "release": end.plan.lease.as_ref().map(|lease| lease.release.to_string()),
            "version": end.plan.version,
            "from": end.plan.from_version,
            "commit": end.plan.commit,
            "plan": end.plan.digest,
            "reasons": end.judgement.reason,
            "undone": end.judgement.undone,
            "held": end.judgement.rejects(),
            "recorded": matches!(end.written, Written::Yes | Written::Already),
            "stages": end.records.iter().map(|record| json!({
                "name": record.name(),
                "outcome": record.word(),
                "exit": record.exit,
                "milliseconds": record.milliseconds(),
                "summary": record.summary,
            })).collect::<Vec<_>>(),
        }),
        ServiceEnd::Refused(refusal) => json!({
            "reasons": refusal.reasons,
            "satisfy": refusal.satisfy,
            "waiting": refusal.waiting,
        }),
        ServiceEnd::Nothing(why)
        | ServiceEnd::Superseded(why)
        | ServiceEnd::Held(why)
        | ServiceEnd::NotBegun(why)
        | ServiceEnd::Failed(_, why) => json!({"reasons": [why]}),
        ServiceEnd::Broken(diagnostics) => {
            json!({"reasons": diagnostics.iter().map(|diagnostic| diagnostic.line()).collect::<Vec<_>>()})
        }
    };
    if let (Value::Object(value), Value::Object(more)) = (&mut value, more) {
        value.extend(more);
    }
    value
}
