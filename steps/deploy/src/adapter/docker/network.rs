//! The network of an environment, and the names on it.
//!
//! # The switch
//!
//! Clients find a service by its name, which the engine's DNS knows as an alias of an endpoint. An alias is given when a
//! container is connected and never changes, so a switch has to connect anew. Tried on Docker 20.10, with clients on the
//! network that ask every 2 ms on a new connection each time:
//!
//! - *Renaming containers* changes DNS at once and touches no connection, but a container's name is one of the whole
//!   engine (two environments need `shop` at the same time), and between "old away" and "new there" nobody has it.
//! - *A second network* for names alone would cut nothing, but whoever is on the one network only, as an instance that is
//!   still being proved, could not find its peers.
//! - *Disconnecting and connecting the new one* with the name takes 0.2–0.4 s, in which it serves nobody yet. It keeps
//!   its address, because we ask for the one it had, and TCP carries its connections over the gap: a connection to a
//!   peer that was used every 20 ms lived on.
//! - *Stopping the old one as it is* leaves it in DNS until its last process has ended. Who tries the next address after
//!   a refusal notices nothing; who tries only the first (Java among others) was refused 259 times in 2 s.
//! - *Taking the name from the old one* in the same way, once the new one has it, and stopping it a moment later: a request
//!   of 2 s that was under way got its whole answer, both kinds of clients got all of theirs, and the longest took 1.0 s
//!   (a connection begun in the gap, whose first packet TCP sent again).
//!
//! So both are connected anew: the new one to get the name, then the old one to lose it. The address can be asked for only
//! on a network whose subnet was asked for as well, which is why [`Network::ensure`] first finds out a free one.

use bollard::models::{
    EndpointIpamConfig, EndpointSettings, Ipam, IpamConfig, NetworkConnectRequest, NetworkCreateRequest,
    NetworkDisconnectRequest,
};
use bollard::query_parameters::{InspectNetworkOptions, ListNetworksOptionsBuilder};
use pilotage_name::ServiceKey;

use super::container::Container;
use super::label;
use pilotage_engine::{Engine, EngineError, network_of};

/// The network of a service's environment.
#[derive(Debug)]
pub(super) struct Network<'e> {
    pub(super) engine: &'e Engine,
    pub(super) key: &'e ServiceKey,
}

impl Network<'_> {
    pub(super) fn name(&self) -> String {
        network_of(self.key)
    }

    /// The network's id; none when there is none yet.
    ///
    /// # Errors
    /// When a network of this name is not ours.
    pub(super) async fn find(&self) -> Result<Option<String>, EngineError> {
        let name = self.name();
        let filters = std::collections::HashMap::from([("name".to_owned(), vec![name.clone()])]);
        let options = ListNetworksOptionsBuilder::default().filters(&filters).build();
        let listed = self.engine.docker.list_networks(Some(options)).await;
        let mut networks = listed.map_err(self.engine.failed("list its networks"))?;
        // The filter finds parts of names, too.
        networks.retain(|network| network.name.as_deref() == Some(name.as_str()));
        // Two who create it at the same moment get two of the same name; the older one counts.
        networks.sort_by_key(|network| {
            let created = network.created.as_ref();
            let created = created.and_then(|created| created.parse::<jiff::Timestamp>().ok());
            (created, network.id.clone())
        });
        let ours = label::of_environment(self.key);
        let mut networks = networks.into_iter();
        let Some(network) = networks.next() else {
            return Ok(None);
        };
        if !label::carries(&network.labels.unwrap_or_default(), &ours) {
            return Err(EngineError::Foreign {
                what: format!("a network {name}"),
            });
        }
        // Nobody uses a younger one, and whoever made it may have been killed before it was removed again.
        for second in networks {
            if label::carries(&second.labels.unwrap_or_default(), &ours)
                && let Some(id) = second.id
            {
                self.remove_second(&id).await?;
            }
        }
        Ok(network.id)
    }

    async fn remove_second(&self, id: &str) -> Result<(), EngineError> {
        let removed = self.engine.docker.remove_network(id).await;
        match removed.map_err(self.engine.failed("remove a second network")) {
            // Somebody else saw it, too.
            Err(error) if error.status() == Some(404) => Ok(()),
            removed => removed,
        }
    }

    /// The network's id, once it is there.
    ///
    /// # Errors
    /// When it cannot be created, or is not ours.
    pub(super) async fn ensure(&self) -> Result<String, EngineError> {
        if let Some(id) = self.find().await? {
            return Ok(id);
        }
        // The engine knows which subnets are free on its machine, but keeps addresses only on one that it was told.
        let probe = format!("{}-subnet-{}", self.name(), std::process::id());
        let free = self.create(&probe, None).await?;
        let inspected = self
            .engine
            .docker
            .inspect_network(&free, None::<InspectNetworkOptions>)
            .await;
        let removed = self.engine.docker.remove_network(&free).await;
        removed.map_err(self.engine.failed(format!("remove the network {probe}")))?;
        let subnet = inspected
            .map_err(self.engine.failed(format!("show the network {probe}")))?
            .ipam
            .and_then(|ipam| ipam.config)
            .and_then(|config| config.into_iter().next());
        let created = self.create(&self.name(), subnet).await?;
        Ok(self.find().await?.unwrap_or(created))
    }

    async fn create(&self, name: &str, subnet: Option<IpamConfig>) -> Result<String, EngineError> {
        let wanted = NetworkCreateRequest {
            name: name.to_owned(),
            driver: Some("bridge".to_owned()),
            ipam: subnet.map(|subnet| Ipam {
                config: Some(vec![IpamConfig {
                    subnet: subnet.subnet,
                    gateway: subnet.gateway,
                    ..Default::default()
                }]),
                ..Default::default()
            }),
            labels: Some(label::of_environment(self.key)),
            ..Default::default()
        };
        let created = self.engine.docker.create_network(wanted).await;
        Ok(created
            .map_err(self.engine.failed(format!("create the network {name}")))?
            .id)
    }

    /// Gives a running container the service's name.
    ///
    /// # Errors
    /// When it cannot be connected.
    pub(super) async fn give_name(&self, container: &Container) -> Result<(), EngineError> {
        self.reconnect(container, Some(self.key.service.to_string()))
            .await
    }

    /// Takes the service's name from a container.
    ///
    /// # Errors
    /// When it cannot be connected.
    pub(super) async fn take_name(&self, container: &Container) -> Result<(), EngineError> {
        self.reconnect(container, None).await
    }

    async fn reconnect(&self, container: &Container, alias: Option<String>) -> Result<(), EngineError> {
        let network = self.ensure().await?;
        if container.endpoint.is_some() {
            let request = NetworkDisconnectRequest {
                container: container.id.clone(),
                force: Some(true),
            };
            let done = self.engine.docker.disconnect_network(&network, request).await;
            match done.map_err(self.engine.failed(format!("disconnect {}", container.name))) {
                // It ended meanwhile, and its connection with it.
                Err(error) if error.message().contains("is not connected to") => {
                    if alias.is_none() {
                        return Ok(());
                    }
                }
                done => done?,
            }
        }
        let address = container.address().map(|address| address.to_string());
        if let Some(address) = address {
            match self
                .connect(&network, container, alias.clone(), Some(address))
                .await
            {
                // The network was made by somebody else, or the address was taken meanwhile.
                Err(error) if matches!(error.status(), Some(400 | 403 | 409 | 500)) => {
                    tracing::warn!("{} cannot keep its address: {}", container.name, error.message());
                }
                connected => return connected,
            }
        }
        self.connect(&network, container, alias, None).await
    }

    async fn connect(
        &self,
        network: &str,
        container: &Container,
        alias: Option<String>,
        address: Option<String>,
    ) -> Result<(), EngineError> {
        let request = NetworkConnectRequest {
            container: container.id.clone(),
            endpoint_config: Some(EndpointSettings {
                aliases: alias.map(|alias| vec![alias]),
                ipam_config: address.map(|address| EndpointIpamConfig {
                    ipv4_address: Some(address),
                    ..Default::default()
                }),
                ..Default::default()
            }),
        };
        let done = self.engine.docker.connect_network(network, request).await;
        done.map_err(self.engine.failed(format!("connect {}", container.name)))
    }
}
