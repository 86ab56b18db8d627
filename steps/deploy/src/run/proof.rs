//! Asking an instance, and holding what answers against what is wanted.

use pilotage_descriptor::Kind;
use pilotage_outcome::{CheckOutcome, CheckResult, Fault};
use pilotage_probe::Probe;

use super::{Halt, Run};
use crate::desired::{Identity, replicas};
use crate::error::TargetError;
use crate::live::{InstanceId, Replica};
use crate::operation::Operation;
use crate::port::Target;
use crate::prove::{Depth, ending, prove, required};

/// How often an instance is started anew because an address it had been given was taken.
const STARTS: u32 = 3;

impl<T: Target, P: Probe> Run<'_, T, P> {
    /// Asks until it is well.
    pub(super) async fn prove(&self, of: Replica, checks: &mut Vec<CheckResult>) -> Result<(), Halt> {
        let mut starts = 1;
        loop {
            let asked = prove(
                self.target,
                self.probe,
                &self.desired.descriptor,
                of,
                Depth::Whole,
            );
            let proved = self.cx.cancel.run(asked).await??;
            if proved.again && starts < STARTS {
                starts += 1;
                tracing::warn!(
                    "instance {of}: an address it was given was taken meanwhile; it is started again"
                );
                let start = Operation::Start { of };
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
            let mut text = match self.desired.descriptor.kind {
                Kind::Job => format!("job {of} failed{}: {reason}", self.whose()),
                Kind::Service | Kind::Worker => {
                    format!("instance {of} is not well{}: {reason}", self.whose())
                }
            };
            // How one ended says that already.
            let said = match name.as_str() {
                "alive" | "listener" | "exit" => String::new(),
                _ => self.target.said(of).await,
            };
            if !said.is_empty() {
                text.push_str("; the last it said:\n");
                text.push_str(&said);
            }
            return Err(Halt::No(text));
        }
    }

    /// Asks whether what the service requires can be reached.
    pub(super) async fn required(&self, checks: &mut Vec<CheckResult>) -> Result<(), Halt> {
        let asked = required(self.target, self.probe, &self.desired.descriptor);
        let found = self.cx.cancel.run(asked).await?;
        let bad = found
            .iter()
            .find(|check| check.outcome != CheckOutcome::Passed)
            .map(|check| format!("{}: {}", check.name, check.reason));
        checks.extend(found);
        match bad {
            Some(reason) => Err(Halt::Fault(Fault::unavailable(reason))),
            None => Ok(()),
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
    pub(super) async fn ended_or(&self, of: Replica, error: TargetError) -> Halt {
        match ending(self.target, of, error).await {
            Ok(ending) => Halt::No(format!(
                "instance {of} was well and is not any more: {}",
                ending.text
            )),
            Err(error) => error.into(),
        }
    }

    /// Reads the proof back, from every replica.
    pub(super) async fn verify(
        &self,
        instance: InstanceId,
        checks: &mut Vec<CheckResult>,
    ) -> Result<(), Halt> {
        for of in replicas(&self.desired.descriptor, instance) {
            self.verify_one(of, checks).await?;
        }
        Ok(())
    }

    async fn verify_one(&self, of: Replica, checks: &mut Vec<CheckResult>) -> Result<(), Halt> {
        let evidence = match self.cx.cancel.run(self.target.evidence(of)).await? {
            Ok(evidence) => evidence,
            Err(error) => return Err(self.ended_or(of, error).await),
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
        let asked = prove(self.target, self.probe, &self.desired.descriptor, of, Depth::Once);
        let proved = self.cx.cancel.run(asked).await??;
        found.extend(proved.checks.into_iter().map(|mut check| {
            check.name = format!("proof {}", check.name);
            check
        }));
        if of.replica.is_some() {
            for check in &mut found {
                check.name = format!("{of} {}", check.name);
            }
        }
        let mut failed: Vec<&CheckResult> = found
            .iter()
            .filter(|check| check.outcome != CheckOutcome::Passed)
            .collect();
        // That it has ended is why the others failed.
        failed.sort_by_key(|check| !check.name.ends_with("alive"));
        let bad = failed
            .first()
            .map(|check| format!("{}: {}", check.name, check.reason));
        checks.extend(found);
        match bad {
            None => Ok(()),
            Some(reason) => Err(Halt::No(format!(
                "instance {of} serves and is not proved: {reason}"
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
