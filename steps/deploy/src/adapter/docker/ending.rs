//! How an instance ended, with the last it said.

use std::time::Duration;

use bollard::query_parameters::{LogsOptionsBuilder, WaitContainerOptionsBuilder};
use futures::StreamExt;

use super::container::Container;
use super::service::DockerService;
use crate::live::{Replica, State};
use crate::port::Setback;

/// Lines of an instance's log that are told.
const LINES: &str = "10";
/// The most of them that is told.
const MOST: usize = 4096;
/// How long the engine is left alone when it does not answer.
const AGAIN: Duration = Duration::from_millis(200);

impl DockerService {
    /// Comes back when the replica runs no longer. The engine tells it; nobody has to ask time and again.
    pub(super) async fn end_of(&self, of: Replica) -> Setback {
        loop {
            match self.container(of).await {
                Ok(container) if container.state != State::Running || container.restarted => {
                    return self.told(&container).await;
                }
                Ok(container) => {
                    let options = WaitContainerOptionsBuilder::default()
                        .condition("not-running")
                        .build();
                    let docker = self.engine.docker.clone().with_timeout(Duration::from_secs(3600));
                    let mut ends = std::pin::pin!(docker.wait_container(&container.id, Some(options)));
                    // A code that is not 0 comes as an error here; the container itself says it better.
                    let _ = ends.next().await;
                }
                Err(crate::error::TargetError::Instance { .. }) => {
                    return Setback::new("it is not there any more");
                }
                // The engine's silence says nothing of the instance.
                Err(_) => {}
            }
            tokio::time::sleep(AGAIN).await;
        }
    }

    async fn told(&self, container: &Container) -> Setback {
        let mut text = if container.killed_for_memory {
            let limit = match container.memory {
                0 => String::new(),
                bytes => format!(": its limit is {} MiB", bytes / 1024 / 1024),
            };
            format!(
                "it was killed for want of memory{limit} (exit {})",
                container.exit_code
            )
        } else if !container.error.is_empty() {
            format!("it could not be started: {}", container.error)
        } else if container.restarted && container.state == State::Running {
            // With which code is forgotten when it runs again.
            "it ended".to_owned()
        } else {
            match container.exit_code {
                code @ 129..=192 => format!("it ended by signal {}", code - 128),
                code => format!("it ended with exit code {code}"),
            }
        };
        if container.restarted {
            text.push_str(", and the engine started it again");
        }
        let said = self.last_lines(container).await;
        if !said.is_empty() {
            text.push_str("; the last it said:\n");
            text.push_str(&said);
        }
        Setback {
            done: container.state == State::Done,
            ..Setback::new(text)
        }
    }

    /// The last lines of what a container said; empty when they cannot be had.
    pub(super) async fn last_lines(&self, container: &Container) -> String {
        let options = LogsOptionsBuilder::default()
            .stdout(true)
            .stderr(true)
            .tail(LINES)
            .build();
        let mut lines = std::pin::pin!(self.engine.docker.logs(&container.id, Some(options)));
        let mut text = String::new();
        while let Some(Ok(line)) = lines.next().await {
            text.push_str(&String::from_utf8_lossy(&line.into_bytes()));
        }
        let text = text.trim_end();
        let mut from = text.len().saturating_sub(MOST);
        while !text.is_char_boundary(from) {
            from += 1;
        }
        text[from..].to_owned()
    }
}
