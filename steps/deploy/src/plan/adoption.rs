//! What runs already becomes the instance that serves.

use crate::desired::{Desired, Identity};
use crate::live::Live;
use crate::operation::Operation;
use crate::plan::builder::Builder;
use crate::plan::{Plan, Refused, check_fence};

/// What has to happen for something that runs to become the instance that serves, where nothing serves yet.
///
/// # Errors
/// When a newer release has changed the service, or an instance of it serves already.
pub fn adoption(desired: &Desired, identity: &Identity, live: &Live, name: &str) -> Result<Plan, Refused> {
    check_fence(&desired.labels, live)?;
    if let Some(serving) = live.serving_instance() {
        return Err(Refused::Taken(vec![format!(
            "instance {} serves already, so {name} cannot become the one that does",
            serving.id
        )]));
    }
    let mut builder = Builder::new(live, &desired.labels);
    builder.add(
        Operation::Adopt { instance: live.next },
        &format!("{name} runs already"),
    );
    let mut stands_for = desired.clone();
    stands_for.identity = identity.clone();
    Ok(builder.finish(&stands_for, Some(live.next)))
}
