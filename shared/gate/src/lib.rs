//! The questions asked of a push: evidence in, verdict with evidence out.
//!
//! Everything here is pure. Whoever calls has read git, the ledger and the config branch before (see
//! `pilotage-decision`); the same evidence, policy and time give the same decision, so a decision that was recorded can
//! be asked again years later.
//!
//! Adding a gate is adding a file to `gates/` and a line to [`gates::ALL`].

mod decision;
mod direction;
mod evidence;
mod explain;
pub mod gates;
mod person;
#[cfg(test)]
mod tests;

pub use decision::{Answer, Decision, GateResult, Verdict, decide};
pub use direction::{Direction, direction};
pub use evidence::{
    Asked, Carried, Change, Evidence, FirstSight, Held, History, Identity, Seen, SignatureSeen, Storm,
};
pub use gates::brought_by;
pub use person::person_of;

/// The JSON Schema (draft 2020-12) of a decision as it is recorded: `decision/v1`, committed as
/// `shared/gate/decision.schema.json`.
#[must_use]
pub fn schema() -> serde_json::Value {
    schemars::schema_for!(Decision).to_value()
}
