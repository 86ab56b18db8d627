//! The subcommands: from flags to the rooms behind them.

use std::collections::BTreeMap;
use std::path::Path;

use pilotage_config::StepName;
use pilotage_decision::fault::of_ledger;
use pilotage_decision::{Access, Desk, descriptors};
use pilotage_ledger::{Abandon, Append, Holder, LinuxMachine, TriggerKind};
use pilotage_name::{CommitId, EnvironmentName, ServiceName};
use pilotage_outcome::{Change, Effects, Fault, Outcome, StepReport};
use pilotage_step::{Context, LogFormat, RepoArgs};
use serde_json::json;

use crate::adapter::process::Processes;
use crate::approve::{Approval, Asking, approve};
use crate::args::{Args, Command, contradicts};
use crate::directory::PlanDirectory;
use crate::judge::{judge, proof_of_undo};
use crate::message::{Message, Who};
use crate::plan::ReleasePlan;
use crate::port::{Call, Launcher, Needs};
use crate::prepare::{Prepared, prepare};
use crate::record::Ran;
use crate::records::Records;
use crate::release::{ReleaseEnd, Written, left_behind, record_of};
use crate::rollback::{Rolled, Wish, roll_back};
use crate::run::{Run, ServiceEnd, begin};
use crate::status::{Row, table};
use crate::tell::report;

/// Runs the step.
///
/// # Errors
/// When there is no verdict.
pub async fn run(args: Args, cx: Context) -> Result<StepReport, Fault> {
    let structured = args.common.log_format == LogFormat::Json;
    let repo = args.command.repo().clone();
    let access = Access::of(&repo, &args.config_branch, &cx)?;
    check(&args.command)?;
    let opened = tokio::task::spawn_blocking(move || Desk::open(access).map_err(Fault::from));
    let desk = match cx.cancel.run(opened).await? {
        Ok(desk) => desk?,
        Err(error) => return Err(Fault::internal("opening the repository broke off").caused_by(error)),
    };
    let records = Records::new(desk);
    let launcher = Processes::new(&cx, structured);
    match args.command {
        Command::Plan { repo, out } => plan(&cx, &records, &repo, out.as_deref()).await,
        Command::Begin { repo, dir, build } => begin_directory(&cx, &records, &repo, &dir, build).await,
        Command::Run { repo, keep } => {
            let environment = repo.required_environment()?.clone();
            let target = Target {
                environment,
                services: repo.service.clone(),
                commit: repo.commit.clone(),
            };
            release(&cx, records, launcher, target, keep.as_deref()).await
        }
        Command::Finish { repo, dir } => finish_directory(&cx, &records, &repo, &dir).await,
        Command::Status { repo } => status(&records, &repo).await,
        Command::Abandon {
            repo,
            release,
            reason,
            by,
        } => abandon(&cx, &records, &repo, release, reason, by).await,
        Command::Rollback {
            repo,
            to,
            reason,
            by,
            keep,
        } => {
            let wish = Wish {
                environment: repo.required_environment()?.clone(),
                service: repo.required_service()?.clone(),
                to,
                reason,
                by,
                dry_run: cx.dry_run,
            };
            rollback(&cx, records, launcher, wish, keep.as_deref()).await
        }
    }
}

/// What can be refused before anything is asked.
fn check(command: &Command) -> Result<(), Fault> {
    let repo = command.repo();
    match command {
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
        Command::Abandon { .. } | Command::Rollback { .. } => {
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

async fn release(
    cx: &Context,
    records: Records,
    launcher: Processes,
    target: Target,
    keep: Option<&Path>,
) -> Result<StepReport, Fault> {
    let holder = this_process()?;
    cx.cancel.check()?;
    let answers = prepared(&records, &target, holder.clone(), cx.dry_run).await?;
    let project = records
        .with(|desk| Ok(desk.sight().config.project.clone()))
        .await?;
    let temporary = tempfile::Builder::new()
        .prefix("pilotage-release-")
        .tempdir()
        .map_err(|error| Fault::unavailable("no folder for the plans can be made").caused_by(error))?;
    if cx.dry_run {
        return dry(cx, &launcher, &target, answers, temporary.path()).await;
    }
    cx.note(|report| {
        report.environment = Some(target.environment.clone());
        report.project = Some(project.clone());
    });
    let run = Run {
        launcher,
        records,
        cancel: cx.cancel.clone(),
        holder,
        folder: keep.unwrap_or(temporary.path()).to_owned(),
    };
    let ends = run.all(answers).await?;
    Ok(report(&project, &target.environment, ends))
}

/// What would be done, the plans of the deploy step included.
async fn dry(
    cx: &Context,
    launcher: &Processes,
    target: &Target,
    answers: BTreeMap<ServiceName, Result<Prepared, Approval>>,
    folder: &Path,
) -> Result<StepReport, Fault> {
    let mut outcomes = Vec::new();
    let mut whole = StepReport::passed().environment(target.environment.clone());
    let mut plans = Vec::new();
    for (service, answer) in answers {
        let Prepared { plan, texts } = match answer {
            Ok(prepared) => prepared,
            Err(approval) => {
                let end = crate::run::not_now(approval);
                outcomes.push(end.outcome());
                whole
                    .text
                    .push_str(&crate::tell::text(&target.environment, &service, &end));
                continue;
            }
        };
        whole.text.push_str(&plan.text());
        let directory = PlanDirectory::create(&folder.join(service.as_str()), &plan, &texts)?;
        if let Some(stage) = plan.due().find(|stage| stage.step == StepName::Deploy) {
            let call = Call {
                program: "pilotage-deploy".to_owned(),
                arguments: vec!["plan".to_owned()],
                environment: directory.environment(&plan, stage, "started"),
                needs: Needs::Secrets(pilotage_descriptor::SecretSource::env_prefix(&service)),
                label: format!("{service} deploy plan"),
                log: directory.file("reports/plan.log"),
                deadline: stage.deadline.as_std(),
            };
            let ended = launcher.run(&call, &cx.cancel).await;
            let record = record_of(Ran::Stage(stage.clone()), &ended, &directory);
            outcomes.push(record.outcome.unwrap_or(Outcome::Internal));
            whole.text.push_str(&format!("  deploy: {}\n", record.summary));
            for change in record.report.iter().flat_map(|report| &report.changes) {
                whole
                    .text
                    .push_str(&format!("    {} {}\n", change.action, change.subject));
                whole.changes.push(
                    Change::new(change.action.clone(), format!("{service}: {}", change.subject))
                        .detail(change.detail.clone()),
                );
            }
        }
        plans.push(serde_json::to_value(&plan).unwrap_or_default());
    }
    whole.outcome = crate::run::worst(outcomes);
    Ok(whole.result(json!({"plans": plans})))
}

async fn plan(
    cx: &Context,
    records: &Records,
    repo: &RepoArgs,
    out: Option<&Path>,
) -> Result<StepReport, Fault> {
    let target = Target {
        environment: repo.required_environment()?.clone(),
        services: repo.service.clone(),
        commit: repo.commit.clone(),
    };
    // A plan that is written is going to be carried out; its decision has to stand in the ledger.
    let dry_run = cx.dry_run || out.is_none();
    let answers = prepared(records, &target, this_process()?, dry_run).await?;
    let mut outcomes = Vec::new();
    let mut report = StepReport::passed().environment(target.environment.clone());
    let mut plans = Vec::new();
    for (service, answer) in answers {
        match answer {
            Ok(Prepared { plan, texts }) => {
                report.text.push_str(&plan.text());
                if let (Some(out), false) = (out, cx.dry_run) {
                    let directory = PlanDirectory::create(out, &plan, &texts)?;
                    report.effects = Effects::Complete;
                    report = report
                        .key(&plan.service)
                        .commit(plan.commit.clone())
                        .plan_digest(plan.digest.clone())
                        .output("plan", plan.digest.clone())
                        .output("version", plan.version.clone())
                        .output("dir", directory.path().to_string_lossy());
                }
                plans.push(serde_json::to_value(&plan).unwrap_or_default());
            }
            Err(approval) => {
                let end = crate::run::not_now(approval);
                outcomes.push(end.outcome());
                report
                    .text
                    .push_str(&crate::tell::text(&target.environment, &service, &end));
                if let ServiceEnd::Broken(diagnostics) = end {
                    report = report.diagnostics(diagnostics);
                }
            }
        }
    }
    report.outcome = crate::run::worst(outcomes);
    Ok(report.result(json!({"plans": plans})))
}

/// Opens a plan's directory and holds the flags against it.
fn open(repo: &RepoArgs, dir: &Path) -> Result<(PlanDirectory, ReleasePlan), Fault> {
    let (directory, plan) = PlanDirectory::open(dir)?;
    if contradicts(repo, &plan.service.environment, &plan.service.service) {
        return Err(Fault::usage(format!(
            "the plan is about {}, the flags about another service",
            plan.service
        )));
    }
    Ok((directory, plan))
}

async fn begin_directory(
    cx: &Context,
    records: &Records,
    repo: &RepoArgs,
    dir: &Path,
    build: String,
) -> Result<StepReport, Fault> {
    let (directory, mut plan) = open(repo, dir)?;
    let holder = Holder::build(build);
    let environment = plan.service.environment.clone();
    let service = plan.service.service.clone();
    let target = Target {
        environment: environment.clone(),
        services: vec![service.clone()],
        commit: Some(plan.commit.clone()),
    };
    // Time has passed since the plan was made: another commit may have been accepted.
    let again = prepared(records, &target, holder.clone(), true)
        .await?
        .remove(&service);
    let end = match again {
        Some(Ok(again)) if again.plan.descriptor == plan.descriptor && again.plan.policy == plan.policy => {
            None
        }
        Some(Ok(_)) => {
            return Err(
                Fault::refused("the plan no longer fits: policy or descriptor read differently now")
                    .help("make a new plan with `pilotage-release plan --out DIR`"),
            );
        }
        Some(Err(approval)) => Some(crate::run::not_now(approval)),
        None => return Err(Fault::internal("a service without an answer")),
    };
    plan.trigger.kind = match plan.trigger.kind {
        TriggerKind::Rollback => TriggerKind::Rollback,
        _ => TriggerKind::Jenkins,
    };
    plan.digest = plan.computed_digest();
    let end = match end {
        Some(end) => end,
        None if cx.dry_run => return Ok(StepReport::passed().key(&plan.service).text(plan.text())),
        None => match begin(records, vec![plan.clone()], holder).await?.pop() {
            Some(Ok(begun)) => {
                directory.save(&begun)?;
                directory.tell(&Message::started(&begun, begun.lease.as_ref()))?;
                let mut report = StepReport::passed()
                    .key(&begun.service)
                    .commit(begun.commit.clone());
                report.effects = Effects::Complete;
                if let Some(lease) = &begun.lease {
                    report = report
                        .output("release", lease.release.to_string())
                        .output("fence", lease.release.fence.to_string())
                        .summary(format!("{} has begun", lease.release))
                        .release(lease.release.clone());
                }
                return Ok(report);
            }
            Some(Err(end)) => end,
            None => return Err(Fault::internal("a begin without an answer")),
        },
    };
    let project = plan.service.project.clone();
    Ok(report(&project, &environment, BTreeMap::from([(service, end)])))
}

async fn finish_directory(
    cx: &Context,
    records: &Records,
    repo: &RepoArgs,
    dir: &Path,
) -> Result<StepReport, Fault> {
    let (directory, mut plan) = open(repo, dir)?;
    let Some(lease) = plan.lease.clone() else {
        return Err(
            Fault::usage("the plan has not begun").help("`pilotage-release begin --dir DIR` takes its lease")
        );
    };
    let left = left_behind(&plan, &directory);
    let judgement = judge(&plan, &left, None);
    directory.tell(&Message::so_far(&plan, Some(&lease), &left, Some(&judgement)))?;
    let key = plan.service.clone();
    if cx.dry_run {
        let end = ReleaseEnd {
            plan,
            records: left,
            judgement,
            written: Written::Observed,
        };
        let ends = BTreeMap::from([(key.service, ServiceEnd::Released(Box::new(end)))]);
        return Ok(report(&key.project, &key.environment, ends));
    }
    let mut written = None;
    let undo = left
        .iter()
        .find(|record| matches!(record.what, Ran::Undo(_)) && record.passed());
    if let Some(record) = undo {
        let proof = proof_of_undo(record);
        let undone = pilotage_ledger::Undone {
            to: proof
                .as_ref()
                .and_then(|proof| proof.version.clone())
                .or_else(|| plan.from_version.clone()),
            reason: judgement
                .reason
                .first()
                .cloned()
                .unwrap_or_else(|| "undone".to_owned()),
            proof,
        };
        match records.undone(&lease, undone, &cx.cancel).await? {
            Append::Done(lease) => {
                plan.lease = Some(lease);
                directory.save(&plan)?;
            }
            Append::Already(_) => {}
            Append::Lost { by } => written = Some(Written::Lost(by)),
        }
    }
    let written = match (written, &plan.lease) {
        (Some(lost), _) => lost,
        (None, Some(lease)) => {
            match records
                .finish(lease, judgement.finished(&plan, &left), &cx.cancel)
                .await?
            {
                Append::Done(lease) => {
                    plan.lease = Some(lease);
                    directory.save(&plan)?;
                    Written::Yes
                }
                Append::Already(_) => Written::Already,
                Append::Lost { by } => Written::Lost(by),
            }
        }
        (None, None) => return Err(Fault::internal("a lease went missing")),
    };
    let end = ReleaseEnd {
        plan,
        records: left,
        judgement,
        written,
    };
    let ends = BTreeMap::from([(key.service, ServiceEnd::Released(Box::new(end)))]);
    Ok(report(&key.project, &key.environment, ends))
}

async fn status(records: &Records, repo: &RepoArgs) -> Result<StepReport, Fault> {
    let (asked, services) = (repo.environment.clone(), repo.service.clone());
    let (project, rows) = records
        .with(move |desk| {
            let environments = match asked {
                Some(environment) => {
                    // Known to pilotage.yaml, or a usage error that names the known ones.
                    desk.sight().tip(&environment).map_err(Fault::from)?;
                    vec![environment]
                }
                None => desk.sight().environments(),
            };
            desk.ledger().refresh(&environments).map_err(of_ledger)?;
            let mut rows = Vec::new();
            for environment in environments {
                rows.extend(rows_of(desk, &environment)?);
            }
            rows.retain(|row| services.is_empty() || services.contains(&row.service));
            Ok((desk.sight().config.project.clone(), rows))
        })
        .await?;
    let summary = format!("{} services", rows.len());
    let report = StepReport::passed()
        .project(project)
        .summary(summary)
        .text(table(&rows));
    Ok(report.result(json!({"services": rows})))
}

fn rows_of(desk: &mut Desk, environment: &EnvironmentName) -> Result<Vec<Row>, Fault> {
    let described = match desk.sight().tips.get(environment) {
        Some(tip) => descriptors::list(desk.cache(), tip).map_err(Fault::from)?.found,
        None => BTreeMap::new(),
    };
    let mut rows: BTreeMap<ServiceName, Row> = described
        .keys()
        .map(|service| (service.clone(), Row::never(environment.clone(), service.clone())))
        .collect();
    for (service, chain) in desk.ledger().known_releases(environment).map_err(of_ledger)? {
        let row = match chain {
            Ok(chain) => Row::of(chain.state(), described.contains_key(&service)),
            Err(error) => Row::unreadable(environment.clone(), service.clone(), error.to_string()),
        };
        rows.insert(service, row);
    }
    Ok(rows.into_values().collect())
}

async fn abandon(
    cx: &Context,
    records: &Records,
    repo: &RepoArgs,
    release: Option<pilotage_name::ReleaseId>,
    reason: String,
    by: Who,
) -> Result<StepReport, Fault> {
    let (environment, service) = (
        repo.required_environment()?.clone(),
        repo.required_service()?.clone(),
    );
    let dry_run = cx.dry_run;
    let name = format!("{} <{}>", by.name, by.email.unwrap_or_default());
    let answer = records
        .with(move |desk| {
            if dry_run {
                let chain = desk.ledger().release(&environment, &service).map_err(of_ledger)?;
                let running = chain.state().running.as_ref().map(|running| running.id.clone());
                return Ok(
                    match running
                        .clone()
                        .filter(|id| release.as_ref().is_none_or(|wanted| wanted == id))
                    {
                        Some(id) => Abandon::Done(id),
                        None => Abandon::NotRunning { running },
                    },
                );
            }
            desk.ledger()
                .abandon(&environment, &service, release.as_ref(), &name, &reason)
                .map_err(of_ledger)
        })
        .await?;
    Ok(match answer {
        Abandon::Done(id) => {
            let verb = if cx.dry_run {
                "would be given up"
            } else {
                "is given up"
            };
            let summary = format!("{id} {verb}; what it changed is not known, the next release finds out");
            let effects = if cx.dry_run {
                Effects::None
            } else {
                Effects::Complete
            };
            StepReport::passed().effects(effects).summary(summary).release(id)
        }
        Abandon::NotRunning { running: Some(id) } => StepReport::new(Outcome::Refused { waiting: false })
            .summary(format!("another release goes on: {id}")),
        Abandon::NotRunning { running: None } => {
            StepReport::passed().summary("no release goes on, nothing to do")
        }
    })
}

async fn rollback(
    cx: &Context,
    records: Records,
    launcher: Processes,
    wish: Wish,
    keep: Option<&Path>,
) -> Result<StepReport, Fault> {
    let (environment, service) = (wish.environment.clone(), wish.service.clone());
    let now = cx.clock.now();
    cx.note(|report| {
        report.effects = if wish.dry_run {
            Effects::None
        } else {
            Effects::Partial
        }
    });
    let rolled = records.with(move |desk| roll_back(desk, &wish, now)).await?;
    let project = records
        .with(|desk| Ok(desk.sight().config.project.clone()))
        .await?;
    let commit = match rolled {
        Rolled::Pushed { commit, goal } => {
            tracing::info!(
                "{service} in {environment}: {} restores {}",
                commit.short(),
                goal.version
            );
            Some(commit)
        }
        // It may have been pushed by a try that ended there; then only its release is missing.
        Rolled::Asked { goal } => {
            tracing::info!(
                "{service} in {environment}: the branch asks for {} already",
                goal.version
            );
            None
        }
        Rolled::Dry { goal } => {
            return Ok(StepReport::passed()
                .environment(environment.clone())
                .service(service.clone())
                .text(format!(
                    "{service} in {environment} would go back to {}, as of commit {}\n",
                    goal.version,
                    goal.commit.short()
                )));
        }
        Rolled::Refused(refusal) => {
            let mut refusal = *refusal;
            refusal.headline.push_str("; nothing was pushed");
            let end = ServiceEnd::Refused(Box::new(refusal));
            return Ok(report(&project, &environment, BTreeMap::from([(service, end)])));
        }
    };
    let target = Target {
        environment,
        services: vec![service],
        commit,
    };
    release(cx, records, launcher, target, keep).await
}
