//! Opening the repository for one command.

use pilotage_command_line::CommandLines;
use pilotage_config::First;
use pilotage_decision::{Access, Desk, SECRETS};
use pilotage_ledger::LinuxMachine;
use pilotage_outcome::Fault;
use pilotage_step::{CHANNEL_VARIABLES, Context, RepoArgs, child_environment};

use crate::adapter::process::{Processes, Reach};
use crate::adapter::voice::NotifyStep;
use crate::watch::Watch;

/// Opens the repository and its ledger, off the async threads.
pub(crate) async fn desk(repo: &RepoArgs, config_branch: &str, cx: &Context) -> Result<Desk, Fault> {
    let access = Access::of(repo, config_branch, cx)?;
    blocking(cx, move || Desk::open(access).map_err(Fault::from)).await
}

/// Runs blocking work on a thread of its own, until it ends or the step is cancelled.
pub(crate) async fn blocking<T: Send + 'static>(
    cx: &Context,
    work: impl FnOnce() -> Result<T, Fault> + Send + 'static,
) -> Result<T, Fault> {
    match cx.cancel.run(tokio::task::spawn_blocking(work)).await? {
        Ok(result) => result,
        Err(error) => Err(Fault::internal("a thread broke off").caused_by(error)),
    }
}

/// A monitor of the repository.
pub(crate) async fn watch(
    repo: &RepoArgs,
    config_branch: &str,
    first: Option<First>,
    cx: &Context,
) -> Result<Watch, Fault> {
    if !repo.service.is_empty() || repo.commit.is_some() {
        let release = match (repo.required_repo(), &repo.environment, repo.service.as_slice()) {
            (Ok(url), Some(environment), [service]) => {
                CommandLines::new(url, config_branch).release(environment, service)
            }
            _ => "pilotage-release run".to_owned(),
        };
        return Err(Fault::usage("a monitor decides every service that a push touched, at the branch's tip")
            .help(format!("leave --service and --commit out; `explain` takes them, and `{release}` releases one service")));
    }
    let desk = desk(repo, config_branch, cx).await?;
    if let Some(environment) = &repo.environment
        && desk.sight().config.environment(environment).is_none()
    {
        return Err(pilotage_decision::Error::Environment {
            environment: environment.clone(),
            known: desk.sight().environments(),
        }
        .into());
    }
    let machine = LinuxMachine::read()
        .map_err(|error| Fault::unavailable("this machine cannot be identified").caused_by(error))?;
    let by = machine
        .this_process()
        .map_err(|error| Fault::unavailable("this process cannot be identified").caused_by(error))?;
    let reach = Reach {
        repo: repo.required_repo()?.to_owned(),
        config_branch: config_branch.to_owned(),
        cache_dir: repo.cache_dir(&cx.env),
        git_user: repo.git_user.clone(),
    };
    let ours = SECRETS.map(|secret| secret.env);
    let pass = [&ours[..], &["PILOTAGE_SECRET_*"], &CHANNEL_VARIABLES].concat();
    let kind = desk.sight().config.trigger.clone();
    let mut environment = child_environment(&cx.env, &pass);
    environment.extend(repo.ssh_environment());
    let trigger = Processes::new(kind, reach, environment);
    let voice = NotifyStep::new(child_environment(&cx.env, &CHANNEL_VARIABLES));
    Ok(Watch::new(desk, first, by, machine, trigger, voice).only(repo.environment.clone()))
}
