use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{CheckOutcome, ExitCode};

/// How a step ended. It alone decides the exit code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// Yes, or there was nothing to do.
    Passed,
    /// The step ran to its end and the answer is no.
    Failed,
    /// Flags or environment cannot be used.
    Usage,
    /// A descriptor, configuration or template is invalid.
    Invalid,
    /// No answer could be had.
    Unavailable,
    /// The deadline cut work whose answer is unknown.
    Deadline,
    /// Something with the right to say no said no.
    Refused {
        /// True where the answer may still become yes without a change of what was asked for.
        waiting: bool,
    },
    /// A newer accepted decision makes this one pointless.
    Superseded,
    /// A bug in the step.
    Internal,
    /// Someone ended the step.
    Cancelled(Signal),
}

/// The signals that cancel a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, schemars::JsonSchema)]
pub enum Signal {
    /// SIGINT, as Ctrl-C sends it.
    #[serde(rename = "SIGINT")]
    Interrupt,
    /// SIGTERM, as CI servers and container engines send it.
    #[serde(rename = "SIGTERM")]
    Terminate,
}

impl fmt::Display for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Interrupt => "SIGINT",
            Self::Terminate => "SIGTERM",
        })
    }
}

impl Outcome {
    /// The number the process ends with.
    #[must_use]
    pub const fn exit_code(self) -> ExitCode {
        match self {
            Self::Passed => ExitCode::Passed,
            Self::Failed => ExitCode::Failed,
            Self::Usage => ExitCode::Usage,
            Self::Invalid => ExitCode::Invalid,
            Self::Unavailable => ExitCode::Unavailable,
            Self::Deadline => ExitCode::Deadline,
            Self::Refused { .. } => ExitCode::Refused,
            Self::Superseded => ExitCode::Superseded,
            Self::Internal => ExitCode::Internal,
            Self::Cancelled(Signal::Interrupt) => ExitCode::Interrupted,
            Self::Cancelled(Signal::Terminate) => ExitCode::Terminated,
        }
    }

    /// What a child process that ended with `code` says; a code the house does not use is a bug of the child.
    #[must_use]
    pub const fn of_exit_code(code: ExitCode) -> Self {
        match code {
            ExitCode::Passed | ExitCode::Changes | ExitCode::RiskyChanges => Self::Passed,
            ExitCode::Failed => Self::Failed,
            ExitCode::Usage => Self::Usage,
            ExitCode::Invalid => Self::Invalid,
            ExitCode::Unavailable => Self::Unavailable,
            ExitCode::Deadline => Self::Deadline,
            ExitCode::Refused => Self::Refused { waiting: false },
            ExitCode::Superseded => Self::Superseded,
            ExitCode::Internal | ExitCode::Panicked => Self::Internal,
            ExitCode::Interrupted => Self::Cancelled(Signal::Interrupt),
            ExitCode::Terminated => Self::Cancelled(Signal::Terminate),
        }
    }

    /// The word in reports: `passed`, `failed`, `refused`, …
    #[must_use]
    pub const fn word(self) -> &'static str {
        self.exit_code().word()
    }

    /// Whether the step got what it was asked for.
    #[must_use]
    pub const fn is_passed(self) -> bool {
        matches!(self, Self::Passed)
    }

    /// The outcome of several checks together. A clear no (failed) beats an answer cut off (deadline), which beats no
    /// answer at all (unavailable); what is invalid could not be asked and beats all three. No checks: passed.
    #[must_use]
    pub fn worst(checks: impl IntoIterator<Item = CheckOutcome>) -> Self {
        checks
            .into_iter()
            .max_by_key(|outcome| outcome.rank())
            .map_or(Self::Passed, CheckOutcome::outcome)
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused { waiting: true } => f.write_str("waiting"),
            Self::Cancelled(signal) => write!(f, "cancelled by {signal}"),
            other => f.write_str(other.word()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worst_of_several_checks_is_one_before_five_before_four() {
        use CheckOutcome::*;
        let table: &[(&[CheckOutcome], Outcome)] = &[
            (&[], Outcome::Passed),
            (&[Passed, Skipped], Outcome::Passed),
            (&[Skipped], Outcome::Passed),
            (&[Passed, Unavailable], Outcome::Unavailable),
            (&[Unavailable, Deadline], Outcome::Deadline),
            (&[Deadline, Failed, Unavailable], Outcome::Failed),
            (&[Failed, Invalid], Outcome::Invalid),
            (&[Waiting, Passed], Outcome::Refused { waiting: true }),
            (&[Waiting, Refused], Outcome::Refused { waiting: false }),
            (&[Unavailable, Refused], Outcome::Unavailable),
        ];
        for (checks, expected) in table {
            assert_eq!(Outcome::worst(checks.iter().copied()), *expected, "{checks:?}");
            assert_eq!(
                Outcome::worst(checks.iter().rev().copied()),
                *expected,
                "the order of the checks does not matter: {checks:?}"
            );
        }
    }

    #[test]
    fn every_code_of_a_child_has_an_outcome_that_gives_the_code_back() {
        for code in ExitCode::ALL {
            let back = Outcome::of_exit_code(code).exit_code();
            assert_eq!(back.word(), code.word(), "{code:?}");
        }
    }
}
