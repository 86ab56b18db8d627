//! What runs.

use std::fmt::Write;

use pilotage_name::ServiceKey;
use pilotage_outcome::StepReport;
use serde_json::json;

use crate::error::TargetError;
use crate::live::State;
use crate::port::Target;

/// What runs of a service, for people and programs.
///
/// # Errors
/// When it cannot be read.
pub async fn status<T: Target>(target: &T, key: &ServiceKey) -> Result<StepReport, TargetError> {
    let live = target.observe(None).await?;
    let mut report = StepReport::passed();
    report.project = Some(key.project.clone());
    report.environment = Some(key.environment.clone());
    report.service = Some(key.service.clone());
    let mut text = String::new();
    let serving = live.serving_instance();
    report.summary = match serving {
        Some(instance) => {
            let version = instance
                .identity
                .as_ref()
                .map_or("unknown", |identity| identity.version.as_str());
            let well = match instance.state {
                State::Running | State::Done => String::new(),
                other => format!(", but it is {other}"),
            };
            let verb = match instance.state {
                State::Done => "is done",
                _ => "serves",
            };
            format!("{key}: {version} {verb} as instance {}{well}", instance.id)
        }
        None => format!("{key}: nothing serves"),
    };
    // Writing to a String does not fail.
    let _ = writeln!(text, "{}", report.summary);
    if let Some(marker) = &live.marker {
        let of = marker.commit.as_ref().map(|commit| format!(" of {commit}"));
        let _ = writeln!(text, "  changed last by {marker}{}", of.unwrap_or_default());
        report.commit.clone_from(&marker.commit);
        report.release.clone_from(&marker.release);
    }
    if let Some(serving) = serving.filter(|instance| instance.state.is_well()) {
        for (name, address) in target.outputs(serving.id).await {
            let _ = writeln!(text, "  {name} {address}");
            report = report.output(name, address);
        }
        report = report.output("instance", serving.id.0.to_string());
        if let Some(identity) = &serving.identity {
            report = report
                .output("digest", identity.digest.clone())
                .output("version", identity.version.clone())
                .output("instance_hash", identity.instance_hash.clone());
        }
    }
    for instance in live.instances.iter().rev() {
        let version = instance
            .identity
            .as_ref()
            .map_or("?", |identity| identity.version.as_str());
        let role = match (
            serving.is_some_and(|serving| serving.id == instance.id),
            instance.turn,
            instance.undone,
        ) {
            (true, ..) if instance.state == State::Done => "done last",
            (true, ..) => "serves",
            (false, 0, _) => "never served",
            (false, _, true) => "taken back",
            (false, _, false) => "kept",
        };
        let by = match (&instance.labels.release, instance.labels.fence) {
            (Some(release), _) => format!(", by {release}"),
            (None, 0) => String::new(),
            (None, fence) => format!(", by fence {fence}"),
        };
        let state = match instance.replicas.len() {
            0 | 1 => instance.state.to_string(),
            count => {
                let well = instance.replicas.iter().filter(|state| state.is_well()).count();
                format!("{}: {well} of {count} replicas run", instance.state)
            }
        };
        let _ = writeln!(text, "  instance {} {version} {state} ({role}{by})", instance.id);
    }
    report.result = json!({
        "marker": live.marker,
        "serving": live.serving,
        "instances": live.instances.iter().map(|instance| json!({
            "id": instance.id,
            "state": instance.state,
            "replicas": instance.replicas,
            "identity": instance.identity,
            "labels": instance.labels,
            "turn": instance.turn,
            "undone": instance.undone,
        })).collect::<Vec<_>>(),
    });
    report.text = text;
    Ok(report)
}
