//! Every accountable commit names its ticket. A merge that only joins needs none: what it brings names its own.

use regex::Regex;

use super::Case;
use crate::decision::{Answer, GateResult};
use crate::evidence::Change;

pub(super) fn ask(case: &Case<'_>) -> Option<GateResult> {
    const GATE: &str = "ticket";
    let evidence = case.evidence;
    let rule = case.config.policy_of(&evidence.environment).ticket.as_ref()?;
    if evidence.newest().is_none() {
        return evidence.is_unanswered().then(|| super::people::unanswered(GATE));
    }
    if let Some(accepted) = evidence.accepted_again() {
        let said = format!(
            "what is asked is what was accepted at {}",
            accepted.commit.short()
        );
        return Some(GateResult::new(GATE, Answer::Pass).because(said));
    }
    let (mut without, mut named) = (Vec::new(), Vec::new());
    for change in &evidence.accountable {
        let commit = change.commit.short();
        let keys = keys(&rule.project, change);
        if keys.is_empty() {
            without.push(format!("{commit} names no ticket of {}", rule.project));
        } else {
            named.push(format!("{commit} names {}", keys.join(", ")));
        }
    }
    if !without.is_empty() {
        let refusal = without
            .into_iter()
            .fold(GateResult::new(GATE, Answer::Refuse), GateResult::because);
        let needs = if evidence.is_new() {
            format!(
                "{} removed from the branch, and after that a commit that brings it back and names a ticket, such as {}-123",
                pilotage_descriptor::path_of(&evidence.service),
                rule.project
            )
        } else {
            format!(
                "commits whose message names a ticket, such as {}-123; a commit that takes the others back makes nothing differ any more",
                rule.project
            )
        };
        return Some(named.into_iter().fold(refusal, GateResult::aside).needs(needs));
    }
    if !rule.status.is_empty() {
        // The tracker is not asked yet, and an authority that was not asked is never a pass.
        let said = format!(
            "the policy asks for status {}, and no tracker has answered",
            rule.status.join(" or ")
        );
        let wait = GateResult::new(GATE, Answer::Wait).because(said);
        return Some(
            named
                .into_iter()
                .fold(wait, GateResult::aside)
                .needs("a tracker that answers with one of these statuses"),
        );
    }
    Some(
        named
            .into_iter()
            .fold(GateResult::new(GATE, Answer::Pass), GateResult::because),
    )
}

/// Keys of the project in the commit's subject, body and trailers, in order, each once.
///
/// A key is the project, a hyphen and a number without a leading zero, standing alone: what continues as a version
/// (`SHOP-1.2`) or as a longer word is none.
fn keys(project: &str, change: &Change) -> Vec<String> {
    let Ok(pattern) = Regex::new(&format!(
        r"(?:^|[^A-Za-z0-9_-])({}-[1-9][0-9]*)",
        regex::escape(project)
    )) else {
        return Vec::new();
    };
    let mut found: Vec<String> = Vec::new();
    let trailers = change.trailers.iter().map(|(_, value)| value.as_str());
    for text in [change.subject.as_str(), change.body.as_str()]
        .into_iter()
        .chain(trailers)
    {
        for capture in pattern.captures_iter(text) {
            let Some(key) = capture.get(1) else { continue };
            let mut after = text[key.end()..].chars();
            let continues = match after.next() {
                Some('.') => after.next().is_some_and(|c| c.is_ascii_digit()),
                Some(c) => c.is_alphanumeric() || c == '_',
                None => false,
            };
            if !continues && !found.iter().any(|known| known == key.as_str()) {
                found.push(key.as_str().to_owned());
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gates::testing::change;

    #[test]
    fn keys_stand_alone() {
        for (text, expected) in [
            ("SHOP-12: raise the limit", vec!["SHOP-12"]),
            ("fix (SHOP-1), see SHOP-2 and SHOP-1", vec!["SHOP-1", "SHOP-2"]),
            ("Merge pull request #4 from ana/SHOP-7", vec!["SHOP-7"]),
            ("SHOP-1.2 is a version", vec![]),
            ("ends a sentence with SHOP-3.", vec!["SHOP-3"]),
            ("WORKSHOP-1, SHOP-0, SHOP-x, shop-4, X-SHOP-5, SHOP-6a", vec![]),
        ] {
            let change = change(1, "ana", text);
            assert_eq!(keys("SHOP", &change), expected, "{text}");
        }
    }
}
