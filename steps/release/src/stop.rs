use pilotage_outcome::Outcome;
use pilotage_step::CancelReason;

/// Why a release ends before its plan does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Stop {
    /// It was asked to.
    Asked(CancelReason),
    /// Somebody else has taken it over.
    Lost {
        /// Who.
        by: String,
        /// Whether what took over is of a newer commit.
        newer: bool,
    },
    /// Nobody can say whether it is still ours, and why not.
    Blind(String),
}

impl Stop {
    /// How that ends the release.
    pub(crate) fn outcome(&self) -> Outcome {
        match self {
            Self::Asked(CancelReason::Signal(signal)) => Outcome::Cancelled(*signal),
            Self::Asked(CancelReason::Deadline) => Outcome::Deadline,
            Self::Lost { newer: true, .. } => Outcome::Superseded,
            Self::Lost { newer: false, .. } => Outcome::Refused { waiting: false },
            Self::Blind(_) => Outcome::Unavailable,
        }
    }

    /// Why, for people.
    pub(crate) fn why(&self) -> String {
        match self {
            Self::Asked(CancelReason::Signal(signal)) => format!("cancelled by {signal}"),
            Self::Asked(CancelReason::Deadline) => {
                "the deadline of the release came before its end".to_owned()
            }
            Self::Lost { by, .. } => format!("the release is no longer ours: {by}"),
            Self::Blind(why) => {
                format!(
                    "whether the release is still ours cannot be asked, so nothing more is changed: {why}"
                )
            }
        }
    }
}
