//! The proof, read back from a running instance.

use super::label;
use super::service::DockerService;
use crate::desired::Identity;
use crate::error::TargetError;
use crate::live::{InstanceId, State};
use crate::port::{Evidence, address_key};

impl DockerService {
    /// What runs, and whether clients find it.
    pub(super) async fn read_proof(&self, id: InstanceId) -> Result<Evidence, TargetError> {
        let container = self.container(id).await?;
        let lacks = |reason: &str| TargetError::Instance {
            instance: id,
            reason: reason.to_owned(),
        };
        if container.state != State::Running {
            return Err(TargetError::Ended { instance: id });
        }
        let told =
            label::read(&container.labels, &self.key.environment).ok_or_else(|| lacks("has no labels"))?;
        let digest = self
            .images()
            .digest_of(&container.image, &told.identity.digest)
            .await?;
        let name = self.key.service.as_str();
        let mut astray = Vec::new();
        if !container.has_name(name) || container.address().is_none() {
            astray.push(format!("the name {name} does not lead to it"));
        }
        if self
            .marks()
            .read()
            .await?
            .is_none_or(|mark| mark.serving != Some(id.0))
        {
            astray.push("another instance is remembered as the one that serves".to_owned());
        }
        Ok(Evidence {
            identity: Identity {
                digest,
                ..told.identity
            },
            astray,
        })
    }

    /// Where an instance can be asked, by its ports, and how we reached it.
    pub(super) async fn addresses(&self, id: InstanceId) -> Vec<(String, String)> {
        let mut outputs = Vec::new();
        let Ok(container) = self.container(id).await else {
            return outputs;
        };
        let descriptor =
            label::read(&container.labels, &self.key.environment).and_then(|told| told.descriptor);
        for port in descriptor.iter().flat_map(|descriptor| &descriptor.ports) {
            if let Ok(address) = self.address_of(id, &port.name).await {
                outputs.push((address_key(&port.name), address.to_string()));
            }
        }
        outputs.push(("reach".to_owned(), self.ourselves.word().to_owned()));
        outputs
    }
}
