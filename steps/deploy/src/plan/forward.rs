//! The way forward: from what is there to what is wanted.

use crate::capability::Capabilities;
use crate::desired::{Desired, host_addresses, replicas, routes};
use crate::live::{Front, Instance, Live, Replica, State};
use crate::operation::Operation;
use crate::plan::builder::Builder;
use crate::plan::{Plan, Refused, check_fence};
use crate::risk::{Risk, RiskClass, risks};

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
    builder.taken_up = candidate.is_some_and(|instance| instance.was_left() && !serves);
    builder.clear(id);
    if routes_needed(desired) && live.front == Front::Down {
        builder.add(Operation::OpenFront, "it does not answer");
    }
    match candidate {
        Some(instance) if serves && instance.state.is_well() => {
            if live.serving.is_some_and(|serving| !serving.current) {
                for (of, _) in instance.each() {
                    builder.add(Operation::Prove { of }, "it was started again");
                }
                for (of, _) in instance.each() {
                    builder.add(Operation::Switch { of }, "the route leads to where it ran before");
                }
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
                (false, State::Running | State::Done) => "an earlier run of this release has started it",
                (false, _) => "an earlier run of this release has prepared it",
            };
            let states: Vec<(Replica, State)> = instance.each().collect();
            builder.bring_up(&states, id, &host_addresses(&desired.descriptor), reason);
        }
        None => {
            builder.add(Operation::Prepare { instance: id }, &why);
            let states: Vec<(Replica, State)> = replicas(&desired.descriptor, id)
                .map(|of| (of, State::Prepared))
                .collect();
            builder.bring_up(&states, id, &host_addresses(&desired.descriptor), &why);
        }
    }
    builder.clean_up(id, None);
    builder.risks.extend(risks(desired, live));
    Ok(builder.finish(desired, Some(id)))
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
    if identity.instance_hash != wanted.instance_hash && identity.version == wanted.version {
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
    builder.finish(desired, None)
}
