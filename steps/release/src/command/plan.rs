use std::path::Path;

use pilotage_outcome::{Effects, Fault, StepReport};
use pilotage_step::{Context, RepoArgs};
use serde_json::json;

use super::{Target, prepared, this_process};
use crate::directory::PlanDirectory;
use crate::prepare::Prepared;
use crate::records::Records;
use crate::service_end::ServiceEnd;

/// Prints plans, or writes one down.
pub(super) async fn plan(
    cx: &Context,
    records: &Records,
    repo: &RepoArgs,
    out: Option<&Path>,
) -> Result<StepReport, Fault> {
    let target = Target {
        environment: repo.required_environment()?.clone(),
        services: repo.service.clone(),
        commit: records.asked(repo.commit.clone()).await?,
    };
    // A plan is no release: nothing is accepted by it that somebody could start. That stands in the ledger from its begin on.
    let answers = prepared(records, &target, this_process()?, true).await?;
    let mut outcomes = Vec::new();
    let mut report = StepReport::passed().environment(target.environment.clone());
    let mut plans = Vec::new();
    for (service, answer) in answers {
        match answer {
            Ok(Prepared { plan, texts, .. }) => {
                report.text.push_str(&plan.text());
                if let (Some(out), false) = (out, cx.dry_run) {
                    let directory = PlanDirectory::create(out, &plan, &texts)?;
                    report.effects = Effects::Complete;
                    report = report
                        .key(&plan.service)
                        .commit(plan.commit.clone())
                        .plan_digest(plan.digest.clone())
                        .output("plan", plan.digest.clone())
                        .output("version", plan.version.clone())
                        .output("dir", directory.path().to_string_lossy());
                }
                plans.push(serde_json::to_value(&plan).unwrap_or_default());
            }
            Err(approval) => {
                let end = crate::service_end::not_now(approval);
                outcomes.push(end.outcome());
                report
                    .text
                    .push_str(&crate::report::text(&target.environment, &service, &end));
                if let ServiceEnd::Broken(diagnostics) = end {
                    report = report.diagnostics(diagnostics);
                }
            }
        }
    }
    report.outcome = crate::service_end::worst(outcomes);
    Ok(report.result(json!({"plans": plans})))
}
