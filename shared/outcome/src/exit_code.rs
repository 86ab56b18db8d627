use serde_json::{Value, json};

/// The exit codes of every binary of the house.
///
/// 124 to 127 and 137 stay free for `timeout`, container engines, the shell and the out-of-memory killer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum ExitCode {
    /// Passed, or there was nothing to do.
    Passed = 0,
    /// The step ran to its end and the answer is no.
    Failed = 1,
    /// The flags or the environment cannot be used; nothing was started.
    Usage = 2,
    /// The descriptor, the configuration or a template is invalid; diagnostics say where.
    Invalid = 3,
    /// No answer could be had: network, authentication, registry, target.
    Unavailable = 4,
    /// The deadline cut work whose answer is unknown.
    Deadline = 5,
    /// Refused or waiting: a gate, a lease held, a plan that no longer fits, a risk not approved.
    Refused = 6,
    /// Superseded by a newer accepted decision.
    Superseded = 7,
    /// `deploy plan --detailed-exitcode`: there are changes, none of them risky.
    Changes = 10,
    /// `deploy plan --detailed-exitcode`: there are risky changes.
    RiskyChanges = 11,
    /// A bug in the step, found by the step itself.
    Internal = 70,
    /// A bug in the step that ended it where it stood (a panic).
    Panicked = 101,
    /// Cancelled by SIGINT, after a bounded clean-up.
    Interrupted = 130,
    /// Cancelled by SIGTERM, after a bounded clean-up.
    Terminated = 143,
}

impl ExitCode {
    /// All of them, in order.
    pub const ALL: [Self; 14] = [
        Self::Passed,
        Self::Failed,
        Self::Usage,
        Self::Invalid,
        Self::Unavailable,
        Self::Deadline,
        Self::Refused,
        Self::Superseded,
        Self::Changes,
        Self::RiskyChanges,
        Self::Internal,
        Self::Panicked,
        Self::Interrupted,
        Self::Terminated,
    ];

    /// The number the process ends with.
    #[must_use]
    pub const fn code(self) -> u8 {
        self as u8
    }

    /// The code of this number, if the house uses it.
    #[must_use]
    pub fn from_code(code: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|known| known.code() == code)
    }

    /// The word for the outcome behind the code, as in reports.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Passed | Self::Changes | Self::RiskyChanges => "passed",
            Self::Failed => "failed",
            Self::Usage => "usage",
            Self::Invalid => "invalid",
            Self::Unavailable => "unavailable",
            Self::Deadline => "deadline",
            Self::Refused => "refused",
            Self::Superseded => "superseded",
            Self::Internal | Self::Panicked => "internal",
            Self::Interrupted | Self::Terminated => "cancelled",
        }
    }

    /// One sentence a pipeline's author understands.
    #[must_use]
    pub const fn meaning(self) -> &'static str {
        match self {
            Self::Passed => "passed, or nothing to do",
            Self::Failed => "ran to its end and the answer is no",
            Self::Usage => "flags or environment cannot be used; nothing was started",
            Self::Invalid => "descriptor, config or template invalid; diagnostics say where",
            Self::Unavailable => "no answer could be had: network, auth, registry, target",
            Self::Deadline => "the deadline cut work whose answer is unknown",
            Self::Refused => {
                "refused or waiting: a gate, a lease held, a plan that no longer fits, a risk not approved"
            }
            Self::Superseded => "superseded by a newer accepted decision",
            Self::Changes => "deploy plan --detailed-exitcode: changes, none risky",
            Self::RiskyChanges => "deploy plan --detailed-exitcode: risky changes",
            Self::Internal => "a bug in the step",
            Self::Panicked => "a bug in the step that ended it where it stood",
            Self::Interrupted => "cancelled by SIGINT after a bounded clean-up",
            Self::Terminated => "cancelled by SIGTERM after a bounded clean-up",
        }
    }

    /// What a JUnit report shows for a step that ends so.
    #[must_use]
    pub const fn junit(self) -> &'static str {
        match self {
            Self::Passed | Self::Changes | Self::RiskyChanges => "testcase",
            Self::Failed => "failure",
            Self::Superseded => "skipped",
            Self::Usage
            | Self::Invalid
            | Self::Unavailable
            | Self::Deadline
            | Self::Refused
            | Self::Internal
            | Self::Panicked
            | Self::Interrupted
            | Self::Terminated => "error",
        }
    }
}

impl From<ExitCode> for std::process::ExitCode {
    fn from(code: ExitCode) -> Self {
        Self::from(code.code())
    }
}

/// The table of exit codes as JSON, for readers that are not Rust (the Jenkins library, other CIs' templates).
/// It is committed as `shared/outcome/exit-codes.json`.
#[must_use]
pub fn exit_codes_json() -> Value {
    let codes: Vec<Value> = ExitCode::ALL
        .iter()
        .map(|code| {
            json!({
                "code": code.code(),
                "outcome": code.word(),
                "meaning": code.meaning(),
                "junit": code.junit(),
            })
        })
        .collect();
    json!({ "schema": "exit-codes/v1", "codes": codes })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_unique_and_lead_back() {
        for code in ExitCode::ALL {
            assert_eq!(ExitCode::from_code(code.code()), Some(code));
        }
        assert_eq!(ExitCode::from_code(42), None);
    }
}
