//! The planner: from what is wanted and what is there to the operations, the way back included. Pure.

use std::fmt;

use pilotage_name::ServiceKey;
use serde::Serialize;
use sha2::{Digest, Sha256};

use crate::capability::{Capabilities, Lack};
use crate::desired::{Desired, HostAddress, Identity, Labels, host_addresses, routes};
use crate::fingerprint::hex;
use crate::live::{Front, Instance, InstanceId, Live, Marker, State};
use crate::operation::Operation;
use crate::risk::{Risk, RiskClass, risks};

/// How many stopped instances are kept to go back to.
pub const KEPT: usize = 2;

/// The effects a deploy would have, in order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Plan {
    /// Which service.
    pub service: ServiceKey,
    /// Binds an apply to this plan: it changes when the descriptor, what runs, or what would be done changes.
    pub digest: String,
    /// The effects.
    pub operations: Vec<Planned>,
    /// What deserves a second look.
    pub risks: Vec<Risk>,
    /// The instance that serves afterwards, if any does.
    pub instance: Option<InstanceId>,
    /// The instance that serves before.
    pub before: Option<InstanceId>,
}

/// One effect and its cause.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Planned {
    /// The effect.
    #[serde(flatten)]
    pub operation: Operation,
    /// Why it is needed.
    pub why: String,
    /// The class of risk it carries.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub risk: Option<RiskClass>,
}

/// Why there is no plan.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// The descriptor asks for what this kind of target cannot do.
    #[error("the target cannot do {} of the things the descriptor asks for", .0.len())]
    Cannot(Vec<Lack>),
    /// A newer release has changed the service.
    #[error("fence {fence} is stale: {by} has changed the service already")]
    Stale {
        /// Ours.
        fence: u64,
        /// Theirs, in words.
        by: String,
    },
    /// Somebody else holds a route or port.
    #[error("{}", .0.join("; "))]
    Taken(Vec<String>),
    /// There is nothing to go back to.
    #[error("{0}")]
    NothingKept(&'static str),
}

impl Plan {
    /// Whether nothing a user could see would change.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        !self.operations.iter().any(|planned| planned.operation.changes())
    }

    /// Whether there is a moment in which nobody serves.
    #[must_use]
    pub fn has_downtime(&self) -> bool {
        self.risks.iter().any(|risk| risk.class == RiskClass::Downtime)
    }
}

impl fmt::Display for Plan {
    /// One line for each operation and risk; what `--dry-run` prints.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_empty() {
            writeln!(f, "{}: nothing to do", self.service)?;
        } else {
            writeln!(f, "{}:", self.service)?;
        }
        for planned in &self.operations {
            let risk = planned.risk.map(|class| format!("{class}: ")).unwrap_or_default();
            writeln!(f, "  {risk}{} ({})", planned.operation, planned.why)?;
        }
        for risk in &self.risks {
            let change = match (&risk.from, &risk.to) {
                (Some(from), Some(to)) => format!(" {from} -> {to}"),
                (Some(from), None) => format!(" {from} -> nothing"),
                (None, Some(to)) => format!(" {to}"),
                (None, None) => String::new(),
            };
            writeln!(f, "  risk {}: {}{change}: {}", risk.class, risk.path, risk.reason)?;
        }
        write!(f, "  plan {}", self.digest)
    }
}

/// What has to happen to make `live` equal to `desired`.
///
/// # Errors
/// When the target cannot do it, may not do it, or must not.
pub fn plan(desired: &Desired, live: &Live, capabilities: &Capabilities) -> Result<Plan, Refused> {
    check_fence(&desired.labels, live)?;
    if !desired.active() {
        return Ok(retire(desired, live));
    }
    let lacks = capabilities.lacks(&desired.descriptor);
    if !lacks.is_empty() {
        return Err(Refused::Cannot(lacks));
    }
    if !live.taken.is_empty() {
        return Err(Refused::Taken(live.taken.clone()));
    }
    let mut builder = Builder::new(live, &desired.labels);
    let candidate = candidate(desired, live);
    let id = candidate.map_or(live.next, |instance| instance.id);
    let serves = live.serving.is_some_and(|serving| serving.instance == id);
    let why = cause(desired, live);
    if routes_needed(desired) && live.front == Front::Down {
        builder.add(Operation::OpenFront, "it does not answer");
    }
    match candidate {
        Some(instance) if serves && instance.state == State::Running => {
            if live.serving.is_some_and(|serving| !serving.current) {
                builder.add(Operation::Prove { instance: id }, "it was started again");
                builder.add(
                    Operation::Switch { instance: id },
                    "the route leads to where it ran before",
                );
            }
            if builder
                .operations
                .iter()
                .any(|planned| planned.operation.changes())
            {
                builder.add(Operation::Verify { instance: id }, "green means proof");
            }
        }
        Some(instance) => {
            let reason = match (serves, instance.state) {
                (true, _) => "it serves no longer: it has ended",
                (false, State::Running) => "an earlier run of this release has started it",
                (false, _) => "an earlier run of this release has prepared it",
            };
            builder.bring_up(instance.state, id, &host_addresses(&desired.descriptor), reason);
        }
        None => {
            builder.add(Operation::Prepare { instance: id }, &why);
            builder.bring_up(State::Prepared, id, &host_addresses(&desired.descriptor), &why);
        }
    }
    builder.clean_up(id, None);
    builder.risks.extend(risks(desired, live));
    Ok(builder.finish(&desired.key, Some(&desired.identity), Some(id)))
}

/// What has to happen to go back to the instance that served before this release.
///
/// With a fence it is safe to repeat: once an instance that this release did not make serves, the rest of the undo is
/// finished and nothing more. Without one it goes back one instance more each time.
///
/// # Errors
/// When a newer release has changed the service, or nothing is kept.
pub fn undo(
    key: &ServiceKey,
    labels: &Labels,
    live: &Live,
    capabilities: &Capabilities,
) -> Result<Plan, Refused> {
    check_fence(labels, live)?;
    let serving = live.serving_instance().ok_or(Refused::NothingKept(
        "no instance serves, so there is nothing to undo",
    ))?;
    let mut builder = Builder::new(live, labels);
    let done = labels.fence > 0 && serving.labels.fence != labels.fence;
    let target = if done {
        serving
    } else {
        live.instances
            .iter()
            .filter(|instance| instance.id != serving.id && instance.turn > 0 && !instance.undone)
            .filter(|instance| instance.state != State::Partial)
            .max_by_key(|instance| instance.turn)
            .ok_or(Refused::NothingKept("no earlier instance is kept to go back to"))?
    };
    if let Some(descriptor) = &target.descriptor {
        let lacks = capabilities.lacks(descriptor);
        if !lacks.is_empty() {
            return Err(Refused::Cannot(lacks));
        }
        if live.front == Front::Down && !routes(descriptor).is_empty() {
            builder.add(Operation::OpenFront, "it does not answer");
        }
    }
    let current = live.serving.is_some_and(|serving| serving.current);
    if !(done && current && target.state == State::Running) {
        builder.bring_up(
            target.state,
            target.id,
            &target.host_addresses(),
            "it served before",
        );
    }
    builder.clean_up(target.id, Some(labels.fence));
    Ok(builder.finish(key, target.identity.as_ref(), Some(target.id)))
}

/// How to get back to what served, when the operations of `plan` up to and including `failed` were tried.
///
/// Nothing serves worse afterwards than before: the new instance goes, and one that was stopped for it comes back.
#[must_use]
pub fn recovery(plan: &Plan, tried: usize) -> Vec<Operation> {
    let Some(new) = plan.instance else {
        return Vec::new();
    };
    let tried: Vec<Operation> = plan
        .operations
        .iter()
        .take(tried)
        .map(|planned| planned.operation)
        .collect();
    let made = tried.contains(&Operation::Prepare { instance: new });
    let switched = tried.contains(&Operation::Switch { instance: new });
    let mut operations = Vec::new();
    match plan.before.filter(|before| *before != new) {
        Some(before) => {
            let stopped = tried.iter().any(
                |operation| matches!(operation, Operation::Stop { instance, .. } if *instance == before),
            );
            let away = if made {
                Operation::Remove { instance: new }
            } else {
                Operation::Stop {
                    instance: new,
                    undone: false,
                }
            };
            let started = made || tried.contains(&Operation::Start { instance: new });
            if stopped {
                // The port is free again only when the new one is gone.
                operations.push(away);
                operations.push(Operation::Start { instance: before });
                operations.push(Operation::Switch { instance: before });
            } else {
                if switched {
                    operations.push(Operation::Switch { instance: before });
                }
                if started {
                    operations.push(away);
                }
            }
        }
        // Without an earlier instance there is nothing to go back to; one that was switched to may still serve.
        None if made && !switched => operations.push(Operation::Remove { instance: new }),
        None => {}
    }
    operations
}

fn check_fence(labels: &Labels, live: &Live) -> Result<(), Refused> {
    match &live.marker {
        Some(marker) if marker.fence > labels.fence => Err(Refused::Stale {
            fence: labels.fence,
            by: describe(marker),
        }),
        _ => Ok(()),
    }
}

/// A mark in words.
#[must_use]
pub fn describe(marker: &Marker) -> String {
    match &marker.release {
        Some(release) => format!("release {release}"),
        None => format!("a deploy with fence {}", marker.fence),
    }
}

fn routes_needed(desired: &Desired) -> bool {
    !routes(&desired.descriptor).is_empty()
}

/// The instance that can become the wanted one without making another: the one that serves, or what a crashed run of
/// this very release left.
fn candidate<'l>(desired: &Desired, live: &'l Live) -> Option<&'l Instance> {
    let fits = |instance: &Instance| {
        instance.state != State::Partial
            && instance.identity.as_ref() == Some(&desired.identity)
            && instance.secrets.changed(&desired.secrets).is_empty()
    };
    live.serving_instance()
        .filter(|instance| fits(instance))
        .or_else(|| {
            live.instances.iter().rev().find(|instance| {
                fits(instance)
                    && instance.turn == 0
                    && instance.state != State::Ended
                    && instance.labels == desired.labels
            })
        })
}

/// What differs, in a few words.
fn cause(desired: &Desired, live: &Live) -> String {
    let Some(serving) = live.serving_instance() else {
        return "nothing serves yet".to_owned();
    };
    let Some(identity) = &serving.identity else {
        return "what serves cannot be read".to_owned();
    };
    let wanted = &desired.identity;
    let secrets = serving.secrets.changed(&desired.secrets);
    let mut causes = Vec::new();
    if identity.version != wanted.version {
        causes.push(format!("version {} -> {}", identity.version, wanted.version));
    } else if identity.digest != wanted.digest {
        causes.push("another artifact under the same version".to_owned());
    }
    if identity.config_hash != wanted.config_hash && identity.version == wanted.version {
        causes.push("the configuration differs".to_owned());
    }
    if !secrets.is_empty() {
        causes.push(format!("changed secrets: {}", secrets.join(", ")));
    }
    causes.join("; ")
}

fn retire(desired: &Desired, live: &Live) -> Plan {
    let mut builder = Builder::new(live, &desired.labels);
    if live.serving.is_some() {
        builder.add_risky(Operation::Withdraw, "the service is retired", RiskClass::Prune);
        builder.risks.push(Risk {
            class: RiskClass::Prune,
            path: "state".to_owned(),
            from: Some("active".to_owned()),
            to: Some("retired".to_owned()),
            reason: "nobody serves afterwards; what it stored stays".to_owned(),
        });
    }
    for instance in &live.instances {
        if instance.holds() {
            builder.add(
                Operation::Stop {
                    instance: instance.id,
                    undone: false,
                },
                "the service is retired",
            );
        }
    }
    builder.finish(&desired.key, Some(&desired.identity), None)
}

struct Builder<'l> {
    live: &'l Live,
    operations: Vec<Planned>,
    risks: Vec<Risk>,
}

impl<'l> Builder<'l> {
    fn new(live: &'l Live, labels: &Labels) -> Self {
        let mut builder = Self {
            live,
            operations: Vec::new(),
            risks: Vec::new(),
        };
        if live
            .marker
            .as_ref()
            .is_none_or(|marker| marker.fence < labels.fence)
        {
            builder.add(
                Operation::Mark { fence: labels.fence },
                "older releases change nothing from here on",
            );
        }
        builder
    }

    fn add(&mut self, operation: Operation, why: &str) {
        self.operations.push(Planned {
            operation,
            why: why.to_owned(),
            risk: None,
        });
    }

    fn add_risky(&mut self, operation: Operation, why: &str, risk: RiskClass) {
        self.operations.push(Planned {
            operation,
            why: why.to_owned(),
            risk: Some(risk),
        });
    }

    fn planned(&self, operation: Operation) -> bool {
        self.operations
            .iter()
            .any(|planned| planned.operation == operation)
    }

    /// From `state` to serving. Whoever holds a host port that the instance needs has to go first.
    fn bring_up(&mut self, state: State, id: InstanceId, needs: &[HostAddress], why: &str) {
        if state != State::Running {
            for holder in &self.live.instances {
                let Some(shared) = holder
                    .host_addresses()
                    .into_iter()
                    .find(|held| needs.iter().any(|need| need.collides(held)))
                else {
                    continue;
                };
                if holder.id == id || !holder.holds() {
                    continue;
                }
                let reason = format!("both need {shared}");
                if holder.turn == 0 {
                    self.add(Operation::Remove { instance: holder.id }, &reason);
                    continue;
                }
                self.add_risky(
                    Operation::Stop {
                        instance: holder.id,
                        undone: false,
                    },
                    &reason,
                    RiskClass::Downtime,
                );
                self.risks.push(Risk {
                    class: RiskClass::Downtime,
                    path: "ports.publish".to_owned(),
                    from: Some(format!("instance {}", holder.id)),
                    to: Some(format!("instance {id}")),
                    reason: format!("both need {shared}, so nobody serves from the stop of the old to the proof of the new"),
                });
            }
            self.add(Operation::Start { instance: id }, why);
        }
        self.add(
            Operation::Prove { instance: id },
            "nothing serves before it is proved",
        );
        self.add(Operation::Switch { instance: id }, why);
        self.add(Operation::Verify { instance: id }, "green means proof");
    }

    /// Stops what served, removes what never did, and keeps the last few to go back to.
    fn clean_up(&mut self, serving: InstanceId, undoing: Option<u64>) {
        let others = || {
            self.live
                .instances
                .iter()
                .filter(|instance| instance.id != serving)
        };
        let mut stops = Vec::new();
        let mut removals = Vec::new();
        let mut kept: Vec<(bool, u64, InstanceId)> = Vec::new();
        for instance in others() {
            let id = instance.id;
            if instance.turn == 0 || instance.state == State::Partial {
                removals.push((id, "an earlier run left it, and it never served"));
                continue;
            }
            // Going back takes back whatever this release made; without a fence, whatever serves now.
            let undone = undoing.is_some_and(|fence| match fence {
                0 => self.live.serving.is_some_and(|serving| serving.instance == id),
                fence => instance.labels.fence == fence,
            });
            if instance.holds() || (undone && !instance.undone) {
                stops.push((id, undone));
            }
            kept.push((!(undone || instance.undone), instance.turn, id));
        }
        kept.sort_unstable_by(|left, right| right.cmp(left));
        removals.extend(
            kept.iter()
                .skip(KEPT)
                .map(|(.., id)| (*id, "enough later ones are kept")),
        );
        for (id, undone) in stops {
            let earlier = self.planned(Operation::Stop {
                instance: id,
                undone: false,
            });
            if !earlier || undone {
                let why = if undone {
                    "it is taken back"
                } else {
                    "it serves no longer"
                };
                self.add(Operation::Stop { instance: id, undone }, why);
            }
        }
        for (id, why) in removals {
            if !self.planned(Operation::Remove { instance: id }) {
                self.add(Operation::Remove { instance: id }, why);
            }
        }
    }

    fn finish(self, key: &ServiceKey, identity: Option<&Identity>, instance: Option<InstanceId>) -> Plan {
        Plan {
            service: key.clone(),
            digest: digest(key, identity, self.live, &self.operations),
            operations: self.operations,
            risks: self.risks,
            instance,
            before: self.live.serving.map(|serving| serving.instance),
        }
    }
}

/// Over what is wanted, what is there and what would be done; not over the mark and the front door, which belong to
/// the run and to all services: a plan made before the release began still fits.
fn digest(key: &ServiceKey, identity: Option<&Identity>, live: &Live, operations: &[Planned]) -> String {
    #[derive(Serialize)]
    struct Held<'a> {
        id: InstanceId,
        labels: &'a Labels,
        identity: Option<&'a Identity>,
        state: State,
        stray: bool,
        turn: u64,
        undone: bool,
    }
    #[derive(Serialize)]
    struct Bound<'a> {
        key: &'a ServiceKey,
        identity: Option<&'a Identity>,
        marker: &'a Option<Marker>,
        serving: &'a Option<crate::live::Serving>,
        instances: Vec<Held<'a>>,
        operations: Vec<Operation>,
    }
    let bound = Bound {
        key,
        identity,
        marker: &live.marker,
        serving: &live.serving,
        instances: live
            .instances
            .iter()
            .map(|instance| Held {
                id: instance.id,
                labels: &instance.labels,
                identity: instance.identity.as_ref(),
                state: instance.state,
                stray: instance.stray,
                turn: instance.turn,
                undone: instance.undone,
            })
            .collect(),
        operations: operations
            .iter()
            .map(|planned| planned.operation)
            .filter(|operation| !matches!(operation, Operation::Mark { .. } | Operation::OpenFront))
            .collect(),
    };
    // Plain structs of texts and numbers always have a JSON form.
    let json = serde_json::to_vec(&bound).unwrap_or_default();
    format!("sha256:{}", hex(&Sha256::digest(json)))
}
