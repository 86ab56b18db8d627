//! Taking a whole process target down: every instance of every service, and the front door.

use std::fs;
use std::path::Path;
use std::time::Duration;

use pilotage_clock::Clock;
use pilotage_config::ProcessTarget;
use pilotage_name::ServiceKey;
use pilotage_outcome::{Change, Effects, Fault, StepReport};
use rustix::process::Signal;

use super::front::end_front;
use super::service::ProcessService;
use super::{KILL, processes};
use crate::desired::Labels;
use crate::error::TargetError;
use crate::front_door::{Ask, ask};
use crate::live::State;
use crate::port::Target;

/// Stops everything of the target. Deploys that are at work there are ended; what was stored stays.
///
/// # Errors
/// When something does not stop.
pub async fn down(target: &ProcessTarget, clock: &Clock, dry_run: bool) -> Result<StepReport, Fault> {
    let state = std::path::absolute(&target.state).map_err(TargetError::io("find", &target.state))?;
    let mut report = StepReport::passed();
    for key in services(&state)? {
        let service = ProcessService::new(target.clone(), key.clone(), "/".into(), clock.clone(), |_| None)?;
        let _claim = match dry_run {
            true => None,
            false => {
                let everyone = Labels {
                    fence: u64::MAX,
                    ..Labels::default()
                };
                Some(service.claim(&everyone).await?)
            }
        };
        for instance in service.observe(None).await?.instances {
            if !dry_run && instance.state != State::Partial {
                let record = service.record(instance.id)?;
                let grace = Duration::from_millis(record.stop_grace_ms).min(KILL);
                let signal = Signal::from_named_raw(record.stop_signal).unwrap_or(Signal::TERM);
                service
                    .end(instance.id, record.run.as_ref(), signal, grace)
                    .await?;
            }
            if instance.state == State::Running {
                report = report.change(Change::new("stopped", format!("{key} instance {}", instance.id)));
            }
        }
        if !dry_run && service.dir.route.exists() {
            service.withdraw()?;
        }
    }
    if ask(&state, &Ask::Status).await.is_ok() {
        if !dry_run {
            end_front(&state).await?;
        }
        report = report.change(Change::new("stopped", "the front door"));
    }
    if !dry_run {
        end_strays(&state).await;
    }
    let stopped = report.changes.len();
    if stopped > 0 && !dry_run {
        report = report.effects(Effects::Complete);
    }
    report.summary = match stopped {
        0 => "nothing runs".to_owned(),
        count => format!("{count} stopped"),
    };
    let text = format!("{}\n", report.summary);
    Ok(report.text(text))
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
