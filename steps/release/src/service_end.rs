//! What became of each service of a run, and which of them decides how the run ends.

use pilotage_outcome::{Effects, Outcome};

use crate::approve::{Approval, Refusal};
use crate::release::ReleaseEnd;
use crate::written::Written;

/// What became of one service.
#[derive(Clone, Debug)]
pub enum ServiceEnd {
    /// It was released, or not, in full.
    Released(Box<ReleaseEnd>),
    /// There was nothing to do.
    Nothing(String),
    /// A gate stands in the way.
    Refused(Box<Refusal>),
    /// Its descriptor has errors.
    Broken(pilotage_diagnostic::Diagnostics),
    /// A newer commit makes it pointless; it says which.
    Superseded(String),
    /// Another release of it goes on; it says whose.
    Held(String),
    /// One that it waits for did not go well, so it was not begun.
    NotBegun(String),
    /// It could not be begun.
    Failed(Outcome, String),
}

impl ServiceEnd {
    /// How it ended.
    #[must_use]
    pub fn outcome(&self) -> Outcome {
        match self {
            Self::Released(end) => match &end.written {
                // A release whose end nobody can read has not gone well yet.
                Written::No(_) if end.judgement.outcome.is_passed() => Outcome::Unavailable,
                // Whatever its stages came to: it is not this one's any more.
                Written::Lost(_) if !end.judgement.stopped => Outcome::Refused { waiting: false },
                _ => end.judgement.outcome,
            },
            Self::Nothing(_) => Outcome::Passed,
            Self::Refused(refusal) => Outcome::Refused {
                waiting: refusal.waiting,
            },
            Self::Broken(_) => Outcome::Invalid,
            Self::Superseded(_) => Outcome::Superseded,
            Self::Held(_) => Outcome::Refused { waiting: true },
            Self::NotBegun(_) => Outcome::Refused { waiting: false },
            Self::Failed(outcome, _) => *outcome,
        }
    }

    /// What it changed.
    #[must_use]
    pub fn effects(&self) -> Effects {
        match self {
            Self::Released(end) => end.judgement.effects,
            _ => Effects::None,
        }
    }
}

/// Of several services the one that went worst decides: cancelled, a bug, a clear no (1), an answer cut off (5), no answer
/// (4), invalid (3), refused (6), superseded (7).
#[must_use]
pub fn worst(outcomes: impl IntoIterator<Item = Outcome>) -> Outcome {
    let rank = |outcome: &Outcome| match outcome {
        Outcome::Passed => 0,
        Outcome::Superseded => 1,
        Outcome::Refused { waiting: true } => 2,
        Outcome::Refused { waiting: false } => 3,
        Outcome::Invalid => 4,
        Outcome::Unavailable => 5,
        Outcome::Deadline => 6,
        Outcome::Failed => 7,
        Outcome::Usage => 8,
        Outcome::Internal => 9,
        Outcome::Cancelled(_) => 10,
    };
    outcomes.into_iter().max_by_key(rank).unwrap_or(Outcome::Passed)
}

/// What becomes of a service that may not be released now.
pub(crate) fn not_now(approval: Approval) -> ServiceEnd {
    match approval {
        Approval::Go(_) => {
            ServiceEnd::Failed(Outcome::Internal, "an accepted service has no plan".to_owned())
        }
        Approval::Nothing(why) | Approval::Stands(_, why) => ServiceEnd::Nothing(why),
        Approval::Refused(refusal) => ServiceEnd::Refused(refusal),
        Approval::Superseded { by } => {
            ServiceEnd::Superseded(format!("the newer commit {} was accepted since", by.short()))
        }
        Approval::Broken(diagnostics) => ServiceEnd::Broken(diagnostics),
    }
}
