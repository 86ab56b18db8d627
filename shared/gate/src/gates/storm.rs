//! A push that changes very many services at once is more often a slip than a plan.

use super::Case;
use crate::decision::{Answer, GateResult};
use crate::evidence::FirstSight;

/// Below this many services a percentage says nothing: one of three services is a third.
const PERCENT_COUNTS_ABOVE: u32 = 5;

pub(super) fn ask(case: &Case<'_>) -> Option<GateResult> {
    const GATE: &str = "storm";
    let evidence = case.evidence;
    if evidence.first_sight != FirstSight::Known {
        return None;
    }
    let limit = &case.config.storm;
    let (changing, total) = (evidence.storm.changing, evidence.storm.total);
    let share = u64::from(changing) * 100 > u64::from(limit.percent) * u64::from(total);
    if changing <= limit.services && !(share && changing > PERCENT_COUNTS_ABOVE) {
        return None;
    }
    let said = format!(
        "the push changes {changing} of {total} services of {}",
        evidence.environment
    );
    let named = evidence
        .newest()
        .and_then(|newest| newest.trailer("Storm"))
        .and_then(|n| n.trim().parse::<u32>().ok());
    Some(match named {
        Some(named) if named >= changing => {
            GateResult::new(GATE, Answer::Pass).because(format!("{said}; its newest commit expects {named}"))
        }
        Some(named) => GateResult::new(GATE, Answer::Wait)
            .because(format!("{said}, but its newest commit expects {named}"))
            .needs(format!("a commit with the trailer `Storm: {changing}`")),
        None => GateResult::new(GATE, Answer::Wait)
            .because(format!(
                "{said}; more than {} services, or {} % of an environment, need a word",
                limit.services, limit.percent
            ))
            .needs(format!("a commit with the trailer `Storm: {changing}`")),
    })
}
