//! Releases as processes of their own: `pilotage-release run`, or the command that pilotage.yaml names.
//!
//! Each has a session of its own, so that a monitor that ends, or is stopped from a terminal, does not take the releases
//! it started along.

use std::ffi::{OsStr, OsString};
use std::path::PathBuf;
use std::process::{Command, Stdio};

use pilotage_config::Trigger as Kind;
use pilotage_name::{CommitId, EnvironmentName, ServiceName};
use process_wrap::std::{ChildWrapper, CommandWrap, ProcessSession};

use crate::trigger::{Ended, Order, Trigger, TriggerError};

/// What every release is told beside the order: how to reach the repository.
pub(crate) struct Reach {
    pub(crate) repo: String,
    pub(crate) config_branch: String,
    pub(crate) cache_dir: PathBuf,
    pub(crate) git_user: String,
}

/// Starts releases as processes on this machine.
pub(crate) struct Processes {
    kind: Kind,
    reach: Reach,
    environment: Vec<(OsString, OsString)>,
    running: Vec<(Order, Box<dyn ChildWrapper>)>,
}

impl Processes {
    pub(crate) fn new(kind: Kind, reach: Reach, environment: Vec<(OsString, OsString)>) -> Self {
        Self {
            kind,
            reach,
            environment,
            running: Vec::new(),
        }
    }

    /// Takes the kind of trigger that pilotage.yaml names now.
    pub(crate) fn become_kind(&mut self, kind: &Kind) {
        if self.kind != *kind {
            self.kind = kind.clone();
        }
    }

    /// Whether what is started is `pilotage-release`, so that its exit codes mean what the step contract says.
    pub(crate) fn is_local(&self) -> bool {
        self.kind == Kind::Local
    }

    /// How many releases started here still run.
    pub(crate) fn running(&self) -> usize {
        self.running.len()
    }

    fn command(&self, order: &Order) -> Command {
        let services: Vec<&str> = order.services.iter().map(ServiceName::as_str).collect();
        let services = services.join(",");
        let Reach {
            repo,
            config_branch,
            cache_dir,
            git_user,
        } = &self.reach;
        let mut command = match &self.kind {
            Kind::Local => Command::new(pilotage_step::sibling("pilotage-release")),
            Kind::Command { command } => Command::new(command.first().map_or(OsStr::new(""), OsStr::new)),
        };
        command
            .env_clear()
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::inherit());
        match &self.kind {
            Kind::Local => {
                command.args(["run", "--repo", repo, "--config-branch", config_branch]);
                command.arg("--cache-dir").arg(cache_dir);
                command.args(["--git-user", git_user, "--env", order.environment.as_str()]);
                command.args(["--service", &services, "--commit", order.commit.as_str()]);
            }
            Kind::Command { command: argv } => {
                command.args(argv.iter().skip(1));
                command.env("PILOTAGE_REPO", repo);
                command.env("PILOTAGE_CONFIG_BRANCH", config_branch);
                command.env("PILOTAGE_ENV", order.environment.as_str());
                command.env("PILOTAGE_SERVICE", services);
                command.env("PILOTAGE_COMMIT", order.commit.as_str());
            }
        }
        command
    }
}

impl Trigger for Processes {
    fn start(&mut self, order: &Order) -> Result<(), TriggerError> {
        let command = self.command(order);
        let program = command.get_program().to_string_lossy().into_owned();
        let child = CommandWrap::from(command)
            .wrap(ProcessSession)
            .spawn()
            .map_err(|source| TriggerError { program, source })?;
        self.running.push((order.clone(), child));
        Ok(())
    }

    fn ended(&mut self) -> Vec<Ended> {
        let mut ended = Vec::new();
        self.running.retain_mut(|(order, child)| {
            let code = match child.try_wait() {
                Ok(None) => return true,
                Ok(Some(status)) => status.code(),
                Err(error) => {
                    tracing::warn!("a release cannot be asked whether it still runs: {error}");
                    None
                }
            };
            let order = order.clone();
            ended.push(Ended { order, code });
            false
        });
        ended
    }

    fn runs(&self, environment: &EnvironmentName, service: &ServiceName, commit: &CommitId) -> bool {
        self.running.iter().any(|(order, _)| {
            order.environment == *environment && order.commit == *commit && order.services.contains(service)
        })
    }
}
