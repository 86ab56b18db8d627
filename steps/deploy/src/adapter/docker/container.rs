//! A container, as it was found and as it is made.

use std::collections::HashMap;
use std::net::IpAddr;

use bollard::models::{
    ContainerCreateBody, ContainerInspectResponse, ContainerStateStatusEnum, EndpointSettings, HostConfig,
    HostConfigLogConfig, NetworkingConfig, PortBinding, RestartPolicy, RestartPolicyNameEnum,
};
use pilotage_config::{DockerTarget, SecretDelivery};
use pilotage_descriptor::{Kind, Publish, Signal};
use pilotage_engine::{Archive, deliver};

use super::label;
use crate::desired::Desired;
use crate::live::{Replica, State};

/// A container that was found.
#[derive(Clone, Debug)]
pub(super) struct Container {
    pub(super) id: String,
    /// Its name, without the slash that the engine puts before it.
    pub(super) name: String,
    pub(super) labels: label::Map,
    pub(super) kind: Kind,
    /// The id of its image.
    pub(super) image: String,
    pub(super) state: State,
    pub(super) exit_code: i64,
    pub(super) killed_for_memory: bool,
    /// Why the engine could not start it.
    pub(super) error: String,
    /// Its place on the environment's network.
    pub(super) endpoint: Option<EndpointSettings>,
    /// Bytes it may use.
    pub(super) memory: i64,
    pub(super) restarted: bool,
    /// Whether the engine starts it again when it ends.
    pub(super) restarts: bool,
    pub(super) stop_timeout: i64,
}

impl Container {
    pub(super) fn read(found: ContainerInspectResponse, network: &str) -> Self {
        let state = found.state.unwrap_or_default();
        let config = found.config.unwrap_or_default();
        let host = found.host_config.unwrap_or_default();
        let name = found.name.unwrap_or_default();
        let name = name.trim_start_matches('/');
        let endpoints = found.network_settings.and_then(|settings| settings.networks);
        let status = state.status.unwrap_or(ContainerStateStatusEnum::EMPTY);
        let labels = config.labels.unwrap_or_default();
        let kind = label::kind(&labels);
        let restarts = host
            .restart_policy
            .and_then(|policy| policy.name)
            .is_some_and(|name| !matches!(name, RestartPolicyNameEnum::NO | RestartPolicyNameEnum::EMPTY));
        Self {
            id: found.id.unwrap_or_default(),
            name: name.to_owned(),
            labels,
            kind,
            image: found.image.unwrap_or_default(),
            state: match status {
                _ if name.ends_with(".partial") => State::Partial,
                ContainerStateStatusEnum::CREATED => State::Prepared,
                ContainerStateStatusEnum::RUNNING
                | ContainerStateStatusEnum::PAUSED
                | ContainerStateStatusEnum::RESTARTING => State::Running,
                ContainerStateStatusEnum::EXITED if kind == Kind::Job && state.exit_code == Some(0) => {
                    State::Done
                }
                _ => State::Ended,
            },
            exit_code: state.exit_code.unwrap_or(0),
            killed_for_memory: state.oom_killed.unwrap_or(false),
            error: state.error.unwrap_or_default(),
            endpoint: endpoints.and_then(|mut endpoints| endpoints.remove(network)),
            memory: host.memory.unwrap_or(0),
            restarted: found.restart_count.unwrap_or(0) > 0,
            restarts,
            stop_timeout: config.stop_timeout.unwrap_or(10),
        }
    }

    /// As if it carried these labels.
    pub(super) fn with_labels(self, labels: label::Map) -> Self {
        Self {
            kind: label::kind(&labels),
            labels,
            ..self
        }
    }

    /// Where it is on the environment's network; none while it does not run.
    pub(super) fn address(&self) -> Option<IpAddr> {
        self.endpoint.as_ref()?.ip_address.as_ref()?.parse().ok()
    }

    /// Whether it is found by its service's name on the network: others need no name, and to be given one cuts them off for
    /// a moment.
    pub(super) fn is_named(&self) -> bool {
        self.kind == Kind::Service
    }

    /// Whether clients find it by this name.
    pub(super) fn has_name(&self, name: &str) -> bool {
        let aliases = self
            .endpoint
            .as_ref()
            .and_then(|endpoint| endpoint.aliases.as_ref());
        aliases.is_some_and(|aliases| aliases.iter().any(|alias| alias == name))
    }

    /// Whether it asks for one certain address when it is started. Whoever came meanwhile may have that address.
    pub(super) fn wants_address(&self) -> bool {
        self.endpoint
            .as_ref()
            .and_then(|endpoint| endpoint.ipam_config.as_ref())
            .and_then(|ipam| ipam.ipv4_address.as_ref())
            .is_some_and(|address| !address.is_empty())
    }

    /// A crash between two halves of a switch leaves it running where nobody can reach it.
    pub(super) fn is_cut_off(&self) -> bool {
        self.state == State::Running && self.address().is_none()
    }
}

/// How an engine is to write down what containers say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Logs {
    /// In files that grow without end unless told otherwise.
    Files,
    /// Somewhere else, which knows its own bounds.
    Elsewhere,
}

/// What a new instance is made of. It is on the environment's network without the service's name, and does not start
/// again by itself: both come with the switch.
pub(super) fn body(
    desired: &Desired,
    of: Replica,
    image: &str,
    network: &str,
    target: &DockerTarget,
    logs: Logs,
    files: &mut Archive,
) -> ContainerCreateBody {
    let descriptor = &desired.descriptor;
    let resources = &descriptor.resources;
    let memory = resources.memory.map(|memory| number(memory.as_bytes()));
    let mut bindings = HashMap::new();
    for port in &descriptor.ports {
        if let Publish::Host { host, bind } = port.publish {
            let binding = PortBinding {
                host_ip: Some(bind.to_string()),
                host_port: Some(host.to_string()),
            };
            bindings.insert(format!("{}/tcp", port.port), Some(vec![binding]));
        }
    }
    let exposed = descriptor.ports.iter().map(|port| format!("{}/tcp", port.port));
    ContainerCreateBody {
        image: Some(image.to_owned()),
        env: Some(environment(desired, of, target.secrets, files)),
        exposed_ports: Some(exposed.collect()),
        labels: Some(label::of_replica(desired, of)),
        stop_signal: Some(signal(descriptor.stop.signal).to_owned()),
        // A restart of the machine honours it as well.
        stop_timeout: Some(number(descriptor.stop.grace.as_millis().div_ceil(1000))),
        host_config: Some(HostConfig {
            network_mode: Some(network.to_owned()),
            restart_policy: Some(restart(false)),
            nano_cpus: resources
                .cpu
                .map(|cpu| number(cpu.as_millicores().saturating_mul(1_000_000))),
            memory,
            // The same limit for memory and swap together means no swap.
            memory_swap: memory,
            pids_limit: Some(i64::from(target.pids)),
            port_bindings: Some(bindings),
            log_config: (logs == Logs::Files).then(|| HostConfigLogConfig {
                typ: Some("json-file".to_owned()),
                config: Some(HashMap::from([
                    ("max-size".to_owned(), "10m".to_owned()),
                    ("max-file".to_owned(), "3".to_owned()),
                ])),
            }),
            ..Default::default()
        }),
        networking_config: Some(NetworkingConfig {
            endpoints_config: Some(HashMap::from([(network.to_owned(), EndpointSettings::default())])),
        }),
        ..Default::default()
    }
}

/// Whether the engine starts a container again that ended by itself.
pub(super) fn restart(again: bool) -> RestartPolicy {
    RestartPolicy {
        name: Some(match again {
            true => RestartPolicyNameEnum::UNLESS_STOPPED,
            false => RestartPolicyNameEnum::NO,
        }),
        maximum_retry_count: None,
    }
}

fn environment(desired: &Desired, of: Replica, delivery: SecretDelivery, files: &mut Archive) -> Vec<String> {
    let descriptor = &desired.descriptor;
    let mut variables = descriptor.env.clone();
    if let Some(first) = descriptor.ports.first() {
        variables.insert("PORT".to_owned(), first.port.to_string());
    }
    for port in &descriptor.ports {
        let name = port.name.to_ascii_uppercase().replace('-', "_");
        variables.insert(format!("PORT_{name}"), port.port.to_string());
    }
    deliver(&desired.secrets, delivery, &mut variables, files);
    let ours = [
        ("PROJECT", desired.key.project.to_string()),
        ("ENVIRONMENT", desired.key.environment.to_string()),
        ("SERVICE", desired.key.service.to_string()),
        ("INSTANCE", of.instance.0.to_string()),
        ("REPLICA", of.replica.unwrap_or(1).to_string()),
        ("VERSION", desired.identity.version.clone()),
    ];
    for (name, value) in ours {
        variables.insert(format!("PILOTAGE_{name}"), value);
    }
    variables
        .iter()
        .map(|(name, value)| format!("{name}={value}"))
        .collect()
}

fn number(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

fn signal(signal: Signal) -> &'static str {
    match signal {
        Signal::Term => "SIGTERM",
        Signal::Int => "SIGINT",
        Signal::Quit => "SIGQUIT",
        Signal::Hup => "SIGHUP",
        Signal::Usr1 => "SIGUSR1",
        Signal::Usr2 => "SIGUSR2",
        Signal::Kill => "SIGKILL",
    }
}
