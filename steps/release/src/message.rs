//! What there is to tell people about a release.

use pilotage_ledger::Lease;
use pilotage_message::{Event, Held, Message, StageResult, VersionChange};
use pilotage_quantity::Duration;

use crate::judge::Judgement;
use crate::plan::ReleasePlan;
use crate::record::StageRecord;

/// The message of a release that starts.
#[must_use]
pub fn started(plan: &ReleasePlan, lease: Option<&Lease>) -> Message {
    let key = &plan.service;
    Message {
        service: Some(key.service.clone()),
        version: VersionChange {
            from: plan.from_version.clone(),
            to: (!plan.retires).then(|| plan.version.clone()),
        },
        retired: plan.retires,
        commit: Some(plan.changed_at().clone()),
        subject: plan.subject.clone(),
        author: plan.author.clone(),
        committer: plan.committer.clone(),
        maintainer: plan.maintainer.clone(),
        release: lease.map(|lease| lease.release.clone()),
        repeats: plan.repeats.clone(),
        observe: plan.observe,
        reasons: plan.takeover.iter().chain(&plan.notes).cloned().collect(),
        ..Message::new(Event::Started, key.project.clone(), key.environment.clone())
    }
}

/// The message of the end of a release, as far as it came.
#[must_use]
pub fn ended(
    plan: &ReleasePlan,
    lease: Option<&Lease>,
    records: &[StageRecord],
    judgement: &Judgement,
) -> Message {
    let millis = records
        .iter()
        .fold(0_u64, |sum, record| sum.saturating_add(record.milliseconds()));
    let started = started(plan, lease);
    Message {
        event: Some(judgement.event()),
        outcome: Some(judgement.outcome.word().to_owned()),
        reasons: judgement.reason.iter().cloned().chain(started.reasons).collect(),
        stages: records
            .iter()
            .map(|record| stage_result(record, &judgement.reason))
            .collect(),
        duration: Some(Duration::from_millis(millis)),
        held: judgement.rejects().then(|| Held {
            running: plan.from_version.clone(),
            rejected: plan.version.clone(),
            until: Some("a new commit: a corrected version, or a `git revert`".to_owned()),
        }),
        ..started
    }
}

/// A stage, with what it has to say where that is not among the reasons already.
fn stage_result(record: &StageRecord, reasons: &[String]) -> StageResult {
    let told = |text: &String| reasons.iter().any(|reason| reason.contains(text.as_str()));
    StageResult {
        name: record.name().to_owned(),
        outcome: record.word().to_owned(),
        duration: record
            .took
            .map(|took| Duration::from_millis(u64::try_from(took.as_millis()).unwrap_or(u64::MAX))),
        detail: Some(record.summary.clone()).filter(|text| !text.is_empty() && !told(text)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_is_told_once() {
        let stage = "2 deploy i ok stop 5m".parse().unwrap();
        let record = StageRecord::skipped(stage, "never became healthy");
        let detail = |reasons: &[&str]| {
            let reasons: Vec<String> = reasons.iter().map(|&reason| reason.to_owned()).collect();
            stage_result(&record, &reasons).detail
        };
        assert_eq!(detail(&["deploy: never became healthy"]), None);
        assert_eq!(
            detail(&["cancelled by SIGTERM"]).as_deref(),
            Some("never became healthy")
        );
    }
}
