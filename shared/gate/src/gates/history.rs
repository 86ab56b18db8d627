//! A branch that was rewritten shows commits nobody decided, and hides commits that were decided.

use super::Case;
use crate::decision::{Answer, GateResult};
use crate::evidence::History;

pub(super) fn ask(case: &Case<'_>) -> Option<GateResult> {
    const GATE: &str = "history";
    match &case.evidence.history {
        History::Linear => None,
        History::Rewritten {
            from,
            to,
            accepted: Some(reason),
        } => Some(GateResult::new(GATE, Answer::Pass).because(format!(
            "the branch was rewritten from {} to {}, which was accepted: {reason}",
            from.short(),
            to.short()
        ))),
        History::Rewritten {
            from,
            to,
            accepted: None,
        } => Some(
            GateResult::new(GATE, Answer::Wait)
                .because(format!(
                    "the branch was rewritten: {} was its tip and is no ancestor of {} now",
                    from.short(),
                    to.short()
                ))
                .needs(format!(
                    "push {} back, or `pilotage-git-monitor accept --env {} --commit {to} --reason …`",
                    from.short(),
                    case.evidence.environment
                )),
        ),
    }
}
