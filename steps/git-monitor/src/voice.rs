//! Telling people of decisions that object: the port, and what is said through it.

use pilotage_gate::{Decision, Verdict};
use serde_json::{Value, json};

/// Tells people of a decision.
pub(crate) trait Voice {
    /// Tells of a decision that refuses or waits. Whoever cannot be reached is named in the log; a decision stands all
    /// the same.
    fn tell(&mut self, decision: &Decision, config: &str);
}

/// The event that `pilotage-notify` knows the verdict by.
#[must_use]
pub(crate) fn event(decision: &Decision) -> Option<&'static str> {
    match decision.verdict {
        Verdict::Refuse => Some("refused"),
        Verdict::Wait => Some("waiting"),
        Verdict::Accept | Verdict::Adopt | Verdict::Skip | Verdict::Nothing => None,
    }
}

/// The decision as `notify-message/v1`.
#[must_use]
pub(crate) fn message(project: &str, decision: &Decision) -> Value {
    let evidence = &decision.evidence;
    let newest = evidence.newest();
    let who = |identity: &pilotage_gate::Identity| json!({"name": identity.name, "email": identity.email});
    let reasons: Vec<String> = decision
        .objections()
        .flat_map(|gate| gate.evidence.iter().map(|why| format!("{}: {why}", gate.gate)))
        .collect();
    let satisfy: Vec<&String> = decision.objections().flat_map(|gate| &gate.satisfy).collect();
    json!({
        "schema": "notify-message/v1",
        "project": project,
        "environment": decision.environment,
        "service": decision.service,
        "version": {
            "from": evidence.running.as_ref().map(|running| &running.version),
            "to": decision.version,
        },
        "commit": newest.map_or(&decision.commit, |newest| &newest.commit),
        "subject": newest.map(|newest| &newest.subject),
        "author": newest.map(|newest| who(&newest.author)),
        "committer": newest.map(|newest| who(&newest.committer)),
        "reasons": reasons,
        "satisfy": satisfy,
    })
}
