//! Where the releases of a play land, and how their users ask them there.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use super::door::{self, Answer, Count};
use super::harbour::{self, Harbour, Visitor};
use super::missed::{Missed, Play};
use super::place::free_address;

/// What a play is played on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TargetKind {
    /// Plain processes of this machine, behind a front door.
    Process,
    /// Containers of the engine that listens on this socket.
    Docker(PathBuf),
}

/// Where the releases of a play land.
#[derive(Debug)]
pub(crate) enum Target {
    Process {
        /// Where the front door listens.
        door: SocketAddr,
        /// Where artifacts lie, as `<service>/<version>`.
        artifacts: PathBuf,
    },
    Docker(Harbour),
}

impl Target {
    pub(crate) async fn open(kind: &TargetKind, artifacts: PathBuf, sample: PathBuf) -> Play<Self> {
        Ok(match kind {
            TargetKind::Process => Self::Process {
                door: free_address()?,
                artifacts,
            },
            TargetKind::Docker(socket) => Self::Docker(Harbour::open(socket, sample).await?),
        })
    }

    /// Its name in `pilotage.yaml`, as `pilotage init` gives it.
    pub(crate) const fn name(&self) -> &'static str {
        match self {
            Self::Process { .. } => "here",
            Self::Docker(_) => "box",
        }
    }

    /// The project of the play.
    pub(crate) fn project(&self) -> &str {
        match self {
            Self::Process { .. } => "acme",
            Self::Docker(harbour) => harbour.project(),
        }
    }

    /// Puts a version where the target finds it; the lines of `artifact` say how it behaves.
    pub(crate) fn build(&self, service: &str, version: &str, artifact: &str) -> Play<()> {
        match self {
            Self::Process { artifacts, .. } => {
                let folder = artifacts.join(service);
                std::fs::create_dir_all(&folder)
                    .and_then(|()| std::fs::write(folder.join(version), artifact))
                    .map_err(|error| Missed::new(format!("{} can be written", folder.display()), error))
            }
            Self::Docker(harbour) => harbour.image(service, version, artifact),
        }
    }

    /// What the descriptor's `regression` says of a suite that is this program, as YAML.
    pub(crate) fn suite(&self, program: &Path) -> Play<String> {
        Ok(match self {
            Self::Process { .. } => format!("command: {}", serde_json::json!([program])),
            Self::Docker(harbour) => {
                harbour.suite(program)?;
                let name = format!("{}/{}", harbour.project(), harbour::SUITE);
                format!("image: {{name: {name}, tag: \"1\"}}")
            }
        })
    }

    /// Where users of a service find it.
    pub(crate) fn url(&self, environment: &str, service: &str, path: &str) -> String {
        match self {
            Self::Process { door, .. } => {
                format!("http://{}:{}{path}", host(environment, service), door.port())
            }
            Self::Docker(_) => format!("http://{service}:{}{path} inside {environment}", harbour::PORT),
        }
    }

    /// Asks a service as its users do.
    pub(crate) async fn get(&self, environment: &str, service: &str, path: &str) -> Result<Answer, String> {
        match self {
            Self::Process { door, .. } => door::get(*door, &host(environment, service), path).await,
            Self::Docker(harbour) => harbour.get(environment, service, path).await,
        }
    }

    /// Somebody who asks a service all the time.
    pub(crate) async fn asker(&self, environment: &str, service: &str) -> Play<Asker> {
        Ok(match self {
            Self::Process { door, .. } => {
                Asker::Outside(door::Asker::start(*door, host(environment, service)))
            }
            Self::Docker(harbour) => Asker::Inside(harbour.asker(environment, service).await?),
        })
    }

    /// Removes what is not in the play's folder.
    ///
    /// # Errors
    /// Something is left.
    pub(crate) fn clear(&self) -> Play<()> {
        match self {
            Self::Process { .. } => Ok(()),
            Self::Docker(harbour) => harbour.clear(),
        }
    }
}

/// Where users find a service behind the front door.
fn host(environment: &str, service: &str) -> String {
    match environment {
        "prod" => format!("{service}.localhost"),
        _ => format!("{service}.{environment}.localhost"),
    }
}

/// Somebody who asks a service all the time, until dropped.
pub(crate) enum Asker {
    /// At the front door.
    Outside(door::Asker),
    /// On the network of the environment.
    Inside(Visitor),
}

impl Asker {
    /// What was seen so far.
    pub(crate) async fn count(&self) -> Play<Count> {
        match self {
            Self::Outside(asker) => Ok(asker.count()),
            Self::Inside(visitor) => visitor.count().await,
        }
    }
}

/// The socket of an engine on this machine: where `DOCKER_HOST` says, else where engines listen by themselves.
///
/// # Errors
/// Why none can be tried, in words.
pub fn engine_socket(docker_host: Option<&str>) -> Result<PathBuf, String> {
    match docker_host.filter(|host| !host.is_empty()) {
        None => Ok(PathBuf::from("/var/run/docker.sock")),
        Some(host) => match host.strip_prefix("unix://") {
            Some(path) if Path::new(path).is_absolute() => Ok(PathBuf::from(path)),
            _ => Err(format!(
                "DOCKER_HOST is {host}: the play needs an engine of this machine, unix:///PATH"
            )),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_engine_is_where_docker_host_says() {
        for (host, path) in [
            (None, "/var/run/docker.sock"),
            (Some(""), "/var/run/docker.sock"),
            (
                Some("unix:///run/user/1000/docker.sock"),
                "/run/user/1000/docker.sock",
            ),
        ] {
            assert_eq!(engine_socket(host), Ok(PathBuf::from(path)));
        }
        for host in ["tcp://10.0.0.1:2376", "ssh://box", "unix://relative"] {
            assert!(engine_socket(Some(host)).unwrap_err().contains(host));
        }
    }
}
