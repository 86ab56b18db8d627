//! Labels: what an instance is made of. Whose an object is, stands in those that all steps share.

use pilotage_descriptor::{Descriptor, Kind};
use pilotage_diagnostic::Source;
pub(super) use pilotage_engine::label::{Map, PROJECT, carries, filter, key, of_environment, of_service};
use pilotage_name::EnvironmentName;

use crate::desired::{Desired, Identity, Labels};
use crate::live::{InstanceId, Replica};

pub(super) const INSTANCE: &str = "pilotage.instance";
pub(super) const MARK: &str = "pilotage.mark";
const REPLICA: &str = "pilotage.replica";
const KIND: &str = "pilotage.kind";
const RELEASE: &str = "pilotage.release";
const FENCE: &str = "pilotage.fence";
const COMMIT: &str = "pilotage.commit";
const VERSION: &str = "pilotage.version";
const DIGEST: &str = "pilotage.digest";
const INSTANCE_HASH: &str = "pilotage.instance-hash";
const CONFIG_HASH: &str = "pilotage.config-hash";
const DESCRIPTOR: &str = "pilotage.descriptor";
const SECRETS: &str = "pilotage.secrets";

/// All labels of a replica.
pub(super) fn of_replica(desired: &Desired, of: Replica) -> Map {
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
        (INSTANCE, of.instance.0.to_string()),
        (KIND, descriptor.kind.to_string()),
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
    if let Some(number) = of.replica {
        map.insert(REPLICA.to_owned(), number.to_string());
    }
    if let Some(release) = &labels.release {
        map.insert(RELEASE.to_owned(), release.to_string());
    }
    if let Some(commit) = &labels.commit {
        map.insert(COMMIT.to_owned(), commit.to_string());
    }
    map
}

/// Which replica of which instance carries these labels; none when they are not those of one.
pub(super) fn replica(map: &Map) -> Option<Replica> {
    Some(Replica {
        instance: InstanceId(map.get(INSTANCE)?.parse().ok()?),
        replica: map.get(REPLICA).and_then(|number| number.parse().ok()),
    })
}

/// The kind of what carries these labels.
pub(super) fn kind(map: &Map) -> Kind {
    match map.get(KIND).map(String::as_str) {
        Some("worker") => Kind::Worker,
        Some("job") => Kind::Job,
        _ => Kind::Service,
    }
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
