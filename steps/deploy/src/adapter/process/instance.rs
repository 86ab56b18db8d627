//! An instance's directory: how it comes into being whole, and how it goes.

use std::fs;
use std::net::SocketAddr;
use std::time::Duration;

use pilotage_descriptor::{Publish, Signal as StopSignal};
use rustix::process::Signal;

use super::service::ProcessService;
use super::state::{self, PortRecord, Record};
use super::{SHORT_GRACE, claim, files};
use crate::desired::Desired;
use crate::error::TargetError;
use crate::fingerprint::Fingerprints;
use crate::live::InstanceId;

impl ProcessService {
    pub(super) fn prepare(&self, id: InstanceId, desired: &Desired) -> Result<(), TargetError> {
        let mut marker = self.marker()?;
        if marker.next <= id.0 {
            marker.next = id.0 + 1;
            state::write(&self.dir.marker(), &marker)?;
        }
        let partial = self.dir.partial(id);
        files::remove_tree(&partial)?;
        state::make_dir(&partial)?;
        let source = self.artifact(&desired.identity.version)?;
        let copy = partial.join("artifact");
        fs::copy(&source, &copy).map_err(TargetError::io("copy", &source))?;
        if files::digest(&copy)? != desired.identity.digest {
            return Err(TargetError::ArtifactMoved { path: source });
        }
        files::write_files(&partial.join("files"), &desired.descriptor)?;
        let mut environment = desired.descriptor.env.clone();
        for (name, secret) in &desired.secrets {
            environment.insert(name.clone(), secret.expose().to_owned());
        }
        state::write(&partial.join("environment.json"), &environment)?;
        state::write_bytes(
            &partial.join("descriptor.yaml"),
            desired.descriptor.to_yaml().as_bytes(),
        )?;
        let record = Record {
            labels: desired.labels.clone(),
            identity: desired.identity.clone(),
            secrets: Fingerprints::new(claim::salt()?, &desired.secrets),
            created: self.clock.now(),
            command: self.target.command.clone(),
            stop_signal: signal_number(desired.descriptor.stop.signal),
            stop_grace_ms: desired.descriptor.stop.grace.as_millis(),
            ports: desired
                .descriptor
                .ports
                .iter()
                .map(|port| PortRecord {
                    name: port.name.clone(),
                    fixed: match port.publish {
                        Publish::Host { host, bind } => Some(SocketAddr::new(bind, host)),
                        Publish::Internal | Publish::Proxy => None,
                    },
                })
                .collect(),
            turn: 0,
            undone: false,
            run: None,
        };
        state::write(&partial.join("instance.json"), &record)?;
        let whole = self.dir.instance(id);
        fs::rename(&partial, &whole).map_err(TargetError::io("finish", &whole))
    }

    pub(super) async fn remove(&self, id: InstanceId) -> Result<(), TargetError> {
        let record = state::read::<Record>(&self.record_path(id))?;
        let run = record.as_ref().and_then(|record| record.run.as_ref());
        let signal = record
            .as_ref()
            .and_then(|record| Signal::from_named_raw(record.stop_signal))
            .unwrap_or(Signal::TERM);
        let grace = record.as_ref().map_or(SHORT_GRACE, |record| {
            Duration::from_millis(record.stop_grace_ms).min(SHORT_GRACE)
        });
        self.end(id, run, signal, grace).await?;
        let (whole, partial) = (self.dir.instance(id), self.dir.partial(id));
        if whole.exists() {
            files::remove_tree(&partial)?;
            fs::rename(&whole, &partial).map_err(TargetError::io("remove", &whole))?;
        }
        files::remove_tree(&partial)
    }
}

fn signal_number(signal: StopSignal) -> i32 {
    match signal {
        StopSignal::Term => Signal::TERM,
        StopSignal::Int => Signal::INT,
        StopSignal::Quit => Signal::QUIT,
        StopSignal::Hup => Signal::HUP,
        StopSignal::Usr1 => Signal::USR1,
        StopSignal::Usr2 => Signal::USR2,
        StopSignal::Kill => Signal::KILL,
    }
    .as_raw()
}
