//! The proof: what runs says of itself, and where the front door leads.

use super::service::ProcessService;
use super::{files, processes};
use crate::desired::Identity;
use crate::error::TargetError;
use crate::front_door::{Ask, ask};
use crate::live::InstanceId;
use crate::port::Evidence;

impl ProcessService {
    /// Read back from the running instance and from the front door.
    pub(super) async fn read_back(&self, instance: InstanceId) -> Result<Evidence, TargetError> {
        let run = self.running(instance)?;
        let digest = files::digest(&self.dir.instance(instance).join("artifact"))?;
        let told = read_labels(run.pid);
        // One that ended while it was read tells nothing, and that is no other version.
        self.running(instance)?;
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
                instance_hash: told.instance_hash,
            },
            astray,
        })
    }
}

/// What a running process says of itself.
pub(super) struct Told {
    pub(super) version: String,
    pub(super) instance_hash: String,
}

/// The labels a running process carries; empty texts where it carries none, which equal nothing that is wanted.
pub(super) fn read_labels(pid: u32) -> Told {
    let mut told = Told {
        version: String::new(),
        instance_hash: String::new(),
    };
    for (name, value) in processes::environment(pid) {
        match name.as_str() {
            "PILOTAGE_VERSION" => told.version = value,
            "PILOTAGE_INSTANCE_HASH" => told.instance_hash = value,
            _ => {}
        }
    }
    told
}
