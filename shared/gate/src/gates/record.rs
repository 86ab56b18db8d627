//! Nothing may be concluded about a service whose record cannot be read.

use super::Case;
use crate::decision::{Answer, GateResult};

pub(super) fn ask(case: &Case<'_>) -> Option<GateResult> {
    let why = case.evidence.unreadable.as_ref()?;
    let service = &case.evidence.service;
    Some(
        GateResult::new("record", Answer::Wait)
            .because(format!(
                "what the ledger knows of {service} cannot be read: {why}"
            ))
            .needs("a look at who wrote to `refs/pilotage/` besides Pilotage"),
    )
}
