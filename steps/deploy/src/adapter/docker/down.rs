//! Taking everything of a project on an engine down.

use std::collections::{BTreeSet, HashMap};

use bollard::query_parameters::ListContainersOptionsBuilder;
use pilotage_clock::Clock;
use pilotage_config::DockerTarget;
use pilotage_name::{ProjectName, ServiceKey};
use pilotage_outcome::{Fault, StepReport};

use super::label;
use super::service::DockerService;
use crate::desired::Labels;
use crate::down::Down;
use crate::error::TargetError;
use crate::live::State;
use pilotage_engine::Engine;
use pilotage_engine::Registries;

/// Stops everything of a project on an engine; what was stored stays. Deploys that are at work there are superseded.
///
/// # Errors
/// When something does not stop.
pub async fn down(
    target: &DockerTarget,
    project: &ProjectName,
    clock: &Clock,
    dry_run: bool,
) -> Result<StepReport, Fault> {
    let engine = Engine::connect(target).await.map_err(TargetError::from)?;
    let mut down = Down::new(dry_run);
    for key in services(&engine, project).await? {
        let service = DockerService::on(
            engine.clone(),
            target.clone(),
            key.clone(),
            Registries::default(),
            clock.clone(),
        )
        .await;
        if !dry_run {
            let everyone = Labels {
                fence: u64::MAX,
                ..Labels::default()
            };
            service.take(&everyone).await?;
        }
        for (of, container) in service.containers().await? {
            if container.state != State::Running {
                continue;
            }
            if !dry_run {
                service.halt(&container, container.stop_timeout).await?;
            }
            down.stopped(format!("{key} instance {of}"));
        }
        if !dry_run {
            service.withdraw().await?;
            service.let_go().await;
        }
    }
    Ok(down.report())
}

/// The services of a project that have containers there.
async fn services(engine: &Engine, project: &ProjectName) -> Result<BTreeSet<ServiceKey>, TargetError> {
    let words = vec![
        format!("{}={project}", label::PROJECT),
        label::INSTANCE.to_owned(),
    ];
    let filters = HashMap::from([("label".to_owned(), words)]);
    let options = ListContainersOptionsBuilder::default()
        .all(true)
        .filters(&filters)
        .build();
    let listed = engine.docker.list_containers(Some(options)).await;
    let listed = listed.map_err(engine.failed("list its containers"))?;
    let labels = listed.into_iter().filter_map(|container| container.labels);
    Ok(labels.filter_map(|labels| label::key(&labels)).collect())
}
