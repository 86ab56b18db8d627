//! What a run tells.

use pilotage_descriptor::Kind;
use pilotage_outcome::{Change, CheckOutcome, ExitCode, Outcome, StepReport};
use pilotage_probe::Probe;
use serde_json::json;

use super::Run;
use crate::desired::Identity;
use crate::operation::Operation;
use crate::port::Target;

impl<T: Target, P: Probe> Run<'_, T, P> {
    /// A report with everything that is known before the first effect.
    pub(super) fn named(&self, mut report: StepReport) -> StepReport {
        let labels = &self.desired.labels;
        report.project = Some(self.desired.key.project.clone());
        report.environment = Some(self.desired.key.environment.clone());
        report.service = Some(self.desired.key.service.clone());
        report.commit.clone_from(&labels.commit);
        report.release.clone_from(&labels.release);
        report.fence = (labels.fence > 0).then_some(labels.fence);
        report.plan_digest(self.plan.digest.clone())
    }

    /// The plan, told and not had.
    pub(super) fn dry(&self, detailed: bool) -> StepReport {
        let mut report = self.named(StepReport::passed());
        report.changes = self
            .plan
            .operations
            .iter()
            .filter(|planned| planned.operation.changes())
            .map(|one| planned(one.operation).detail(one.why.clone()))
            .collect();
        report.summary = match self.plan.is_empty() {
            true => "nothing to do".to_owned(),
            false => format!("{} effects planned", report.changes.len()),
        };
        report.result = json!({"plan": self.plan, "unchanged": self.plan.is_empty()});
        let report = report
            .output("plan", self.plan.digest.clone())
            .text(format!("{}\n", self.plan));
        match (detailed, self.plan.is_empty(), self.plan.risks.is_empty()) {
            (false, ..) | (true, true, _) => report,
            (true, false, true) => report.exit_as(ExitCode::Changes),
            (true, false, false) => report.exit_as(ExitCode::RiskyChanges),
        }
    }

    /// What runs now, in words, data and outputs.
    pub(super) async fn tell(&self, mut report: StepReport) -> StepReport {
        let Identity {
            digest,
            version,
            instance_hash,
        } = &self.desired.identity;
        let service = &self.desired.key;
        report = report.output("plan", self.plan.digest.clone());
        let mut addresses = Vec::new();
        let summary = match self.plan.instance {
            Some(instance) => {
                addresses = self.target.outputs(instance).await;
                report = report
                    .output("instance", instance.0.to_string())
                    .output("digest", digest.clone())
                    .output("version", version.clone())
                    .output("instance_hash", instance_hash.clone())
                    .output("config_hash", self.desired.descriptor.config_hash());
                let job = self.desired.descriptor.kind == Kind::Job;
                let serves = match (report.outcome, self.plan.is_empty()) {
                    (Outcome::Passed, true) if job => "is done already",
                    (Outcome::Passed, false) if job => "is done",
                    (Outcome::Passed, true) => "serves already",
                    (Outcome::Passed, false) => "serves",
                    _ => "serves and is not proved",
                };
                format!("{service}: {version} {serves} as instance {instance}")
            }
            None if self.plan.is_empty() => format!("{service}: is retired already"),
            None => format!("{service}: is retired"),
        };
        let shown: Vec<String> = addresses
            .iter()
            .map(|(name, address)| format!("{name}={address}"))
            .collect();
        for (name, address) in addresses {
            report = report.output(name, address);
        }
        report.text = match shown.is_empty() {
            true => format!("{summary}\n"),
            false => format!("{summary} ({})\n", shown.join(", ")),
        };
        report.summary = match report
            .checks
            .iter()
            .find(|check| check.outcome == CheckOutcome::Failed)
        {
            Some(check) => format!("{summary}: {}: {}", check.name, check.reason),
            None => summary,
        };
        report.result = json!({"plan": self.plan, "unchanged": self.plan.is_empty()});
        report
    }
}

/// One effect that was had.
pub(super) fn change(operation: Operation) -> Change {
    let (_, had, subject) = words(operation);
    Change::new(had, subject)
}

/// One effect that is planned and was not had.
fn planned(operation: Operation) -> Change {
    let (planned, _, subject) = words(operation);
    Change::new(format!("would {planned}"), subject)
}

/// An effect as it is planned, as it was had, and on what.
fn words(operation: Operation) -> (&'static str, &'static str, String) {
    match operation {
        Operation::Mark { fence } => ("mark", "marked", format!("fence {fence}")),
        Operation::OpenFront => ("start", "started", "the front door".to_owned()),
        Operation::Prepare { instance } => ("prepare", "prepared", format!("instance {instance}")),
        Operation::Start { of } => ("start", "started", format!("instance {of}")),
        Operation::Prove { of } => ("prove", "proved", format!("instance {of}")),
        Operation::Switch { of } => ("switch", "switched", format!("to instance {of}")),
        Operation::Verify { instance } => ("verify", "verified", format!("instance {instance}")),
        Operation::Stop { instance, .. } => ("stop", "stopped", format!("instance {instance}")),
        Operation::Remove { instance } => ("remove", "removed", format!("instance {instance}")),
        Operation::Withdraw => ("free", "freed", "the routes".to_owned()),
        Operation::Adopt { instance } => ("adopt", "adopted", format!("instance {instance}")),
    }
}
