//! One gate a file: a question about the evidence, answered under the policy.

use jiff::Timestamp;
use pilotage_command_line::CommandLines;
use pilotage_config::Config;

use crate::decision::GateResult;
use crate::evidence::Evidence;

mod descriptor;
mod difference;
mod first_sight;
mod freeze;
mod history;
mod people;
mod record;
mod skip;
mod storm;
mod ticket;

pub use people::brought_by;

/// What a gate is asked about.
pub struct Case<'a> {
    /// The policy, from the config branch.
    pub config: &'a Config,
    /// What was seen.
    pub evidence: &'a Evidence,
    /// The commands about the repository that was asked.
    pub commands: &'a CommandLines,
    /// The wall time of the question.
    pub now: Timestamp,
}

/// A gate: none where the question does not arise.
pub type Gate = fn(&Case<'_>) -> Option<GateResult>;

/// Every gate, in the order in which a person wants to read the answers.
pub const ALL: [Gate; 10] = [
    record::ask,
    first_sight::ask,
    history::ask,
    descriptor::ask,
    difference::ask,
    skip::ask,
    people::ask,
    ticket::ask,
    storm::ask,
    freeze::ask,
];

#[cfg(test)]
pub(crate) mod testing {
    use crate::evidence::{Change, Identity, SignatureSeen};

    /// A commit whose id is `number` over and over, committed by `<who>@example.com`.
    pub(crate) fn change(number: u8, who: &str, message: &str) -> Change {
        let (subject, body) = message.split_once("\n\n").unwrap_or((message, ""));
        let identity = Identity {
            name: who.to_owned(),
            email: format!("{who}@example.com"),
        };
        Change {
            commit: format!("{number:02x}").repeat(20).parse().unwrap(),
            author: identity.clone(),
            committer: identity,
            when: "2026-01-01T12:00:00Z".parse().unwrap(),
            subject: subject.to_owned(),
            body: body.to_owned(),
            trailers: body
                .lines()
                .filter_map(|line| line.split_once(": "))
                .map(|(key, value)| (key.to_owned(), value.to_owned()))
                .collect(),
            merge: false,
            content: Some(format!("content-{number}")),
            signature: SignatureSeen::None,
        }
    }
}
