use std::collections::BTreeMap;

use pilotage_name::ServiceName;
use pilotage_quantity::{Cpu, Duration, Memory};
use pilotage_yaml::{record, words};

use crate::{FileSource, Healthcheck, Host, HostPort, Image, Port, SecretSource, SmokeRequest, Version};

record! {
    /// A descriptor: what one service should be. It goes through every environment branch; what differs by
    /// environment stands in `environments`.
    pub struct Descriptor: Eq {
        /// How it runs.
        pub kind: Kind = Kind::Service,
        /// What is released, spelt like an image tag. It may not stand in an overlay.
        pub version: Version,
        /// What a container target runs. Without tag and digest the tag is the version.
        pub image: Option<Image>,
        /// Whom to ask.
        pub maintainer: Option<Maintainer>,
        /// Short for one route on the only port with `publish: proxy`.
        pub domain: Option<Host>,
        /// What it listens on.
        pub ports: Vec<Port>,
        /// What has to be reachable from the target before the switch, as `host:port`.
        pub requires: Vec<HostPort>,
        /// What an instance may use, and how many there are.
        pub resources: Resources = Resources::default(),
        /// How an instance is stopped.
        pub stop: Stop = Stop::default(),
        /// Environment variables.
        pub env: BTreeMap<String, String>,
        /// Files in the instance, by absolute path.
        pub files: BTreeMap<String, FileSource>,
        /// Secret environment variables.
        pub secrets: BTreeMap<String, SecretSource>,
        /// When a new instance counts as healthy.
        pub healthcheck: Option<Healthcheck>,
        /// Requests after a release.
        pub smoke: Vec<SmokeRequest>,
        /// A test suite after a release.
        pub regression: Option<Regression>,
        /// Who hears of releases, besides the environment's own routes.
        pub notify: Notify = Notify::default(),
        /// Services that are released first when one push brings both.
        pub after: Vec<ServiceName>,
        /// Whether it should run at all.
        pub state: State = State::Active,
    }
}

words! {
    /// How a service runs.
    pub enum Kind {
        /// Runs on and listens.
        Service = "service",
        /// Runs on and listens on nothing.
        Worker = "worker",
        /// Runs to its end, which has to be exit 0.
        Job = "job",
    }
}

words! {
    /// Whether a service should run at all.
    pub enum State {
        /// It should.
        Active = "active",
        /// It is stopped and its routes are freed; its volumes stay.
        Retired = "retired",
    }
}

record! {
    /// A maintainer: a person or list to ask.
    pub struct Maintainer: Eq {
        /// The name.
        pub name: String,
        /// The mail address.
        pub email: String,
    }
}

record! {
    /// What an instance may use, and how many there are.
    pub struct Resources: Eq {
        /// Processor time: cores, such as `2` or `0.5`, or thousandths of one, such as `500m`.
        pub cpu: Option<Cpu>,
        /// Memory, such as `256Mi`.
        pub memory: Option<Memory>,
        /// How many instances.
        pub replicas: u32 = 1,
    }
}

record! {
    /// How an instance is stopped.
    pub struct Stop: Eq {
        /// The signal that asks it to end.
        pub signal: Signal = Signal::Term,
        /// How long it may take before it is killed.
        pub grace: Duration = Duration::from_secs(30),
    }
}

words! {
    /// A signal that asks a process to end.
    pub enum Signal {
        /// SIGTERM.
        Term = "TERM",
        /// SIGINT.
        Int = "INT",
        /// SIGQUIT.
        Quit = "QUIT",
        /// SIGHUP.
        Hup = "HUP",
        /// SIGUSR1.
        Usr1 = "USR1",
        /// SIGUSR2.
        Usr2 = "USR2",
        /// SIGKILL.
        Kill = "KILL",
    }
}

record! {
    /// A regression suite, in an image of its own or as a command that the configuration grants.
    pub struct Regression: Eq {
        /// The suite's image. Without tag and digest the tag is the version.
        pub image: Option<Image>,
        /// Program and arguments; the image's own when empty.
        pub command: Vec<String>,
        /// Environment variables of the suite.
        pub env: BTreeMap<String, String>,
        /// Where the suite leaves JUnit files, as globs.
        pub reports: Vec<String>,
        /// The end of the suite.
        pub timeout: Duration = Duration::from_secs(20 * 60),
        /// How long the suite may say nothing; as long as it likes when nothing is written.
        pub idle: Option<Duration>,
        /// How long it may take to end when it is asked to, before it is killed.
        pub grace: Duration = Duration::from_secs(10),
        /// How often a failed suite runs again.
        pub retries: u32 = 0,
    }
}

record! {
    /// Who hears of releases.
    pub struct Notify: Eq, Default {
        /// Slack channels, such as `#shop`.
        pub slack: Vec<String>,
        /// Mail addresses.
        pub email: Vec<String>,
    }
}

impl Default for Resources {
    fn default() -> Self {
        Self {
            cpu: None,
            memory: None,
            replicas: 1,
        }
    }
}

impl Default for Stop {
    fn default() -> Self {
        Self {
            signal: Signal::Term,
            grace: Duration::from_secs(30),
        }
    }
}

impl Descriptor {
    /// The port of this name.
    #[must_use]
    pub fn port(&self, name: &str) -> Option<&Port> {
        self.ports.iter().find(|port| port.name == name)
    }

    /// The files of the environment branch that it names with `from`, by their paths in the repository.
    pub fn file_paths(&self) -> impl Iterator<Item = &str> {
        self.files.values().filter_map(|file| match file {
            FileSource::From(path) => Some(path.as_str()),
            FileSource::Content(_) | FileSource::Sealed(_) => None,
        })
    }

    /// With every `from` turned into the `content` that `read` has for its path.
    ///
    /// # Errors
    ///
    /// The paths that `read` has nothing for. [`crate::Parsed::resolve_with`] says where they stand.
    pub fn with_files(mut self, mut read: impl FnMut(&str) -> Option<String>) -> Result<Self, Vec<String>> {
        let mut missing = Vec::new();
        for file in self.files.values_mut() {
            if let FileSource::From(path) = file {
                match read(path) {
                    Some(content) => *file = FileSource::Content(content),
                    None => missing.push(path.clone()),
                }
            }
        }
        if missing.is_empty() {
            Ok(self)
        } else {
            Err(missing)
        }
    }
}
