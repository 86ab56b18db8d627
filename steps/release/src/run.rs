//! Several releases of one environment at once: those that wait for none begin in one push, the others when what they wait
//! for has gone well.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use futures::StreamExt as _;
use futures::stream::FuturesUnordered;
use pilotage_ledger::Holder;
use pilotage_name::ServiceName;
use pilotage_outcome::{Fault, Outcome};
use pilotage_step::Cancel;

use crate::approve::Approval;
use crate::begin::begin;
use crate::directory::PlanDirectory;
use crate::order::waits;
use crate::plan::ReleasePlan;
use crate::port::Launcher;
use crate::prepare::Prepared;
use crate::records::Records;
use crate::release::ReleaseRun;
use crate::service_end::{ServiceEnd, not_now};

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
