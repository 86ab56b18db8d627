//! The commands.

use pilotage_config::First;
use pilotage_outcome::{Change, Effects, Fault, StepReport};
use pilotage_quantity::Duration;
use pilotage_step::{Context, RepoArgs};
use serde_json::json;

use crate::args::{Args, Command};
use crate::open::{blocking, watch};
use crate::watch::{Looked, Watch, told};
use crate::{accept, explain};

/// How often releases that were started are asked whether they ended.
const ASK_CHILDREN: std::time::Duration = std::time::Duration::from_millis(50);
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
        Command::Accept { repo, reason, by } => accept::accept(&repo, &branch, reason, by, &cx).await,
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
    say(&looked, cx);
    let mut report = StepReport::passed().effects(if looked.idle {
        Effects::None
    } else {
        Effects::Complete
    });
    report.project = Some(watch.desk.sight().config.project.clone());
    for order in &looked.started {
        for service in &order.services {
            report = report.change(Change::new(
                "release",
                format!("{service} in {}", order.environment),
            ));
        }
    }
    if !no_wait {
        while watch.trigger.running() > 0 {
            cx.cancel.run(tokio::time::sleep(ASK_CHILDREN)).await?;
            watch.reap();
        }
    }
    blocking(cx, move || {
        watch.voice.finish();
        Ok(())
    })
    .await?;
    let count = looked.decisions.len();
    Ok(report
        .summary(match count {
            0 => "nothing new".to_owned(),
            1 => "1 decision".to_owned(),
            n => format!("{n} decisions"),
        })
        .result(json!({
            "decisions": looked.decisions,
            "remarks": looked.remarks,
            "started": looked.started.iter().map(|order| json!({
                "environment": order.environment, "commit": order.commit, "services": order.services,
            })).collect::<Vec<_>>(),
        })))
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
    let mut watch = watch(repo, branch, first, cx).await?;
    cx.say(&format!(
        "watching {} for {}, every {interval}",
        watch.desk.remote().url(),
        watch
            .desk
            .sight()
            .environments()
            .iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>()
            .join(", "),
    ));
    let mut failures: u32 = 0;
    loop {
        let looked;
        (watch, looked) = look(watch, cx).await?;
        match looked {
            Ok(looked) => {
                failures = 0;
                say(&looked, cx);
            }
            Err(fault) => {
                failures = failures.saturating_add(1);
                tracing::warn!("the repository cannot be looked at: {}", told(&fault));
                for problem in &fault.diagnostics {
                    tracing::warn!("{}", problem.line());
                }
            }
        }
        cx.cancel
            .run(tokio::time::sleep(wait(interval, failures).as_std()))
            .await?;
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

fn say(looked: &Looked, cx: &Context) {
    for decision in &looked.decisions {
        cx.say(decision.explain().trim_end());
    }
    for remark in &looked.remarks {
        cx.say(&pilotage_diagnostic::printable(remark));
    }
    for order in &looked.started {
        let services = order
            .services
            .iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>()
            .join(", ");
        cx.say(&format!(
            "releasing {services} in {} at {}",
            order.environment,
            order.commit.short()
        ));
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
