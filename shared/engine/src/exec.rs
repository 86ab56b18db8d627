//! A command in a container that runs.

use std::time::Duration;

use bollard::exec::{CreateExecOptions, StartExecOptions, StartExecResults};
use futures::StreamExt;
use pilotage_check::{NoAnswer, Observation};
use tokio::time::Instant;

use crate::engine::Engine;
use crate::error::EngineError;
use crate::output::{Chunk, Tail};

/// The most of what a command says that is kept.
const MOST: usize = 4096;

/// What came out of a command in a container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Executed {
    /// Its exit code; none when it had not ended in time. It then runs on: an engine cannot end it.
    pub code: Option<i64>,
    /// The last it said, on both pipes.
    pub said: String,
    /// How long it took.
    pub took: Duration,
}

impl Engine {
    /// [`Engine::exec`] as one try of a health check. That the engine does not do it is silence, as any other.
    pub async fn try_in(&self, container: &str, command: &[String], limit: Duration) -> Observation {
        let began = Instant::now();
        let silent = |cause, detail| Observation::NoAnswer {
            cause,
            detail,
            elapsed: began.elapsed(),
        };
        match self.exec(container, command, limit).await {
            Ok(Executed { code: None, said, .. }) => silent(
                NoAnswer::Timeout,
                match said.lines().next_back() {
                    Some(last) => format!("no end within {limit:?}; it said last: {last}"),
                    None => format!("no end within {limit:?}"),
                },
            ),
            Ok(Executed {
                code: Some(code),
                said,
                took,
            }) => Observation::Exited {
                code: i32::try_from(code).ok(),
                output: said,
                elapsed: took,
            },
            // It does not run.
            Err(error) if matches!(error.status(), Some(404 | 409)) => {
                silent(NoAnswer::NotRunning, error.message().to_owned())
            }
            Err(error) => silent(NoAnswer::Unreachable, error.to_string()),
        }
    }

    /// Runs `command` in a container that runs, for as long as `limit`. A program that is not there ends with code 126 or
    /// 127, and the engine's words are what it said.
    ///
    /// # Errors
    /// When the engine does not do it, as when the container does not run.
    pub async fn exec(
        &self,
        container: &str,
        command: &[String],
        limit: Duration,
    ) -> Result<Executed, EngineError> {
        let began = Instant::now();
        let doing = || format!("run a command in {container}");
        let options = CreateExecOptions {
            attach_stdout: Some(true),
            attach_stderr: Some(true),
            cmd: Some(command.to_vec()),
            ..Default::default()
        };
        let created = self.docker.create_exec(container, options).await;
        let id = created.map_err(self.failed(doing()))?.id;
        let mut said = Tail::new(MOST);
        let running = async {
            let started = self.docker.start_exec(&id, None::<StartExecOptions>).await;
            if let StartExecResults::Attached { mut output, .. } = started.map_err(self.failed(doing()))? {
                while let Some(Ok(piece)) = output.next().await {
                    said.push(&Chunk::from(piece).bytes);
                }
            }
            let ended = self.docker.inspect_exec(&id).await;
            Ok(ended.map_err(self.failed(doing()))?.exit_code)
        };
        let code = match tokio::time::timeout(limit, running).await {
            Ok(code) => code?,
            Err(_) => None,
        };
        Ok(Executed {
            code,
            said: said.text(),
            took: began.elapsed(),
        })
    }
}
