//! The engine behind the port.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use pilotage_check::{NoAnswer, Observation};
use pilotage_descriptor::Descriptor;

use super::service::DockerService;
use crate::capability::Capabilities;
use crate::desired::{Desired, Identity, Labels};
use crate::error::TargetError;
use crate::live::{InstanceId, Live, Replica};
use crate::operation::Operation;
use crate::port::{Evidence, Found, Setback, Target};

/// More than a machine runs of one service, and few enough that a slip of the finger does not end it.
const REPLICAS: u32 = 100;
/// What a Docker target can do.
const CAPABILITIES: Capabilities = Capabilities {
    target: "docker",
    jobs: true,
    limits: true,
    replicas: REPLICAS,
    images: true,
    sealed: false,
    own_secrets: false,
    reserved: &["PORT", "PORT_*", "PILOTAGE_*"],
};

/// Held while a service is changed. That is remembered on the engine, where the next one finds it when this process is
/// gone without having given it back.
#[derive(Debug)]
pub struct Claim;

impl Target for DockerService {
    type Claim = Claim;

    fn capabilities(&self) -> Capabilities {
        CAPABILITIES
    }

    async fn digest(&self, descriptor: &Descriptor) -> Result<String, TargetError> {
        let image = descriptor.image.as_ref().ok_or(TargetError::NoImage)?;
        Ok(self.images().digest(image).await?)
    }

    async fn claim(&self, labels: &Labels) -> Result<Claim, TargetError> {
        self.take(labels).await?;
        Ok(Claim)
    }

    async fn release(&self, Claim: Claim) {
        self.let_go().await;
    }

    async fn observe(&self, wanted: Option<&Descriptor>) -> Result<Live, TargetError> {
        self.look(wanted).await
    }

    async fn apply(&self, operation: &Operation, desired: &Desired) -> Result<(), TargetError> {
        self.guard(&desired.labels).await?;
        match *operation {
            Operation::Mark { fence } => {
                self.change(|mark| {
                    mark.marked = true;
                    mark.fence = fence;
                    mark.release.clone_from(&desired.labels.release);
                    mark.commit.clone_from(&desired.labels.commit);
                })
                .await
            }
            Operation::Prepare { instance } => self.prepare(instance, desired).await,
            Operation::Start { of } => self.start(of).await,
            Operation::Switch { of } => self.switch(of).await,
            Operation::Stop { instance, undone } => self.stop(instance, undone).await,
            Operation::Remove { instance } => self.remove(instance).await,
            Operation::Withdraw => self.withdraw().await,
            // The engine's own DNS routes.
            Operation::OpenFront
            | Operation::Adopt { .. }
            | Operation::Prove { .. }
            | Operation::Verify { .. } => Ok(()),
        }
    }

    async fn reach(&self, of: Replica, port: &str) -> Result<SocketAddr, TargetError> {
        self.address_of(of, port).await
    }

    async fn execute(&self, of: Replica, command: &[String], limit: Duration) -> Observation {
        match self.container(of).await {
            Ok(container) => self.engine.try_in(&container.id, command, limit).await,
            Err(error) => Observation::NoAnswer {
                cause: NoAnswer::NotRunning,
                detail: error.to_string(),
                elapsed: Duration::ZERO,
            },
        }
    }

    async fn find(&self, name: &str, desired: &Desired) -> Result<Found, TargetError> {
        DockerService::find(self, name, desired).await
    }

    async fn adopt(
        &self,
        name: &str,
        instance: InstanceId,
        identity: &Identity,
        desired: &Desired,
    ) -> Result<(), TargetError> {
        self.take_over(name, instance, identity, desired).await
    }

    async fn peer(&self, name: &str) -> Option<IpAddr> {
        // Whoever cannot be found here is looked for in the world.
        self.named(name).await.ok().flatten()
    }

    async fn ended(&self, of: Replica) -> Setback {
        self.end_of(of).await
    }

    async fn stranger(&self, _: Replica, _: &str) -> Option<Setback> {
        // An instance has an address of its own, where nobody else can listen.
        None
    }

    async fn said(&self, of: Replica) -> String {
        match self.container(of).await {
            Ok(container) => self.last_lines(&container).await,
            Err(_) => String::new(),
        }
    }

    async fn evidence(&self, of: Replica) -> Result<Evidence, TargetError> {
        self.read_proof(of).await
    }

    async fn outputs(&self, instance: InstanceId) -> Vec<(String, String)> {
        self.addresses(instance).await
    }
}
