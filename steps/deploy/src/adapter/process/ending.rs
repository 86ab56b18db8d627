//! How an instance ended, with the last it said.

use super::service::{ProcessService, alive};
use super::{POLL, launch, processes};
use crate::live::InstanceId;
use crate::port::Setback;

/// Lines of an instance's log that are told when it ends.
const LINES: usize = 10;

impl ProcessService {
    /// Comes back when the instance runs no longer.
    pub(super) async fn end_of(&self, instance: InstanceId) -> Setback {
        let Ok(record) = self.record(instance) else {
            return Setback::new("it is not there any more");
        };
        let how = loop {
            let Some(run) = &record.run else {
                break None;
            };
            if let Some(how) = processes::reap(run.pid) {
                break Some(how);
            }
            if !alive(run) {
                break None;
            }
            tokio::time::sleep(POLL).await;
        };
        let said = Some(self.last_lines(instance)).filter(|said| !said.is_empty());
        let mut text = format!("it ended {}", how.as_deref().unwrap_or("by itself"));
        let again = said.as_deref().is_some_and(says_address_in_use)
            && !record.ports.is_empty()
            && record.ports.iter().all(|port| port.fixed.is_none());
        if let Some(said) = said {
            text.push_str("; the last it said:\n");
            text.push_str(&said);
        }
        Setback {
            again,
            ..Setback::new(text)
        }
    }

    /// The last lines of what an instance said, of its errors first.
    pub(super) fn last_lines(&self, instance: InstanceId) -> String {
        let directory = self.dir.instance(instance);
        [directory.join("stderr.log"), directory.join("stdout.log")]
            .iter()
            .map(|log| launch::last_lines(log, 0, LINES))
            .find(|lines| !lines.is_empty())
            .unwrap_or_default()
    }
}

/// The ways in which common run times say EADDRINUSE.
fn says_address_in_use(text: &str) -> bool {
    let text = text.to_ascii_lowercase();
    [
        "address already in use",
        "address in use",
        "addrinuse",
        "os error 98",
    ]
    .iter()
    .any(|words| text.contains(words))
}
