//! What has to be remembered of a service, kept by the engine itself.
//!
//! An engine can change no object in place, but creating a volume is a compare-and-swap: of all who create one name one
//! wins, and the others are given the winner's with its labels. So the state of a service is a chain of volumes that are
//! never mounted, `…-mark-1`, `…-mark-2`, …; the highest is what counts, and whoever wants to change it creates the next
//! one. A writer that slept while others went further may create a number that was cleaned up meanwhile: it looks again
//! afterwards and finds that it is not the highest. Volumes outlive `docker system prune`, unlike stopped containers.

use std::collections::{BTreeMap, BTreeSet};

use bollard::models::VolumeCreateRequest;
use bollard::query_parameters::{ListVolumesOptionsBuilder, RemoveVolumeOptions};
use pilotage_name::{CommitId, ReleaseId, ServiceKey};
use serde::{Deserialize, Serialize};

use super::adopt::Adopted;
use super::{label, names};
use crate::live::{InstanceId, Marker};
use pilotage_engine::{Engine, EngineError, Holder, nonce};

/// The state of a service.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Mark {
    /// Counts the changes.
    pub(super) sequence: u64,
    /// Random text of who wrote it.
    pub(super) nonce: String,
    /// The highest fence that changed the service.
    pub(super) fence: u64,
    /// The release it belongs to.
    pub(super) release: Option<ReleaseId>,
    /// The commit that was released.
    #[serde(default)]
    pub(super) commit: Option<CommitId>,
    /// Whether a release has marked the service at all; a claim alone has not.
    pub(super) marked: bool,
    /// The number of the next instance.
    pub(super) next: u64,
    /// The instance that was switched to last.
    pub(super) serving: Option<u64>,
    /// When each instance was switched to last, counted in switches.
    pub(super) turns: BTreeMap<u64, u64>,
    /// Instances that were taken back.
    pub(super) undone: BTreeSet<u64>,
    /// Containers that somebody else made and that became instances, by number.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) adopted: BTreeMap<u64, Adopted>,
    /// Who is changing the service.
    pub(super) holder: Option<Holder>,
    /// The fence in whose name the holder does it.
    #[serde(default)]
    pub(super) holder_fence: u64,
}

impl Mark {
    /// What it says of the last release.
    pub(super) fn marker(&self) -> Option<Marker> {
        self.marked.then(|| Marker {
            fence: self.fence,
            release: self.release.clone(),
            commit: self.commit.clone(),
        })
    }

    /// The turn of an instance; 0 never served.
    pub(super) fn turn(&self, id: InstanceId) -> u64 {
        self.turns.get(&id.0).copied().unwrap_or(0)
    }
}

/// The marks of one service.
#[derive(Debug)]
pub(super) struct Marks<'e> {
    pub(super) engine: &'e Engine,
    pub(super) key: &'e ServiceKey,
}

impl Marks<'_> {
    /// The mark that counts; none when there never was one.
    pub(super) async fn read(&self) -> Result<Option<Mark>, EngineError> {
        Ok(self.all().await?.pop())
    }

    /// All marks, the one that counts last.
    async fn all(&self) -> Result<Vec<Mark>, EngineError> {
        let filters = label::filter(&label::of_service(self.key), &[label::MARK]);
        let options = ListVolumesOptionsBuilder::default().filters(&filters).build();
        let listed = self.engine.docker.list_volumes(Some(options)).await;
        let volumes = listed.map_err(self.engine.failed("list its volumes"))?.volumes;
        let mut marks = Vec::new();
        for volume in volumes.unwrap_or_default() {
            if let Some(text) = volume.labels.get(label::MARK) {
                marks.push(parse(&volume.name, text)?);
            }
        }
        marks.sort_by_key(|mark| mark.sequence);
        Ok(marks)
    }

    /// Writes `new` as the successor of `before`. None when somebody else was faster.
    pub(super) async fn append(&self, before: u64, mut new: Mark) -> Result<Option<Mark>, EngineError> {
        new.sequence = before + 1;
        new.nonce = nonce().map_err(|source| EngineError::Io {
            doing: "read /dev/urandom".to_owned(),
            source,
        })?;
        let name = names::mark(self.key, new.sequence);
        let mut labels = label::of_service(self.key);
        labels.insert(label::MARK.to_owned(), json(&new));
        let wanted = VolumeCreateRequest {
            name: Some(name.clone()),
            labels: Some(labels),
            ..Default::default()
        };
        let created = self.engine.docker.create_volume(wanted).await;
        let created = created.map_err(self.engine.failed(format!("create the volume {name}")))?;
        if !label::carries(&created.labels, &label::of_service(self.key)) {
            return Err(EngineError::Foreign {
                what: format!("a volume {name}"),
            });
        }
        let mut all = self.all().await?;
        let highest = all.pop();
        if highest.as_ref() != Some(&new) {
            return Ok(None);
        }
        for old in all {
            // Whoever comes next removes what is left.
            let old = names::mark(self.key, old.sequence);
            let removed = self
                .engine
                .docker
                .remove_volume(&old, None::<RemoveVolumeOptions>)
                .await;
            if let Err(error) = removed {
                tracing::debug!("the volume {old} is left behind: {error}");
            }
        }
        Ok(highest)
    }
}

fn parse(name: &str, text: &str) -> Result<Mark, EngineError> {
    serde_json::from_str(text).map_err(|error| EngineError::Unreadable {
        what: format!("the volume {name}"),
        reason: error.to_string(),
    })
}

fn json(mark: &Mark) -> String {
    // Plain structs of texts and numbers always have a JSON form.
    serde_json::to_string(mark).unwrap_or_default()
}
