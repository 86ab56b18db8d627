//! An environment that Pilotage never saw may run things already: its owner says what to do about them.

use super::Case;
use crate::decision::{Answer, GateResult};
use crate::evidence::FirstSight;

pub(super) fn ask(case: &Case<'_>) -> Option<GateResult> {
    const GATE: &str = "first-sight";
    let environment = &case.evidence.environment;
    match case.evidence.first_sight {
        FirstSight::Known => None,
        FirstSight::Unanswered => Some(
            GateResult::new(GATE, Answer::Wait)
                .because(format!("{environment} is seen for the first time, and what runs there already is not known"))
                .needs("`first: deploy` (release what the branch asks for) or `first: adopt` (take it as running) for the environment in pilotage.yaml, or `--first deploy|adopt` once"),
        ),
        FirstSight::Deploy => Some(
            GateResult::new(GATE, Answer::Pass)
                .because(format!("{environment} is seen for the first time; its owner asked to deploy what the branch asks for")),
        ),
        FirstSight::Adopt => Some(
            GateResult::new(GATE, Answer::Pass)
                .because(format!("{environment} is seen for the first time; its owner asked to adopt what the branch asks for as running")),
        ),
    }
}
