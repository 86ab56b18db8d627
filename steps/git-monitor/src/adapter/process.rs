//! Releases as processes of their own: `pilotage-release run`, or the command that pilotage.yaml names.
//!
//! Each has a session of its own, so that a monitor that ends, or is stopped from a terminal, does not take the releases
//! it started along.

use std::ffi::{OsStr, OsString};
use std::process::{Command, Stdio};

use pilotage_config::Trigger as Kind;
use pilotage_name::{EnvironmentName, ServiceName};
use process_wrap::std::{ChildWrapper, CommandWrap, ProcessSession};

use crate::trigger::{Ended, Order, Trigger, TriggerError};

/// Starts releases as processes on this machine.
pub(crate) struct Processes {
    kind: Kind,
    /// What every release is told beside the order: the repository, the config branch, the cache.
    flags: Vec<OsString>,
    environment: Vec<(OsString, OsString)>,
    running: Vec<(Order, Box<dyn ChildWrapper>)>,
}

impl Processes {
    pub(crate) fn new(kind: Kind, flags: Vec<OsString>, environment: Vec<(OsString, OsString)>) -> Self {
        Self {
            kind,
            flags,
            environment,
            running: Vec::new(),
        }
    }

    /// Takes another kind of trigger, when pilotage.yaml says so.
    pub(crate) fn become_kind(&mut self, kind: &Kind) {
        if self.kind != *kind {
            self.kind = kind.clone();
        }
    }

    /// How many releases started here still run.
    pub(crate) fn running(&self) -> usize {
        self.running.len()
    }

    fn command(&self, order: &Order) -> Command {
        let services = order
            .services
            .iter()
            .map(ServiceName::as_str)
            .collect::<Vec<_>>()
            .join(",");
        let mut command = match &self.kind {
            Kind::Local => {
                let mut command = Command::new(pilotage_step::sibling("pilotage-release"));
                command.arg("run").args(&self.flags);
                command.args(["--env", order.environment.as_str(), "--service", &services]);
                command.args(["--commit", order.commit.as_str()]);
                command
            }
            Kind::Command { command: argv } => {
                let mut command = Command::new(argv.first().map_or(OsStr::new(""), OsStr::new));
                command.args(argv.iter().skip(1));
                command
            }
        };
        command
            .env_clear()
            .envs(self.environment.iter().map(|(name, value)| (name, value)));
        if let Kind::Command { .. } = self.kind {
            command.env("PILOTAGE_ENV", order.environment.as_str());
            command.env("PILOTAGE_SERVICE", services);
            command.env("PILOTAGE_COMMIT", order.commit.as_str());
            let named = |flag: &str| {
                let at = self.flags.iter().position(|known| known == flag)?;
                self.flags.get(at + 1)
            };
            if let Some(repo) = named("--repo") {
                command.env("PILOTAGE_REPO", repo);
            }
        }
        command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::inherit());
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
        self.running.retain_mut(|(order, child)| match child.try_wait() {
            Ok(None) => true,
            Ok(Some(status)) => {
                ended.push(Ended {
                    order: order.clone(),
                    code: status.code(),
                });
                false
            }
            Err(error) => {
                tracing::warn!("a release cannot be asked whether it still runs: {error}");
                ended.push(Ended {
                    order: order.clone(),
                    code: None,
                });
                false
            }
        });
        ended
    }

    fn runs(&self, environment: &EnvironmentName, service: &ServiceName) -> bool {
        self.running
            .iter()
            .any(|(order, _)| order.environment == *environment && order.services.contains(service))
    }
}
