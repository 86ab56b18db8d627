//! The way back when an operation did not succeed.

use pilotage_descriptor::Kind;
use pilotage_outcome::{Change, CheckResult, Class, Effects, Fault, StepReport};
use pilotage_probe::Probe;
use serde_json::json;

use super::report::change;
use super::{Halt, Run, desired_of};
use crate::desired::replicas;
use crate::operation::Operation;
use crate::plan::recovery;
use crate::port::Target;
use crate::prove::{Depth, prove};

impl<T: Target, P: Probe> Run<'_, T, P> {
    /// Brings back what served, and says what is left of the release.
    pub(super) async fn halted(
        &self,
        halt: Halt,
        operation: Operation,
        index: usize,
        checks: Vec<CheckResult>,
        mut changes: Vec<Change>,
    ) -> Result<StepReport, Fault> {
        let verified = self.plan.operations[..index]
            .iter()
            .any(|planned| matches!(planned.operation, Operation::Verify { .. }));
        // What is proved stays.
        let clean_up_only = verified || self.plan.instance.is_none();
        let operations = match clean_up_only {
            true => Vec::new(),
            false => recovery(self.plan, index + 1),
        };
        let mut restored = !clean_up_only;
        for back in operations {
            tracing::info!("{back} (going back: {operation} did not succeed)");
            match self.recover(back).await {
                Ok(()) => changes.push(change(back).detail("going back".to_owned())),
                Err(fault) => {
                    restored = false;
                    let causes = std::iter::once(fault.message.clone()).chain(fault.causes());
                    tracing::error!("{back}: {}", causes.collect::<Vec<_>>().join(": "));
                    // What a newer release has changed meanwhile is its own.
                    if fault.class == Class::Refused {
                        break;
                    }
                }
            }
        }
        let changed = self.plan.operations[..=index]
            .iter()
            .any(|planned| planned.operation.changes());
        let switched_alone = self.plan.before.is_none()
            && self.plan.operations[..index]
                .iter()
                .any(|planned| matches!(planned.operation, Operation::Switch { .. }));
        // What a job did before it failed cannot be taken back.
        let ran = self.desired.descriptor.kind == Kind::Job
            && self.plan.operations[..=index]
                .iter()
                .any(|planned| matches!(planned.operation, Operation::Start { .. }));
        let effects = match changed {
            false => Effects::None,
            true if ran => Effects::Partial,
            true if restored && !self.plan.has_downtime() && !switched_alone => Effects::None,
            true => Effects::Partial,
        };
        let stays = match (self.plan.before, effects) {
            _ if self.desired.descriptor.kind == Kind::Job => String::new(),
            (Some(before), Effects::None) => format!("instance {before} keeps serving"),
            (Some(before), _) if restored => format!("instance {before} serves again"),
            _ => String::new(),
        };
        self.cx.note(|report| {
            report.checks.clone_from(&checks);
            report.changes.clone_from(&changes);
        });
        match halt {
            Halt::Fault(mut fault) => {
                if !stays.is_empty() {
                    fault = fault.help(stays);
                }
                Err(fault.effects(effects))
            }
            Halt::No(reason) => {
                let mut report = self.named(StepReport::failed()).effects(effects);
                report.summary = match stays.is_empty() {
                    true => reason,
                    false => format!("{reason}; {stays}"),
                };
                report.text = format!("{}\n", report.summary);
                report.checks = checks;
                report.changes = changes;
                report.result = json!({"plan": self.plan});
                Ok(report)
            }
        }
    }

    /// One operation on the way back. It is bounded by itself and runs also when the step was asked to stop.
    async fn recover(&self, back: Operation) -> Result<(), Fault> {
        match (back, self.plan.before) {
            // The old one is led to by its own ports and routes, not by those of the new descriptor.
            (Operation::Switch { of } | Operation::Start { of }, Some(before)) if of.instance == before => {
                let old = desired_of(&self.plan.service, &self.desired.labels, self.live, before)?;
                self.target.apply(&back, &old).await?;
                if matches!(back, Operation::Start { .. }) {
                    for of in replicas(&old.descriptor, before) {
                        let asked = prove(self.target, self.probe, &old.descriptor, of, Depth::Once).await?;
                        if !asked.good {
                            return Err(Fault::unavailable(format!("instance {of} is not well again")));
                        }
                    }
                }
                Ok(())
            }
            _ => Ok(self.target.apply(&back, self.desired).await?),
        }
    }
}
