//! What binds an apply to its plan.

use pilotage_name::ServiceKey;
use serde::Serialize;
use sha2::{Digest, Sha256};

use crate::desired::{Desired, Identity, Labels};
use crate::fingerprint::hex;
use crate::live::{InstanceId, Live, Marker, State};
use crate::operation::Operation;
use crate::plan::Planned;

/// Over what is wanted, what is there and what would be done; not over the mark and the front door, which belong to
/// the run and to all services: a plan made before the release began still fits.
pub(super) fn digest(
    key: &ServiceKey,
    desired: Option<&Desired>,
    identity: Option<&Identity>,
    live: &Live,
    operations: &[Planned],
) -> String {
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
        descriptor: Option<String>,
        identity: Option<&'a Identity>,
        marker: &'a Option<Marker>,
        serving: &'a Option<crate::live::Serving>,
        instances: Vec<Held<'a>>,
        operations: Vec<Operation>,
    }
    let bound = Bound {
        key,
        descriptor: desired.map(|desired| desired.descriptor.config_hash()),
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
