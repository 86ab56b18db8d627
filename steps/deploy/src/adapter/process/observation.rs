//! What there is of a service, as the state directory, the kernel and the front door tell it.

use std::net::TcpListener;

use pilotage_descriptor::Descriptor;

use super::files;
use super::processes::{self, Process};
use super::proof::read_labels;
use super::service::{ProcessService, alive};
use super::state::{self, MarkerFile, Record, RouteEntry, RouteFile};
use crate::desired::{Identity, Labels, host_addresses};
use crate::error::TargetError;
use crate::fingerprint::Fingerprints;
use crate::live::{Instance, InstanceId, Live, Serving, State};

impl ProcessService {
    /// Everything of the service; of what is `wanted`, what somebody else has.
    pub(super) async fn look(&self, wanted: Option<&Descriptor>) -> Result<Live, TargetError> {
        let marker = state::read::<MarkerFile>(&self.dir.marker())?;
        let route = self.route()?;
        let all = processes::all();
        let mut instances = Vec::new();
        let mut last = 0;
        for (id, whole) in self.instance_ids()? {
            last = last.max(id.0);
            instances.push(if whole {
                self.observe_instance(id, route.as_ref(), &all)?
            } else {
                half_made(id)
            });
        }
        let serving = route.as_ref().map(|route| Serving {
            instance: route.instance,
            current: state::read::<Record>(&self.record_path(route.instance))
                .ok()
                .flatten()
                .and_then(|record| record.run)
                .is_some_and(|run| run.id() == route.run),
        });
        let routed = wanted.is_some_and(|wanted| !crate::desired::routes(wanted).is_empty())
            || route.as_ref().is_some_and(|route| !route.routes.is_empty());
        let taken = match wanted {
            Some(wanted) => self.taken(wanted, &instances)?,
            None => Vec::new(),
        };
        Ok(Live {
            serving: serving
                .filter(|serving| instances.iter().any(|instance| instance.id == serving.instance)),
            next: InstanceId(marker.as_ref().map_or(1, |marker| marker.next).max(last + 1)),
            marker: marker.as_ref().map(MarkerFile::marker),
            instances,
            front: self.front(routed).await?,
            taken,
        })
    }

    fn observe_instance(
        &self,
        id: InstanceId,
        route: Option<&RouteFile>,
        all: &[(Process, Vec<u8>)],
    ) -> Result<Instance, TargetError> {
        let record = self.record(id)?;
        let directory = self.dir.instance(id);
        let serves = route.filter(|route| route.instance == id);
        let running = record.run.as_ref().filter(|run| alive(run));
        let state = match (running, &record.run) {
            (Some(_), _) => State::Running,
            (None, Some(_)) => State::Ended,
            (None, None) => State::Prepared,
        };
        let stray = running.is_none() && !self.members(id, record.run.as_ref(), all).is_empty();
        let turn = record.turn.max(serves.map_or(0, |route| route.turn));
        let identity = if turn > 0 && serves.is_none() {
            Some(record.identity.clone())
        } else {
            let digest = files::digest(&directory.join("artifact")).ok();
            let told = running.map(|run| read_labels(run.pid));
            digest.map(|digest| match told {
                Some(told) => Identity {
                    digest,
                    version: told.version,
                    instance_hash: told.instance_hash,
                },
                None => Identity {
                    digest,
                    ..record.identity.clone()
                },
            })
        };
        Ok(Instance {
            id,
            labels: record.labels,
            identity,
            secrets: record.secrets,
            state,
            replicas: vec![state],
            stray,
            turn,
            undone: record.undone,
            descriptor: files::read_descriptor(&directory.join("descriptor.yaml"), &self.key.environment),
        })
    }

    /// Routes of `wanted` that another service has, and host ports that a stranger holds.
    fn taken(&self, wanted: &Descriptor, instances: &[Instance]) -> Result<Vec<String>, TargetError> {
        let mut taken = Vec::new();
        let directory = self.dir.state.join("routes");
        for file in files::list(&directory)? {
            let Some(other) = state::read::<RouteFile>(&file)?.filter(|other| other.key != self.key) else {
                continue;
            };
            for (host, path) in crate::desired::routes(wanted) {
                let same = |entry: &RouteEntry| {
                    entry.host == host && entry.path.trim_end_matches('/') == path.trim_end_matches('/')
                };
                if other.routes.iter().any(same) {
                    taken.push(format!("the route {host}{path} belongs to {}", other.key));
                }
            }
        }
        for address in host_addresses(wanted) {
            let ours = instances
                .iter()
                .filter(|instance| instance.holds())
                .any(|instance| {
                    instance
                        .host_addresses()
                        .iter()
                        .any(|held| held.collides(&address))
                });
            if ours {
                continue;
            }
            if let Err(error) = TcpListener::bind((address.bind, address.port)) {
                taken.push(format!("the host port {address} cannot be had: {error}"));
            }
        }
        Ok(taken)
    }
}

fn half_made(id: InstanceId) -> Instance {
    Instance {
        id,
        labels: Labels::default(),
        identity: None,
        secrets: Fingerprints::default(),
        state: State::Partial,
        replicas: vec![State::Partial],
        stray: false,
        turn: 0,
        undone: false,
        descriptor: None,
    }
}
