//! A container that runs already becomes the instance that serves.
//!
//! Labels of a container cannot be changed while it runs, so what the labels of an instance would say stands in the mark.
//! Nothing of the container is changed but that it is on the environment's network as well, under the service's name, and
//! is not started by the engine once it was stopped. It is never removed: one that is kept no longer is left as it is.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};

use bollard::models::ContainerInspectResponse;
use bollard::query_parameters::{DownloadFromContainerOptionsBuilder, InspectContainerOptions};
use futures::StreamExt;
use pilotage_descriptor::{Descriptor, FileSource, Kind, Port, Publish};
use pilotage_engine::{first_file, network_of};
use serde::{Deserialize, Serialize};

use super::container::{Container, Logs, body};
use super::label;
use super::service::DockerService;
use crate::desired::{Desired, Identity};
use crate::error::TargetError;
use crate::live::{InstanceId, Replica, State};
use crate::port::Found;

/// A container that became an instance.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Adopted {
    /// Its id.
    pub(super) id: String,
    /// The labels it would have.
    pub(super) labels: BTreeMap<String, String>,
}

impl DockerService {
    /// What runs under this name or id, held against what is wanted.
    pub(super) async fn find(&self, name: &str, desired: &Desired) -> Result<Found, TargetError> {
        let (found, container) = self.stranger_called(name).await?;
        let known = self.adopted().await?;
        if let Some((number, _)) = known.iter().find(|(_, adopted)| adopted.id == container.id) {
            return Ok(Found::Adopted(InstanceId(*number)));
        }
        let cannot = |reason: String| TargetError::Adopt {
            name: container.name.clone(),
            reason,
        };
        if let Some(key) = label::key(&container.labels) {
            return Err(cannot(format!("it belongs to {key} already")));
        }
        if container.state != State::Running {
            return Err(cannot("it does not run".to_owned()));
        }
        if desired.descriptor.resources.replicas > 1 || desired.descriptor.kind == Kind::Job {
            return Err(cannot(
                "the descriptor asks for several replicas or a job, and it is one that runs on".to_owned(),
            ));
        }
        let digest = self
            .images()
            .digest_of(&container.image, &desired.identity.digest)
            .await?;
        let mut differences = differences(&found, desired, &network_of(&self.key));
        if digest != desired.identity.digest {
            differences.insert(
                0,
                format!("its image is {digest}, not {}", desired.identity.digest),
            );
        }
        for (path, source) in &desired.descriptor.files {
            if let FileSource::Content(content) = source
                && self.content(&container, path).await.as_deref() != Some(content.as_bytes())
            {
                differences.push(format!("the file {path} is missing or another"));
            }
        }
        Ok(Found::Stranger {
            name: container.name,
            digest,
            differences,
        })
    }

    /// Makes it the instance of this number, and the one that serves.
    pub(super) async fn take_over(
        &self,
        name: &str,
        id: InstanceId,
        identity: &Identity,
        desired: &Desired,
    ) -> Result<(), TargetError> {
        self.guard(&desired.labels).await?;
        let (found, mut container) = self.stranger_called(name).await?;
        let mut stands_for = desired.clone();
        stands_for.identity = identity.clone();
        stands_for.descriptor.ports = ports(&found, &desired.descriptor);
        let labels = label::of_replica(&stands_for, Replica::from(id));
        container.kind = label::kind(&labels);
        self.network().ensure().await?;
        if container.is_named() && !container.has_name(self.key.service.as_str()) {
            self.network().give_name(&container).await?;
        }
        // One that is started by the engine after it was stopped here would come back with the machine.
        self.unless_stopped(&container).await?;
        let adopted = Adopted {
            id: container.id.clone(),
            labels: labels.into_iter().collect(),
        };
        self.change(|mark| {
            mark.adopted.insert(id.0, adopted);
            let turn = mark.turns.values().max().copied().unwrap_or(0) + 1;
            mark.turns.insert(id.0, turn);
            mark.serving = Some(id.0);
            mark.next = mark.next.max(id.0 + 1);
        })
        .await
    }

    async fn stranger_called(
        &self,
        name: &str,
    ) -> Result<(ContainerInspectResponse, Container), TargetError> {
        let inspected = self
            .engine
            .docker
            .inspect_container(name, None::<InspectContainerOptions>)
            .await;
        match inspected.map_err(self.engine.failed(format!("show the container {name}"))) {
            Ok(found) => {
                let container = Container::read(found.clone(), &network_of(&self.key));
                Ok((found, container))
            }
            Err(error) if error.status() == Some(404) => Err(TargetError::Adopt {
                name: name.to_owned(),
                reason: "there is no container of this name or id".to_owned(),
            }),
            Err(error) => Err(error.into()),
        }
    }

    /// The content of a file; none when there is none.
    async fn content(&self, container: &Container, path: &str) -> Option<Vec<u8>> {
        let options = DownloadFromContainerOptionsBuilder::default().path(path).build();
        let mut pieces = self
            .engine
            .docker
            .download_from_container(&container.id, Some(options));
        let mut bytes = Vec::new();
        while let Some(piece) = pieces.next().await {
            bytes.extend_from_slice(&piece.ok()?);
        }
        first_file(&bytes)
    }
}

/// How a container differs from what an instance of ours would be made of, as far as an engine tells. Values are not
/// shown: they may be secrets.
fn differences(found: &ContainerInspectResponse, desired: &Desired, network: &str) -> Vec<String> {
    let mut files = pilotage_engine::Archive::default();
    let mut plain = desired.clone();
    plain.secrets.clear();
    let target = pilotage_config::DockerTarget::default();
    let of = Replica::from(InstanceId(0));
    let wanted = body(&plain, of, "", network, &target, Logs::Elsewhere, &mut files);
    let config = found.config.clone().unwrap_or_default();
    let host = found.host_config.clone().unwrap_or_default();
    let wanted_host = wanted.host_config.unwrap_or_default();
    let mut differences = Vec::new();
    let env = config.env.unwrap_or_default();
    for (name, value) in &desired.descriptor.env {
        if !env.contains(&format!("{name}={value}")) {
            differences.push(format!("the variable {name} is missing or another"));
        }
    }
    if !desired.secrets.is_empty() {
        differences.push("its secrets cannot be compared".to_owned());
    }
    let mut compare = |what: &str, same: bool| {
        if !same {
            differences.push(format!("{what} is another"));
        }
    };
    compare(
        "the limit of memory",
        host.memory.unwrap_or(0) == wanted_host.memory.unwrap_or(0),
    );
    compare(
        "the limit of processor time",
        host.nano_cpus.unwrap_or(0) == wanted_host.nano_cpus.unwrap_or(0),
    );
    let asked: Vec<_> = bindings(found);
    for port in &desired.descriptor.ports {
        if let Publish::Host { host, bind } = port.publish {
            compare(
                &format!("the port of the host for {}", port.name),
                asked.contains(&(port.port, bind, host)),
            );
        }
    }
    differences
}

/// The ports of the host that a container has: its own port, the address and the port of the host.
fn bindings(found: &ContainerInspectResponse) -> Vec<(u16, IpAddr, u16)> {
    let bound = found
        .host_config
        .as_ref()
        .and_then(|host| host.port_bindings.as_ref());
    let mut all = Vec::new();
    for (port, bindings) in bound.into_iter().flatten() {
        let Some(port) = port.strip_suffix("/tcp").and_then(|port| port.parse().ok()) else {
            continue;
        };
        for binding in bindings.iter().flatten() {
            let address = binding.host_ip.as_deref().and_then(|ip| ip.parse().ok());
            if let Some(host) = binding.host_port.as_deref().and_then(|port| port.parse().ok()) {
                all.push((port, address.unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED)), host));
            }
        }
    }
    all
}

/// The descriptor's ports with those of the host that the container really has: what replaces it may need them.
fn ports(found: &ContainerInspectResponse, descriptor: &Descriptor) -> Vec<Port> {
    let mut ports = descriptor.ports.clone();
    for port in &mut ports {
        if let Publish::Host { .. } = port.publish {
            port.publish = Publish::Internal;
        }
    }
    for (number, bind, host) in bindings(found) {
        let publish = Publish::Host { host, bind };
        let free = |port: &&mut Port| port.port == number && port.routes.is_empty();
        match ports.iter_mut().find(free) {
            Some(port) if !matches!(port.publish, Publish::Host { .. }) => port.publish = publish,
            _ => ports.push(Port {
                name: format!("host-{host}"),
                port: number,
                publish,
                routes: Vec::new(),
            }),
        }
    }
    ports
}
