//! Taking the leases of releases, all in one push, and what is said where there is none.

use pilotage_command_line::CommandLines;
use pilotage_decision::fault::{of_git, of_ledger};
use pilotage_ledger::{Begin, Ending, Holder, Liveness};
use pilotage_name::ReleaseId;
use pilotage_outcome::{Fault, Outcome};

use crate::approve::Refusal;
use crate::plan::ReleasePlan;
use crate::records::Records;
use crate::repeat::told_by;
use crate::service_end::ServiceEnd;

/// Begins releases in one push. Each answer is the plan with its lease, or why there is none.
///
/// # Errors
/// The repository could not be asked at all.
pub async fn begin(
    records: &Records,
    plans: Vec<ReleasePlan>,
    holder: Holder,
) -> Result<Vec<Result<ReleasePlan, ServiceEnd>>, Fault> {
    if plans.is_empty() {
        return Ok(Vec::new());
    }
    records
        .with(move |desk| {
            let requests: Vec<_> = plans
                .iter()
                .map(|plan| plan.begin_request(holder.clone()))
                .collect();
            let history = desk.cache().reopen().map_err(of_git)?;
            // A commit that is gone from the branch, and from here, is older than nothing.
            let mut is_ancestor = |ancestor: &_, commit: &_| {
                Ok(history.has_commit(commit)
                    && history.has_commit(ancestor)
                    && history.is_ancestor(ancestor, commit)?)
            };
            let answers = desk
                .ledger()
                .begin(&requests, &mut is_ancestor)
                .map_err(of_ledger)?;
            let commands = desk.command_lines();
            let mut ends = Vec::with_capacity(answers.len());
            for (mut plan, answer) in plans.into_iter().zip(answers) {
                ends.push(match answer {
                    Begin::Begun(lease) => {
                        if let Some(story) = taken_over(desk, &lease.release) {
                            tracing::warn!("{}: {story}", lease.release);
                            plan.takeover = Some(story);
                        }
                        plan.repeats = repeats(desk, &lease.release, &plan);
                        tracing::info!("{}: begun, {}", lease.release, plan.what());
                        plan.lease = Some(lease);
                        Ok(plan)
                    }
                    answer => Err(no_lease(&plan, answer, &commands)),
                });
            }
            Ok(ends)
        })
        .await
}

/// Says what came of it when the release before was taken over. Its stages may still run; the target refuses them, because
/// their fence is stale.
fn taken_over(desk: &mut pilotage_decision::Desk, release: &ReleaseId) -> Option<String> {
    let chain = desk
        .ledger()
        .known_release(&release.environment, &release.service)
        .ok()?;
    let last = chain.state().last()?;
    match &last.end.as_ref()?.how {
        Ending::Abandoned(abandoned) if abandoned.takeover && last.id.fence + 1 == release.fence => {
            Some(format!("took over from {}: {}", last.id, abandoned.reason))
        }
        _ => None,
    }
}

/// The release that told people already that what begins now started.
fn repeats(desk: &mut pilotage_decision::Desk, release: &ReleaseId, plan: &ReleasePlan) -> Option<ReleaseId> {
    let chain = desk
        .ledger()
        .known_release(&release.environment, &release.service)
        .ok()?;
    told_by(&chain.state().history, &plan.commit, &plan.descriptor)
}

fn no_lease(plan: &ReleasePlan, answer: Begin, commands: &CommandLines) -> ServiceEnd {
    let service = &plan.service.service;
    match answer {
        Begin::HeldBy {
            release,
            holder,
            liveness,
            since,
            expires,
        } => {
            let alive = match liveness {
                Liveness::Alive => "which runs",
                Liveness::Dead(_) | Liveness::Unknown => "which may still run",
            };
            ServiceEnd::Held(format!(
                "{service} is being released already: {release} is held since {since} by {holder}, {alive}; it can be taken \
                 over after {expires}, or given up with `{}`",
                commands.abandon(&release)
            ))
        }
        Begin::Superseded { by, commit } => ServiceEnd::Superseded(format!(
            "{service}: {by} has released the newer commit {} already",
            commit.short()
        )),
        Begin::Rejected(rejection) => ServiceEnd::Refused(Box::new(Refusal {
            headline: format!("{}: held, {}", plan.what(), rejection.why),
            title: format!("{}: held", plan.what()),
            reasons: vec![format!(
                "it was rejected by {} ({}), and nobody committed since",
                rejection.release, rejection.why
            )],
            satisfy: vec![
                "a new commit: a corrected version, a `git revert`, or the same version again on purpose"
                    .to_owned(),
            ],
            waiting: false,
        })),
        Begin::Failed(error) => {
            let fault = of_ledger(error);
            ServiceEnd::Failed(
                fault.class.outcome(),
                format!("{service} could not be begun: {}", fault.message),
            )
        }
        Begin::Begun(_) => ServiceEnd::Failed(Outcome::Internal, format!("{service} was begun twice")),
    }
}
