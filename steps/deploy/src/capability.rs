//! What a kind of target can do, and what of a descriptor it cannot.

use pilotage_descriptor::{Descriptor, FileSource, Kind, Publish, SecretSource};

/// What a kind of target can do. A plan refuses by name whatever a descriptor asks beyond it.
#[derive(Clone, Copy, Debug)]
pub struct Capabilities {
    /// The target in the words of `pilotage.yaml`.
    pub target: &'static str,
    /// Runs something to its end.
    pub jobs: bool,
    /// Limits processor and memory.
    pub limits: bool,
    /// The largest number of instances side by side.
    pub replicas: u32,
    /// Runs images, so that an image's digest can be promised.
    pub images: bool,
    /// Opens sealed values.
    pub sealed: bool,
    /// Holds secrets of its own.
    pub own_secrets: bool,
    /// Environment variables that the target sets itself.
    pub reserved: &'static [&'static str],
}

/// One thing a descriptor asks and the target cannot do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lack {
    /// The field, as a path.
    pub path: String,
    /// What it asks, and what the target does instead.
    pub reason: String,
}

impl Capabilities {
    /// Everything `descriptor` asks that cannot be done here, in the order of the descriptor's fields.
    #[must_use]
    pub fn lacks(&self, descriptor: &Descriptor) -> Vec<Lack> {
        let mut lacks = Lacks {
            target: self.target,
            found: Vec::new(),
        };
        if descriptor.kind == Kind::Job && !self.jobs {
            lacks.add("kind", "jobs cannot be run");
        }
        if let Some(image) = &descriptor.image
            && image.digest.is_some()
            && !self.images
        {
            lacks.add(
                "image.digest",
                "it runs no images, so it cannot promise the digest of one",
            );
        }
        if !self.limits {
            if descriptor.resources.cpu.is_some() {
                lacks.add("resources.cpu", "processor time cannot be limited");
            }
            if descriptor.resources.memory.is_some() {
                lacks.add("resources.memory", "memory cannot be limited");
            }
        }
        let hosted = descriptor
            .ports
            .iter()
            .any(|port| matches!(port.publish, Publish::Host { .. }));
        if descriptor.resources.replicas > 1 && hosted {
            lacks.add(
                "resources.replicas",
                "only one instance can have a port of the host; publish it by the proxy, or run one",
            );
        }
        let replicas = descriptor.resources.replicas;
        if replicas > self.replicas {
            lacks.add(
                "resources.replicas",
                &format!("{replicas} are asked for and at most {} can run", self.replicas),
            );
        }
        if replicas == 0 {
            lacks.add(
                "resources.replicas",
                "0 serve nobody; write `state: retired` to stop the service",
            );
        }
        for name in descriptor.env.keys().chain(descriptor.secrets.keys()) {
            if self.reserved.iter().any(|word| is_reserved(name, word)) {
                lacks.add(&format!("env.{name}"), "the target sets this variable itself");
            }
        }
        for (path, source) in &descriptor.files {
            match source {
                FileSource::Content(_) => {}
                FileSource::From(_) => lacks.add(
                    &format!("files.{path}.from"),
                    "the content has to be in the descriptor: use the resolved one, which `pilotage-release plan` writes",
                ),
                FileSource::Sealed(_) if self.sealed => {}
                FileSource::Sealed(_) => {
                    lacks.add(&format!("files.{path}.sealed"), "sealed values cannot be opened yet");
                }
            }
            if path.split('/').any(|part| part == "..") {
                lacks.add(&format!("files.{path}"), "a path may not hold `..`");
            }
        }
        for (name, source) in &descriptor.secrets {
            match source {
                SecretSource::Env(_) | SecretSource::File(_) => {}
                SecretSource::Sealed(_) if self.sealed => {}
                SecretSource::Secret { .. } if self.own_secrets => {}
                SecretSource::Sealed(_) => {
                    lacks.add(
                        &format!("secrets.{name}.sealed"),
                        "sealed values cannot be opened yet",
                    );
                }
                SecretSource::Secret { .. } => {
                    lacks.add(
                        &format!("secrets.{name}.secret"),
                        "it holds no secrets of its own",
                    );
                }
            }
        }
        lacks.found
    }
}

fn is_reserved(name: &str, word: &str) -> bool {
    match word.strip_suffix('*') {
        Some(prefix) => name.starts_with(prefix),
        None => name == word,
    }
}

struct Lacks {
    target: &'static str,
    found: Vec<Lack>,
}

impl Lacks {
    fn add(&mut self, path: &str, reason: &str) {
        self.found.push(Lack {
            path: path.to_owned(),
            reason: format!("on a {} target, {reason}", self.target),
        });
    }
}
