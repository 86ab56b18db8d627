//! The process target behind the port: which effect is had where.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use pilotage_check::{NoAnswer, Observation};
use pilotage_descriptor::Descriptor;

use super::claim::{self, Claim};
use super::service::ProcessService;
use super::{execute, state};
use crate::capability::Capabilities;
use crate::desired::{Desired, Identity, Labels};
use crate::error::TargetError;
use crate::front_door::{Ask, ask};
use crate::live::{InstanceId, Live, Replica};
use crate::operation::Operation;
use crate::port::{Evidence, Found, Setback, Target, address_key};

/// What a process target can do.
pub const CAPABILITIES: Capabilities = Capabilities {
    target: "process",
    jobs: false,
    limits: false,
    replicas: 1,
    images: false,
    sealed: false,
    own_secrets: false,
    reserved: &["PORT", "PORT_*"],
};

impl Target for ProcessService {
    type Claim = Claim;

    fn capabilities(&self) -> Capabilities {
        CAPABILITIES
    }

    async fn digest(&self, descriptor: &Descriptor) -> Result<String, TargetError> {
        self.artifact_digest(descriptor)
    }

    async fn claim(&self, labels: &Labels) -> Result<Claim, TargetError> {
        claim::claim(&self.dir.lock(), labels).await
    }

    async fn release(&self, claim: Claim) {
        drop(claim);
    }

    async fn observe(&self, wanted: Option<&Descriptor>) -> Result<Live, TargetError> {
        self.look(wanted).await
    }

    async fn apply(&self, operation: &Operation, desired: &Desired) -> Result<(), TargetError> {
        self.check_fence(&desired.labels)?;
        match *operation {
            Operation::Mark { fence } => {
                let mut marker = self.marker()?;
                marker.fence = fence;
                marker.release.clone_from(&desired.labels.release);
                marker.commit.clone_from(&desired.labels.commit);
                state::write(&self.dir.marker(), &marker)
            }
            Operation::OpenFront => self.open_front().await,
            Operation::Prepare { instance } => self.prepare(instance, desired),
            Operation::Start { of } => self.start(of.instance).await,
            Operation::Switch { of } => self.switch(of.instance, desired),
            Operation::Stop { instance, undone } => self.stop(instance, undone).await,
            Operation::Remove { instance } => self.remove(instance).await,
            Operation::Withdraw => self.withdraw(),
            Operation::Adopt { .. } | Operation::Prove { .. } | Operation::Verify { .. } => Ok(()),
        }
    }

    async fn reach(&self, Replica { instance, .. }: Replica, port: &str) -> Result<SocketAddr, TargetError> {
        let run = self.running(instance)?;
        run.addresses
            .get(port)
            .copied()
            .ok_or_else(|| TargetError::Instance {
                instance,
                reason: format!("has no port `{port}`"),
            })
    }

    async fn execute(
        &self,
        Replica { instance, .. }: Replica,
        command: &[String],
        limit: Duration,
    ) -> Observation {
        match self.running(instance) {
            Ok(run) => execute::execute(command, run.pid, &self.dir.instance(instance), limit).await,
            Err(error) => Observation::NoAnswer {
                cause: NoAnswer::NotRunning,
                detail: error.to_string(),
                elapsed: Duration::ZERO,
            },
        }
    }

    async fn find(&self, name: &str, _: &Desired) -> Result<Found, TargetError> {
        Err(not_adopted(name))
    }

    async fn adopt(&self, name: &str, _: InstanceId, _: &Identity, _: &Desired) -> Result<(), TargetError> {
        Err(not_adopted(name))
    }

    async fn peer(&self, _: &str) -> Option<IpAddr> {
        None
    }

    async fn ended(&self, of: Replica) -> Setback {
        self.end_of(of.instance).await
    }

    async fn stranger(&self, of: Replica, port: &str) -> Option<Setback> {
        self.find_stranger(of.instance, port)
    }

    async fn said(&self, of: Replica) -> String {
        self.last_lines(of.instance)
    }

    async fn evidence(&self, of: Replica) -> Result<Evidence, TargetError> {
        self.read_back(of.instance).await
    }

    async fn outputs(&self, instance: InstanceId) -> Vec<(String, String)> {
        let mut outputs = Vec::new();
        if let Ok(run) = self.running(instance) {
            outputs.extend(
                run.addresses
                    .iter()
                    .map(|(name, address)| (address_key(name), address.to_string())),
            );
        }
        let routed = self
            .route()
            .ok()
            .flatten()
            .is_some_and(|route| !route.routes.is_empty());
        if routed && let Ok(answer) = ask(&self.dir.state, &Ask::Status).await {
            outputs.push(("front_door".to_owned(), answer.listen.to_string()));
        }
        outputs
    }
}

fn not_adopted(name: &str) -> TargetError {
    TargetError::Adopt {
        name: pilotage_diagnostic::printable(name).to_string(),
        reason: "a process target leads to processes that it started itself, and to no others".to_owned(),
    }
}
