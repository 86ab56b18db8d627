//! The way back to what served before a release.

use crate::capability::Capabilities;
use crate::desired::{Labels, routes};
use crate::live::{Front, Live, Replica, State};
use crate::operation::Operation;
use crate::plan::builder::Builder;
use crate::plan::{Plan, Refused, check_fence};
use pilotage_descriptor::Kind;
use pilotage_name::ServiceKey;

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
    let job = |descriptor: &pilotage_descriptor::Descriptor| descriptor.kind == Kind::Job;
    if serving.descriptor.as_ref().is_some_and(job) {
        return Err(Refused::NothingKept(
            "a job that has run cannot be taken back; release the version that puts right what it did",
        ));
    }
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
    builder.clear(target.id);
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
        let states: Vec<(Replica, State)> = target.each().collect();
        builder.bring_up(&states, target.id, &target.host_addresses(), "it served before");
    }
    builder.clean_up(target.id, Some(labels.fence));
    Ok(builder.finish_undo(key, target))
}
