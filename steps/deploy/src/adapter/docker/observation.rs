//! What there is of a service.

use std::net::IpAddr;

use bollard::query_parameters::{
    DownloadFromContainerOptionsBuilder, InspectNetworkOptions, ListContainersOptionsBuilder,
};
use futures::StreamExt;
use pilotage_descriptor::Descriptor;

use super::container::Container;
use super::mark::Mark;
use super::service::DockerService;
use super::{effect, label, names};
use crate::desired::{HostAddress, host_addresses};
use crate::error::TargetError;
use crate::fingerprint::Fingerprints;
use crate::live::{Front, Instance, InstanceId, Live, Serving, State};
use pilotage_engine::first_file;

impl DockerService {
    /// What there is; `wanted` is asked about, where given.
    pub(super) async fn look(&self, wanted: Option<&Descriptor>) -> Result<Live, TargetError> {
        let mark = self.marks().read().await?.unwrap_or_default();
        let containers = self.containers().await?;
        let mut instances: Vec<Instance> = Vec::new();
        for (id, container) in &containers {
            // A half made one beside a whole one of the same number is removed with it.
            match instances.last() {
                Some(last) if last.id == *id && container.state == State::Partial => continue,
                Some(last) if last.id == *id => drop(instances.pop()),
                _ => {}
            }
            instances.push(self.instance(*id, container, &mark).await?);
        }
        let next = instances.last().map_or(0, |last| last.id.0) + 1;
        let next = InstanceId(next.max(mark.next).max(1));
        let taken = match wanted {
            Some(wanted) => self.taken(wanted, next).await?,
            None => Vec::new(),
        };
        Ok(Live {
            marker: mark.marker(),
            serving: self.serving(&mark, &containers),
            instances,
            next,
            front: Front::Up,
            taken,
        })
    }

    async fn instance(
        &self,
        id: InstanceId,
        container: &Container,
        mark: &Mark,
    ) -> Result<Instance, TargetError> {
        let told = label::read(&container.labels, &self.key.environment);
        let cut_off = container.is_cut_off();
        let secrets = match &told {
            Some(told) if told.secrets && container.state != State::Partial => {
                self.fingerprints(container).await?
            }
            _ => Fingerprints::default(),
        };
        let (labels, identity, descriptor) = match told {
            Some(told) => (told.labels, Some(told.identity), told.descriptor),
            None => Default::default(),
        };
        Ok(Instance {
            id,
            labels,
            identity: identity.filter(|_| container.state != State::Partial),
            secrets,
            state: if cut_off { State::Ended } else { container.state },
            stray: cut_off,
            turn: mark.turn(id),
            undone: mark.undone.contains(&id.0),
            descriptor,
        })
    }

    /// Whose turn it is. Where what is remembered was lost, the newest that has the name.
    fn serving(&self, mark: &Mark, containers: &[(InstanceId, Container)]) -> Option<Serving> {
        let named = |container: &Container| {
            container.state == State::Running && container.has_name(self.key.service.as_str())
        };
        let of = |id: InstanceId| containers.iter().find(|(other, _)| *other == id);
        if let Some((id, container)) = mark.serving.map(InstanceId).and_then(of) {
            return Some(Serving {
                instance: *id,
                current: named(container),
            });
        }
        let lost = mark.turns.is_empty() && mark.sequence == 0;
        containers
            .iter()
            .rev()
            .find(|(_, container)| lost && named(container))
            .map(|(id, _)| Serving {
                instance: *id,
                current: true,
            })
    }

    async fn fingerprints(&self, container: &Container) -> Result<Fingerprints, TargetError> {
        let options = DownloadFromContainerOptionsBuilder::default()
            .path(effect::FINGERPRINTS)
            .build();
        let mut bytes = Vec::new();
        let mut stream = std::pin::pin!(
            self.engine
                .docker
                .download_from_container(&container.id, Some(options))
        );
        let doing = format!("read a file of {}", container.name);
        while let Some(piece) = stream.next().await {
            match piece.map_err(self.engine.failed(doing.as_str())) {
                Ok(piece) => bytes.extend_from_slice(&piece),
                // Somebody has removed it: then nothing is known of the secrets, and they count as changed.
                Err(error) if error.status() == Some(404) => return Ok(Fingerprints::default()),
                Err(error) => return Err(error.into()),
            }
        }
        let found = first_file(&bytes).and_then(|json| serde_json::from_slice(&json).ok());
        Ok(found.unwrap_or_default())
    }

    /// What of the wanted names and ports somebody else has.
    async fn taken(&self, wanted: &Descriptor, next: InstanceId) -> Result<Vec<String>, TargetError> {
        let options = ListContainersOptionsBuilder::default().all(true).build();
        let listed = self.engine.docker.list_containers(Some(options)).await;
        let listed = listed.map_err(self.engine.failed("list its containers"))?;
        let addresses = host_addresses(wanted);
        let names = [names::instance(&self.key, next), names::partial(&self.key, next)];
        let mut taken = Vec::new();
        for container in listed {
            let labels = container.labels.unwrap_or_default();
            if label::carries(&labels, &label::of_service(&self.key)) {
                continue;
            }
            let called: Vec<&str> = container
                .names
                .iter()
                .flatten()
                .map(|name| name.trim_start_matches('/'))
                .collect();
            let who = match label::key(&labels) {
                Some(key) => key.to_string(),
                None => format!("the container {}, which is not ours", called.join(", ")),
            };
            for name in called
                .iter()
                .filter(|name| names.iter().any(|ours| ours == *name))
            {
                taken.push(format!("the name {name} belongs to {who}"));
            }
            for port in container.ports.unwrap_or_default() {
                let (Some(public), Some(ip)) = (port.public_port, &port.ip) else {
                    continue;
                };
                let bind: Option<IpAddr> = ip.parse().ok();
                for address in &addresses {
                    let held = HostAddress {
                        bind: bind.unwrap_or(address.bind),
                        port: public,
                    };
                    if address.collides(&held) {
                        taken.push(format!("the host port {address} belongs to {who}"));
                    }
                }
            }
        }
        taken.extend(self.foreign_name().await?);
        taken.dedup();
        Ok(taken)
    }

    /// Who on the environment's network answers to the service's name and is not ours.
    async fn foreign_name(&self) -> Result<Option<String>, TargetError> {
        let Some(network) = self.network().find().await? else {
            return Ok(None);
        };
        let inspected = self
            .engine
            .docker
            .inspect_network(&network, None::<InspectNetworkOptions>)
            .await;
        let inspected = inspected.map_err(self.engine.failed("show the network"))?;
        let name = self.key.service.as_str();
        for id in inspected.containers.unwrap_or_default().into_keys() {
            let Some(container) = self.inspect(&id).await.map_err(TargetError::from)? else {
                continue;
            };
            let ours = label::carries(&container.labels, &label::of_environment(&self.key));
            if !ours && (container.name == name || container.has_name(name)) {
                return Ok(Some(format!(
                    "the name {name} on the network {} belongs to the container {}, which is not ours",
                    self.network().name(),
                    container.name
                )));
            }
        }
        Ok(None)
    }
}
