//! The subcommands: from flags to the rooms behind them.

mod abandon;
mod adopt;
mod directory;
mod look;
mod plan;
mod release;
mod rollback;
mod signing_key;
mod status;
mod version;

use std::collections::BTreeMap;

use pilotage_decision::{Access, Desk};
use pilotage_ledger::{Holder, LinuxMachine};
use pilotage_name::{CommitId, EnvironmentName, ServiceName};
use pilotage_outcome::{Fault, StepReport};
use pilotage_step::{Context, LogFormat, RepoArgs};

use crate::adapter::process::Processes;
use crate::approve::{Approval, Asking, approve};
use crate::args::{Args, Command};
use crate::prepare::{Prepared, prepare};
use crate::records::Records;
use crate::rollback::RollbackRequest;
use crate::version::VersionRequest;

/// Runs the step.
///
/// # Errors
/// When there is no verdict.
pub async fn run(args: Args, cx: Context) -> Result<StepReport, Fault> {
    let structured = args.common.log_format == LogFormat::Json;
    let repo = args.command.repo().clone();
    let access = Access::of(&repo, &args.config_branch, &cx)?;
    check(&args.command)?;
    let reads = matches!(args.command, Command::Status { .. });
    let opened = tokio::task::spawn_blocking(move || match reads {
        true => Desk::open_past(access).map_err(Fault::from),
        false => Desk::open(access).map(|desk| (desk, None)).map_err(Fault::from),
    });
    let (desk, broken) = match cx.cancel.run(opened).await? {
        Ok(desk) => desk?,
        Err(error) => return Err(Fault::internal("opening the repository broke off").caused_by(error)),
    };
    let records = Records::new(desk);
    let launcher = Processes::new(&cx, structured);
    match args.command {
        Command::Plan { repo, out } => plan::plan(&cx, &records, &repo, out.as_deref()).await,
        Command::Begin { repo, dir, build } => directory::begin(&cx, &records, &repo, &dir, build).await,
        Command::Run {
            repo,
            version: Some(asked),
            reason,
            by: Some(by),
            signing_key,
            keep,
        } => {
            let request = VersionRequest {
                environment: repo.required_environment()?.clone(),
                service: repo.required_service()?.clone(),
                version: asked,
                reason,
                by,
                signing_key: signing_key::read(&cx, signing_key.as_deref())?,
            };
            version::version(&cx, records, launcher, request, keep.as_deref()).await
        }
        Command::Run { repo, keep, .. } => {
            let environment = repo.required_environment()?.clone();
            let target = Target {
                environment,
                services: repo.service.clone(),
                commit: records.asked(repo.commit.clone()).await?,
            };
            release::release(&cx, records, launcher, target, keep.as_deref()).await
        }
        Command::Finish { repo, dir } => directory::finish(&cx, &records, &repo, &dir).await,
        Command::Status { repo } => status::status(&records, &repo, broken).await,
        Command::Abandon {
            repo,
            release,
            reason,
            by,
        } => abandon::abandon(&cx, &records, &repo, release, reason, by).await,
        Command::Adopt {
            repo,
            instance,
            reason,
            by,
        } => {
            let wanted = adopt::Wanted { instance, reason, by };
            adopt::adopt(&cx, &records, &launcher, &repo, wanted).await
        }
        Command::Rollback {
            repo,
            to,
            reason,
            by,
            signing_key,
            keep,
        } => {
            let request = RollbackRequest {
                environment: repo.required_environment()?.clone(),
                service: repo.required_service()?.clone(),
                to,
                commit: records.asked(repo.commit.clone()).await?,
                reason,
                by,
                signing_key: signing_key::read(&cx, signing_key.as_deref())?,
                dry_run: cx.dry_run,
            };
            rollback::rollback(&cx, records, launcher, request, keep.as_deref()).await
        }
    }
}

/// What can be refused before anything is asked.
fn check(command: &Command) -> Result<(), Fault> {
    let repo = command.repo();
    match command {
        Command::Run { version: Some(_), .. } => {
            repo.required_environment()?;
            repo.required_service().map(|_| ())
        }
        Command::Run { .. } => {
            repo.required_environment()?;
            if repo.service.is_empty() {
                return Err(
                    Fault::usage("--service is missing").help("give `--service NAME`, once for each service")
                );
            }
            Ok(())
        }
        Command::Plan { out, .. } => {
            repo.required_environment()?;
            if out.is_some() {
                repo.required_service().map(|_| ())
            } else {
                check_services(repo)
            }
        }
        Command::Abandon { .. } | Command::Adopt { .. } | Command::Rollback { .. } => {
            repo.required_environment()?;
            repo.required_service().map(|_| ())
        }
        Command::Begin { .. } | Command::Finish { .. } | Command::Status { .. } => Ok(()),
    }
}

fn check_services(repo: &RepoArgs) -> Result<(), Fault> {
    match repo.service.is_empty() {
        true => {
            Err(Fault::usage("--service is missing").help("give `--service NAME`, once for each service"))
        }
        false => Ok(()),
    }
}

/// What is to be released.
struct Target {
    environment: EnvironmentName,
    services: Vec<ServiceName>,
    commit: Option<CommitId>,
}

fn this_process() -> Result<Holder, Fault> {
    LinuxMachine::read()
        .and_then(|machine| machine.this_process())
        .map_err(|error| {
            Fault::unavailable("this process cannot be identified, so it can hold no lease").caused_by(error)
        })
}

/// The answers of the gates and the plans of what may go.
async fn prepared(
    records: &Records,
    target: &Target,
    holder: Holder,
    dry_run: bool,
) -> Result<BTreeMap<ServiceName, Result<Prepared, Approval>>, Fault> {
    let mut services = target.services.clone();
    services.sort();
    services.dedup();
    let asking = Asking {
        environment: target.environment.clone(),
        services,
        commit: target.commit.clone(),
        holder,
        dry_run,
    };
    records
        .with(move |desk| {
            let approvals = approve(desk, &asking)?;
            let mut answers = BTreeMap::new();
            for (service, approval) in asking.services.iter().zip(approvals) {
                let answer = match approval {
                    Approval::Go(approved) => Ok(prepare(desk, &asking.environment, service, &approved)?),
                    other => Err(other),
                };
                answers.insert(service.clone(), answer);
            }
            Ok(answers)
        })
        .await
}
