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
use crate::desired::{HostAddress, host_addresses, replicas};
use crate::error::TargetError;
use crate::fingerprint::Fingerprints;
use crate::live::{Front, Instance, InstanceId, Live, Replica, Serving, State};
use pilotage_engine::{EngineError, first_file};

impl DockerService {
    /// What there is; `wanted` is asked about, where given.
    pub(super) async fn look(&self, wanted: Option<&Descriptor>) -> Result<Live, TargetError> {
        let mark = self.marks().read().await?.unwrap_or_default();
        let containers = self.containers().await?;
        let mut instances: Vec<Instance> = Vec::new();
        for group in containers.chunk_by(|(left, _), (right, _)| left.instance == right.instance) {
            instances.push(self.instance(group, &mark).await?);
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

    /// The instance that consists of these replicas.
    async fn instance(&self, group: &[(Replica, Container)], mark: &Mark) -> Result<Instance, TargetError> {
        // A half made one beside a whole one of the same number is removed with it; one that is alone stands for itself.
        let whole = |container: &Container| container.state != State::Partial;
        let any_whole = group.iter().any(|(_, container)| whole(container));
        let mut group: Vec<&(Replica, Container)> = group.iter().collect();
        group.retain(|(_, container)| whole(container) == any_whole);
        let Some((Replica { instance: id, .. }, container)) = group.first() else {
            return Err(EngineError::Unreadable {
                what: format!("the containers of {}", self.key),
                reason: "an instance has none".to_owned(),
            }
            .into());
        };
        let id = *id;
        let told = label::read(&container.labels, &self.key.environment);
        let wanted = told
            .as_ref()
            .and_then(|told| told.descriptor.as_ref())
            .map_or(1, |descriptor| descriptor.resources.replicas.max(1));
        let replicas: Vec<State> = Replica::all(id, wanted)
            .map(|of| {
                let found = group.iter().find(|(other, _)| *other == of);
                match found {
                    Some((_, container)) if container.is_cut_off() => State::Ended,
                    Some((_, container)) => container.state,
                    None => State::Partial,
                }
            })
            .collect();
        let state = State::of(&replicas);
        let runs = |(_, container): &&(Replica, Container)| container.state == State::Running;
        let secrets = match &told {
            Some(told) if told.secrets && state != State::Partial => self.fingerprints(container).await?,
            _ => Fingerprints::default(),
        };
        let (labels, identity, descriptor) = match told {
            Some(told) => (told.labels, Some(told.identity), told.descriptor),
            None => Default::default(),
        };
        Ok(Instance {
            id,
            labels,
            identity: identity.filter(|_| state != State::Partial),
            secrets,
            stray: state != State::Running && group.iter().any(runs),
            state,
            replicas,
            turn: mark.turn(id),
            undone: mark.undone.contains(&id.0),
            descriptor,
        })
    }

    /// Whose turn it is. Where what is remembered was lost, the newest that has the name.
    fn serving(&self, mark: &Mark, containers: &[(Replica, Container)]) -> Option<Serving> {
        let named = |container: &Container| match container.state {
            State::Running => !container.is_named() || container.has_name(self.key.service.as_str()),
            other => other == State::Done,
        };
        if let Some(id) = mark.serving.map(InstanceId) {
            let mut of = containers
                .iter()
                .filter(|(other, _)| other.instance == id)
                .peekable();
            if of.peek().is_some() {
                return Some(Serving {
                    instance: id,
                    current: of.all(|(_, container)| named(container)),
                });
            }
        }
        let lost = mark.turns.is_empty() && mark.sequence == 0;
        containers
            .iter()
            .rev()
            .find(|(_, container)| lost && named(container))
            .map(|(of, _)| Serving {
                instance: of.instance,
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
        let names: Vec<String> = replicas(wanted, next)
            .flat_map(|of| [names::replica(&self.key, of), names::partial(&self.key, of)])
            .collect();
        let mut taken = Vec::new();
        let adopted = self.adopted().await?;
        for container in listed {
            let labels = container.labels.unwrap_or_default();
            let id = container.id.unwrap_or_default();
            let taken_over = adopted.values().any(|adopted| adopted.id == id);
            if taken_over || label::carries(&labels, &label::of_service(&self.key)) {
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
        let adopted = self.adopted().await?;
        for id in inspected.containers.unwrap_or_default().into_keys() {
            if adopted.values().any(|adopted| adopted.id == id) {
                continue;
            }
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
