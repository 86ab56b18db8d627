//! Speaking through `pilotage-notify`.

use std::ffi::OsString;
use std::io::Write;
use std::process::{Child, Command, Stdio};

use pilotage_gate::Decision;

use crate::voice::{Voice, event, message};

/// Starts `pilotage-notify` for each decision.
pub(crate) struct NotifyStep {
    pub(crate) project: String,
    pub(crate) environment: Vec<(OsString, OsString)>,
    /// Those that still speak; waited for so that none is left behind unseen.
    pub(crate) speaking: Vec<(String, Child)>,
}

impl NotifyStep {
    /// Collects those that have spoken, and says who failed.
    pub(crate) fn reap(&mut self) {
        self.speaking.retain_mut(|(what, child)| match child.try_wait() {
            Ok(None) => true,
            Ok(Some(status)) if status.success() => false,
            Ok(Some(status)) => {
                tracing::warn!("nobody could be told of {what}: pilotage-notify ended with {status}");
                false
            }
            Err(error) => {
                tracing::warn!("whether {what} was told is not known: {error}");
                false
            }
        });
    }

    /// Waits for those that still speak.
    pub(crate) fn finish(&mut self) {
        for (what, child) in &mut self.speaking {
            match child.wait() {
                Ok(status) if status.success() => {}
                Ok(status) => {
                    tracing::warn!("nobody could be told of {what}: pilotage-notify ended with {status}")
                }
                Err(error) => tracing::warn!("whether {what} was told is not known: {error}"),
            }
        }
        self.speaking.clear();
    }
}

impl Voice for NotifyStep {
    fn tell(&mut self, decision: &Decision, config: &str) {
        let Some(event) = event(decision) else { return };
        let what = decision.headline();
        let said = self.start(event, decision, config);
        match said {
            Ok(child) => self.speaking.push((what, child)),
            Err(error) => {
                tracing::warn!("nobody could be told of {what}: pilotage-notify cannot be started: {error}")
            }
        }
    }
}

impl NotifyStep {
    fn start(&self, event: &str, decision: &Decision, config: &str) -> std::io::Result<Child> {
        // The policy goes along as a file that is gone from the folder before anything else can see it.
        let mut config_file = tempfile::NamedTempFile::new()?;
        config_file.write_all(config.as_bytes())?;
        let (_, config_path) = config_file.keep().map_err(|error| error.error)?;
        let mut child = Command::new(pilotage_step::sibling("pilotage-notify"))
            .args([
                "--event",
                event,
                "--message",
                "-",
                "--env",
                decision.environment.as_str(),
            ])
            .arg("--config")
            .arg(&config_path)
            .env_clear()
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::piped())
            .stdout(Stdio::inherit())
            .stderr(Stdio::inherit())
            .spawn()?;
        if let Some(mut stdin) = child.stdin.take() {
            stdin.write_all(message(&self.project, decision).to_string().as_bytes())?;
        }
        Ok(child)
    }
}
