//! While a freeze is on, nothing is released; the decision is asked again when it ends.

use jiff::Timestamp;

use super::Case;
use crate::decision::{Answer, GateResult};

pub(super) fn ask(case: &Case<'_>) -> Option<GateResult> {
    const GATE: &str = "freeze";
    let environment = &case.evidence.environment;
    let here = |freeze: &&pilotage_config::Freeze| {
        freeze.environments.is_empty() || freeze.environments.contains(environment)
    };
    let on = |freeze: &&pilotage_config::Freeze| {
        // A moment that cannot be read freezes: the configuration was checked before, and a doubt is no pass.
        let begun = freeze
            .from
            .parse::<Timestamp>()
            .map_or(true, |from| from <= case.now);
        let over = freeze.to.parse::<Timestamp>().is_ok_and(|to| to <= case.now);
        begun && !over
    };
    let freeze = case.config.freezes.iter().filter(here).find(on)?;
    Some(
        GateResult::new(GATE, Answer::Wait)
            .because(format!(
                "{environment} is frozen from {} to {}: {}",
                freeze.from, freeze.to, freeze.reason
            ))
            .needs(format!(
                "the end of the freeze at {}, or its removal from pilotage.yaml",
                freeze.to
            )),
    )
}
