//! What the step asks of a target.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use pilotage_check::Observation;
use pilotage_descriptor::Descriptor;

use crate::capability::Capabilities;
use crate::desired::{Desired, Identity, Labels};
use crate::error::TargetError;
use crate::live::{InstanceId, Live, Replica};
use crate::operation::Operation;

/// One service on one target: what is there, and one effect at a time. Knows nothing of releases; the planner decides.
#[expect(
    async_fn_in_trait,
    reason = "a target is used by one task of one step, so its futures need not move between threads"
)]
pub trait Target {
    /// Held while the service is changed; dropping it lets the next one in.
    type Claim;

    /// What this kind of target can do.
    fn capabilities(&self) -> Capabilities;

    /// The digest of what the descriptor's version would run, as it lies there now.
    ///
    /// # Errors
    /// When there is no such artifact or image, or none that this target could run.
    async fn digest(&self, descriptor: &Descriptor) -> Result<String, TargetError>;

    /// Claims the service, against everyone else on this target. A claim with a higher fence ends the work of one with
    /// a lower fence, which may have been taken over while it stood still.
    ///
    /// # Errors
    /// When another one holds it.
    async fn claim(&self, labels: &Labels) -> Result<Self::Claim, TargetError>;

    /// Gives a claim back. One that is not given back ends with the process that took it.
    async fn release(&self, claim: Self::Claim);

    /// What there is of the service. `wanted` is asked about, where given: which of its routes and host ports belong
    /// to somebody else.
    ///
    /// # Errors
    /// When it cannot be read: unknown is not empty.
    async fn observe(&self, wanted: Option<&Descriptor>) -> Result<Live, TargetError>;

    /// Has one effect, unless a higher fence than the one in `desired` has marked the service. [`Operation::Prove`] and
    /// [`Operation::Verify`] are asked through the other methods and have no effect here.
    ///
    /// # Errors
    /// When the effect could not be had; it is then absent or can be repeated.
    async fn apply(&self, operation: &Operation, desired: &Desired) -> Result<(), TargetError>;

    /// Where the named port of a replica can be asked directly, not through what routes the traffic.
    ///
    /// # Errors
    /// When the replica has no such port now.
    async fn reach(&self, of: Replica, port: &str) -> Result<SocketAddr, TargetError>;

    /// How a program with its arguments ends within a replica, with all that the replica has; over within `limit`.
    async fn execute(&self, of: Replica, command: &[String], limit: Duration) -> Observation;

    /// What runs under `name` that this service did not start, held against what is wanted.
    ///
    /// # Errors
    /// When nothing does, or it cannot become an instance.
    async fn find(&self, name: &str, desired: &Desired) -> Result<Found, TargetError>;

    /// Makes what runs under `name` the instance of this number and the one that serves; `identity` is what runs in it.
    /// The labels of `desired` say in whose name.
    ///
    /// # Errors
    /// When the effect could not be had; it is then absent or can be repeated.
    async fn adopt(
        &self,
        name: &str,
        instance: InstanceId,
        identity: &Identity,
        desired: &Desired,
    ) -> Result<(), TargetError>;

    /// Where a name leads that only instances can look up, such as another service's; none where it is one of the world's.
    async fn peer(&self, name: &str) -> Option<IpAddr>;

    /// Comes back when the replica runs no longer.
    async fn ended(&self, of: Replica) -> Setback;

    /// Who answers at [`Target::reach`] in place of the instance: its answers would prove somebody else. None as long as
    /// nobody answers there, and where nobody else can.
    async fn stranger(&self, of: Replica, port: &str) -> Option<Setback>;

    /// The last lines of what a replica said, for who has to find out why it is not well; empty when it said nothing.
    async fn said(&self, of: Replica) -> String;

    /// The proof, read back from the running replica and from what routes the traffic.
    ///
    /// # Errors
    /// When it cannot be read.
    async fn evidence(&self, of: Replica) -> Result<Evidence, TargetError>;

    /// What later stages want to know of an instance, as output lines: addresses first of all.
    async fn outputs(&self, instance: InstanceId) -> Vec<(String, String)>;
}

/// The output that says where the port of this name can be asked.
pub(crate) fn address_key(port: &str) -> String {
    format!("address_{port}")
}

/// Why asking an instance any further is of no use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setback {
    /// What happened: how it ended, with the last it said, or who stands in its place.
    pub text: String,
    /// Whether an address it had been given was taken meanwhile, so that starting it again may help.
    pub again: bool,
    /// Whether it is no setback at all for what is meant to end: it ended by itself, with exit 0.
    pub done: bool,
}

impl Setback {
    /// One that starting again does not help.
    pub fn new(text: impl Into<String>) -> Self {
        Self {
            text: text.into(),
            again: false,
            done: false,
        }
    }
}

/// Something that runs on a target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found {
    /// It was made an instance already.
    Adopted(InstanceId),
    /// It may become one.
    Stranger {
        /// Its name there.
        name: String,
        /// The digest of what runs: the wanted one when it is the same.
        digest: String,
        /// How it differs from what is wanted, in words.
        differences: Vec<String>,
    },
}

/// What was read back after a switch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Evidence {
    /// What runs.
    pub identity: Identity,
    /// Routes that do not lead to the instance, in words.
    pub astray: Vec<String>,
}
