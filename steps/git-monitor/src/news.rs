//! Whether a decision says anything that is not recorded already. A tick that has no news writes nothing, so that a
//! service which waits for a week does not fill the ledger.

use pilotage_gate::{Decision, Verdict};
use pilotage_ledger::ServiceRecord;
use serde_json::Value;

/// The parts of a decision that make it what it is to a reader: not when it was asked, nor how long the push was. The
/// commit is not among them, because the tip moves with every push of any service.
const ANSWER: [&str; 6] = ["verdict", "version", "digest", "gates", "notes", "policy_hash"];

/// Whether the decision says anything that is not recorded.
#[must_use]
pub(crate) fn is_news(decision: &Decision, before: Option<&ServiceRecord>) -> bool {
    let Some(before) = before else {
        return decision.verdict != Verdict::Nothing || decision.evidence.newest().is_some();
    };
    let Ok(Value::Object(now)) = serde_json::to_value(decision) else {
        return true;
    };
    let differs = |part: &str| now.get(part) != before.decision.get(part);
    // What is accepted at another commit starts another range and another release.
    ANSWER.iter().any(|part| differs(part)) || (decision.verdict == Verdict::Accept && differs("commit"))
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
