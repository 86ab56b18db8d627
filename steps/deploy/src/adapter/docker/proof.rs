//! The proof, read back from a running instance.

use super::label;
use super::service::DockerService;
use crate::desired::Identity;
use crate::error::TargetError;
use crate::live::{InstanceId, Replica};
use crate::port::{Evidence, address_key};

impl DockerService {
    /// What runs, and whether clients find it.
    pub(super) async fn read_proof(&self, of: Replica) -> Result<Evidence, TargetError> {
        let id = of.instance;
        let container = self.container(of).await?;
        let lacks = |reason: &str| TargetError::Instance {
            instance: id,
            reason: reason.to_owned(),
        };
        if !container.state.is_well() {
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
        if container.is_named() && (!container.has_name(name) || container.address().is_none()) {
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

    /// Where the replicas of an instance can be asked, by their ports, and how we reached them: `address_http`,
    /// `address_http_2`, ….
    pub(super) async fn addresses(&self, id: InstanceId) -> Vec<(String, String)> {
        let mut outputs = Vec::new();
        for (of, container) in self.meant(id.into()).await.unwrap_or_default() {
            let descriptor =
                label::read(&container.labels, &self.key.environment).and_then(|told| told.descriptor);
            for port in descriptor.iter().flat_map(|descriptor| &descriptor.ports) {
                if let Ok(address) = self.address_of(of, &port.name).await {
                    let name = match of.replica {
                        None | Some(1) => address_key(&port.name),
                        Some(number) => format!("{}_{number}", address_key(&port.name)),
                    };
                    outputs.push((name, address.to_string()));
                }
            }
        }
        outputs.push(("reach".to_owned(), self.ourselves.word().to_owned()));
        outputs
    }
}
