//! Whether a decision says anything that is not recorded already. A tick that has no news writes nothing, so that a
//! service which waits for a week does not fill the ledger.

use jiff::Timestamp;
use pilotage_gate::{Decision, Verdict};
use pilotage_ledger::ServiceRecord;
use serde_json::Value;

/// The parts of a decision that make it what it is to a reader: not when it was asked, nor how long the push was. The
/// commit is not among them, because the tip moves with every push of any service.
const ANSWER: [&str; 6] = ["verdict", "version", "digest", "gates", "notes", "policy_hash"];
/// The parts that people are told; other parts may change without anybody having to hear of it.
const TOLD: [&str; 2] = ["verdict", "gates"];

/// Whether the decision says anything that is not recorded.
#[must_use]
pub(crate) fn is_news(decision: &Decision, before: Option<&ServiceRecord>) -> bool {
    let Some(before) = before else {
        return decision.verdict != Verdict::Nothing || decision.evidence.newest().is_some();
    };
    // What is accepted at another commit starts another range and another release.
    differs(&ANSWER, decision, before)
        || (decision.verdict == Verdict::Accept && differs(&["commit"], decision, before))
}

/// When people were told the same of this service already, if they were.
#[must_use]
pub(crate) fn told_before(decision: &Decision, before: Option<&ServiceRecord>) -> Option<Timestamp> {
    let before = before.filter(|before| !differs(&TOLD, decision, before))?;
    before.decision.get("told")?.as_str()?.parse().ok()
}

fn differs(parts: &[&str], decision: &Decision, before: &ServiceRecord) -> bool {
    match serde_json::to_value(decision) {
        Ok(Value::Object(now)) => parts
            .iter()
            .any(|part| now.get(*part) != before.decision.get(*part)),
        _ => true,
    }
}
