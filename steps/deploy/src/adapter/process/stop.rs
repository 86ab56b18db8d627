//! Stopping an instance: nobody is led to it any more, then its signal, its grace, the kill.

use std::time::Duration;

use rustix::process::Signal;

use super::service::ProcessService;
use super::state::{self, Run};
use crate::error::TargetError;
use crate::front_door::{Ask, ask};
use crate::live::InstanceId;

impl ProcessService {
    pub(super) async fn stop(&self, id: InstanceId, undone: bool) -> Result<(), TargetError> {
        let mut record = self.record(id)?;
        let signal = Signal::from_named_raw(record.stop_signal).unwrap_or(Signal::TERM);
        let grace = Duration::from_millis(record.stop_grace_ms);
        if let Some(run) = &record.run {
            self.drain(run, grace).await;
        }
        self.end(id, record.run.as_ref(), signal, grace).await?;
        if let Some(route) = self.route()?.filter(|route| route.instance == id) {
            record.turn = record.turn.max(route.turn);
        }
        record.undone |= undone;
        state::write(&self.record_path(id), &record)
    }

    /// Waits until the front door leads nobody to this run any more; whoever is still connected then has had its grace.
    async fn drain(&self, run: &Run, grace: Duration) {
        let question = Ask::Drained {
            addresses: run.addresses.values().copied().collect(),
            timeout_ms: u64::try_from(grace.as_millis()).unwrap_or(u64::MAX),
        };
        match ask(&self.dir.state, &question).await {
            Ok(answer) if answer.open > 0 => {
                tracing::warn!(
                    "{} connections are still open after the grace of {grace:?}",
                    answer.open
                );
            }
            // Without a front door nobody is led anywhere.
            Ok(_) | Err(_) => {}
        }
    }
}
