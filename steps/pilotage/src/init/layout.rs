//! What is to be made, with every default filled in.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use pilotage_diagnostic::printable;
use pilotage_name::{EnvironmentName, ProjectName};
use pilotage_outcome::Fault;

use super::port;
use crate::args::{Init, ServicePort, TargetKind};

/// The images of services whose own nobody named.
pub(super) const STAND_IN: &str = "registry.example.com/{service}";

/// An environment repository to be made.
#[derive(Clone, Debug)]
pub struct Layout {
    /// Where; absolute.
    pub directory: PathBuf,
    /// The project.
    pub project: ProjectName,
    /// The environments, in the order in which a change goes through them.
    pub environments: Vec<EnvironmentName>,
    /// The services with their ports.
    pub services: Vec<ServicePort>,
    /// Where releases land.
    pub destination: Destination,
    /// Who commits, and may release to the last environment.
    pub manager: Manager,
    /// Nobody said where the front door listens, so a free port was looked for.
    pub chose_port: bool,
}

/// Where releases land.
#[derive(Clone, Debug)]
pub enum Destination {
    /// Processes on this machine.
    Process {
        /// The folder of instances and routes; absolute.
        state: PathBuf,
        /// Program and arguments.
        command: Vec<String>,
        /// Where versions lie.
        artifacts: Artifacts,
        /// The front door.
        listen: SocketAddr,
    },
    /// A Docker engine.
    Docker {
        /// Its address, where it is not the local socket.
        engine: Option<String>,
        /// The image of each service, with `{service}` in it.
        image: String,
    },
}

/// Where the versions of services lie, each as `<service>/<version>`.
#[derive(Clone, Debug)]
pub enum Artifacts {
    /// In a folder of the user's.
    Given(PathBuf),
    /// In a folder that is made with examples in it.
    Made(PathBuf),
}

/// The release manager.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Manager {
    /// The name, as it stands in commits.
    pub name: String,
    /// The address, as it stands in commits.
    pub email: String,
    /// Whether it is somebody, and not a stand-in because nobody said who.
    pub known: bool,
}

impl Layout {
    /// The layout of a wish.
    ///
    /// # Errors
    /// Names stand twice, or the target's flags contradict each other.
    pub fn of(wish: &Init, manager: Manager) -> Result<Self, Fault> {
        let directory = absolute(&wish.directory)?;
        unique("environment", &wish.environments)?;
        let names: Vec<_> = wish.services.iter().map(|one| one.service.clone()).collect();
        unique("service", &names)?;
        if wish
            .environments
            .iter()
            .any(|environment| environment.as_str() == "main")
        {
            return Err(Fault::usage(
                "`main` is the config branch and cannot be an environment's branch",
            ));
        }
        let destination = match wish.target {
            TargetKind::Docker => {
                if !wish.command.is_empty() || wish.artifacts.is_some() || wish.state.is_some() {
                    return Err(Fault::usage(
                        "--command, --artifacts and --state are for process targets",
                    ));
                }
                let image = wish.image.as_deref().unwrap_or(STAND_IN);
                if wish.services.len() > 1 && !image.contains("{service}") {
                    return Err(Fault::usage(format!(
                        "--image: `{}` would be the image of every service; write {{service}} where they differ",
                        printable(image)
                    )));
                }
                Destination::Docker {
                    engine: wish.engine.clone(),
                    image: image.to_owned(),
                }
            }
            TargetKind::Process if wish.engine.is_some() || wish.image.is_some() => {
                return Err(Fault::usage("--engine and --image are for docker targets"));
            }
            TargetKind::Process => process(wish, &directory)?,
        };
        Ok(Self {
            directory,
            project: wish.project.clone(),
            environments: wish.environments.clone(),
            services: wish.services.clone(),
            destination,
            manager,
            chose_port: wish.listen.is_none(),
        })
    }

    /// The folder of a process target.
    #[must_use]
    pub fn state(&self) -> Option<&Path> {
        match &self.destination {
            Destination::Process { state, .. } => Some(state),
            Destination::Docker { .. } => None,
        }
    }

    /// The repository, for messages.
    #[must_use]
    pub fn shown_directory(&self) -> String {
        printable(&self.directory.to_string_lossy())
    }

    /// What is made, in one sentence.
    #[must_use]
    pub fn summary(&self) -> String {
        let names: Vec<&str> = self.environments.iter().map(EnvironmentName::as_str).collect();
        let services: Vec<&str> = self.services.iter().map(|one| one.service.as_str()).collect();
        format!(
            "made {}: project {}, environments {}, services {}",
            self.shown_directory(),
            self.project,
            names.join(", "),
            services.join(", ")
        )
    }

    /// The environment at the end of the way, when there is a way.
    #[must_use]
    pub fn last(&self) -> Option<&EnvironmentName> {
        self.environments.last().filter(|_| self.environments.len() > 1)
    }

    /// The host by which users reach a service in an environment; the last environment has the plain one.
    #[must_use]
    pub fn host(&self, service: &ServicePort, environment: Option<&EnvironmentName>) -> String {
        match environment.filter(|environment| Some(*environment) != self.environments.last()) {
            Some(environment) => format!("{}.{environment}.localhost", service.service),
            None => format!("{}.localhost", service.service),
        }
    }
}

fn process(wish: &Init, directory: &Path) -> Result<Destination, Fault> {
    let state = match &wish.state {
        Some(state) => absolute(state)?,
        None => beside(directory),
    };
    if state.starts_with(directory) || directory.starts_with(&state) {
        return Err(Fault::usage(
            "the state folder and the repository cannot lie in each other",
        ));
    }
    let artifacts = match &wish.artifacts {
        Some(given) => Artifacts::Given(absolute(given)?),
        None => Artifacts::Made(state.join("artifacts")),
    };
    let command = match (&wish.command[..], &artifacts) {
        ([], Artifacts::Given(_)) => vec!["{artifact}".to_owned()],
        ([], Artifacts::Made(_)) => {
            let own = std::env::current_exe()
                .map_err(|error| Fault::unavailable("this program's own path is unknown").caused_by(error))?;
            let own = own
                .to_str()
                .ok_or_else(|| Fault::usage("this program's own path is not UTF-8; give --command"))?;
            let words = [
                own,
                "example-service",
                "--artifact",
                "{artifact}",
                "--port",
                "{port}",
            ];
            words.map(str::to_owned).to_vec()
        }
        (command, _) => command.to_vec(),
    };
    for path in [&state, artifacts.folder()] {
        if path.to_str().is_none() {
            return Err(Fault::usage(format!("`{}` is not UTF-8", path.display())));
        }
    }
    Ok(Destination::Process {
        state,
        command,
        artifacts,
        listen: wish.listen.unwrap_or_else(|| port::free(directory)),
    })
}

impl Artifacts {
    /// The folder.
    #[must_use]
    pub fn folder(&self) -> &PathBuf {
        match self {
            Self::Given(folder) | Self::Made(folder) => folder,
        }
    }
}

/// `~/acme` and `~/acme.git` keep their state in `~/acme-state`.
fn beside(directory: &Path) -> PathBuf {
    let name = directory.file_name().unwrap_or_default().to_string_lossy();
    let name = name.strip_suffix(".git").unwrap_or(&name);
    directory.with_file_name(format!("{name}-state"))
}

fn absolute(path: &Path) -> Result<PathBuf, Fault> {
    let shown = printable(&path.to_string_lossy());
    std::path::absolute(path)
        .map_err(|error| Fault::usage(format!("`{shown}` is no path")).caused_by(error))
        // A slash at the end would hide the last name.
        .map(|path| path.components().collect())
}

fn unique<T: PartialEq + std::fmt::Display>(noun: &str, names: &[T]) -> Result<(), Fault> {
    if names.is_empty() {
        return Err(Fault::usage(format!("at least one {noun} is needed")));
    }
    for (index, name) in names.iter().enumerate() {
        if names[..index].contains(name) {
            return Err(Fault::usage(format!("the {noun} `{name}` is named twice")));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::beside;
    use std::path::Path;

    #[test]
    fn state_lies_beside_the_repository() {
        assert_eq!(beside(Path::new("/srv/acme")), Path::new("/srv/acme-state"));
        assert_eq!(beside(Path::new("/srv/acme.git")), Path::new("/srv/acme-state"));
    }
}
