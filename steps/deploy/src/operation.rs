//! One effect.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::live::{InstanceId, Replica};

/// One effect on a target. Each is safe to repeat, and each is whole or absent after a crash.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "operation")]
pub enum Operation {
    /// Leaves the mark of this release, so that an older one changes nothing from here on.
    Mark {
        /// The fence it carries.
        fence: u64,
    },
    /// Starts what routes the traffic.
    OpenFront,
    /// Brings artifact, configuration and files to the target, without starting anything.
    Prepare {
        /// The new instance.
        instance: InstanceId,
    },
    /// Starts a replica on addresses of its own.
    Start {
        /// The replica.
        #[serde(flatten)]
        of: Replica,
    },
    /// Asks a replica directly until it answers as the descriptor's healthcheck wants; waits for the end of a job.
    Prove {
        /// The replica.
        #[serde(flatten)]
        of: Replica,
    },
    /// Leads the traffic to a replica, in one indivisible act.
    Switch {
        /// The replica.
        #[serde(flatten)]
        of: Replica,
    },
    /// Reads the proof back from every replica of the instance that serves: digest, version, config hash, one good answer.
    Verify {
        /// The instance.
        instance: InstanceId,
    },
    /// Lets an instance finish what it is doing, stops it, and keeps it so that it can be started again.
    Stop {
        /// The instance.
        instance: InstanceId,
        /// Whether it is taken back, and so no place to go back to.
        undone: bool,
    },
    /// Stops an instance if it runs, and removes everything of it.
    Remove {
        /// The instance.
        instance: InstanceId,
    },
    /// Frees the service's routes.
    Withdraw,
    /// Takes what runs already for the instance that serves.
    Adopt {
        /// The instance it becomes.
        instance: InstanceId,
    },
}

impl Operation {
    /// Whether the target is another one afterwards; reading and marking change nothing a user could see.
    #[must_use]
    pub fn changes(&self) -> bool {
        !matches!(self, Self::Mark { .. } | Self::Prove { .. } | Self::Verify { .. })
    }
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Mark { fence } => write!(f, "mark the service with fence {fence}"),
            Self::OpenFront => f.write_str("start the front door"),
            Self::Prepare { instance } => write!(f, "prepare instance {instance}"),
            Self::Start { of } => write!(f, "start instance {of}"),
            Self::Prove { of } => write!(f, "prove instance {of}"),
            Self::Switch { of } => write!(f, "switch to instance {of}"),
            Self::Verify { instance } => write!(f, "verify instance {instance}"),
            Self::Stop { instance, .. } => write!(f, "stop and keep instance {instance}"),
            Self::Remove { instance } => write!(f, "remove instance {instance}"),
            Self::Withdraw => f.write_str("free the routes"),
            Self::Adopt { instance } => write!(f, "adopt it as instance {instance}"),
        }
    }
}
