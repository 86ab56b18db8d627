//! Taking a whole process target down: every instance of every service, and the front door.

use std::fs;
use std::path::Path;
use std::time::Duration;

use futures::future::{join_all, try_join_all};
use pilotage_clock::Clock;
use pilotage_config::ProcessTarget;
use pilotage_name::ServiceKey;
use pilotage_outcome::{Effects, Fault, StepReport};
use rustix::process::Signal;

use super::front::end_front;
use super::service::ProcessService;
use super::{KILL, processes};
use crate::desired::Labels;
use crate::down::Down;
use crate::error::TargetError;
use crate::front_door::{Ask, ask};
use crate::live::{InstanceId, State};
use crate::port::Target;

/// Stops everything of the target. Deploys that are at work there are ended; what was stored stays.
///
/// # Errors
/// When something does not stop.
pub async fn down(target: &ProcessTarget, clock: &Clock, dry_run: bool) -> Result<StepReport, Fault> {
    let state = std::path::absolute(&target.state).map_err(TargetError::io("find", &target.state))?;
    let mut down = Down::new(dry_run);
    // All at the same time: each ends within its own grace, and one that does not end keeps no other from ending.
    let keys = services(&state)?;
    let stopping = keys.iter().map(|key| async move {
        let service = ProcessService::new(target.clone(), key.clone(), "/".into(), clock.clone(), |_| None)?;
        service.stop_all(dry_run).await
    });
    let mut trouble = None;
    for (key, stopped) in keys.iter().zip(join_all(stopping).await) {
        match stopped {
            Ok(ids) => {
                for id in ids {
                    down.stopped(format!("{key} instance {id}"));
                }
            }
            Err(error) => {
                trouble.get_or_insert(error);
            }
        }
    }
    if ask(&state, &Ask::Status).await.is_ok() {
        if !dry_run {
            end_front(&state).await?;
        }
        down.stopped("the front door");
    }
    if !dry_run {
        end_strays(&state).await;
    }
    if let Some(error) = trouble {
        return Err(Fault::from(error).effects(if dry_run { Effects::None } else { Effects::Partial }));
    }
    Ok(down.report())
}

impl ProcessService {
    /// Stops every instance and frees the routes; says which instances ran.
    async fn stop_all(&self, dry_run: bool) -> Result<Vec<InstanceId>, TargetError> {
        let everyone = Labels {
            fence: u64::MAX,
            ..Labels::default()
        };
        let _claim = match dry_run {
            true => None,
            false => Some(self.claim(&everyone).await?),
        };
        let found = self.observe(None).await?.instances;
        if !dry_run {
            try_join_all(
                found
                    .iter()
                    .filter(|instance| instance.state != State::Partial)
                    .map(|instance| self.end_soon(instance.id)),
            )
            .await?;
            if self.dir.route.exists() {
                self.withdraw()?;
            }
        }
        let ran = found.iter().filter(|instance| instance.state == State::Running);
        Ok(ran.map(|instance| instance.id).collect())
    }

    /// Ends an instance within [`KILL`], whatever grace it has.
    async fn end_soon(&self, id: InstanceId) -> Result<(), TargetError> {
        let record = self.record(id)?;
        let grace = Duration::from_millis(record.stop_grace_ms).min(KILL);
        let signal = Signal::from_named_raw(record.stop_signal).unwrap_or(Signal::TERM);
        self.end(id, record.run.as_ref(), signal, grace).await
    }
}

fn services(state: &Path) -> Result<Vec<ServiceKey>, TargetError> {
    let path = state.join("services");
    let entries = match fs::read_dir(&path) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(TargetError::io("read", &path)(error)),
    };
    let mut keys: Vec<ServiceKey> = entries
        .flatten()
        .filter_map(|entry| {
            let name = entry.file_name();
            let mut parts = name.to_str()?.split('.');
            let key = ServiceKey {
                project: parts.next()?.parse().ok()?,
                environment: parts.next()?.parse().ok()?,
                service: parts.next()?.parse().ok()?,
            };
            parts.next().is_none().then_some(key)
        })
        .collect();
    keys.sort();
    Ok(keys)
}

/// Processes that carry this state directory's label though their instance is gone.
async fn end_strays(state: &Path) {
    let label = format!("PILOTAGE_STATE={}", state.display());
    for (process, environment) in processes::all() {
        if environment
            .split(|byte| *byte == 0)
            .any(|entry| entry == label.as_bytes())
        {
            processes::signal(process, Signal::KILL);
        }
    }
}
