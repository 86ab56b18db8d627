//! Several releases of one environment at once: those that wait for none begin in one push, the others when what they wait
//! for has gone well.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use futures::StreamExt as _;
use futures::stream::FuturesUnordered;
use pilotage_command_line::CommandLines;
use pilotage_decision::fault::{of_git, of_ledger};
use pilotage_ledger::{Begin, Ending, Holder, Liveness};
use pilotage_name::{ReleaseId, ServiceName};
use pilotage_outcome::{Effects, Fault, Outcome};
use pilotage_step::Cancel;

use crate::approve::{Approval, Refusal};
use crate::directory::PlanDirectory;
use crate::order::waits;
use crate::plan::ReleasePlan;
use crate::port::Launcher;
use crate::prepare::Prepared;
use crate::records::Records;
use crate::release::{ReleaseEnd, ReleaseRun, Written};
use crate::repeat::told_by;

/// What became of one service.
#[derive(Clone, Debug)]
pub enum ServiceEnd {
    /// It was released, or not, in full.
    Released(Box<ReleaseEnd>),
    /// There was nothing to do.
    Nothing(String),
    /// A gate stands in the way.
    Refused(Box<Refusal>),
    /// Its descriptor has errors.
    Broken(pilotage_diagnostic::Diagnostics),
    /// A newer commit makes it pointless; it says which.
    Superseded(String),
    /// Another release of it goes on; it says whose.
    Held(String),
    /// One that it waits for did not go well, so it was not begun.
    NotBegun(String),
    /// It could not be begun.
    Failed(Outcome, String),
}

impl ServiceEnd {
    /// How it ended.
    #[must_use]
    pub fn outcome(&self) -> Outcome {
        match self {
            Self::Released(end) => match &end.written {
                // A release whose end nobody can read has not gone well yet.
                Written::No(_) if end.judgement.outcome.is_passed() => Outcome::Unavailable,
                // Whatever its stages came to: it is not this one's any more.
                Written::Lost(_) if !end.judgement.stopped => Outcome::Refused { waiting: false },
                _ => end.judgement.outcome,
            },
            Self::Nothing(_) => Outcome::Passed,
            Self::Refused(refusal) => Outcome::Refused {
                waiting: refusal.waiting,
            },
            Self::Broken(_) => Outcome::Invalid,
            Self::Superseded(_) => Outcome::Superseded,
            Self::Held(_) => Outcome::Refused { waiting: true },
            Self::NotBegun(_) => Outcome::Refused { waiting: false },
            Self::Failed(outcome, _) => *outcome,
        }
    }

    /// What it changed.
    #[must_use]
    pub fn effects(&self) -> Effects {
        match self {
            Self::Released(end) => end.judgement.effects,
            _ => Effects::None,
        }
    }
}

/// Of several services the one that went worst decides: cancelled, a bug, a clear no (1), an answer cut off (5), no answer
/// (4), invalid (3), refused (6), superseded (7).
#[must_use]
pub fn worst(outcomes: impl IntoIterator<Item = Outcome>) -> Outcome {
    let rank = |outcome: &Outcome| match outcome {
        Outcome::Passed => 0,
        Outcome::Superseded => 1,
        Outcome::Refused { waiting: true } => 2,
        Outcome::Refused { waiting: false } => 3,
        Outcome::Invalid => 4,
        Outcome::Unavailable => 5,
        Outcome::Deadline => 6,
        Outcome::Failed => 7,
        Outcome::Usage => 8,
        Outcome::Internal => 9,
        Outcome::Cancelled(_) => 10,
    };
    outcomes.into_iter().max_by_key(rank).unwrap_or(Outcome::Passed)
}

/// What surrounds the releases of one run.
pub struct Run<L> {
    /// Runs the stages.
    pub launcher: L,
    /// The repository and its ledger.
    pub records: Records,
    /// Says when to stop.
    pub cancel: Cancel,
    /// Who holds the releases.
    pub holder: Holder,
    /// Below it each service gets its plan's directory.
    pub folder: PathBuf,
}

impl<L: Launcher> Run<L> {
    /// Releases what may be released; the other answers are passed on. One end per service, in order of their names.
    ///
    /// # Errors
    /// Services that wait for each other, or the repository cannot be read at all.
    pub async fn all(
        &self,
        answers: BTreeMap<ServiceName, Result<Prepared, Approval>>,
    ) -> Result<BTreeMap<ServiceName, ServiceEnd>, Fault> {
        let mut ends = BTreeMap::new();
        let mut open: BTreeMap<ServiceName, Prepared> = BTreeMap::new();
        for (service, answer) in answers {
            match answer {
                Ok(prepared) => {
                    open.insert(service, prepared);
                }
                Err(approval) => {
                    ends.insert(service, not_now(approval));
                }
            }
        }
        // A service that is not released now is waited for too: as long as it did not go well, what needs it stays.
        let mut after: BTreeMap<ServiceName, Vec<ServiceName>> = open
            .iter()
            .map(|(service, prepared)| (service.clone(), prepared.plan.after.clone()))
            .collect();
        after.extend(
            ends.keys()
                .map(|service: &ServiceName| (service.clone(), Vec::new())),
        );
        let waits = waits(&after)
            .map_err(|cycle| Fault::invalid(cycle.to_string()).help("correct `after:` in one of them"))?;

        // All on this task: the work is done by processes, this one only waits for them.
        let mut running = FuturesUnordered::new();
        loop {
            let ready = self.ready(&mut open, &mut ends, &waits);
            if !ready.is_empty() {
                for (service, begun) in self.begin(ready).await? {
                    match begun {
                        Ok((plan, directory)) => {
                            running.push(self.release(service, plan, directory));
                        }
                        Err(end) => {
                            ends.insert(service, end);
                        }
                    }
                }
                continue;
            }
            match running.next().await {
                Some((service, end)) => {
                    ends.insert(service, end);
                }
                None => return Ok(ends),
            }
        }
    }

    /// Takes out the services that wait for nothing any more. Those that wait for one that did not go well end here.
    fn ready(
        &self,
        open: &mut BTreeMap<ServiceName, Prepared>,
        ends: &mut BTreeMap<ServiceName, ServiceEnd>,
        waits: &BTreeMap<ServiceName, BTreeSet<ServiceName>>,
    ) -> Vec<(ServiceName, Prepared)> {
        let mut ready = Vec::new();
        for service in open.keys().cloned().collect::<Vec<_>>() {
            let before = waits.get(&service);
            let before = || before.into_iter().flatten();
            if let Some(failed) =
                before().find(|name| ends.get(*name).is_some_and(|end| !end.outcome().is_passed()))
            {
                let why =
                    format!("{service} is released after {failed}, which did not go well; it was not begun");
                open.remove(&service);
                ends.insert(service, ServiceEnd::NotBegun(why));
            } else if before().all(|name| ends.contains_key(name))
                && let Some(prepared) = open.remove(&service)
            {
                let end = self.cancel.reason().map(|reason| {
                    let outcome = match reason {
                        pilotage_step::CancelReason::Signal(signal) => Outcome::Cancelled(signal),
                        pilotage_step::CancelReason::Deadline => Outcome::Deadline,
                    };
                    ServiceEnd::Failed(
                        outcome,
                        format!("{service} was not begun: the run was asked to stop ({reason})"),
                    )
                });
                match end {
                    Some(end) => {
                        ends.insert(service, end);
                    }
                    None => ready.push((service, prepared)),
                }
            }
        }
        ready
    }

    /// Writes the plans down and begins them, all in one push.
    async fn begin(
        &self,
        ready: Vec<(ServiceName, Prepared)>,
    ) -> Result<Vec<(ServiceName, Result<(ReleasePlan, PlanDirectory), ServiceEnd>)>, Fault> {
        let mut begun = Vec::new();
        let mut asked = Vec::new();
        for (service, prepared) in ready {
            let directory = PlanDirectory::create(
                &self.folder.join(service.as_str()),
                &prepared.plan,
                &prepared.texts,
            )?;
            match prepared.plan.observe {
                true => begun.push((service, Ok((prepared.plan, directory)))),
                false => asked.push((service, prepared.plan, directory)),
            }
        }
        let plans: Vec<ReleasePlan> = asked.iter().map(|(_, plan, _)| plan.clone()).collect();
        let answers = begin(&self.records, plans, self.holder.clone()).await?;
        for ((service, _, directory), answer) in asked.into_iter().zip(answers) {
            let answer = match answer {
                Ok(plan) => directory
                    .save(&plan)
                    .map(|()| (plan, directory))
                    .map_err(|error| {
                        let fault = Fault::from(error);
                        ServiceEnd::Failed(fault.class.outcome(), fault.message)
                    }),
                Err(end) => Err(end),
            };
            begun.push((service, answer));
        }
        Ok(begun)
    }

    async fn release(
        &self,
        service: ServiceName,
        plan: ReleasePlan,
        directory: PlanDirectory,
    ) -> (ServiceName, ServiceEnd) {
        let ledger = (!plan.observe).then_some(&self.records);
        let release = ReleaseRun::new(&self.launcher, ledger, &self.cancel, &directory, plan);
        (service, ServiceEnd::Released(Box::new(release.run().await)))
    }
}

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

pub(crate) fn not_now(approval: Approval) -> ServiceEnd {
    match approval {
        Approval::Go(_) => {
            ServiceEnd::Failed(Outcome::Internal, "an accepted service has no plan".to_owned())
        }
        Approval::Nothing(why) | Approval::Stands(_, why) => ServiceEnd::Nothing(why),
        Approval::Refused(refusal) => ServiceEnd::Refused(refusal),
        Approval::Superseded { by } => {
            ServiceEnd::Superseded(format!("the newer commit {} was accepted since", by.short()))
        }
        Approval::Broken(diagnostics) => ServiceEnd::Broken(diagnostics),
    }
}
