//! Which effect is had how. Each is safe to repeat, and whole or absent after a crash.

use std::time::Duration;

use bollard::models::{ContainerCreateBody, ContainerUpdateBody};
use bollard::query_parameters::{
    CreateContainerOptionsBuilder, RenameContainerOptionsBuilder, StartContainerOptions,
};
use pilotage_descriptor::FileSource;
use pilotage_engine::{Archive, nonce};

use super::container::{self, Container, Logs};
use super::names;
use super::service::DockerService;
use crate::desired::Desired;
use crate::error::TargetError;
use crate::fingerprint::Fingerprints;
use crate::live::{InstanceId, State};

/// Where an instance keeps the salted hashes of its secrets: beside them, so that who can read one can read the other.
/// As a label, with their salt, they would let anybody who may ask the engine try out short secrets.
pub(super) const FINGERPRINTS: &str = "/run/secrets/.fingerprints.json";
/// Seconds an instance that never served may take to end by itself.
const SHORT_GRACE: i64 = 2;
/// From the loss of the name to the signal to stop. A client that had the old address in its hand when the container was
/// connected anew tries a second time after 1 s (RFC 6298, section 2.1) and has to find it listening still.
const SETTLE: Duration = Duration::from_millis(1200);
/// How often a start is tried while the network's name is somebody else's, too, and how long apart.
const STARTS: u32 = 50;
const START_AGAIN: Duration = Duration::from_millis(100);

impl DockerService {
    /// Fetches the image and makes a container with all its files, which is not started.
    pub(super) async fn prepare(&self, id: InstanceId, desired: &Desired) -> Result<(), TargetError> {
        let image = desired.descriptor.image.as_ref().ok_or(TargetError::NoImage)?;
        let image = self.images().have(image, &desired.identity.digest).await?;
        // The network's name, which outlives it: a kept instance has to find it again.
        self.network().ensure().await?;
        let network = self.network().name();
        let partial = names::partial(&self.key, id);
        if let Some(left) = self.ours(&partial).await? {
            self.discard(&left).await?;
        }
        let (body, files) = self.made_of(id, desired, &image, &network).await?;
        let options = CreateContainerOptionsBuilder::default().name(&partial).build();
        let created = self.engine.docker.create_container(Some(options), body).await;
        let created = created.map_err(self.engine.failed(format!("create instance {id}")))?;
        for warning in created.warnings {
            tracing::warn!("instance {id}: {warning}");
        }
        let whom = format!("instance {id}");
        self.engine.put(&created.id, &whom, files).await?;
        // What is whole has its final name.
        let options = RenameContainerOptionsBuilder::default()
            .name(&names::instance(&self.key, id))
            .build();
        let renamed = self.engine.docker.rename_container(&created.id, options).await;
        Ok(renamed.map_err(self.engine.failed(format!("name instance {id}")))?)
    }

    /// What a new instance is made of, and its files.
    async fn made_of(
        &self,
        id: InstanceId,
        desired: &Desired,
        image: &str,
        network: &str,
    ) -> Result<(ContainerCreateBody, Archive), TargetError> {
        let mut files = Archive::default();
        for (path, source) in &desired.descriptor.files {
            // The planner refuses what else there is by name.
            if let FileSource::Content(content) = source {
                files.add(path, 0o644, content.as_bytes());
            }
        }
        if !desired.secrets.is_empty() {
            let salt = nonce().map_err(TargetError::io("read", "/dev/urandom".as_ref()))?;
            let fingerprints = Fingerprints::new(salt, &desired.secrets);
            let json = serde_json::to_vec(&fingerprints).unwrap_or_default();
            files.add(FINGERPRINTS, 0o400, &json);
        }
        let logs = self.logs().await?;
        let body = container::body(desired, id, image, network, &self.target, logs, &mut files);
        Ok((body, files))
    }

    async fn logs(&self) -> Result<Logs, TargetError> {
        let info = self.engine.docker.info().await;
        let info = info.map_err(self.engine.failed("describe itself"))?;
        Ok(match info.logging_driver.as_deref() {
            Some("json-file") => Logs::Files,
            _ => Logs::Elsewhere,
        })
    }

    /// Starts a container without the service's name.
    pub(super) async fn start(&self, id: InstanceId) -> Result<(), TargetError> {
        let mut container = self.container(id).await?;
        if container.state == State::Running {
            if !container.is_cut_off() {
                return Ok(());
            }
            self.halt(&container, SHORT_GRACE).await?;
            container = self.container(id).await?;
        }
        // One that served before still has the name, and would serve before it is proved.
        if container.endpoint.is_none() || container.has_name(self.key.service.as_str()) {
            self.network().take_name(&container).await?;
        }
        if container.restarts {
            self.restart(&container, false).await?;
        }
        for left in (0..STARTS).rev() {
            let started = self
                .engine
                .docker
                .start_container(&container.id, None::<StartContainerOptions>)
                .await;
            match started.map_err(self.engine.failed(format!("start instance {id}"))) {
                // Services that come to a new environment at once make its network more than once for a moment, and an
                // engine starts nothing on a name that two networks have.
                Err(error) if left > 0 && error.message().contains("is ambiguous") => {
                    self.network().find().await?;
                    tokio::time::sleep(START_AGAIN).await;
                }
                started => return Ok(started?),
            }
        }
        Ok(())
    }

    /// Gives a running container the service's name, and lets the engine start it again should it end.
    pub(super) async fn switch(&self, id: InstanceId) -> Result<(), TargetError> {
        let container = self.container(id).await?;
        if container.state != State::Running {
            return Err(TargetError::Ended { instance: id });
        }
        if !container.has_name(self.key.service.as_str()) {
            self.network().give_name(&container).await?;
        }
        self.restart(&container, true).await?;
        self.change(|mark| {
            let turn = mark.turns.values().max().copied().unwrap_or(0) + 1;
            if mark.serving != Some(id.0) || mark.turn(id) == 0 {
                mark.turns.insert(id.0, turn);
            }
            mark.serving = Some(id.0);
            mark.undone.remove(&id.0);
            mark.next = mark.next.max(id.0 + 1);
        })
        .await
    }

    /// Takes the name from whoever has it.
    pub(super) async fn withdraw(&self) -> Result<(), TargetError> {
        for (_, container) in self.containers().await? {
            if container.state == State::Running && container.has_name(self.key.service.as_str()) {
                self.network().take_name(&container).await?;
            }
        }
        self.change(|mark| mark.serving = None).await
    }

    /// Lets a container finish what it is doing, stops it and keeps it.
    pub(super) async fn stop(&self, id: InstanceId, undone: bool) -> Result<(), TargetError> {
        let container = self.container(id).await?;
        if container.state == State::Running {
            if self.another_serves(&container).await? {
                self.network().take_name(&container).await?;
                tokio::time::sleep(SETTLE).await;
            }
            self.halt(&container, container.stop_timeout).await?;
        }
        self.change(|mark| {
            if undone {
                mark.undone.insert(id.0);
            }
        })
        .await
    }

    /// Whether it has the name, and another one that runs has it as well.
    async fn another_serves(&self, container: &Container) -> Result<bool, TargetError> {
        let name = self.key.service.as_str();
        let serves = |other: &Container| other.state == State::Running && other.has_name(name);
        Ok(serves(container)
            && self
                .containers()
                .await?
                .iter()
                .any(|(_, other)| other.id != container.id && serves(other)))
    }

    /// Stops a container if it runs, and removes it with all that is in it.
    pub(super) async fn remove(&self, id: InstanceId) -> Result<(), TargetError> {
        // Its number is not given to another one, not even when nothing of it is left.
        self.change(|mark| mark.next = mark.next.max(id.0 + 1)).await?;
        for name in [names::instance(&self.key, id), names::partial(&self.key, id)] {
            let Some(container) = self.ours(&name).await? else {
                continue;
            };
            if container.state == State::Running {
                let grace = match self.another_serves(&container).await? {
                    true => {
                        self.network().take_name(&container).await?;
                        container.stop_timeout
                    }
                    false => container.stop_timeout.min(SHORT_GRACE),
                };
                self.halt(&container, grace).await?;
            }
            self.discard(&container).await?;
        }
        self.change(|mark| {
            mark.turns.remove(&id.0);
            mark.undone.remove(&id.0);
            if mark.serving == Some(id.0) {
                mark.serving = None;
            }
        })
        .await
    }

    /// The signal, the grace, the kill: the engine does it.
    pub(super) async fn halt(&self, container: &Container, grace: i64) -> Result<(), TargetError> {
        let grace = Duration::from_secs(grace.unsigned_abs());
        Ok(self.engine.stop(&container.id, &container.name, grace).await?)
    }

    async fn discard(&self, container: &Container) -> Result<(), TargetError> {
        Ok(self.engine.remove(&container.id, &container.name).await?)
    }

    async fn restart(&self, container: &Container, again: bool) -> Result<(), TargetError> {
        if container.restarts == again {
            return Ok(());
        }
        let update = ContainerUpdateBody {
            restart_policy: Some(container::restart(again)),
            ..Default::default()
        };
        let updated = self.engine.docker.update_container(&container.id, update).await;
        Ok(updated.map_err(self.engine.failed(format!("update {}", container.name)))?)
    }
}
