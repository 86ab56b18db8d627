//! The way back from the middle of a plan.

use crate::operation::Operation;
use crate::plan::Plan;

/// How to get back to what served, when the operations of `plan` up to and including `failed` were tried.
///
/// Nothing serves worse afterwards than before: the new instance goes, and one that was stopped for it comes back.
#[must_use]
pub fn recovery(plan: &Plan, tried: usize) -> Vec<Operation> {
    let Some(new) = plan.instance else {
        return Vec::new();
    };
    let tried: Vec<Operation> = plan
        .operations
        .iter()
        .take(tried)
        .map(|planned| planned.operation)
        .collect();
    let begun = tried
        .iter()
        .any(|operation| !matches!(operation, Operation::Mark { .. }));
    // What an earlier run of this release made is its own as well, and serves nobody.
    let made = tried.contains(&Operation::Prepare { instance: new }) || (plan.taken_up && begun);
    let switched = tried
        .iter()
        .any(|operation| matches!(operation, Operation::Switch { of } if of.instance == new));
    let mut operations = Vec::new();
    match plan.before.filter(|before| *before != new) {
        Some(before) => {
            let stopped = tried.iter().any(
                |operation| matches!(operation, Operation::Stop { instance, .. } if *instance == before),
            );
            let away = if made {
                Operation::Remove { instance: new }
            } else {
                Operation::Stop {
                    instance: new,
                    undone: false,
                }
            };
            let started = made
                || tried
                    .iter()
                    .any(|operation| matches!(operation, Operation::Start { of } if of.instance == new));
            if stopped {
                // The port is free again only when the new one is gone.
                operations.push(away);
                operations.push(Operation::Start { of: before.into() });
                operations.push(Operation::Switch { of: before.into() });
            } else {
                if switched {
                    operations.push(Operation::Switch { of: before.into() });
                }
                if started {
                    operations.push(away);
                }
            }
        }
        // Without an earlier instance there is nothing to go back to; one that was switched to may still serve.
        None if made && !switched => operations.push(Operation::Remove { instance: new }),
        None => {}
    }
    operations
}
