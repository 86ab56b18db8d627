//! The front door as a deploy sees it: started on demand, in a session of its own.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use super::service::ProcessService;
use super::{KILL, POLL, launch, processes, state};
use crate::error::TargetError;
use crate::front_door::{Ask, ask};
use crate::live::Front;

/// How long the front door may take to listen.
const FRONT: Duration = Duration::from_secs(5);

impl ProcessService {
    pub(super) async fn open_front(&self) -> Result<(), TargetError> {
        state::make_dir(&self.dir.state.join("routes"))?;
        let listen = self.target.listen;
        let log = self.dir.state.join("front-door.log");
        let command = [
            self.program.display().to_string(),
            "front-door".to_owned(),
            "--state".to_owned(),
            self.dir.state.display().to_string(),
            "--listen".to_owned(),
            listen.to_string(),
        ];
        let environment = self
            .inherited
            .iter()
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect();
        let since = fs::metadata(&log).map_or(0, |data| data.len());
        let pid = launch::launch(&command, &environment, &self.dir.state, &log, &log)?;
        let until = tokio::time::Instant::now() + FRONT;
        loop {
            match ask(&self.dir.state, &Ask::Status).await {
                Ok(answer) if listen.port() == 0 || answer.listen == listen => return Ok(()),
                Ok(answer) => return Err(front_elsewhere(answer.listen, listen)),
                Err(_) if tokio::time::Instant::now() > until => {
                    return Err(TargetError::Front {
                        reason: format!("does not answer within {FRONT:?}: {}", last_words(&log, since)),
                    });
                }
                Err(_) => {}
            }
            if let Some(how) = processes::reap(pid) {
                // Another deploy may have been faster; then that one answers, or is about to.
                if !matches!(self.front_is_coming(), Ok(true)) {
                    // What it said is for people; why it could not listen is asked for again.
                    return Err(match std::net::TcpListener::bind(listen) {
                        Err(source) => TargetError::FrontAddress { listen, source },
                        Ok(_) => TargetError::Front {
                            reason: format!("on {listen} ended {how}: {}", last_words(&log, since)),
                        },
                    });
                }
            }
            tokio::time::sleep(POLL).await;
        }
    }

    /// Whether some process holds the front door's lock.
    fn front_is_coming(&self) -> std::io::Result<bool> {
        use rustix::fs::{FlockOperation, flock};
        let lock = fs::File::open(self.dir.state.join("front-door.lock"))?;
        Ok(flock(&lock, FlockOperation::NonBlockingLockShared).is_err())
    }

    pub(super) async fn front(&self, routed: bool) -> Result<Front, TargetError> {
        if !routed {
            return Ok(Front::Up);
        }
        match ask(&self.dir.state, &Ask::Status).await {
            Ok(answer) if self.target.listen.port() != 0 && answer.listen != self.target.listen => {
                Err(front_elsewhere(answer.listen, self.target.listen))
            }
            Ok(_) => Ok(Front::Up),
            Err(_) => Ok(Front::Down),
        }
    }
}

/// The last it said, in one line; the log's first `since` bytes are of an earlier one.
fn last_words(log: &Path, since: u64) -> String {
    let said = launch::last_lines(log, since, 3);
    let lines = said.lines().map(|line| line.trim().trim_start_matches("error: "));
    lines.collect::<Vec<_>>().join(", ")
}

fn front_elsewhere(there: SocketAddr, wanted: SocketAddr) -> TargetError {
    TargetError::Front {
        reason: format!(
            "listens on {there} and not on {wanted}: end it with `pilotage-deploy down --config FILE --target NAME`"
        ),
    }
}

/// Ends the front door of a state directory, if there is one.
pub(super) async fn end_front(state: &Path) -> Result<(), TargetError> {
    let Ok(answer) = ask(state, &Ask::Stop).await else {
        return Ok(());
    };
    let until = tokio::time::Instant::now() + 2 * KILL;
    while processes::process(answer.pid).is_some() {
        if tokio::time::Instant::now() > until {
            return Err(TargetError::Front {
                reason: format!("(process {}) does not end", answer.pid),
            });
        }
        tokio::time::sleep(POLL).await;
    }
    Ok(())
}
