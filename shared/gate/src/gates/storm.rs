//! A push that changes very many services at once is more often a slip than a plan. A word in a commit of the branch says
//! that it is one; it may come later, in a commit of its own.

use super::Case;
use crate::decision::{Answer, GateResult};
use crate::evidence::FirstSight;

pub(super) fn ask(case: &Case<'_>) -> Option<GateResult> {
    const GATE: &str = "storm";
    let evidence = case.evidence;
    if evidence.first_sight != FirstSight::Known {
        return None;
    }
    let limit = &case.config.storm;
    let (changing, total) = (evidence.storm.changing, evidence.storm.total);
    if !limit.is_one(changing, total) {
        return None;
    }
    let said = format!(
        "the push changes {changing} of {total} services of {}",
        evidence.environment
    );
    let needs =
        format!("a commit with the trailer `Storm: {changing}` on the branch, whatever else it changes");
    let wait = |said: String| GateResult::new(GATE, Answer::Wait).because(said).needs(needs);
    let Some(announced) = &evidence.announced else {
        return Some(wait(format!(
            "{said}; more than {} services, or {} % of an environment, need a word",
            limit.services, limit.percent
        )));
    };
    let commit = announced.commit.short();
    // The commit may change no file of the service, so nobody else asks who made it.
    if !super::people::may_speak(case, announced) {
        let who = &announced.committer;
        return Some(wait(format!(
            "{said}; {commit} announces it, but the policy does not let {} <{}> do so",
            who.name, who.email
        )));
    }
    let expected = announced
        .trailer("Storm")
        .and_then(|count| count.trim().parse::<u32>().ok());
    Some(match expected {
        Some(expected) if expected >= changing => {
            GateResult::new(GATE, Answer::Pass).because(format!("{said}; {commit} expects {expected}"))
        }
        Some(expected) => wait(format!("{said}, but {commit} expects {expected}")),
        None => wait(format!(
            "{said}, and the `Storm` trailer of {commit} is no number"
        )),
    })
}
