//! The names of our objects. All begin with project, environment and service; whose an object is, its labels say.

use pilotage_engine::service_of;
use pilotage_name::ServiceKey;

use crate::live::Replica;

/// `acme-qa-shop-7`, or `acme-qa-shop-7.2` where it has several replicas. A service's own name has no dot.
pub(super) fn replica(key: &ServiceKey, of: Replica) -> String {
    let instance = format!("{}-{}", service_of(key), of.instance.0);
    match of.replica {
        Some(number) => format!("{instance}.{number}"),
        None => instance,
    }
}

/// What a replica is called until it is whole.
pub(super) fn partial(key: &ServiceKey, of: Replica) -> String {
    format!("{}.partial", replica(key, of))
}

/// `acme-qa-shop-mark-12`.
pub(super) fn mark(key: &ServiceKey, sequence: u64) -> String {
    format!("{}-mark-{sequence}", service_of(key))
}
