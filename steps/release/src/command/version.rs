use std::collections::BTreeMap;
use std::path::Path;

use pilotage_diagnostic::printable;
use pilotage_outcome::{Effects, ExitCode, Fault, Outcome, StepReport};
use pilotage_step::Context;

use super::look::deploy_plan;
use super::release::scratch;
use super::{Target, release, this_process};
use crate::adapter::process::Processes;
use crate::branch;
use crate::record::StageRecord;
use crate::records::Records;
use crate::report::report;
use crate::service_end::ServiceEnd;
use crate::version::{Draft, Drafted, VersionRequest, draft};

/// Asks for another version by a commit, and releases that.
pub(super) async fn version(
    cx: &Context,
    records: Records,
    launcher: Processes,
    request: VersionRequest,
    keep: Option<&Path>,
) -> Result<StepReport, Fault> {
    let (environment, service) = (request.environment.clone(), request.service.clone());
    let mut commit = None;
    let mut tries = 0;
    loop {
        cx.cancel.check()?;
        let (asked, now) = (request.clone(), cx.clock.now());
        let draft = match records.with(move |desk| draft(desk, &asked, now)).await? {
            // It may have been pushed by a try that ended there; then only its release is missing.
            Drafted::Asked => {
                tracing::info!(
                    "{service} in {environment}: the branch asks for {} already",
                    request.version
                );
                break;
            }
            Drafted::Refused(mut refusal) => {
                let project = records
                    .with(|desk| Ok(desk.sight().config.project.clone()))
                    .await?;
                refusal.headline.push_str("; nothing was pushed");
                refusal.title.push_str("; nothing was pushed");
                let end = ServiceEnd::Refused(refusal);
                return Ok(report(&project, &environment, BTreeMap::from([(service, end)])));
            }
            Drafted::Draft(draft) => draft,
        };
        let record = target_says(cx, &launcher, &request, &draft).await?;
        if cx.dry_run {
            return Ok(dry(&request, &draft, record));
        }
        cx.note(|report| report.effects = Effects::Partial);
        let id = draft.commit.clone();
        if records.with(move |desk| draft.push(desk)).await? {
            tracing::info!(
                "{service} in {environment}: {} asks for {}",
                id.short(),
                request.version
            );
            commit = Some(id);
            break;
        }
        tries += 1;
        if tries == branch::TRIES {
            return Err(branch::moved(&environment));
        }
    }
    let target = Target {
        environment,
        services: vec![service],
        commit,
    };
    release::release(cx, records, launcher, target, keep).await
}

/// What the target would do. A version that it cannot have, such as one without an image, is not asked for.
async fn target_says(
    cx: &Context,
    launcher: &Processes,
    request: &VersionRequest,
    draft: &Draft,
) -> Result<Option<StageRecord>, Fault> {
    if draft.prepared.plan.observe {
        return Ok(None);
    }
    let folder = scratch(&this_process()?)?;
    let record = deploy_plan(cx, launcher, &request.service, &draft.prepared, folder.path()).await?;
    let Some(record) = record else { return Ok(None) };
    let fine = [ExitCode::Changes, ExitCode::RiskyChanges].map(ExitCode::code);
    match record.outcome {
        Some(outcome) if !outcome.is_passed() && !record.exit.is_some_and(|exit| fine.contains(&exit)) => {
            let what = format!(
                "{} {} cannot be released in {}: {}; nothing was pushed",
                request.service,
                request.version,
                request.environment,
                printable(&record.summary)
            );
            Err(match outcome {
                Outcome::Unavailable | Outcome::Deadline => Fault::unavailable(what),
                Outcome::Invalid => Fault::invalid(what),
                Outcome::Cancelled(_) => {
                    cx.cancel.check()?;
                    Fault::unavailable(what)
                }
                _ => Fault::refused(what),
            })
        }
        _ => Ok(Some(record)),
    }
}

fn dry(request: &VersionRequest, draft: &Draft, record: Option<StageRecord>) -> StepReport {
    let VersionRequest {
        environment,
        service,
        version,
        ..
    } = request;
    let mut text = format!(
        "{service} in {environment}: a commit would ask for {version} instead of {}\n{}",
        printable(&draft.from),
        draft.prepared.plan.text()
    );
    if let Some(record) = record {
        text.push_str(&format!("  deploy: {}\n", printable(&record.summary)));
    }
    StepReport::passed()
        .environment(environment.clone())
        .service(service.clone())
        .text(text)
}
