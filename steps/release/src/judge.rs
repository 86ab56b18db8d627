//! What a release came to, from what its stages left: the one place where green is decided. Pure.

use pilotage_config::{OnFailure, StepName};
use pilotage_ledger::{EndWord, Finished, Proof};
use pilotage_message::Event;
use pilotage_outcome::{CheckOutcome, Effects, Outcome, StepReportData};

use crate::plan::ReleasePlan;
use crate::record::{Ran, StageRecord, end_word};

/// The most lines of reasons that are kept.
const MOST_REASONS: usize = 20;

/// What a release came to.
#[derive(Clone, Debug, PartialEq)]
pub struct Judgement {
    /// How it ended: as the first stage that failed and counts, else passed.
    pub outcome: Outcome,
    /// What it changed.
    pub effects: Effects,
    /// What runs, as it was re-read from the target; only where that is what was released.
    pub proof: Option<Proof>,
    /// Why, for people, the most telling first.
    pub reason: Vec<String>,
    /// Whether it switched back.
    pub undone: bool,
    /// Whether it was ended from outside, which says nothing about the version.
    pub stopped: bool,
}

impl Judgement {
    /// Whether the version itself is not good, so that nothing automatic releases it again. A network that was away says
    /// nothing about a version.
    #[must_use]
    pub fn rejects(&self) -> bool {
        let bad = matches!(
            self.outcome,
            Outcome::Failed | Outcome::Invalid | Outcome::Deadline
        );
        self.undone || (bad && !self.stopped)
    }

    /// What people are told of it.
    #[must_use]
    pub fn event(&self) -> Event {
        match self.outcome {
            Outcome::Passed => Event::Succeeded,
            Outcome::Cancelled(_) => Event::Cancelled,
            // The run's own deadline is no word about the version.
            Outcome::Deadline if self.stopped => Event::Cancelled,
            _ => Event::Failed,
        }
    }

    /// As it is written to the ledger.
    #[must_use]
    pub fn finished(&self, plan: &ReleasePlan, records: &[StageRecord]) -> Finished {
        Finished {
            outcome: match self.stopped && !self.outcome.is_passed() {
                // The run's own deadline is no word about the version either.
                true if self.outcome == Outcome::Deadline => EndWord::Cancelled,
                _ => end_word(self.outcome),
            },
            effects: match self.effects {
                Effects::None => pilotage_ledger::Effects::None,
                Effects::Partial => pilotage_ledger::Effects::Partial,
                Effects::Complete => pilotage_ledger::Effects::Complete,
            },
            stages: records.iter().map(StageRecord::in_ledger).collect(),
            plan: Some(plan.digest.clone()),
            proof: self.proof.clone(),
            reason: self.reason.clone(),
            undone: self.undone,
        }
    }
}

/// Judges the stages of a release. `stopped` says that it was asked to stop or lost its lease, and how that ends it.
#[must_use]
pub fn judge(plan: &ReleasePlan, records: &[StageRecord], stopped: Option<(Outcome, String)>) -> Judgement {
    let undo = records.iter().find(|record| matches!(record.what, Ran::Undo(_)));
    let undone = undo.is_some_and(StageRecord::passed);
    let culprit = records.iter().find(|record| counts(record));
    let mut reason = Vec::new();
    let mut outcome = Outcome::Passed;
    if let Some((stop, why)) = &stopped {
        outcome = *stop;
        reason.push(why.clone());
    }
    if let Some(culprit) = culprit {
        if stopped.is_none() {
            outcome = match culprit.outcome {
                // Nobody asked this release to stop: somebody ended the stage behind its back.
                Some(Outcome::Cancelled(_)) => Outcome::Unavailable,
                other => other.unwrap_or(Outcome::Internal),
            };
        }
        reason.extend(reasons(culprit));
    }
    let mut proof = None;
    if outcome.is_passed() {
        match proof_of(plan, records) {
            Ok(found) => proof = found,
            Err(why) => {
                outcome = Outcome::Failed;
                reason.push(why);
            }
        }
    }
    match undo {
        Some(record) if record.passed() => reason.push(match &plan.from_version {
            Some(version) => format!("switched back to {version}"),
            None => "switched back".to_owned(),
        }),
        Some(record) => reason.push(format!("switching back did not work: {}", record.summary)),
        None => {}
    }
    reason.extend(
        records
            .iter()
            .filter(|record| record.failed() && !counts(record) && matches!(record.what, Ran::Stage(_)))
            .map(|record| {
                format!(
                    "{} {}, which fails no release: {}",
                    record.name(),
                    record.word(),
                    record.summary
                )
            }),
    );
    reason.dedup();
    reason.truncate(MOST_REASONS);
    Judgement {
        outcome,
        effects: effects(records, undone),
        proof,
        reason,
        undone,
        stopped: stopped.is_some(),
    }
}

/// Whether the end of a stage fails the release.
fn counts(record: &StageRecord) -> bool {
    match &record.what {
        Ran::Stage(stage) => record.failed() && stage.on_failure != OnFailure::Continue,
        Ran::Undo(_) => false,
    }
}

/// Why a stage failed, the most telling first: its own sentence, then the checks that say no, then what lies behind.
fn reasons(record: &StageRecord) -> Vec<String> {
    let mut reasons = vec![match record.summary.is_empty() {
        true => format!("{} {}", record.name(), record.word()),
        false => format!("{}: {}", record.name(), record.summary),
    }];
    let Some(report) = &record.report else {
        return reasons;
    };
    let bad = report
        .checks
        .iter()
        .filter(|check| !matches!(check.outcome, CheckOutcome::Passed | CheckOutcome::Skipped));
    for check in bad {
        let mut line = match check.reason.is_empty() {
            true => format!("{}: {}", check.name, check.outcome.word()),
            false => format!("{}: {}", check.name, check.reason),
        };
        if !check.histogram.is_empty() && !line.contains(&check.histogram) {
            line.push_str(&format!(" ({})", check.histogram));
        }
        if !reasons.iter().any(|told| told.contains(&line)) {
            reasons.push(line);
        }
    }
    reasons.extend(report.causes.iter().cloned());
    reasons.extend(report.help.iter().cloned());
    reasons
}

/// What the target says runs now, held against what was to be released.
///
/// # Errors
/// In words, when something else runs: a green deploy that proves nothing is not green.
fn proof_of(plan: &ReleasePlan, records: &[StageRecord]) -> Result<Option<Proof>, String> {
    let is_deploy =
        |record: &&StageRecord| matches!(&record.what, Ran::Stage(stage) if stage.step == StepName::Deploy);
    let Some(deploy) = records.iter().filter(is_deploy).rfind(|record| record.passed()) else {
        return Ok(None);
    };
    if plan.retires {
        return Ok(None);
    }
    let output = |key: &str| deploy.report.as_ref().and_then(|report| output(report, key));
    let Some(digest) = output("digest") else {
        return Err("deploy says that it passed and does not say what runs".to_owned());
    };
    let proof = Proof {
        digest,
        version: output("version"),
        config: output("config_hash"),
    };
    for (what, found, wanted) in [
        ("version", &proof.version, &plan.version),
        ("config hash", &proof.config, &plan.config),
    ] {
        if found.as_ref() != Some(wanted) {
            let found = found.as_deref().unwrap_or("none");
            return Err(format!(
                "what runs is not what was released: its {what} is {found}, expected {wanted}"
            ));
        }
    }
    Ok(Some(proof))
}

fn output(report: &StepReportData, key: &str) -> Option<String> {
    report.outputs.get(key).cloned()
}

/// What the target went through. After the way back something was changed, and not all of it.
fn effects(records: &[StageRecord], undone: bool) -> Effects {
    let told = records
        .iter()
        .filter(|record| match &record.what {
            Ran::Stage(stage) => stage.step == StepName::Deploy,
            Ran::Undo(_) => true,
        })
        .map(StageRecord::effects)
        .max()
        .unwrap_or_default();
    if undone && told != Effects::None {
        Effects::Partial
    } else {
        told
    }
}

/// What is proved to run again after the way back.
#[must_use]
pub fn proof_of_undo(record: &StageRecord) -> Option<Proof> {
    let report = record.report.as_ref()?;
    Some(Proof {
        digest: output(report, "digest")?,
        version: output(report, "version"),
        config: output(report, "config_hash"),
    })
}
