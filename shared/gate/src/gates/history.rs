//! A branch that was rewritten shows commits nobody decided, and hides commits that were decided.

use super::Case;
use crate::decision::{Answer, GateResult};
use crate::evidence::History;

pub(super) fn ask(case: &Case<'_>) -> Option<GateResult> {
    const GATE: &str = "history";
    let environment = &case.evidence.environment;
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
                .needs(match case.config.environment(environment) {
                    Some(known) => format!(
                        "`{}`; if it was a slip, first `{}` and accept that",
                        case.commands.accept(environment, to),
                        case.commands.put_back(&known.branch, from)
                    ),
                    None => format!("`{}`", case.commands.accept(environment, to)),
                }),
        ),
    }
}
