//! The state directory of a process target, and the files in it.
//!
//! ```text
//! routes/<key>.json                 where the traffic of a service goes; replacing it is the switch
//! services/<key>/lock               held by the deploy that changes the service
//! services/<key>/marker.json        the highest fence that changed it
//! services/<key>/instances/<n>/     one instance: artifact, files/, instance.json, environment.json, descriptor.yaml, *.log
//! front-door.{sock,lock,log}        the front door of the whole directory
//! ```
//! A file is replaced by a rename; an instance comes into being and goes by a rename of its directory.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::net::SocketAddr;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use pilotage_name::ServiceKey;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::desired::{Identity, Labels};
use crate::error::TargetError;
use crate::fingerprint::Fingerprints;
use crate::live::{InstanceId, Marker};

/// The name of a service's files: unlike with hyphens, no two services share one.
#[must_use]
pub(crate) fn key_text(key: &ServiceKey) -> String {
    format!("{}.{}.{}", key.project, key.environment, key.service)
}

/// The paths of one service.
#[derive(Clone, Debug)]
pub(crate) struct ServiceDir {
    /// The state directory.
    pub(crate) state: PathBuf,
    /// `services/<key>`.
    pub(crate) root: PathBuf,
    /// `routes/<key>.json`.
    pub(crate) route: PathBuf,
}

impl ServiceDir {
    /// Of the service `key` (as [`key_text`] writes it) in the state directory.
    #[must_use]
    pub(crate) fn new(state: &Path, key: &str) -> Self {
        Self {
            state: state.to_owned(),
            root: state.join("services").join(key),
            route: state.join("routes").join(format!("{key}.json")),
        }
    }

    /// The mark of the last release.
    #[must_use]
    pub(crate) fn marker(&self) -> PathBuf {
        self.root.join("marker.json")
    }

    /// Held while the service is changed.
    #[must_use]
    pub(crate) fn lock(&self) -> PathBuf {
        self.root.join("lock")
    }

    /// All instances.
    #[must_use]
    pub(crate) fn instances(&self) -> PathBuf {
        self.root.join("instances")
    }

    /// A whole instance.
    #[must_use]
    pub(crate) fn instance(&self, id: InstanceId) -> PathBuf {
        self.instances().join(id.0.to_string())
    }

    /// An instance that is coming into being, or going.
    #[must_use]
    pub(crate) fn partial(&self, id: InstanceId) -> PathBuf {
        self.instances().join(format!("{}.partial", id.0))
    }
}

/// `marker.json`.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct MarkerFile {
    /// The highest fence that changed the service.
    pub(crate) fence: u64,
    /// The release it belongs to.
    pub(crate) release: Option<pilotage_name::ReleaseId>,
    /// The commit that was released.
    #[serde(default)]
    pub(crate) commit: Option<pilotage_name::CommitId>,
    /// The number of the next instance.
    pub(crate) next: u64,
}

impl MarkerFile {
    /// What it says of the last release.
    pub(crate) fn marker(&self) -> Marker {
        Marker {
            fence: self.fence,
            release: self.release.clone(),
            commit: self.commit.clone(),
        }
    }
}

/// `instance.json`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Record {
    /// In whose name it was made.
    pub(crate) labels: Labels,
    /// What it was made from.
    pub(crate) identity: Identity,
    /// Its secrets.
    pub(crate) secrets: Fingerprints,
    /// When.
    pub(crate) created: Timestamp,
    /// Program and arguments, placeholders not filled in.
    pub(crate) command: Vec<String>,
    /// The signal that asks it to end.
    pub(crate) stop_signal: i32,
    /// How long it may take to end, in milliseconds.
    pub(crate) stop_grace_ms: u64,
    /// The names of its ports in the order of the descriptor, and the addresses that are not chosen anew at each start.
    pub(crate) ports: Vec<PortRecord>,
    /// Its last turn of serving, once another one took over.
    pub(crate) turn: u64,
    /// Whether it was taken back.
    pub(crate) undone: bool,
    /// The run that counts, once there was one.
    pub(crate) run: Option<Run>,
}

/// One port of an instance.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct PortRecord {
    /// Its name.
    pub(crate) name: String,
    /// The address on the host that the descriptor asks for; otherwise a free one is taken at each start.
    pub(crate) fixed: Option<SocketAddr>,
}

/// One start of an instance.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Run {
    /// The process that was started.
    pub(crate) pid: u32,
    /// When the kernel says it was started, in ticks since the boot.
    pub(crate) start: u64,
    /// Which boot.
    pub(crate) boot: String,
    /// Where its ports are.
    pub(crate) addresses: BTreeMap<String, SocketAddr>,
}

impl Run {
    /// A text that no other run has.
    #[must_use]
    pub(crate) fn id(&self) -> String {
        format!("{}-{}-{}", self.boot, self.pid, self.start)
    }
}

/// `routes/<key>.json`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct RouteFile {
    /// Whose.
    pub(crate) key: ServiceKey,
    /// The instance that serves.
    pub(crate) instance: InstanceId,
    /// The run of it.
    pub(crate) run: String,
    /// Counts the switches.
    pub(crate) turn: u64,
    /// What goes where.
    pub(crate) routes: Vec<RouteEntry>,
}

/// Requests for one host and path prefix.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct RouteEntry {
    /// The request's host, in lower case.
    pub(crate) host: String,
    /// The path prefix.
    pub(crate) path: String,
    /// Where they go.
    pub(crate) address: SocketAddr,
}

/// Reads a JSON file; none when it is not there.
///
/// # Errors
/// When it is there and cannot be read.
pub(crate) fn read<T: DeserializeOwned>(path: &Path) -> Result<Option<T>, TargetError> {
    let bytes = match fs::read(path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(TargetError::io("read", path)(error)),
    };
    match serde_json::from_slice(&bytes) {
        Ok(value) => Ok(Some(value)),
        Err(error) => Err(TargetError::Unreadable {
            path: path.to_owned(),
            reason: error.to_string(),
        }),
    }
}

/// Replaces a JSON file in one act, readable by its owner only.
///
/// # Errors
/// When it cannot be written; the old content is then still there.
pub(crate) fn write<T: Serialize>(path: &Path, value: &T) -> Result<(), TargetError> {
    let mut json = serde_json::to_vec_pretty(value).map_err(|error| TargetError::Unreadable {
        path: path.to_owned(),
        reason: error.to_string(),
    })?;
    json.push(b'\n');
    write_bytes(path, &json)
}

/// Replaces a file in one act, readable by its owner only.
///
/// # Errors
/// When it cannot be written; the old content is then still there.
pub(crate) fn write_bytes(path: &Path, bytes: &[u8]) -> Result<(), TargetError> {
    // Only the holder of the service's lock writes, so that one name for what is not yet whole is enough.
    let new = path.with_extension("new");
    let written = fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&new)
        .and_then(|mut file| {
            file.write_all(bytes)?;
            file.sync_data()
        })
        .map_err(TargetError::io("write", &new))
        .and_then(|()| fs::rename(&new, path).map_err(TargetError::io("replace", path)));
    if written.is_err() {
        let _ = fs::remove_file(&new);
    }
    written
}

/// Makes a directory that only its owner can read, with all above it.
///
/// # Errors
/// When it cannot be made.
pub(crate) fn make_dir(path: &Path) -> Result<(), TargetError> {
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .map_err(TargetError::io("create", path))
}
