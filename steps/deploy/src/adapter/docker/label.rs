//! Labels: whose an object is, and what an instance is made of.

use std::collections::HashMap;

use pilotage_descriptor::Descriptor;
use pilotage_diagnostic::Source;
use pilotage_name::{EnvironmentName, ServiceKey};

use crate::desired::{Desired, Identity, Labels};
use crate::live::InstanceId;

pub(super) const PROJECT: &str = "pilotage.project";
pub(super) const ENVIRONMENT: &str = "pilotage.environment";
pub(super) const SERVICE: &str = "pilotage.service";
pub(super) const INSTANCE: &str = "pilotage.instance";
pub(super) const MARK: &str = "pilotage.mark";
const RELEASE: &str = "pilotage.release";
const FENCE: &str = "pilotage.fence";
const COMMIT: &str = "pilotage.commit";
const VERSION: &str = "pilotage.version";
const DIGEST: &str = "pilotage.digest";
const INSTANCE_HASH: &str = "pilotage.instance-hash";
const CONFIG_HASH: &str = "pilotage.config-hash";
const DESCRIPTOR: &str = "pilotage.descriptor";
const SECRETS: &str = "pilotage.secrets";

/// An object's labels.
pub(super) type Map = HashMap<String, String>;

/// Whose an object of a whole environment is.
pub(super) fn of_environment(key: &ServiceKey) -> Map {
    HashMap::from([
        (PROJECT.to_owned(), key.project.to_string()),
        (ENVIRONMENT.to_owned(), key.environment.to_string()),
    ])
}

/// Whose an object of a service is.
pub(super) fn of_service(key: &ServiceKey) -> Map {
    let mut labels = of_environment(key);
    labels.insert(SERVICE.to_owned(), key.service.to_string());
    labels
}

/// All labels of an instance.
pub(super) fn of_instance(desired: &Desired, id: InstanceId) -> Map {
    let Desired {
        key,
        labels,
        identity,
        descriptor,
        secrets,
    } = desired;
    let mut map = of_service(key);
    // To go back to an instance one has to know how it is asked and stopped. Its files are in it.
    let mut kept = descriptor.clone();
    kept.files.clear();
    for (name, value) in [
        (INSTANCE, id.0.to_string()),
        (FENCE, labels.fence.to_string()),
        (VERSION, identity.version.clone()),
        (DIGEST, identity.digest.clone()),
        (INSTANCE_HASH, identity.instance_hash.clone()),
        (CONFIG_HASH, descriptor.config_hash()),
        (DESCRIPTOR, kept.to_yaml()),
        (SECRETS, secrets.len().to_string()),
    ] {
        map.insert(name.to_owned(), value);
    }
    if let Some(release) = &labels.release {
        map.insert(RELEASE.to_owned(), release.to_string());
    }
    if let Some(commit) = &labels.commit {
        map.insert(COMMIT.to_owned(), commit.to_string());
    }
    map
}

/// Whether all of `wanted` stands in `found`.
pub(super) fn carries(found: &Map, wanted: &Map) -> bool {
    wanted.iter().all(|(name, value)| found.get(name) == Some(value))
}

/// The filter by which an engine lists what carries `labels`.
pub(super) fn filter(labels: &Map) -> HashMap<String, Vec<String>> {
    let words = labels.iter().map(|(name, value)| format!("{name}={value}"));
    HashMap::from([("label".to_owned(), words.collect())])
}

/// The service whose object carries `labels`.
pub(super) fn key(labels: &Map) -> Option<ServiceKey> {
    Some(ServiceKey {
        project: labels.get(PROJECT)?.parse().ok()?,
        environment: labels.get(ENVIRONMENT)?.parse().ok()?,
        service: labels.get(SERVICE)?.parse().ok()?,
    })
}

/// What an instance says of itself.
pub(super) struct Told {
    pub(super) labels: Labels,
    pub(super) identity: Identity,
    pub(super) descriptor: Option<Descriptor>,
    /// Whether it was given secrets.
    pub(super) secrets: bool,
}

/// Reads an instance's labels; none when they are not those of one.
pub(super) fn read(map: &Map, environment: &EnvironmentName) -> Option<Told> {
    let text = |name: &str| map.get(name).cloned().unwrap_or_default();
    map.get(INSTANCE)?;
    Some(Told {
        labels: Labels {
            release: map.get(RELEASE).and_then(|release| release.parse().ok()),
            fence: map.get(FENCE).and_then(|fence| fence.parse().ok()).unwrap_or(0),
            commit: map.get(COMMIT).and_then(|commit| commit.parse().ok()),
        },
        identity: Identity {
            digest: text(DIGEST),
            version: text(VERSION),
            instance_hash: text(INSTANCE_HASH),
        },
        descriptor: map.get(DESCRIPTOR).and_then(|yaml| {
            let source = Source::new("descriptor", yaml.as_str());
            pilotage_descriptor::parse(&source).resolve(environment).ok()
        }),
        secrets: map.get(SECRETS).is_some_and(|count| count != "0"),
    })
}
