//! The way to an engine.

use std::path::Path;

use bollard::errors::Error;
use bollard::{API_DEFAULT_VERSION, ClientVersion, Docker};
use pilotage_config::DockerTarget;

use crate::error::EngineError;

/// The socket of an engine on this machine.
const SOCKET: &str = "unix:///var/run/docker.sock";
/// Seconds until a request without an answer is given up.
const TIMEOUT: u64 = 60;

/// A connection to an engine.
#[derive(Clone, Debug)]
pub struct Engine {
    /// The requests.
    pub docker: Docker,
    /// Where, as people write it.
    pub host: String,
}

impl Engine {
    /// Connects, and speaks the newest version of the API that both sides know.
    ///
    /// # Errors
    /// When the engine does not answer.
    pub async fn connect(target: &DockerTarget) -> Result<Self, EngineError> {
        let host = target.host.clone().unwrap_or_else(|| SOCKET.to_owned());
        let away = |source| EngineError::of(&host, "tell its version", source);
        // An engine refuses a version newer than its own by naming its own.
        let docker = match open(target, &host, API_DEFAULT_VERSION)
            .map_err(away)?
            .negotiate_version()
            .await
        {
            Err(Error::DockerResponseServerError { message, .. }) => {
                let newest = newest_version(&message).ok_or_else(|| EngineError::Said {
                    doing: "tell its version".to_owned(),
                    status: 400,
                    message: message.clone(),
                })?;
                open(target, &host, &newest).map_err(away)?
            }
            negotiated => negotiated.map_err(away)?,
        };
        Ok(Self {
            docker: docker.with_request_modifier(url_safe_credentials),
            host,
        })
    }

    /// Whether the engine runs on this machine, so that its networks are ours, too.
    #[must_use]
    pub fn is_here(&self) -> bool {
        self.host.starts_with("unix://")
            || self.name().is_some_and(|name| {
                name == "localhost"
                    || name
                        .parse::<std::net::IpAddr>()
                        .is_ok_and(|address| address.is_loopback())
            })
    }

    /// The machine of an engine that is asked over the network.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        let address = self.host.strip_prefix("tcp://")?;
        Some(address.rsplit_once(':').map_or(address, |(name, _)| name))
    }

    /// What an error of a request means: `.map_err(engine.failed("start it"))`.
    pub fn failed<D: Into<String>>(&self, doing: D) -> impl FnOnce(Error) -> EngineError + use<D> {
        let (host, doing) = (self.host.clone(), doing.into());
        move |error| EngineError::of(&host, &doing, error)
    }
}

fn open(target: &DockerTarget, host: &str, version: &ClientVersion) -> Result<Docker, Error> {
    match &target.tls {
        _ if host.starts_with("unix://") => Docker::connect_with_unix(host, TIMEOUT, version),
        Some(tls) => {
            pilotage_http::install_tls();
            let path = |path: &Path| path.to_owned();
            Docker::connect_with_ssl(
                host,
                &path(&tls.key),
                &path(&tls.cert),
                &path(&tls.ca),
                TIMEOUT,
                version,
            )
        }
        None => Docker::connect_with_http(host, TIMEOUT, version),
    }
}

/// The version in "… Maximum supported API version is 1.41".
fn newest_version(message: &str) -> Option<ClientVersion> {
    let (_, version) = message.rsplit_once("aximum supported API version is ")?;
    let (major, minor) = version.trim().trim_end_matches('.').split_once('.')?;
    Some(ClientVersion {
        major_version: major.parse().ok()?,
        minor_version: minor.parse().ok()?,
    })
}

/// The engine wants credentials in the URL-safe alphabet (RFC 4648, section 5) and silently asks as nobody when it gets
/// the other one, which differs for passwords with `>`, `?` or `~` in some places.
fn url_safe_credentials(mut request: bollard::BollardRequest) -> bollard::BollardRequest {
    if let Some(value) = request.headers_mut().get_mut("x-registry-auth") {
        let safe: Vec<u8> = value
            .as_bytes()
            .iter()
            .map(|byte| match byte {
                b'+' => b'-',
                b'/' => b'_',
                other => *other,
            })
            .collect();
        if let Ok(mut safe) = safe.as_slice().try_into() {
            std::mem::swap(value, &mut safe);
            value.set_sensitive(true);
        }
    }
    request
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_older_engine_names_its_newest_version() {
        let found =
            newest_version("client version 1.53 is too new. Maximum supported API version is 1.41").unwrap();
        assert_eq!((found.major_version, found.minor_version), (1, 41));
        assert!(newest_version("bad request").is_none());
    }
}
