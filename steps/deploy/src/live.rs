//! What a target holds of a service.

use std::fmt;

use pilotage_descriptor::Descriptor;
use serde::{Deserialize, Serialize};

use crate::desired::{HostAddress, Identity, Labels, host_addresses};
use crate::fingerprint::Fingerprints;

/// What the target holds of one service, as it was found: only what carries our labels.
#[derive(Clone, Debug, Default)]
pub struct Live {
    /// Who changed the service last.
    pub marker: Option<Marker>,
    /// Which instance the traffic goes to.
    pub serving: Option<Serving>,
    /// All instances, by rising id.
    pub instances: Vec<Instance>,
    /// The id the next new instance will get.
    pub next: InstanceId,
    /// Whether what routes the traffic is there.
    pub front: Front,
    /// What somebody else holds of the wanted routes and host ports, as sentences.
    pub taken: Vec<String>,
}

impl Live {
    /// The instance of this id.
    #[must_use]
    pub fn instance(&self, id: InstanceId) -> Option<&Instance> {
        self.instances.iter().find(|instance| instance.id == id)
    }

    /// The instance that serves.
    #[must_use]
    pub fn serving_instance(&self) -> Option<&Instance> {
        self.instance(self.serving?.instance)
    }
}

/// The names of a service's instances: counted from 1, never used twice.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct InstanceId(pub u64);

impl fmt::Display for InstanceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "#{}", self.0)
    }
}

/// One of the replicas of an instance, or all of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Replica {
    /// The instance.
    pub instance: InstanceId,
    /// Which, counted from 1; none means the whole instance, one replica after the other.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replica: Option<u32>,
}

impl Replica {
    /// The replicas of an instance of which there are `count`. One that is alone is the whole instance.
    pub fn all(instance: InstanceId, count: u32) -> impl Iterator<Item = Self> {
        let alone = (count <= 1).then_some(Self::from(instance));
        let several = (1..=count).filter(move |_| count > 1).map(move |number| Self {
            instance,
            replica: Some(number),
        });
        alone.into_iter().chain(several)
    }
}

impl From<InstanceId> for Replica {
    fn from(instance: InstanceId) -> Self {
        Self {
            instance,
            replica: None,
        }
    }
}

impl fmt::Display for Replica {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.replica {
            None => self.instance.fmt(f),
            Some(number) => write!(f, "{}.{number}", self.instance),
        }
    }
}

/// The mark that a release leaves before its first effect, so that an older one can change nothing afterwards.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Marker {
    /// The release's fence.
    pub fence: u64,
    /// Its name, where it has one.
    pub release: Option<pilotage_name::ReleaseId>,
    /// The commit it released: what runs is that commit's, also where its instance was made for an earlier one.
    pub commit: Option<pilotage_name::CommitId>,
}

impl fmt::Display for Marker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.release {
            Some(release) => write!(f, "release {release}"),
            None => write!(f, "a deploy with fence {}", self.fence),
        }
    }
}

/// Where the traffic goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Serving {
    /// The instance.
    pub instance: InstanceId,
    /// Whether the route leads to it as it runs now; not so after it was started anew elsewhere.
    pub current: bool,
}

/// The state of what routes the traffic to all services of the target.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub enum Front {
    /// It routes.
    #[default]
    Up,
    /// It has to be started first.
    Down,
}

/// One instance, whatever became of it.
#[derive(Clone, Debug)]
pub struct Instance {
    /// Its name.
    pub id: InstanceId,
    /// In whose name it was made.
    pub labels: Labels,
    /// What runs in it, as far as it could be read.
    pub identity: Option<Identity>,
    /// The secrets it was given.
    pub secrets: Fingerprints,
    /// Whether it runs: all of it.
    pub state: State,
    /// The state of each replica, of one as well.
    pub replicas: Vec<State>,
    /// Whether something of it runs that does not count: started by a run that crashed, or left by one that ended.
    pub stray: bool,
    /// Counts the switches of the service: a higher turn served later; 0 never served.
    pub turn: u64,
    /// Whether it served and was taken back.
    pub undone: bool,
    /// The descriptor it was made from.
    pub descriptor: Option<Descriptor>,
}

impl Instance {
    /// Whether anything of it runs and so holds its ports.
    #[must_use]
    pub fn holds(&self) -> bool {
        self.stray || self.state == State::Running
    }

    /// Whether it is of no use: half made, or never led to by any traffic.
    #[must_use]
    pub fn was_left(&self) -> bool {
        self.turn == 0 || self.state == State::Partial
    }

    /// Its replicas, each with its state.
    pub fn each(&self) -> impl Iterator<Item = (Replica, State)> {
        let count = u32::try_from(self.replicas.len()).unwrap_or(u32::MAX);
        Replica::all(self.id, count).zip(self.replicas.iter().copied())
    }

    /// The ports of the host it holds while it runs.
    #[must_use]
    pub fn host_addresses(&self) -> Vec<HostAddress> {
        self.descriptor.as_ref().map(host_addresses).unwrap_or_default()
    }
}

/// Whether an instance runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// A crash left it half made; it can only be removed.
    Partial,
    /// Complete and not started.
    Prepared,
    /// It runs.
    Running,
    /// It ran and was stopped, or ended by itself.
    Ended,
    /// A job that ran to its end, which was exit 0.
    Done,
}

impl State {
    /// The state of an instance whose replicas are in these. Something of it may run in any but [`State::Running`], too.
    #[must_use]
    pub fn of(replicas: &[Self]) -> Self {
        // What is missing of the whole counts most.
        let order = [
            Self::Partial,
            Self::Ended,
            Self::Prepared,
            Self::Running,
            Self::Done,
        ];
        order
            .into_iter()
            .find(|state| replicas.contains(state))
            .unwrap_or(Self::Partial)
    }

    /// Whether it is what an instance that serves should be in.
    #[must_use]
    pub fn is_well(self) -> bool {
        matches!(self, Self::Running | Self::Done)
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Partial => "half made",
            Self::Prepared => "prepared",
            Self::Running => "running",
            Self::Ended => "ended",
            Self::Done => "done",
        })
    }
}
