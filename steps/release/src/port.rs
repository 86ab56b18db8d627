//! Who runs a stage.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use pilotage_step::Cancel;

/// A stage to run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    /// The binary, such as `pilotage-deploy`.
    pub program: String,
    /// Its arguments; only a subcommand, everything else is in the environment.
    pub arguments: Vec<String>,
    /// The twins of its flags, without secrets.
    pub environment: BTreeMap<String, String>,
    /// Which secrets it may have.
    pub needs: Needs,
    /// Whose lines these are, for people: `shop deploy`.
    pub label: String,
    /// Where everything it says is kept.
    pub log: PathBuf,
    /// When it is ended by force, should it not end itself.
    pub deadline: Duration,
}

/// The secrets a stage needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Needs {
    /// None.
    Nothing,
    /// The variables with this prefix: those that belong to the service.
    Secrets(String),
    /// Those that reach people.
    Channels,
}

/// How a stage ended, as seen from outside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Exit {
    /// By itself, with this code.
    Code(u8),
    /// By a signal that nobody here sent.
    Signal(i32),
    /// It did not end at its deadline and was ended by force.
    Overdue,
    /// It did not end when it was asked to stop and was ended by force.
    Stopped,
    /// It could not be started.
    NotStarted(String),
}

/// The end of a stage.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ended {
    /// How.
    pub exit: Exit,
    /// After how long.
    pub took: Duration,
}

/// Runs a stage to its end. Asked to stop, it asks the stage to stop and gives it a moment for that.
pub trait Launcher {
    /// Runs it.
    fn run(&self, call: &Call, cancel: &Cancel) -> impl Future<Output = Ended>;
}
