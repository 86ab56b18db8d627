//! Opening the repository for one command.

use std::ffi::OsString;

use pilotage_config::First;
use pilotage_decision::{Access, Desk, SECRETS};
use pilotage_ledger::LinuxMachine;
use pilotage_outcome::Fault;
use pilotage_step::{Context, RepoArgs, child_environment};

use crate::adapter::process::Processes;
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
    let desk = desk(repo, config_branch, cx).await?;
    let machine = LinuxMachine::read()
        .map_err(|error| Fault::unavailable("this machine cannot be identified").caused_by(error))?;
    let by = machine
        .this_process()
        .map_err(|error| Fault::unavailable("this process cannot be identified").caused_by(error))?;
    let mut flags: Vec<OsString> = vec!["--repo".into(), repo.required_repo()?.into()];
    flags.extend(["--config-branch".into(), config_branch.into()]);
    flags.extend(["--cache-dir".into(), repo.cache_dir(&cx.env).into_os_string()]);
    flags.extend(["--git-user".into(), repo.git_user.clone().into()]);
    let mut pass = SECRETS.to_vec();
    pass.extend([
        "PILOTAGE_SECRET_*",
        "PILOTAGE_SLACK_TOKEN",
        "PILOTAGE_SLACK_WEBHOOK",
        "PILOTAGE_SLACK_API_URL",
    ]);
    let kind = desk.sight().config.trigger.clone();
    let trigger = Processes::new(kind, flags, child_environment(&cx.env, &pass));
    let voice = NotifyStep {
        project: desk.sight().config.project.to_string(),
        environment: child_environment(
            &cx.env,
            &[
                "PILOTAGE_SLACK_TOKEN",
                "PILOTAGE_SLACK_WEBHOOK",
                "PILOTAGE_SLACK_API_URL",
            ],
        ),
        speaking: Vec::new(),
    };
    Ok(Watch::new(desk, first, by, machine, trigger, voice))
}
