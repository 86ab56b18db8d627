//! How a container can be asked directly.

use std::net::{IpAddr, SocketAddr};

use bollard::models::{EndpointSettings, NetworkConnectRequest};
use bollard::query_parameters::InspectNetworkOptions;
use pilotage_descriptor::Publish;

use super::label;
use super::service::DockerService;
use crate::error::TargetError;
use crate::live::{Replica, State};
use pilotage_engine::Engine;

/// What this process is to the engine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Ourselves {
    /// A process on the engine's machine: the bridges of its networks are ours, too.
    Beside,
    /// A container of it, with this id, which can be connected to its networks.
    Inside(String),
    /// On another machine.
    Away,
}

impl Ourselves {
    /// Finds out. A container's own id stands in the paths of the files that the engine mounts into it.
    pub(super) async fn find(engine: &Engine) -> Self {
        let mounts = std::fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
        if let Some(id) = container_id(&mounts)
            && engine.docker.inspect_container(id, None).await.is_ok()
        {
            return Self::Inside(id.to_owned());
        }
        match engine.is_here() {
            true => Self::Beside,
            false => Self::Away,
        }
    }

    /// The word in the report.
    pub(super) const fn word(&self) -> &'static str {
        match self {
            Self::Beside => "direct",
            Self::Inside(_) => "join",
            Self::Away => "published",
        }
    }
}

/// The 64 hexadecimal digits in a mount such as `…/containers/<id>/hostname`.
fn container_id(mounts: &str) -> Option<&str> {
    mounts.lines().find_map(|line| {
        let (_, rest) = line.split_once("/containers/")?;
        let (id, rest) = rest.split_once('/')?;
        let whole = id.len() == 64 && id.bytes().all(|byte| byte.is_ascii_hexdigit());
        (whole && rest.starts_with("hostname")).then_some(id)
    })
}

impl DockerService {
    /// Where the named port of an instance can be asked.
    pub(super) async fn address_of(&self, of: Replica, port: &str) -> Result<SocketAddr, TargetError> {
        let id = of.instance;
        let lacks = |reason: String| TargetError::Instance { instance: id, reason };
        let container = self.container(of).await?;
        if container.state != State::Running {
            return Err(TargetError::Ended { instance: id });
        }
        let told = label::read(&container.labels, &self.key.environment);
        let descriptor = told.and_then(|told| told.descriptor);
        let port = descriptor
            .as_ref()
            .and_then(|descriptor| descriptor.port(port))
            .ok_or_else(|| lacks(format!("has no port `{port}`")))?;
        match &self.ourselves {
            Ourselves::Away => {
                let Publish::Host { host, .. } = port.publish else {
                    return Err(lacks(
                        "is on another machine, and its port is not one of that machine: run this step there"
                            .to_owned(),
                    ));
                };
                let name = self.engine.name().unwrap_or_default();
                let found = tokio::net::lookup_host((name, host)).await;
                let mut found = found.map_err(|error| lacks(format!("cannot be found: {error}")))?;
                return found.next().ok_or_else(|| lacks("cannot be found".to_owned()));
            }
            Ourselves::Inside(id) => self.join(id).await?,
            Ourselves::Beside => {}
        }
        let address = container
            .address()
            .ok_or_else(|| lacks("has no address on its network".to_owned()))?;
        Ok(SocketAddr::new(address, port.port))
    }

    /// Who has this name on the environment's network.
    pub(super) async fn named(&self, name: &str) -> Result<Option<IpAddr>, TargetError> {
        let Some(network) = self.network().find().await? else {
            return Ok(None);
        };
        let inspected = self
            .engine
            .docker
            .inspect_network(&network, None::<InspectNetworkOptions>)
            .await;
        let inspected = inspected.map_err(self.engine.failed("show the network"))?;
        for id in inspected.containers.unwrap_or_default().into_keys() {
            if let Some(container) = self.inspect(&id).await?
                && (container.name == name || container.has_name(name))
                && let Some(address) = container.address()
            {
                return Ok(Some(address));
            }
        }
        Ok(None)
    }

    /// Connects the container we are in to the environment's network.
    async fn join(&self, ourselves: &str) -> Result<(), TargetError> {
        let network = self.network().ensure().await?;
        let already = self
            .inspect(ourselves)
            .await?
            .is_some_and(|found| found.endpoint.is_some());
        if already {
            return Ok(());
        }
        let request = NetworkConnectRequest {
            container: ourselves.to_owned(),
            endpoint_config: Some(EndpointSettings::default()),
        };
        let joined = self.engine.docker.connect_network(&network, request).await;
        Ok(joined.map_err(self.engine.failed("connect us to the network"))?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_container_finds_its_id_among_its_mounts() {
        let id = "0123456789abcdef".repeat(4);
        let mounts = format!(
            "591 590 0:48 / / rw - overlay overlay rw\n\
             612 591 254:0 /var/lib/docker/containers/{id}/resolv.conf /etc/resolv.conf rw - ext4 /dev/vda rw\n\
             613 591 254:0 /var/lib/docker/containers/{id}/hostname /etc/hostname rw - ext4 /dev/vda rw\n"
        );
        assert_eq!(container_id(&mounts), Some(id.as_str()));
        assert_eq!(container_id("1 1 0:1 / / rw - ext4 /dev/vda rw"), None);
        assert_eq!(container_id("1 1 0:1 /x/containers/short/hostname / rw"), None);
    }
}
