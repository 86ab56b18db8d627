//! Starting an instance: its addresses, its command, its variables.

use std::collections::BTreeMap;
use std::net::{SocketAddr, TcpListener};

use rustix::process::Signal;

use super::service::ProcessService;
use super::state::{self, PortRecord, Run};
use super::{SHORT_GRACE, launch, placeholder, processes};
use crate::error::TargetError;
use crate::live::InstanceId;

impl ProcessService {
    pub(super) async fn start(&self, id: InstanceId) -> Result<(), TargetError> {
        let mut record = self.record(id)?;
        // Whatever a crashed run started and did not record would hold ports and answer for the new one.
        self.end(id, record.run.as_ref(), Signal::TERM, SHORT_GRACE)
            .await?;
        let directory = self.dir.instance(id);
        let (addresses, held) =
            reserve(&record.ports).map_err(TargetError::io("find free ports for", &directory))?;
        let artifact = directory.join("artifact");
        let first = record.ports.first().and_then(|port| addresses.get(&port.name));
        let command = record
            .command
            .iter()
            .map(|argument| {
                placeholder::fill(argument, |name| match name.strip_prefix("port.") {
                    Some(port) => addresses.get(port).map(|address| address.port().to_string()),
                    None if name == "port" => first.map(|address| address.port().to_string()),
                    None => self.word(name, &record.identity.version, &artifact),
                })
            })
            .collect::<Result<Vec<String>, _>>()?;
        let mut environment = self.inherited.clone();
        environment.extend(
            state::read::<BTreeMap<String, String>>(&directory.join("environment.json"))?.unwrap_or_default(),
        );
        for (name, address) in &addresses {
            let name: String = name.to_ascii_uppercase().replace('-', "_");
            environment.insert(format!("PORT_{name}"), address.port().to_string());
        }
        if let Some(first) = first {
            environment.insert("PORT".to_owned(), first.port().to_string());
        }
        for (name, value) in self.labels(id) {
            environment.insert(name.to_owned(), value);
        }
        let labels = [
            ("RELEASE", record.labels.release.as_ref().map(ToString::to_string)),
            ("COMMIT", record.labels.commit.as_ref().map(ToString::to_string)),
            ("FENCE", Some(record.labels.fence.to_string())),
            ("VERSION", Some(record.identity.version.clone())),
            ("DIGEST", Some(record.identity.digest.clone())),
            ("INSTANCE_HASH", Some(record.identity.instance_hash.clone())),
            ("FILES", Some(directory.join("files").display().to_string())),
        ];
        for (name, value) in labels {
            if let Some(value) = value {
                environment.insert(format!("PILOTAGE_{name}"), value);
            }
        }
        // Held until the last moment, so that nobody is given the same ports meanwhile.
        drop(held);
        let pid = launch::launch(
            &command,
            &environment,
            &directory,
            &directory.join("stdout.log"),
            &directory.join("stderr.log"),
        )?;
        record.run = Some(Run {
            pid,
            start: processes::process(pid).map_or(0, |process| process.start),
            boot: processes::boot_id(),
            addresses,
        });
        state::write(&self.record_path(id), &record)
    }
}

/// A free port of loopback for every port that asks for no address of its own, held by the listeners.
fn reserve(ports: &[PortRecord]) -> std::io::Result<(BTreeMap<String, SocketAddr>, Vec<TcpListener>)> {
    let mut addresses = BTreeMap::new();
    let mut held = Vec::new();
    for port in ports {
        let address = match port.fixed {
            // Asked on loopback when the instance listens everywhere.
            Some(fixed) if fixed.ip().is_unspecified() => SocketAddr::from(([127, 0, 0, 1], fixed.port())),
            Some(fixed) => fixed,
            None => {
                let listener = TcpListener::bind(("127.0.0.1", 0))?;
                let address = listener.local_addr()?;
                held.push(listener);
                address
            }
        };
        addresses.insert(port.name.clone(), address);
    }
    Ok((addresses, held))
}
