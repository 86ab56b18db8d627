//! The names of our objects. All begin with project, environment and service; whose an object is, its labels say.

use pilotage_engine::service_of;
use pilotage_name::ServiceKey;

use crate::live::InstanceId;

/// `acme-qa-shop-7`.
pub(super) fn instance(key: &ServiceKey, id: InstanceId) -> String {
    format!("{}-{}", service_of(key), id.0)
}

/// What an instance is called until it is whole.
pub(super) fn partial(key: &ServiceKey, id: InstanceId) -> String {
    format!("{}.partial", instance(key, id))
}

/// `acme-qa-shop-mark-12`.
pub(super) fn mark(key: &ServiceKey, sequence: u64) -> String {
    format!("{}-mark-{sequence}", service_of(key))
}
