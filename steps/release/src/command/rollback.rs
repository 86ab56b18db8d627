use std::collections::BTreeMap;
use std::path::Path;

use pilotage_outcome::{Effects, Fault, StepReport};
use pilotage_step::Context;

use super::{Target, release};
use crate::adapter::process::Processes;
use crate::records::Records;
use crate::rollback::{Rolled, Wish, roll_back};
use crate::run::ServiceEnd;
use crate::tell::report;

/// Goes back by a commit, and releases that.
pub(super) async fn rollback(
    cx: &Context,
    records: Records,
    launcher: Processes,
    wish: Wish,
    keep: Option<&Path>,
) -> Result<StepReport, Fault> {
    let (environment, service) = (wish.environment.clone(), wish.service.clone());
    let now = cx.clock.now();
    cx.note(|report| {
        report.effects = if wish.dry_run {
            Effects::None
        } else {
            Effects::Partial
        }
    });
    let rolled = records.with(move |desk| roll_back(desk, &wish, now)).await?;
    let project = records
        .with(|desk| Ok(desk.sight().config.project.clone()))
        .await?;
    let commit = match rolled {
        Rolled::Pushed { commit, goal } => {
            tracing::info!(
                "{service} in {environment}: {} restores {}",
                commit.short(),
                goal.version
            );
            Some(commit)
        }
        // It may have been pushed by a try that ended there; then only its release is missing.
        Rolled::Asked { goal } => {
            tracing::info!(
                "{service} in {environment}: the branch asks for {} already",
                goal.version
            );
            None
        }
        Rolled::Dry { goal } => {
            return Ok(StepReport::passed()
                .environment(environment.clone())
                .service(service.clone())
                .text(format!(
                    "{service} in {environment} would go back to {}, as of commit {}\n",
                    goal.version,
                    goal.commit.short()
                )));
        }
        Rolled::Refused(refusal) => {
            let mut refusal = *refusal;
            refusal.headline.push_str("; nothing was pushed");
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
