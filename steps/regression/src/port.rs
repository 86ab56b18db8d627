use std::path::PathBuf;
use std::time::Duration;

use pilotage_step::{Cancel, CancelReason};

/// When the step itself has to end, a suite has no more than this to do so, so that there is time for its reports.
pub(crate) const HURRY: Duration = Duration::from_secs(5);

/// One run of a suite.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Run {
    /// Which one, from 1.
    pub attempt: u32,
    /// Its end.
    pub timeout: Duration,
    /// How long it may say nothing.
    pub idle: Option<Duration>,
    /// How long it may take to end when it is asked to.
    pub grace: Duration,
    /// A file with the tests that failed in the run before, `class.name` on each line; for a runner that can run those alone.
    pub failed: Option<PathBuf>,
}

/// How a run ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Exit {
    /// By itself, with this code.
    Code(i32),
    /// By a signal that nobody here sent.
    Signal(i32),
    /// It was ended: its time was over.
    TimedOut,
    /// It was ended: it said nothing for too long.
    Idle,
    /// It was ended: the step was asked to stop.
    Stopped(CancelReason),
    /// It could not be started.
    NotStarted(String),
}

/// The end of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ended {
    /// How.
    pub exit: Exit,
    /// After how long.
    pub took: Duration,
    /// Its last lines, without secrets.
    pub last: Vec<String>,
    /// Whether processes it had started were still there at its end; they were ended with it.
    pub left_behind: bool,
    /// Whether it had to be killed.
    pub killed: bool,
}

/// Runs a suite to its end.
pub trait Suite {
    /// Runs it once. Asked to stop, it asks the suite to stop and gives it its grace for that.
    fn run(&self, run: Run, cancel: &Cancel) -> impl Future<Output = Ended>;
}
