//! What a release wants.

use std::collections::BTreeMap;

use pilotage_descriptor::{Descriptor, Publish, State};
use pilotage_name::{CommitId, ReleaseId, ServiceKey};
use pilotage_secret::Secret;
use serde::{Deserialize, Serialize};

use crate::live::{InstanceId, Replica};

/// What a release wants of one service in one environment.
#[derive(Clone, Debug)]
pub struct Desired {
    /// Which service.
    pub key: ServiceKey,
    /// In whose name it is changed.
    pub labels: Labels,
    /// What runs, and with which configuration.
    pub identity: Identity,
    /// The resolved descriptor.
    pub descriptor: Descriptor,
    /// The values of the descriptor's secrets.
    pub secrets: BTreeMap<String, Secret>,
}

impl Desired {
    /// Whether the service should run at all.
    #[must_use]
    pub fn active(&self) -> bool {
        self.descriptor.state == State::Active
    }
}

/// In whose name an instance was made; read back from the instance.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Labels {
    /// The release, when the ledger began one.
    pub release: Option<ReleaseId>,
    /// The release's fence; 0 stands for a deploy without a ledger, which any release overrules.
    pub fence: u64,
    /// The commit whose descriptor it is.
    pub commit: Option<CommitId>,
}

/// What green has to prove: these three, read back from the running instance, equal the desired ones.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// The digest of what runs, such as `sha256:…`.
    pub digest: String,
    /// The version in the descriptor's words.
    pub version: String,
    /// The hash of what an instance is made of, as the descriptor says: [`Descriptor::instance_hash`].
    pub instance_hash: String,
}

/// A port of the host itself that an instance binds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct HostAddress {
    /// The address it is bound to.
    pub bind: std::net::IpAddr,
    /// The number.
    pub port: u16,
}

impl HostAddress {
    /// Whether two instances cannot hold both at once.
    #[must_use]
    pub fn collides(&self, other: &Self) -> bool {
        self.port == other.port
            && (self.bind == other.bind || self.bind.is_unspecified() || other.bind.is_unspecified())
    }
}

impl std::fmt::Display for HostAddress {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        std::net::SocketAddr::new(self.bind, self.port).fmt(f)
    }
}

/// The replicas that an instance made from a descriptor has.
pub fn replicas(descriptor: &Descriptor, instance: InstanceId) -> impl Iterator<Item = Replica> + use<> {
    Replica::all(instance, descriptor.resources.replicas)
}

/// The host's own ports that a descriptor asks for.
#[must_use]
pub fn host_addresses(descriptor: &Descriptor) -> Vec<HostAddress> {
    descriptor
        .ports
        .iter()
        .filter_map(|port| match port.publish {
            Publish::Host { host, bind } => Some(HostAddress { bind, port: host }),
            Publish::Internal | Publish::Proxy => None,
        })
        .collect()
}

/// The routes of a descriptor as (host, path prefix) in the order of the file.
#[must_use]
pub fn routes(descriptor: &Descriptor) -> Vec<(String, String)> {
    descriptor
        .ports
        .iter()
        .flat_map(|port| &port.routes)
        .map(|route| (route.host.as_str().to_owned(), route.path.clone()))
        .collect()
}
