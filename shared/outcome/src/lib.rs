//! What a step says when it ends: report, JUnit, output lines and exit code.
//!
//! A step's run returns a [`StepReport`] (it has a verdict, good or bad) or a [`Fault`] (it has none). Both carry an
//! [`Outcome`]; the outcome alone decides the exit code ([`ExitCode`]). Everything that is written to a file or to
//! stdout is made from [`StepReportData`], the versioned twin of the report, so that JSON, JUnit and output lines can
//! never tell different stories.
//!
//! ```
//! use pilotage_outcome::{CheckOutcome, CheckResult, ExitCode, Outcome, StepReport};
//!
//! let report = StepReport::of_checks(vec![
//!     CheckResult::new("http /health", CheckOutcome::Passed),
//!     CheckResult::new("tcp admin", CheckOutcome::Unavailable).reason("connection refused"),
//! ])
//! .output("version", "1.4.2")
//! .text("1 of 2 endpoints answered\n");
//! assert_eq!(report.outcome, Outcome::Unavailable);
//! assert_eq!(report.exit_code(), ExitCode::Unavailable);
//! ```

mod check;
mod data;
mod effects;
mod exit_code;
mod fault;
mod junit;
mod outcome;
mod outputs;
mod report;

pub use check::{Attempt, CheckOutcome, CheckResult};
pub use data::{
    AttemptData, ChangeData, CheckData, Invocation, OutcomeWord, ReadReportError, SCHEMA, StepReportData,
    schema,
};
pub use effects::{Change, Effects};
pub use exit_code::{ExitCode, exit_codes_json};
pub use fault::{Class, Classify, Fault};
pub use junit::to_junit;
pub use outcome::{Outcome, Signal};
pub use outputs::{OutputError, OutputKey, parse_outputs, to_outputs};
pub use report::StepReport;
