//! A person may ask not to release a push, with a marker on the commit that brought it.
//!
//! Markers elsewhere in a range do not count: they would let one commit excuse another. Nor does the same text in the
//! middle of a subject or in the body, where people quote it.

use super::Case;
use crate::decision::{Answer, GateResult};
use crate::evidence::Change;
use pilotage_config::SkipRule;

const MARKERS: [&str; 4] = ["[skip deploy]", "[deploy skip]", "[skip ci]", "[ci skip]"];

pub(super) fn ask(case: &Case<'_>) -> Option<GateResult> {
    const GATE: &str = "skip";
    let newest = case.evidence.newest()?;
    let marker = marker(newest)?;
    let environment = &case.evidence.environment;
    let said = format!(
        "{} by {} says `{marker}`",
        newest.commit.short(),
        newest.committer.name
    );
    Some(match case.config.policy_of(environment).skip {
        SkipRule::Allow => GateResult::new(GATE, Answer::Skip)
            .because(said)
            .needs("the next commit that changes the service, which brings this one along"),
        SkipRule::Forbid => GateResult::new(GATE, Answer::Refuse)
            .because(format!(
                "{said}, and the policy of {environment} forbids skip markers"
            ))
            .needs("a commit without the marker"),
    })
}

fn marker(change: &Change) -> Option<String> {
    let subject = change.subject.trim().to_ascii_lowercase();
    let marker = MARKERS
        .iter()
        .find(|marker| subject.starts_with(**marker) || subject.ends_with(**marker));
    match marker {
        Some(marker) => Some((*marker).to_owned()),
        None => change
            .trailer("Deploy")
            .filter(|value| value.trim().eq_ignore_ascii_case("skip"))
            .map(|_| "Deploy: skip".to_owned()),
    }
}
