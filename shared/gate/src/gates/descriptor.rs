//! A descriptor with errors is refused with every error placed; one that is gone stops nothing.

use super::Case;
use crate::decision::{Answer, GateResult};
use crate::evidence::Asked;

pub(super) fn ask(case: &Case<'_>) -> Option<GateResult> {
    const GATE: &str = "descriptor";
    match &case.evidence.asked {
        Asked::Valid(_) => None,
        Asked::Broken { lines, more, .. } => {
            let count = match lines.len() + more {
                1 => "one error".to_owned(),
                n => format!("{n} errors"),
            };
            let mut result = GateResult::new(GATE, Answer::Refuse)
                .because(format!("the descriptor has {count}: {}", first(lines)));
            for line in lines.iter().skip(1) {
                result = result.because(line);
            }
            if *more > 0 {
                result = result.because(format!("and {more} more; `pilotage check` lists all"));
            }
            Some(
                result.needs(
                    "a commit that mends the descriptor (`pilotage check` says the same before you push)",
                ),
            )
        }
        Asked::Absent => Some(match &case.evidence.running {
            Some(running) => GateResult::new("orphan", Answer::Nothing)
                .because(format!(
                    "the descriptor is gone; {} keeps running as an orphan",
                    running.version
                ))
                .needs(
                    "the descriptor back with `state: retired` stops it, frees its routes and keeps its data",
                ),
            None => {
                GateResult::new("orphan", Answer::Nothing).because("the descriptor is gone and nothing runs")
            }
        }),
    }
}

fn first(lines: &[String]) -> &str {
    lines
        .first()
        .map_or("(no diagnostics were recorded)", String::as_str)
}
