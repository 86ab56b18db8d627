//! A plan, had: through the port, with the way back when it fails.

mod adoption;
mod proof;
mod recovery;
mod report;

use pilotage_descriptor::Kind;
use pilotage_name::ServiceKey;
use pilotage_outcome::{CheckResult, Effects, Fault, StepReport};
use pilotage_probe::Probe;
use pilotage_step::Context;

use crate::desired::{Desired, Labels};
use crate::error::TargetError;
use crate::live::{InstanceId, Live};
use crate::operation::Operation;
use crate::plan::{Plan, Planned, plan, undo};
use crate::port::Target;
pub use adoption::adopt;
use report::change;

/// What the person or pipeline asked for besides the release itself.
#[derive(Clone, Debug, Default)]
pub struct Wishes {
    /// Change nothing.
    pub dry_run: bool,
    /// Apply this plan or none.
    pub expect_plan: Option<String>,
    /// Tell changes by the exit code.
    pub detailed: bool,
}

/// Makes the service equal to `desired`.
///
/// # Errors
/// When there is no verdict: refused, unavailable, stopped.
pub async fn apply<T: Target, P: Probe>(
    target: &T,
    probe: &P,
    desired: &Desired,
    wishes: &Wishes,
    cx: &Context,
) -> Result<StepReport, Fault> {
    let claim = claim(target, &desired.labels, wishes).await?;
    let done = forward(target, probe, desired, wishes, cx).await;
    give_back(target, claim).await;
    done
}

async fn forward<T: Target, P: Probe>(
    target: &T,
    probe: &P,
    desired: &Desired,
    wishes: &Wishes,
    cx: &Context,
) -> Result<StepReport, Fault> {
    let live = target
        .observe(desired.active().then_some(&desired.descriptor))
        .await?;
    // A question without a fence is asked in the name of whoever has changed the service last.
    let mut asked = desired.clone();
    if let (true, 0, Some(marker)) = (wishes.dry_run, desired.labels.fence, &live.marker) {
        asked.labels.fence = marker.fence;
    }
    let desired = &asked;
    let plan = plan(desired, &live, &target.capabilities())?;
    let run = Run {
        target,
        probe,
        desired,
        live: &live,
        plan: &plan,
        cx,
    };
    run.go(wishes).await
}

/// Goes back to the instance that served before.
///
/// # Errors
/// When there is no verdict: refused, unavailable, stopped.
pub async fn go_back<T: Target, P: Probe>(
    target: &T,
    probe: &P,
    key: &ServiceKey,
    labels: &Labels,
    wishes: &Wishes,
    cx: &Context,
) -> Result<StepReport, Fault> {
    let claim = claim(target, labels, wishes).await?;
    let done = back(target, probe, key, labels, wishes, cx).await;
    give_back(target, claim).await;
    done
}

async fn back<T: Target, P: Probe>(
    target: &T,
    probe: &P,
    key: &ServiceKey,
    labels: &Labels,
    wishes: &Wishes,
    cx: &Context,
) -> Result<StepReport, Fault> {
    let live = target.observe(None).await?;
    let plan = undo(key, labels, &live, &target.capabilities())?;
    let back = plan
        .instance
        .ok_or_else(|| Fault::internal("an undo without an instance"))?;
    let desired = desired_of(key, labels, &live, back)?;
    let run = Run {
        target,
        probe,
        desired: &desired,
        live: &live,
        plan: &plan,
        cx,
    };
    run.go(wishes).await
}

async fn claim<T: Target>(target: &T, labels: &Labels, wishes: &Wishes) -> Result<Option<T::Claim>, Fault> {
    Ok(match wishes.dry_run {
        true => None,
        false => Some(target.claim(labels).await?),
    })
}

async fn give_back<T: Target>(target: &T, claim: Option<T::Claim>) {
    if let Some(claim) = claim {
        target.release(claim).await;
    }
}

/// What there is to want of an instance that served: itself, in the name of this release.
fn desired_of(key: &ServiceKey, labels: &Labels, live: &Live, id: InstanceId) -> Result<Desired, Fault> {
    let found = live
        .instance(id)
        .and_then(|instance| Some((instance.identity.clone()?, instance.descriptor.clone()?)));
    let (identity, descriptor) = found.ok_or_else(|| {
        Fault::unavailable(format!("instance {id} cannot be read, so it cannot serve again"))
    })?;
    Ok(Desired {
        key: key.clone(),
        labels: labels.clone(),
        identity,
        descriptor,
        // It is started with the secrets it was given when it was made.
        secrets: std::collections::BTreeMap::new(),
    })
}

/// Why the operations of a plan came to a halt.
enum Halt {
    /// The answer is no.
    No(String),
    /// There is no answer.
    Fault(Fault),
}

impl<E: Into<Fault>> From<E> for Halt {
    fn from(error: E) -> Self {
        Self::Fault(error.into())
    }
}

struct Run<'r, T, P> {
    target: &'r T,
    probe: &'r P,
    desired: &'r Desired,
    live: &'r Live,
    plan: &'r Plan,
    cx: &'r Context,
}

impl<T: Target, P: Probe> Run<'_, T, P> {
    async fn go(&self, wishes: &Wishes) -> Result<StepReport, Fault> {
        self.cx.note(|report| {
            *report = self.named(StepReport::new(report.outcome));
        });
        if let Some(expected) = &wishes.expect_plan
            && *expected != self.plan.digest
        {
            return Err(Fault::refused(format!(
                "the plan no longer fits: it was {expected}, and would now be {}",
                self.plan.digest
            ))
            .help("the service or its descriptor was changed since; make a new plan and look at it"));
        }
        if wishes.dry_run {
            return Ok(self.dry(wishes.detailed));
        }
        let mut checks = Vec::new();
        let mut changes = Vec::new();
        for (index, planned) in self.plan.operations.iter().enumerate() {
            let operation = planned.operation;
            tracing::info!("{operation} ({})", planned.why);
            if operation.changes() {
                self.cx.note(|report| report.effects = Effects::Partial);
            }
            let done = self.step(operation, &mut checks).await;
            match done {
                Ok(()) if operation.changes() => {
                    changes.push(change(operation).detail(planned.why.clone()));
                    self.cx.note(|report| report.changes.clone_from(&changes));
                }
                Ok(()) => {}
                Err(halt) => return self.halted(halt, operation, index, checks, changes).await,
            }
        }
        let effects = match self.plan.is_empty() {
            true => Effects::None,
            false => Effects::Complete,
        };
        let verified = |planned: &Planned| matches!(planned.operation, Operation::Verify { .. });
        let mut passed = true;
        // A release that needs no other instance is proved as well, by the healthcheck it brings.
        if let (false, Some(instance)) = (self.plan.operations.iter().any(verified), self.plan.instance) {
            match self.verify(instance, &mut checks).await {
                Ok(()) => {}
                Err(Halt::No(_)) => passed = false,
                Err(Halt::Fault(fault)) => return Err(fault.effects(effects)),
            }
        }
        let mut report = self.named(if passed {
            StepReport::passed()
        } else {
            StepReport::failed()
        });
        report.checks = checks;
        report.changes = changes;
        Ok(self.tell(report.effects(effects)).await)
    }

    async fn step(&self, operation: Operation, checks: &mut Vec<CheckResult>) -> Result<(), Halt> {
        match operation {
            // What a job needs it needs from its first moment on.
            Operation::Start { .. } if self.desired.descriptor.kind == Kind::Job => {
                self.required(checks).await?;
                Ok(self
                    .cx
                    .cancel
                    .run(self.target.apply(&operation, self.desired))
                    .await??)
            }
            Operation::Prove { of } => self.prove(of, checks).await,
            Operation::Verify { instance } => self.verify(instance, checks).await,
            other => match (
                self.cx
                    .cancel
                    .run(self.target.apply(&other, self.desired))
                    .await?,
                other,
            ) {
                (Ok(()), _) => Ok(()),
                (
                    Err(error @ (TargetError::Instance { .. } | TargetError::Ended { .. })),
                    Operation::Switch { of },
                ) => Err(self.ended_or(of, error).await),
                (Err(error), _) => Err(error.into()),
            },
        }
    }
}
