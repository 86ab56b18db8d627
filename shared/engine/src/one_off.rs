//! A container that is run once, to its end.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use bollard::models::{
    ContainerCreateBody, EndpointSettings, HostConfig, HostConfigLogConfig, NetworkingConfig,
};
use jiff::Timestamp;
use pilotage_config::SecretDelivery;
use pilotage_quantity::{Cpu, Memory};
use pilotage_secret::Secret;

use crate::archive::Archive;
use crate::delivery::deliver;
use crate::holder::Holder;
use crate::label::{self, Map};

/// What is run once, to its end.
#[derive(Clone, Debug)]
pub struct OneOff {
    /// What its name begins with, such as `acme-qa-shop-regression`; random text follows.
    pub name: String,
    /// Whose it is, and what for. What an earlier run with the same labels left is removed first.
    pub labels: Map,
    /// The image: an id, such as [`crate::Images::have`] gives.
    pub image: String,
    /// The program in place of the image's own; that stays when nothing is said.
    pub entrypoint: Option<Vec<String>>,
    /// The arguments in place of the image's own; those stay when it is empty.
    pub command: Vec<String>,
    /// Where it starts; the image says it when nothing is said.
    pub directory: Option<String>,
    /// Whom it runs as; the image says it when nothing is said.
    pub user: Option<String>,
    /// Environment variables, in addition to the image's own.
    pub env: BTreeMap<String, String>,
    /// Secrets.
    pub secrets: BTreeMap<String, Secret>,
    /// How it is given them.
    pub delivery: SecretDelivery,
    /// Files and folders that are put into it before it starts.
    pub files: Archive,
    /// The network it is on; the engine's default when nothing is said.
    pub network: Option<String>,
    /// What it may use.
    pub limits: Limits,
    /// How long it may take to end after SIGTERM, before it is killed.
    pub grace: Duration,
    /// By when it is over for certain: from then on what is left of it is removed by whoever comes next.
    pub until: Timestamp,
}

/// What a container may use.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// Processor time.
    pub cpu: Option<Cpu>,
    /// Memory, swap included.
    pub memory: Option<Memory>,
    /// Processes and threads.
    pub pids: Option<u32>,
}

impl OneOff {
    /// One of this image that has nothing and may use what it likes.
    #[must_use]
    pub fn new(name: impl Into<String>, labels: Map, image: impl Into<String>, until: Timestamp) -> Self {
        Self {
            name: name.into(),
            labels,
            image: image.into(),
            entrypoint: None,
            command: Vec::new(),
            directory: None,
            user: None,
            env: BTreeMap::new(),
            secrets: BTreeMap::new(),
            delivery: SecretDelivery::Files,
            files: Archive::default(),
            network: None,
            limits: Limits::default(),
            grace: Duration::from_secs(10),
            until,
        }
    }

    /// What the engine is asked to create, and the files that go into it.
    pub(crate) fn body(&self) -> (ContainerCreateBody, Archive) {
        let mut variables = self.env.clone();
        let mut files = self.files.clone();
        deliver(&self.secrets, self.delivery, &mut variables, &mut files);
        let mut labels = self.labels.clone();
        // A plain struct of texts and numbers always has a JSON form.
        let holder = serde_json::to_string(&Holder::me(self.until)).unwrap_or_default();
        labels.insert(label::ONE_OFF.to_owned(), holder);
        let Limits { cpu, memory, pids } = self.limits;
        let memory = memory.map(|memory| number(memory.as_bytes()));
        let network = self.network.as_ref().map(|network| NetworkingConfig {
            endpoints_config: Some(HashMap::from([(network.clone(), EndpointSettings::default())])),
        });
        let body = ContainerCreateBody {
            image: Some(self.image.clone()),
            entrypoint: self.entrypoint.clone(),
            cmd: (!self.command.is_empty()).then(|| self.command.clone()),
            working_dir: self.directory.clone(),
            user: self.user.clone(),
            env: Some(
                variables
                    .iter()
                    .map(|(name, value)| format!("{name}={value}"))
                    .collect(),
            ),
            labels: Some(labels),
            stop_signal: Some("SIGTERM".to_owned()),
            host_config: Some(HostConfig {
                network_mode: self.network.clone(),
                nano_cpus: cpu.map(|cpu| number(cpu.as_millicores().saturating_mul(1_000_000))),
                memory,
                // The same limit for memory and swap together means no swap.
                memory_swap: memory,
                pids_limit: pids.map(i64::from),
                // What it says is heard as it says it, and nobody asks for it later.
                log_config: Some(HostConfigLogConfig {
                    typ: Some("none".to_owned()),
                    config: None,
                }),
                ..Default::default()
            }),
            networking_config: network,
            ..Default::default()
        };
        (body, files)
    }
}

fn number(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_a_file_that_no_question_to_the_engine_shows() {
        let until = "2026-01-01T00:00:00Z".parse().unwrap();
        let mut one = OneOff::new("suite", Map::new(), "sha256:1", until);
        one.secrets
            .insert("TOKEN".to_owned(), Secret::new("sw0rdfish-at-midnight"));
        let (body, files) = one.body();
        let shown = format!("{}{one:?}", serde_json::to_string(&body).unwrap());
        assert!(!shown.contains("sw0rdfish"), "{shown}");
        assert!(shown.contains("TOKEN_FILE=/run/secrets/TOKEN"), "{shown}");
        let bytes = files.finish().unwrap();
        assert_eq!(
            crate::first_file(&bytes).as_deref(),
            Some(b"sw0rdfish-at-midnight".as_slice())
        );
    }
}
