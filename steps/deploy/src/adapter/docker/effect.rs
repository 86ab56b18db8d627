//! Which effect is had how. Each is safe to repeat, and whole or absent after a crash.

use std::time::Duration;

use bollard::models::{ContainerCreateBody, ContainerUpdateBody};
use bollard::query_parameters::{
    CreateContainerOptionsBuilder, RenameContainerOptionsBuilder, StartContainerOptions,
};
use futures::future::try_join_all;
use pilotage_descriptor::FileSource;
use pilotage_engine::{Archive, nonce};

use super::container::{self, Container, Logs};
use super::names;
use super::service::DockerService;
use crate::desired::{Desired, replicas};
use crate::error::TargetError;
use crate::fingerprint::Fingerprints;
use crate::live::{InstanceId, Replica, State};

/// Where an instance keeps the salted hashes of its secrets: beside them, so that who can read one can read the other.
/// As a label, with their salt, they would let anybody who may ask the engine try out short secrets.
pub(super) const FINGERPRINTS: &str = "/run/secrets/.fingerprints.json";
/// Seconds an instance that never served may take to end by itself.
const SHORT_GRACE: i64 = 2;
/// The most seconds that one is given which may take as long as it likes to end.
const LONGEST: u64 = 300;
/// From the loss of the name to the signal to stop. A client that had the old address in its hand when the container was
/// connected anew tries a second time after 1 s (RFC 6298, section 2.1) and has to find it listening still.
const SETTLE: Duration = Duration::from_millis(1200);
/// How often a start is tried while the network's name is somebody else's, too, and how long apart.
const STARTS: u32 = 50;
const START_AGAIN: Duration = Duration::from_millis(100);

impl DockerService {
    /// Fetches the image and makes a container with all its files for each replica, which is not started.
    pub(super) async fn prepare(&self, id: InstanceId, desired: &Desired) -> Result<(), TargetError> {
        let image = desired.descriptor.image.as_ref().ok_or(TargetError::NoImage)?;
        let image = self.images().have(image, &desired.identity.digest).await?;
        // The network's name, which outlives it: a kept instance has to find it again.
        self.network().ensure().await?;
        let network = self.network().name();
        let logs = self.logs().await?;
        for of in replicas(&desired.descriptor, id) {
            if self.ours(&names::replica(&self.key, of)).await?.is_none() {
                self.make(of, desired, &image, &network, logs).await?;
            }
        }
        Ok(())
    }

    async fn make(
        &self,
        of: Replica,
        desired: &Desired,
        image: &str,
        network: &str,
        logs: Logs,
    ) -> Result<(), TargetError> {
        let partial = names::partial(&self.key, of);
        if let Some(left) = self.ours(&partial).await? {
            self.discard(&left).await?;
        }
        let (body, files) = self.made_of(of, desired, image, network, logs)?;
        let options = CreateContainerOptionsBuilder::default().name(&partial).build();
        let created = self.engine.docker.create_container(Some(options), body).await;
        let created = created.map_err(self.engine.failed(format!("create instance {of}")))?;
        for warning in created.warnings {
            tracing::warn!("instance {of}: {warning}");
        }
        let whom = format!("instance {of}");
        self.engine.put(&created.id, &whom, files).await?;
        // What is whole has its final name.
        let options = RenameContainerOptionsBuilder::default()
            .name(&names::replica(&self.key, of))
            .build();
        let renamed = self.engine.docker.rename_container(&created.id, options).await;
        Ok(renamed.map_err(self.engine.failed(format!("name instance {of}")))?)
    }

    /// What a new replica is made of, and its files.
    fn made_of(
        &self,
        of: Replica,
        desired: &Desired,
        image: &str,
        network: &str,
        logs: Logs,
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
        let body = container::body(desired, of, image, network, &self.target, logs, &mut files);
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

    /// Starts replicas without the service's name.
    pub(super) async fn start(&self, of: Replica) -> Result<(), TargetError> {
        for (of, container) in self.meant(of).await? {
            self.start_one(of, container).await?;
        }
        Ok(())
    }

    async fn start_one(&self, of: Replica, mut container: Container) -> Result<(), TargetError> {
        if container.state == State::Running {
            if !container.is_cut_off() {
                return Ok(());
            }
            self.halt(&container, SHORT_GRACE).await?;
            container = self.container(of).await?;
        }
        // One that served before still has the name, and would serve before it is proved.
        let named = container.has_name(self.key.service.as_str());
        if container.endpoint.is_none() || named || container.wants_address() {
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
            match started.map_err(self.engine.failed(format!("start instance {of}"))) {
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

    /// Gives running replicas the service's name, and lets the engine start them again should they end. A job that is done
    /// stays as it is.
    pub(super) async fn switch(&self, of: Replica) -> Result<(), TargetError> {
        let id = of.instance;
        for (_, container) in self.meant(of).await? {
            match container.state {
                State::Done => continue,
                State::Running => {}
                _ => return Err(TargetError::Ended { instance: id }),
            }
            if container.is_named() && !container.has_name(self.key.service.as_str()) {
                self.network().give_name(&container).await?;
            }
            self.restart(&container, true).await?;
        }
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

    /// Lets all replicas of an instance finish what they are doing, stops them and keeps them.
    pub(super) async fn stop(&self, id: InstanceId, undone: bool) -> Result<(), TargetError> {
        let mut running = self.meant(id.into()).await?;
        running.retain(|(_, container)| container.state == State::Running);
        let mut settles = false;
        for (of, container) in &running {
            if self.another_serves(*of, container).await? {
                self.network().take_name(container).await?;
                settles = true;
            }
        }
        if settles {
            tokio::time::sleep(SETTLE).await;
        }
        let halts = running
            .iter()
            .map(|(_, container)| self.halt(container, container.stop_timeout));
        try_join_all(halts).await?;
        self.change(|mark| {
            if undone {
                mark.undone.insert(id.0);
            }
        })
        .await
    }

    /// Whether it has the name, and one of another instance that runs has it as well.
    async fn another_serves(&self, of: Replica, container: &Container) -> Result<bool, TargetError> {
        let name = self.key.service.as_str();
        let serves = |other: &Container| other.state == State::Running && other.has_name(name);
        Ok(serves(container)
            && self
                .containers()
                .await?
                .iter()
                .any(|(other, found)| other.instance != of.instance && serves(found)))
    }

    /// Stops a container if it runs, and removes it with all that is in it.
    pub(super) async fn remove(&self, id: InstanceId) -> Result<(), TargetError> {
        // Its number is not given to another one, not even when nothing of it is left.
        self.change(|mark| mark.next = mark.next.max(id.0 + 1)).await?;
        let adopted = self.adopted().await?.contains_key(&id.0);
        for (of, container) in self.containers().await? {
            if of.instance != id {
                continue;
            }
            if container.state == State::Running {
                let grace = match self.another_serves(of, &container).await? {
                    true => {
                        self.network().take_name(&container).await?;
                        container.stop_timeout
                    }
                    false => container.stop_timeout.min(SHORT_GRACE),
                };
                self.halt(&container, grace).await?;
            }
            // What somebody else made is left to them.
            if !adopted {
                self.discard(&container).await?;
            }
        }
        self.change(|mark| {
            mark.adopted.remove(&id.0);
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
        // Less than nothing stands for as long as it likes.
        let grace = Duration::from_secs(u64::try_from(grace).unwrap_or(LONGEST));
        Ok(self.engine.stop(&container.id, &container.name, grace).await?)
    }

    async fn discard(&self, container: &Container) -> Result<(), TargetError> {
        Ok(self.engine.remove(&container.id, &container.name).await?)
    }

    /// Lets the engine start a container again until somebody stops it.
    pub(super) async fn unless_stopped(&self, container: &Container) -> Result<(), TargetError> {
        self.set_restart(container, true).await
    }

    async fn restart(&self, container: &Container, again: bool) -> Result<(), TargetError> {
        if container.restarts == again {
            return Ok(());
        }
        self.set_restart(container, again).await
    }

    async fn set_restart(&self, container: &Container, again: bool) -> Result<(), TargetError> {
        let update = ContainerUpdateBody {
            restart_policy: Some(container::restart(again)),
            ..Default::default()
        };
        let updated = self.engine.docker.update_container(&container.id, update).await;
        Ok(updated.map_err(self.engine.failed(format!("update {}", container.name)))?)
    }
}
