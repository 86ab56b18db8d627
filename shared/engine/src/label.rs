//! Labels: whose an object is.

use std::collections::HashMap;

use pilotage_name::ServiceKey;

/// The project.
pub const PROJECT: &str = "pilotage.project";
/// The environment.
pub const ENVIRONMENT: &str = "pilotage.environment";
/// The service.
pub const SERVICE: &str = "pilotage.service";
/// Who made a one-off container and until when it is needed, as JSON.
pub const ONE_OFF: &str = "pilotage.one-off";

/// An object's labels.
pub type Map = HashMap<String, String>;

/// Whose an object of a whole environment is.
#[must_use]
pub fn of_environment(key: &ServiceKey) -> Map {
    HashMap::from([
        (PROJECT.to_owned(), key.project.to_string()),
        (ENVIRONMENT.to_owned(), key.environment.to_string()),
    ])
}

/// Whose an object of a service is.
#[must_use]
pub fn of_service(key: &ServiceKey) -> Map {
    let mut labels = of_environment(key);
    labels.insert(SERVICE.to_owned(), key.service.to_string());
    labels
}

/// Whether all of `wanted` stands in `found`.
#[must_use]
pub fn carries(found: &Map, wanted: &Map) -> bool {
    wanted.iter().all(|(name, value)| found.get(name) == Some(value))
}

/// The filter by which an engine lists what carries `labels`, and has the labels of `names` with any value.
#[must_use]
pub fn filter(labels: &Map, names: &[&str]) -> HashMap<String, Vec<String>> {
    let words = labels.iter().map(|(name, value)| format!("{name}={value}"));
    let words = words.chain(names.iter().map(|name| (*name).to_owned()));
    HashMap::from([("label".to_owned(), words.collect())])
}

/// The service whose object carries `labels`.
#[must_use]
pub fn key(labels: &Map) -> Option<ServiceKey> {
    Some(ServiceKey {
        project: labels.get(PROJECT)?.parse().ok()?,
        environment: labels.get(ENVIRONMENT)?.parse().ok()?,
        service: labels.get(SERVICE)?.parse().ok()?,
    })
}
