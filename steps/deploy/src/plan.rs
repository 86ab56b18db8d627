//! The planner: from what is wanted and what is there to the operations, the way back included. Pure.

mod adoption;
mod builder;
mod digest;
mod forward;
mod recovery;
mod undo;

use std::fmt;

use pilotage_name::ServiceKey;
use serde::Serialize;

use crate::capability::Lack;
use crate::desired::Labels;
use crate::live::{InstanceId, Live};
use crate::operation::Operation;
use crate::risk::{Risk, RiskClass};

pub use adoption::adoption;
pub use builder::KEPT;
pub use forward::plan;
pub use recovery::recovery;
pub use undo::undo;

/// The effects a deploy would have, in order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Plan {
    /// Which service.
    pub service: ServiceKey,
    /// Binds an apply to this plan: it changes when the descriptor, what runs, or what would be done changes.
    pub digest: String,
    /// The effects.
    pub operations: Vec<Planned>,
    /// What deserves a second look.
    pub risks: Vec<Risk>,
    /// The instance that serves afterwards, if any does.
    pub instance: Option<InstanceId>,
    /// The instance that serves before.
    pub before: Option<InstanceId>,
    /// Whether [`Plan::instance`] is what an earlier run of this release left, and never served.
    #[serde(skip)]
    pub taken_up: bool,
}

/// One effect and its cause.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Planned {
    /// The effect.
    #[serde(flatten)]
    pub operation: Operation,
    /// Why it is needed.
    pub why: String,
    /// The class of risk it carries.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub risk: Option<RiskClass>,
}

/// Why there is no plan.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// The descriptor asks for what this kind of target cannot do.
    #[error("the target cannot do {} of the things the descriptor asks for", .0.len())]
    Cannot(Vec<Lack>),
    /// A newer release has changed the service.
    #[error("fence {fence} is stale: {by} has changed the service already")]
    Stale {
        /// Ours.
        fence: u64,
        /// Theirs, in words.
        by: String,
    },
    /// Somebody else holds a route or port.
    #[error("{}", .0.join("; "))]
    Taken(Vec<String>),
    /// There is nothing to go back to.
    #[error("{0}")]
    NothingKept(&'static str),
}

impl Plan {
    /// Whether nothing a user could see would change.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        !self.operations.iter().any(|planned| planned.operation.changes())
    }

    /// Whether there is a moment in which nobody serves.
    #[must_use]
    pub fn has_downtime(&self) -> bool {
        self.risks.iter().any(|risk| risk.class == RiskClass::Downtime)
    }
}

impl fmt::Display for Plan {
    /// One line for each operation and risk; what `--dry-run` prints.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_empty() {
            writeln!(f, "{}: nothing to do", self.service)?;
        } else {
            writeln!(f, "{}:", self.service)?;
        }
        for planned in &self.operations {
            let risk = planned.risk.map(|class| format!("{class}: ")).unwrap_or_default();
            writeln!(f, "  {risk}{} ({})", planned.operation, planned.why)?;
        }
        for risk in &self.risks {
            let change = match (&risk.from, &risk.to) {
                (Some(from), Some(to)) => format!(" {from} -> {to}"),
                (Some(from), None) => format!(" {from} -> nothing"),
                (None, Some(to)) => format!(" {to}"),
                (None, None) => String::new(),
            };
            writeln!(f, "  risk {}: {}{change}: {}", risk.class, risk.path, risk.reason)?;
        }
        write!(f, "  plan {}", self.digest)
    }
}

fn check_fence(labels: &Labels, live: &Live) -> Result<(), Refused> {
    match &live.marker {
        Some(marker) if marker.fence > labels.fence => Err(Refused::Stale {
            fence: labels.fence,
            by: marker.to_string(),
        }),
        _ => Ok(()),
    }
}
