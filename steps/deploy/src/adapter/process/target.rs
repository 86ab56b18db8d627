//! The process target behind the port: what is observed, and which effect is had where.

use std::net::SocketAddr;

use pilotage_descriptor::Descriptor;

use super::claim::{self, Claim};
use super::state::{self, MarkerFile, Record};
use super::{LINES, POLL, ProcessService, alive, files, launch, processes};
use crate::capability::Capabilities;
use crate::desired::{Desired, Identity, Labels};
use crate::error::TargetError;
use crate::fingerprint::Fingerprints;
use crate::front_door::{Ask, ask};
use crate::live::{Instance, InstanceId, Live, Marker, Serving, State};
use crate::operation::Operation;
use crate::port::{Ending, Evidence, Target};

pub(super) struct Told {
    pub(super) version: String,
    pub(super) config_hash: String,
}

/// The labels a running process carries; empty texts where it carries none, which equal nothing that is wanted.
pub(super) fn read_labels(pid: u32) -> Told {
    let mut told = Told {
        version: String::new(),
        config_hash: String::new(),
    };
    for (name, value) in processes::environment(pid) {
        match name.as_str() {
            "PILOTAGE_VERSION" => told.version = value,
            "PILOTAGE_CONFIG_HASH" => told.config_hash = value,
            _ => {}
        }
    }
    told
}

impl Target for ProcessService {
    type Claim = Claim;

    fn capabilities(&self) -> Capabilities {
        Capabilities {
            target: "process",
            jobs: false,
            limits: false,
            replicas: 1,
            images: false,
            exec: false,
            grpc: false,
            sealed: false,
            own_secrets: false,
            reserved: &["PORT", "PORT_*"],
        }
    }

    async fn claim(&self, labels: &Labels) -> Result<Claim, TargetError> {
        claim::claim(&self.dir.lock(), labels).await
    }

    async fn observe(&self, wanted: Option<&Descriptor>) -> Result<Live, TargetError> {
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
            marker: marker.map(|marker| Marker {
                fence: marker.fence,
                release: marker.release,
            }),
            instances,
            front: self.front(routed).await?,
            taken,
        })
    }

    async fn apply(&self, operation: &Operation, desired: &Desired) -> Result<(), TargetError> {
        self.check_fence(&desired.labels)?;
        match *operation {
            Operation::Mark { fence } => {
                let mut marker = self.marker()?;
                marker.fence = fence;
                marker.release = desired.labels.release.clone();
                state::write(&self.dir.marker(), &marker)
            }
            Operation::OpenFront => self.open_front().await,
            Operation::Prepare { instance } => self.prepare(instance, desired),
            Operation::Start { instance } => self.start(instance).await,
            Operation::Switch { instance } => self.switch(instance, desired),
            Operation::Stop { instance, undone } => self.stop(instance, undone).await,
            Operation::Remove { instance } => self.remove(instance).await,
            Operation::Withdraw => self.withdraw(),
            Operation::Prove { .. } | Operation::Verify { .. } => Ok(()),
        }
    }

    async fn reach(&self, instance: InstanceId, port: &str) -> Result<SocketAddr, TargetError> {
        let run = self.running(instance)?;
        run.addresses
            .get(port)
            .copied()
            .ok_or_else(|| TargetError::Instance {
                instance,
                reason: format!("has no port `{port}`"),
            })
    }

    async fn ended(&self, instance: InstanceId) -> Ending {
        let directory = self.dir.instance(instance);
        let Ok(record) = self.record(instance) else {
            return Ending {
                text: "it is not there any more".to_owned(),
                again: false,
            };
        };
        let how = loop {
            let Some(run) = &record.run else {
                break None;
            };
            if let Some(how) = processes::reap(run.pid) {
                break Some(how);
            }
            if !alive(run) {
                break None;
            }
            tokio::time::sleep(POLL).await;
        };
        let said = [directory.join("stderr.log"), directory.join("stdout.log")]
            .iter()
            .map(|log| launch::last_lines(log, LINES))
            .find(|lines| !lines.is_empty());
        let mut text = format!("it ended {}", how.as_deref().unwrap_or("by itself"));
        let again = said.as_deref().is_some_and(says_address_in_use)
            && !record.ports.is_empty()
            && record.ports.iter().all(|port| port.fixed.is_none());
        if let Some(said) = said {
            text.push_str("; the last it said:\n");
            text.push_str(&said);
        }
        Ending { text, again }
    }

    async fn evidence(&self, instance: InstanceId) -> Result<Evidence, TargetError> {
        let run = self.running(instance)?;
        let digest = files::digest(&self.dir.instance(instance).join("artifact"))?;
        let told = read_labels(run.pid);
        let mut astray = Vec::new();
        if let Some(route) = self.route()? {
            if route.instance != instance || route.run != run.id() {
                astray.push(format!("the route leads to instance {}", route.instance));
            }
            for entry in &route.routes {
                let question = Ask::Lookup {
                    host: entry.host.clone(),
                    path: entry.path.clone(),
                };
                let led = ask(&self.dir.state, &question)
                    .await
                    .map_err(|error| TargetError::Front {
                        reason: format!("does not answer: {error}"),
                    })?;
                if led.address != Some(entry.address) {
                    astray.push(format!(
                        "the front door does not lead {}{} to it",
                        entry.host, entry.path
                    ));
                }
            }
        } else {
            astray.push("no route leads to it".to_owned());
        }
        Ok(Evidence {
            identity: Identity {
                digest,
                version: told.version,
                config_hash: told.config_hash,
            },
            astray,
        })
    }

    async fn outputs(&self, instance: InstanceId) -> Vec<(String, String)> {
        let mut outputs = Vec::new();
        if let Ok(run) = self.running(instance) {
            outputs.extend(
                run.addresses
                    .iter()
                    .map(|(name, address)| (name.clone(), address.to_string())),
            );
        }
        let routed = self
            .route()
            .ok()
            .flatten()
            .is_some_and(|route| !route.routes.is_empty());
        if routed && let Ok(answer) = ask(&self.dir.state, &Ask::Status).await {
            outputs.push(("front".to_owned(), answer.listen.to_string()));
        }
        outputs
    }
}

fn half_made(id: InstanceId) -> Instance {
    Instance {
        id,
        labels: Labels::default(),
        identity: None,
        secrets: Fingerprints::default(),
        state: State::Partial,
        stray: false,
        turn: 0,
        undone: false,
        descriptor: None,
    }
}

/// The ways in which common run times say EADDRINUSE.
fn says_address_in_use(text: &str) -> bool {
    let text = text.to_ascii_lowercase();
    [
        "address already in use",
        "address in use",
        "addrinuse",
        "os error 98",
    ]
    .iter()
    .any(|words| text.contains(words))
}
