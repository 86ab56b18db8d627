//! Telling people of decisions that object: the port, and what is said through it.

use std::collections::BTreeMap;

use jiff::Timestamp;
use pilotage_gate::{Decision, Verdict};
use pilotage_name::{EnvironmentName, ServiceName};
use serde_json::{Value, json};

/// One recorded decision that people are told of.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Telling {
    /// Where.
    pub(crate) environment: EnvironmentName,
    /// About which service.
    pub(crate) service: ServiceName,
    /// When it was decided.
    pub(crate) at: Timestamp,
}

impl Telling {
    /// Of this decision.
    pub(crate) fn of(decision: &Decision) -> Self {
        Self {
            environment: decision.environment.clone(),
            service: decision.service.clone(),
            at: decision.at,
        }
    }
}

/// What the config branch says about messages.
#[derive(Clone, Debug, Default)]
pub(crate) struct Texts {
    /// pilotage.yaml.
    pub(crate) config: String,
    /// Message templates by file name.
    pub(crate) templates: BTreeMap<String, String>,
}

/// Tells people of decisions.
pub(crate) trait Voice {
    /// Starts to tell of a decision, unless that is under way or has come to nothing too often.
    fn tell(&mut self, decision: &Decision, texts: &Texts, now: Timestamp);

    /// What people were told of since this was asked last.
    fn told(&mut self) -> Vec<Telling>;

    /// Gives back what could not be written down yet.
    fn keep_told(&mut self, told: Vec<Telling>);

    /// Whether it is given up to tell of this.
    fn gave_up(&self, telling: &Telling) -> bool;
}

/// The event that `pilotage-notify` knows the decision by; none where nobody has to hear of it.
#[must_use]
pub(crate) fn event(decision: &Decision) -> Option<&'static str> {
    match decision.verdict {
        Verdict::Refuse => Some("refused"),
        Verdict::Wait => Some("waiting"),
        // An orphan that still runs waits for somebody who says what is to become of it.
        Verdict::Nothing
            if decision
                .objections()
                .any(|gate| !gate.satisfy.is_empty() && gate.gate == "orphan") =>
        {
            Some("waiting")
        }
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
