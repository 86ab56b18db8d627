use std::net::SocketAddr;

use pilotage_config::{Config, Target};
use pilotage_name::{EnvironmentName, ServiceName};

/// Where users' requests arrive, where the configuration knows it.
pub(crate) fn front_door(
    config: &Config,
    environment: &EnvironmentName,
    service: &ServiceName,
) -> Option<SocketAddr> {
    match config.target_of(environment, service).1 {
        Target::Process(process) => Some(process.listen),
        Target::Docker(_) | Target::Kubernetes(_) | Target::Command(_) => None,
    }
}
