//! The commands.

use std::collections::BTreeSet;

use pilotage_config::First;
use pilotage_outcome::{Change, CheckOutcome, CheckResult, Class, Effects, Fault, Outcome, StepReport};
use pilotage_quantity::Duration;
use pilotage_step::{Context, RepoArgs};
use serde_json::json;

use crate::args::{Args, Command};
use crate::open::{blocking, watch};
use crate::watch::{Looked, Watch, told};
use crate::{accept, ending, explain};

/// How often releases that were started are asked whether they ended.
const ASK_CHILDREN: std::time::Duration = std::time::Duration::from_millis(50);
/// How long a monitor that ends waits for messages that are being sent.
const FAREWELL: std::time::Duration = std::time::Duration::from_secs(2);
/// The longest wait between two looks while the repository cannot be reached.
const LONGEST_WAIT: Duration = Duration::from_secs(300);

/// Runs the command.
///
/// # Errors
/// The repository or the ledger cannot be reached or read, or policy has errors.
pub async fn run(args: Args, cx: Context) -> Result<StepReport, Fault> {
    let branch = args.config_branch;
    match args.command {
        Command::Once {
            repo,
            decide,
            no_wait,
        } => once(&repo, &branch, decide.first.map(Into::into), no_wait, &cx).await,
        Command::Run {
            repo,
            decide,
            interval,
        } => forever(&repo, &branch, decide.first.map(Into::into), interval, &cx).await,
        Command::Explain { repo, decide } => {
            explain::explain(&repo, &branch, decide.first.map(Into::into), &cx).await
        }
        Command::Accept { repo, reason, by } => accept::accept(&repo, &branch, reason, &by, &cx).await,
    }
}

async fn once(
    repo: &RepoArgs,
    branch: &str,
    first: Option<First>,
    no_wait: bool,
    cx: &Context,
) -> Result<StepReport, Fault> {
    if cx.dry_run {
        return explain::explain(repo, branch, first, cx).await;
    }
    let watch = watch(repo, branch, first, cx).await?;
    cx.note(|report| report.effects = Effects::Partial);
    let (mut watch, looked) = look(watch, cx).await?;
    let looked = looked?;
    Said::default().say(&looked, cx);
    let mut releases: Vec<CheckResult> = looked
        .unstarted
        .iter()
        .map(|(order, why)| ending::not_started(order, why))
        .collect();
    while watch.voice.is_busy() || (!no_wait && watch.trigger.running() > 0) {
        cx.cancel.run(tokio::time::sleep(ASK_CHILDREN)).await?;
        let local = watch.trigger.is_local();
        let ended = watch.reap();
        if !no_wait {
            releases.extend(ended.iter().map(|ended| ending::ended(ended, local)));
        }
    }
    let project = watch.desk.sight().config.project.clone();
    blocking(cx, move || watch.note_all_told()).await?;
    Ok(report(looked, releases).project(project))
}

/// What one look and the releases that were waited for came to, as the report of the step. An environment that could not
/// be decided is no verdict.
fn report(looked: Looked, releases: Vec<CheckResult>) -> StepReport {
    let count = looked.decisions.len();
    let frozen: Vec<String> = looked.frozen.iter().map(ToString::to_string).collect();
    let stands = format!("nothing is decided in {} while frozen", frozen.join(", "));
    let summary = match (count, frozen.is_empty()) {
        (0, true) => "nothing new".to_owned(),
        (0, false) => stands,
        (1, true) => "1 decision".to_owned(),
        (n, true) => format!("{n} decisions"),
        (n, false) => format!("{n} decided; {stands}"),
    };
    let undecided: Vec<String> = looked
        .undecided
        .iter()
        .map(|(environment, fault)| format!("{environment} cannot be decided: {}", told(fault)))
        .collect();
    let nothing = count == 0 && looked.started.is_empty();
    let bad: Vec<String> = releases
        .iter()
        .filter(|release| release.outcome.outcome() != Outcome::Passed)
        .map(|release| format!("{}: {}", release.name, release.reason))
        .collect();
    let ends: Vec<CheckOutcome> = releases.iter().map(|release| release.outcome).collect();
    let released = StepReport::of_checks(releases);
    let mut report = match looked.undecided.into_iter().next() {
        None if bad.is_empty() => released.summary(summary),
        None => released.summary(format!("{summary}; {}", bad.join("; "))),
        Some((_, fault)) => {
            let outcome = ending::worst(fault.class, ends);
            let summary = [undecided.clone(), bad].concat().join("; ");
            fault.into_report(released).outcome(outcome).summary(summary)
        }
    };
    report = report.effects(if nothing { Effects::None } else { Effects::Complete });
    for order in &looked.started {
        for service in &order.services {
            let what = format!("{service} in {}", order.environment);
            report = report.change(Change::new("release", what));
        }
    }
    let started = looked.started.iter().map(
        |order| json!({"environment": order.environment, "commit": order.commit, "services": order.services}),
    );
    report.diagnostics(looked.diagnostics).result(json!({
        "started": started.collect::<Vec<_>>(),
        "decisions": looked.decisions,
        "remarks": looked.remarks,
        "undecided": undecided,
    }))
}

async fn forever(
    repo: &RepoArgs,
    branch: &str,
    first: Option<First>,
    interval: Duration,
    cx: &Context,
) -> Result<StepReport, Fault> {
    if interval == Duration::ZERO {
        return Err(Fault::usage("--interval is zero").help("give a time such as `--interval 10s`"));
    }
    if cx.dry_run {
        return explain::explain(repo, branch, first, cx).await;
    }
    let mut watch = watch(repo, branch, first, cx).await?;
    cx.note(|report| report.effects = Effects::Partial);
    let environments: Vec<String> = watch.environments().iter().map(ToString::to_string).collect();
    cx.say(&format!(
        "watching {} for {}, every {interval}",
        watch.desk.remote().url(),
        environments.join(", "),
    ));
    let mut said = Said::default();
    let mut failures: u32 = 0;
    loop {
        let looked;
        (watch, looked) = look(watch, cx).await?;
        match &looked {
            Ok(looked) => {
                failures = 0;
                said.well();
                said.say(looked, cx);
            }
            Err(fault) => {
                // A policy with errors is no reason to look more seldom: its mending should be seen soon.
                failures = match fault.class {
                    Class::Invalid => 0,
                    _ => failures.saturating_add(1),
                };
                said.trouble(fault);
            }
        }
        let end = tokio::time::Instant::now() + wait(interval, failures).as_std();
        if let Err(stopped) = rest(&mut watch, end, cx).await {
            farewell(&mut watch).await;
            return Err(stopped);
        }
    }
}

/// Waits for the next look. Messages that wait for their turn are sent meanwhile.
async fn rest(watch: &mut Watch, end: tokio::time::Instant, cx: &Context) -> Result<(), Fault> {
    while watch.voice.is_busy() && tokio::time::Instant::now() < end {
        let soon = (tokio::time::Instant::now() + ASK_CHILDREN).min(end);
        cx.cancel.run(tokio::time::sleep_until(soon)).await?;
        watch.reap();
    }
    cx.cancel.run(tokio::time::sleep_until(end)).await
}

/// Lets messages that are being sent come to their end, for a moment. Releases go on by themselves.
async fn farewell(watch: &mut Watch) {
    watch.voice.hush();
    let end = tokio::time::Instant::now() + FAREWELL;
    while watch.voice.is_busy() && tokio::time::Instant::now() < end {
        tokio::time::sleep(ASK_CHILDREN).await;
        watch.reap();
    }
}

/// The time to the next look: the interval, doubled for each failure in a row up to an upper end.
fn wait(interval: Duration, failures: u32) -> Duration {
    let doubled = interval.as_millis().saturating_mul(1 << failures.min(16));
    Duration::from_millis(doubled.min(LONGEST_WAIT.as_millis().max(interval.as_millis())))
}

/// One look, off the async threads. The monitor comes back whatever the look came to.
async fn look(mut watch: Watch, cx: &Context) -> Result<(Watch, Result<Looked, Fault>), Fault> {
    blocking(cx, move || {
        let looked = watch.look();
        Ok((watch, looked))
    })
    .await
}

/// What was said already and would only be repeated.
#[derive(Default)]
struct Said {
    remarks: BTreeSet<String>,
    trouble: Option<String>,
}

impl Said {
    fn say(&mut self, looked: &Looked, cx: &Context) {
        // An idle look saw that nothing moved, so what was said stands.
        if looked.idle {
            return;
        }
        for decision in &looked.decisions {
            cx.say(decision.explain().trim_end());
        }
        let undecided = looked
            .undecided
            .iter()
            .map(|(environment, fault)| format!("{environment} cannot be decided: {}", told(fault)));
        let remarks: BTreeSet<String> = looked.remarks.iter().cloned().chain(undecided).collect();
        for remark in remarks.difference(&self.remarks) {
            cx.say(&pilotage_diagnostic::printable(remark));
        }
        self.remarks = remarks;
        for order in &looked.started {
            let (services, environment) = (order.names(), &order.environment);
            cx.say(&format!(
                "releasing {services} in {environment} at {}",
                order.commit.short()
            ));
        }
    }

    /// Nothing can be decided: said when it begins and when it changes, not at every look.
    fn trouble(&mut self, fault: &Fault) {
        let mut text = format!("nothing is decided: {}", told(fault));
        for problem in &fault.diagnostics {
            text.push_str(&format!("\n{}", problem.line()));
        }
        if self.trouble.as_ref() != Some(&text) {
            for line in text.lines() {
                tracing::warn!("{}", pilotage_diagnostic::printable(line));
            }
            self.trouble = Some(text);
        }
    }

    fn well(&mut self) {
        if self.trouble.take().is_some() {
            tracing::info!("decisions go on");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wait_doubles_with_each_failure_up_to_an_end() {
        let interval = Duration::from_secs(10);
        let waits: Vec<String> = [0, 1, 2, 5, 40]
            .map(|failures| wait(interval, failures).to_string())
            .to_vec();
        assert_eq!(waits, ["10s", "20s", "40s", "5m", "5m"]);
        assert_eq!(
            wait(Duration::from_secs(3_600), 3),
            Duration::from_secs(3_600),
            "never shorter than asked for"
        );
    }
}
