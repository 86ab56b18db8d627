//! One service on a process target: its name, its place in the state directory, and what is recorded there.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use pilotage_clock::Clock;
use pilotage_config::ProcessTarget;
use pilotage_descriptor::Descriptor;
use pilotage_name::ServiceKey;
use pilotage_step::HOST_VARIABLES;

use super::state::{self, MarkerFile, Record, RouteFile, Run, ServiceDir, key_text};
use super::{files, placeholder, processes};
use crate::desired::Labels;
use crate::error::TargetError;
use crate::live::InstanceId;

/// Where the loader finds libraries that are no part of the system.
const LOADER: &str = "LD_LIBRARY_PATH";

/// One service on a process target.
#[derive(Debug)]
pub struct ProcessService {
    pub(super) key: ServiceKey,
    pub(super) dir: ServiceDir,
    pub(super) target: ProcessTarget,
    /// This program, which is the front door as well.
    pub(super) program: PathBuf,
    pub(super) clock: Clock,
    /// Variables of ours that instances inherit: enough to find programs and speak the right language, no secrets.
    pub(super) inherited: BTreeMap<String, String>,
}

impl ProcessService {
    /// The service `key` on `target`. `program` is started as the front door; `variable` reads our environment.
    ///
    /// # Errors
    /// When the state directory has no absolute path.
    pub fn new(
        target: ProcessTarget,
        key: ServiceKey,
        program: PathBuf,
        clock: Clock,
        variable: impl Fn(&str) -> Option<String>,
    ) -> Result<Self, TargetError> {
        let state = std::path::absolute(&target.state).map_err(TargetError::io("find", &target.state))?;
        Ok(Self {
            dir: ServiceDir::new(&state, &key_text(&key)),
            key,
            target,
            program,
            clock,
            inherited: HOST_VARIABLES
                .into_iter()
                .chain([LOADER])
                .filter_map(|name| Some((name.to_owned(), variable(name)?)))
                .collect(),
        })
    }

    /// The digest of the artifact, as it lies there now.
    pub(super) fn artifact_digest(&self, descriptor: &Descriptor) -> Result<String, TargetError> {
        // Every placeholder is tried before anything is touched.
        for argument in &self.target.command {
            placeholder::fill(argument, |name| match name.strip_prefix("port.") {
                Some(port) => descriptor.port(port).map(|port| port.port.to_string()),
                None if name == "port" => descriptor.ports.first().map(|port| port.port.to_string()),
                None => self.word(name, descriptor.version.as_str(), Path::new("/")),
            })?;
        }
        files::digest_of_artifact(&self.artifact(descriptor.version.as_str())?)
    }

    pub(super) fn artifact(&self, version: &str) -> Result<PathBuf, TargetError> {
        let path = placeholder::fill(&self.target.artifact, |name| match name {
            "artifact" => None,
            name => self.word(name, version, Path::new("/")),
        })?;
        std::path::absolute(&path).map_err(TargetError::io("find", Path::new(&path)))
    }

    pub(super) fn word(&self, name: &str, version: &str, artifact: &Path) -> Option<String> {
        match name {
            "artifact" => Some(artifact.display().to_string()),
            "service" => Some(self.key.service.to_string()),
            "environment" => Some(self.key.environment.to_string()),
            "version" => Some(version.to_owned()),
            _ => None,
        }
    }

    pub(super) fn record_path(&self, id: InstanceId) -> PathBuf {
        self.dir.instance(id).join("instance.json")
    }

    pub(super) fn record(&self, id: InstanceId) -> Result<Record, TargetError> {
        state::read(&self.record_path(id))?.ok_or_else(|| TargetError::Instance {
            instance: id,
            reason: "is not there".to_owned(),
        })
    }

    /// The run of an instance that counts, when it still goes on.
    pub(super) fn running(&self, id: InstanceId) -> Result<Run, TargetError> {
        self.record(id)?
            .run
            .filter(alive)
            .ok_or(TargetError::Ended { instance: id })
    }

    pub(super) fn route(&self) -> Result<Option<RouteFile>, TargetError> {
        state::read(&self.dir.route)
    }

    pub(super) fn marker(&self) -> Result<MarkerFile, TargetError> {
        Ok(state::read(&self.dir.marker())?.unwrap_or_default())
    }

    pub(super) fn check_fence(&self, labels: &Labels) -> Result<(), TargetError> {
        let marker = self.marker()?;
        if marker.fence > labels.fence {
            return Err(TargetError::Stale {
                fence: labels.fence,
                by: marker.marker().to_string(),
            });
        }
        Ok(())
    }

    pub(super) fn instance_ids(&self) -> Result<BTreeMap<InstanceId, bool>, TargetError> {
        let path = self.dir.instances();
        let entries = match fs::read_dir(&path) {
            Ok(entries) => entries,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(BTreeMap::new()),
            Err(error) => return Err(TargetError::io("read", &path)(error)),
        };
        let mut found = BTreeMap::new();
        for entry in entries {
            let name = entry.map_err(TargetError::io("read", &path))?.file_name();
            let Some(name) = name.to_str() else { continue };
            let (number, whole) = name
                .strip_suffix(".partial")
                .map_or((name, true), |number| (number, false));
            if let Ok(number) = number.parse() {
                found
                    .entry(InstanceId(number))
                    .and_modify(|both| *both |= whole)
                    .or_insert(whole);
            }
        }
        Ok(found)
    }
}

/// Whether exactly this run goes on.
pub(super) fn alive(run: &Run) -> bool {
    run.boot == processes::boot_id() && processes::runs(run.pid, run.start)
}
