//! Only what differs from what was accepted is released. What was refused stays refused until then.

use super::Case;
use crate::decision::{Answer, GateResult};
use crate::evidence::FirstSight;

/// What ends a hold.
const NEW_COMMIT: &str =
    "a new commit: a corrected version, a `git revert`, or the same version again on purpose";

pub(super) fn ask(case: &Case<'_>) -> Option<GateResult> {
    const GATE: &str = "difference";
    let evidence = case.evidence;
    let asked = evidence.asked.valid()?;
    let nothing = |why: String| Some(GateResult::new(GATE, Answer::Nothing).because(why));
    let pass = |why: String| {
        let result = GateResult::new(GATE, Answer::Pass).because(why);
        Some(match &evidence.outdated {
            Some(seen) => result.because(format!(
                "{} was accepted at {} under another policy and not released since, so it is asked of again",
                seen.version,
                seen.commit.short()
            )),
            None => result,
        })
    };

    if let Some(held) = &evidence.held {
        if evidence.brought.is_empty() {
            return Some(
                GateResult::new(GATE, Answer::Nothing)
                    .because(format!(
                        "held: {} was rejected by {} ({})",
                        held.rejected.version, held.release, held.why
                    ))
                    .needs(NEW_COMMIT),
            );
        }
        return pass(format!(
            "{} was rejected before, and somebody committed again since",
            held.rejected.version
        ));
    }
    if let Some(rejected) = evidence.rejected_again() {
        return Some(
            GateResult::new(GATE, Answer::Nothing)
                .because(format!(
                    "held: exactly this {} was rejected before, at {}, and nobody committed it again since",
                    rejected.version,
                    rejected.commit.short()
                ))
                .needs(NEW_COMMIT),
        );
    }
    let adopts = evidence.first_sight == FirstSight::Adopt;
    let runs = |digest: &str| {
        evidence
            .running
            .as_ref()
            .is_some_and(|running| running.digest == digest)
    };
    match (&evidence.accepted, &evidence.running) {
        (Some(accepted), _) if accepted.digest == asked.digest => {
            let at = accepted.commit.short();
            match (&evidence.under_way, &evidence.unsettled) {
                (Some(release), _) if evidence.outdated.is_some() => pass(format!(
                    "what is asked was accepted at {at}, and {release} may bring something else"
                )),
                (Some(release), _) => nothing(format!(
                    "what is asked was accepted already, at {at}; {release} releases it"
                )),
                (None, Some(end)) => pass(format!(
                    "what is asked was accepted at {at} and does not run: {end}"
                )),
                (None, None) if runs(&asked.digest) => {
                    nothing(format!("what is asked was accepted already, at {at}"))
                }
                (None, None) => pass(format!(
                    "what is asked was accepted at {at} and was not released yet"
                )),
            }
        }
        // Noted as running by an adoption that was cut off before its decision was recorded.
        (None, Some(running)) if running.digest == asked.digest && adopts => {
            pass(format!("version {} runs already, as asked", running.version))
        }
        (None, Some(running)) if running.digest == asked.digest => {
            nothing(format!("version {} runs already, as asked", running.version))
        }
        (Some(accepted), Some(running)) if running.digest == asked.digest => pass(format!(
            "{} runs and is asked again, after {} was accepted",
            running.version, accepted.version
        )),
        (_, Some(running)) if running.version == asked.version => {
            pass(format!("version {} stays, its settings change", asked.version))
        }
        (_, Some(running)) => pass(format!("{} runs, {} is asked", running.version, asked.version)),
        (_, None) => pass(format!("nothing runs yet, {} is asked", asked.version)),
    }
}
