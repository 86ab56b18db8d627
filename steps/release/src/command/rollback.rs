use std::collections::BTreeMap;
use std::path::Path;

use pilotage_diagnostic::printable;
use pilotage_outcome::{Effects, Fault, StepReport};
use pilotage_step::Context;

use super::{Target, release};
use crate::adapter::process::Processes;
use crate::records::Records;
use crate::report::report;
use crate::rollback::{Rollback, RollbackRequest, roll_back};
use crate::service_end::ServiceEnd;

/// Goes back by a commit, and releases that.
pub(super) async fn rollback(
    cx: &Context,
    records: Records,
    launcher: Processes,
    request: RollbackRequest,
    keep: Option<&Path>,
) -> Result<StepReport, Fault> {
    let (environment, service) = (request.environment.clone(), request.service.clone());
    let now = cx.clock.now();
    cx.note(|report| {
        report.effects = if request.dry_run {
            Effects::None
        } else {
            Effects::Partial
        }
    });
    let rolled = records.with(move |desk| roll_back(desk, &request, now)).await?;
    let project = records
        .with(|desk| Ok(desk.sight().config.project.clone()))
        .await?;
    let commit = match rolled {
        Rollback::Pushed { commit, target } => {
            tracing::info!(
                "{service} in {environment}: {} restores {}",
                commit.short(),
                target.version
            );
            Some(commit)
        }
        // It may have been pushed by a try that ended there; then only its release is missing.
        Rollback::Asked { target } => {
            tracing::info!(
                "{service} in {environment}: the branch asks for {} already",
                target.version
            );
            None
        }
        Rollback::Stands(standing) => {
            return Ok(StepReport::passed()
                .environment(environment.clone())
                .service(service.clone())
                .release(standing.release.clone())
                .text(format!(
                    "{service} in {environment}: {} runs since the rollback {} by {} ({}); nothing was changed, `--to VERSION` \
                     goes further back\n",
                    printable(&standing.version),
                    standing.release,
                    printable(&standing.by),
                    standing.since.strftime("%Y-%m-%d %H:%M:%SZ"),
                )));
        }
        Rollback::Dry { target } => {
            return Ok(StepReport::passed()
                .environment(environment.clone())
                .service(service.clone())
                .text(format!(
                    "{service} in {environment} would go back to {}, as of commit {}\n",
                    target.version,
                    target.commit.short()
                )));
        }
        Rollback::Refused(refusal) => {
            let mut refusal = *refusal;
            refusal.headline.push_str("; nothing was pushed");
            refusal.title.push_str("; nothing was pushed");
            let end = ServiceEnd::Refused(Box::new(refusal));
            return Ok(report(&project, &environment, BTreeMap::from([(service, end)])));
        }
    };
    let target = Target {
        environment,
        services: vec![service],
        commit,
    };
    release::release(cx, records, launcher, target, keep).await
}
