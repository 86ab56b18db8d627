//! Whether a decision says anything that is not recorded already. A tick that has no news writes nothing, so that a
//! service which waits for a week does not fill the ledger.

use pilotage_gate::{Decision, Verdict};
use pilotage_ledger::ServiceRecord;
use serde_json::Value;

/// The parts of a decision that matter to whoever reads it again: not when it was asked, nor how long the push was.
const TELLING: [&str; 7] = [
    "verdict",
    "commit",
    "version",
    "digest",
    "gates",
    "notes",
    "policy_hash",
];

/// Whether the decision differs from what is recorded in a part that matters.
#[must_use]
pub(crate) fn is_news(decision: &Decision, before: Option<&ServiceRecord>) -> bool {
    let Some(before) = before else {
        return decision.verdict != Verdict::Nothing || decision.evidence.newest().is_some();
    };
    let Ok(Value::Object(now)) = serde_json::to_value(decision) else {
        return true;
    };
    let same_answer = |part: &&str| now.get(*part) == before.decision.get(*part);
    if TELLING.iter().all(|part| same_answer(&part)) {
        return false;
    }
    // The tip moves with every push of any service; an answer that is otherwise the same is no news by that alone.
    TELLING
        .iter()
        .filter(|part| **part != "commit")
        .any(|part| !same_answer(&part))
        || decision.verdict == Verdict::Accept
}

/// Whether people are to be told: the verdict objects, and it was not recorded with the same objections before.
#[must_use]
pub(crate) fn is_to_be_told(decision: &Decision, before: Option<&ServiceRecord>) -> bool {
    if !matches!(decision.verdict, Verdict::Refuse | Verdict::Wait) {
        return false;
    }
    let now = serde_json::to_value(&decision.gates).unwrap_or_default();
    let verdict = serde_json::to_value(decision.verdict).unwrap_or_default();
    before.is_none_or(|before| {
        before.decision.get("verdict") != Some(&verdict) || before.decision.get("gates") != Some(&now)
    })
}
