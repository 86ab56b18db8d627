//! How an accepted decision becomes a release: the port, and what is asked through it.

use pilotage_name::{CommitId, EnvironmentName, ServiceName};

/// Services of one environment to be released together, at one commit.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Order {
    /// The environment.
    pub(crate) environment: EnvironmentName,
    /// The commit that was accepted.
    pub(crate) commit: CommitId,
    /// The services, at least one.
    pub(crate) services: Vec<ServiceName>,
}

impl Order {
    /// The services in one line.
    pub(crate) fn names(&self) -> String {
        let names: Vec<&str> = self.services.iter().map(ServiceName::as_str).collect();
        names.join(", ")
    }
}

/// A release that was started and has ended.
#[derive(Clone, Debug)]
pub(crate) struct Ended {
    /// What was started.
    pub(crate) order: Order,
    /// The exit code; none when a signal ended it.
    pub(crate) code: Option<i32>,
}

/// Starts releases, and knows which of them still run.
pub(crate) trait Trigger {
    /// Starts the release of an order and returns at once.
    ///
    /// # Errors
    /// It could not be started; the order stays open and is tried again.
    fn start(&mut self, order: &Order) -> Result<(), TriggerError>;

    /// The releases that ended since this was asked last.
    fn ended(&mut self) -> Vec<Ended>;

    /// Whether a release of this service at this commit is running that was started here.
    fn runs(&self, environment: &EnvironmentName, service: &ServiceName, commit: &CommitId) -> bool;
}

/// Why a release could not be started.
#[derive(Debug, thiserror::Error)]
#[error("`{program}` cannot be started: {source}")]
pub(crate) struct TriggerError {
    /// What was to be started.
    pub(crate) program: String,
    /// What the system said.
    pub(crate) source: std::io::Error,
}
