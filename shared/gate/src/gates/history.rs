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
                    "the branch was rewritten or deleted since {} was its tip; {} is its tip now",
                    from.short(),
                    to.short()
                ))
                .needs(format!(
                    "`pilotage-git-monitor accept --env {} --commit {to} --by … --reason …`; if it was a slip, push {} back first and accept that",
                    case.evidence.environment,
                    from.short(),
                )),
        ),
    }
}
