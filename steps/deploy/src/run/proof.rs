//! Asking an instance, and holding what answers against what is wanted.

use pilotage_outcome::{CheckOutcome, CheckResult, Fault};
use pilotage_probe::Probe;

use super::{Halt, Run};
use crate::desired::Identity;
use crate::error::TargetError;
use crate::live::InstanceId;
use crate::operation::Operation;
use crate::port::Target;
use crate::prove::{Depth, ending, prove};

/// How often an instance is started anew because an address it had been given was taken.
const STARTS: u32 = 3;

impl<T: Target, P: Probe> Run<'_, T, P> {
    /// Asks until it is well.
    pub(super) async fn prove(
        &self,
        instance: InstanceId,
        checks: &mut Vec<CheckResult>,
    ) -> Result<(), Halt> {
        let mut starts = 1;
        loop {
            let asked = prove(
                self.target,
                self.probe,
                &self.desired.descriptor,
                instance,
                Depth::Whole,
            );
            let proved = self.cx.cancel.run(asked).await??;
            if proved.again && starts < STARTS {
                starts += 1;
                tracing::warn!(
                    "instance {instance}: an address it was given was taken meanwhile; it is started again"
                );
                let start = Operation::Start { instance };
                self.cx
                    .cancel
                    .run(self.target.apply(&start, self.desired))
                    .await??;
                continue;
            }
            let bad = proved
                .checks
                .iter()
                .find(|check| check.outcome != CheckOutcome::Passed)
                .map(|check| {
                    let reason = format!("{}: {}", check.name, check.reason);
                    (check.name.clone(), check.outcome, reason)
                });
            checks.extend(proved.checks);
            let Some((name, outcome, reason)) = bad else {
                return Ok(());
            };
            if outcome == CheckOutcome::Unavailable {
                return Err(Halt::Fault(Fault::unavailable(reason)));
            }
            let mut text = format!("instance {instance} is not well{}: {reason}", self.whose());
            // How one ended says that already.
            let said = match name.as_str() {
                "alive" | "listener" => String::new(),
                _ => self.target.said(instance).await,
            };
            if !said.is_empty() {
                text.push_str("; the last it said:\n");
                text.push_str(&said);
            }
            return Err(Halt::No(text));
        }
    }

    /// Whom to ask, in brackets.
    fn whose(&self) -> String {
        match &self.desired.descriptor.maintainer {
            Some(maintainer) => format!(" (ask {} <{}>)", maintainer.name, maintainer.email),
            None => String::new(),
        }
    }

    /// What an error about an instance comes from, when that has ended meanwhile: then the answer is no.
    pub(super) async fn ended_or(&self, instance: InstanceId, error: TargetError) -> Halt {
        match ending(self.target, instance, error).await {
            Ok(ending) => Halt::No(format!(
                "instance {instance} was well and is not any more: {}",
                ending.text
            )),
            Err(error) => error.into(),
        }
    }

    /// Reads the proof back.
    pub(super) async fn verify(
        &self,
        instance: InstanceId,
        checks: &mut Vec<CheckResult>,
    ) -> Result<(), Halt> {
        let evidence = match self.cx.cancel.run(self.target.evidence(instance)).await? {
            Ok(evidence) => evidence,
            Err(error) => return Err(self.ended_or(instance, error).await),
        };
        let Identity {
            digest,
            version,
            instance_hash,
        } = &self.desired.identity;
        let mut found = vec![
            compared("proof digest", digest, &evidence.identity.digest),
            compared("proof version", version, &evidence.identity.version),
            compared(
                "proof instance hash",
                instance_hash,
                &evidence.identity.instance_hash,
            ),
        ];
        found.push(match evidence.astray.is_empty() {
            true => CheckResult::new("proof route", CheckOutcome::Passed),
            false => CheckResult::new("proof route", CheckOutcome::Failed).reason(evidence.astray.join("; ")),
        });
        let asked = prove(
            self.target,
            self.probe,
            &self.desired.descriptor,
            instance,
            Depth::Once,
        );
        let proved = self.cx.cancel.run(asked).await??;
        found.extend(proved.checks.into_iter().map(|mut check| {
            check.name = format!("proof {}", check.name);
            check
        }));
        let bad = found
            .iter()
            .find(|check| check.outcome != CheckOutcome::Passed)
            .map(|check| format!("{}: {}", check.name, check.reason));
        checks.extend(found);
        match bad {
            None => Ok(()),
            Some(reason) => Err(Halt::No(format!(
                "instance {instance} serves and is not proved: {reason}"
            ))),
        }
    }
}

fn compared(name: &str, wanted: &str, found: &str) -> CheckResult {
    if wanted == found {
        CheckResult::new(name, CheckOutcome::Passed).reason(found)
    } else {
        CheckResult::new(name, CheckOutcome::Failed).reason(format!("expected {wanted}, found {found}"))
    }
}
