//! Who we are to registries.

use std::collections::BTreeMap;

use bollard::auth::DockerCredentials;
use pilotage_config::{DockerTarget, Password};
use pilotage_secret::{Redactor, Secret};

use crate::error::EngineError;

/// Credentials by registry. A password is read when it is first needed, and is never part of a message.
#[derive(Clone, Debug, Default)]
pub struct Registries {
    known: BTreeMap<String, (String, Result<Secret, String>)>,
}

impl Registries {
    /// The registries of a target; `variable` reads our environment.
    #[must_use]
    pub fn of(target: &DockerTarget, variable: impl Fn(&str) -> Option<String>, redactor: &Redactor) -> Self {
        let known = target.registries.iter().map(|(host, registry)| {
            let password = match &registry.password {
                Password::Env(name) => variable(name)
                    .filter(|value| !value.is_empty())
                    .ok_or_else(|| format!("{name} is not set")),
                Password::File(path) => std::fs::read_to_string(path)
                    .map(|text| text.trim_end_matches('\n').to_owned())
                    .map_err(|error| format!("{path}: {error}")),
            };
            let password = password.map(|text| {
                let secret = Secret::new(text);
                redactor.register_named(host, &secret);
                secret
            });
            (host.clone(), (registry.user.clone(), password))
        });
        Self {
            known: known.collect(),
        }
    }

    /// What to say to the registry of `image`; nothing where the configuration names none.
    pub(crate) fn credentials(&self, image: &str) -> Result<Option<DockerCredentials>, EngineError> {
        let registry = registry_of(image);
        let Some((user, password)) = self.known.get(registry) else {
            return Ok(None);
        };
        let password = password.as_ref().map_err(|reason| EngineError::Password {
            registry: registry.to_owned(),
            reason: reason.clone(),
        })?;
        Ok(Some(DockerCredentials {
            username: Some(user.clone()),
            password: Some(password.expose().to_owned()),
            serveraddress: Some(registry.to_owned()),
            ..Default::default()
        }))
    }
}

/// The registry of an image's name: what stands before the first slash when it is a host (distribution reference
/// grammar), otherwise Docker's own.
pub(crate) fn registry_of(image: &str) -> &str {
    match image.split_once('/') {
        Some((host, _)) if host.contains(['.', ':']) || host == "localhost" => host,
        _ => "docker.io",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_registry_is_the_host_in_the_name() {
        for (image, registry) in [
            ("registry.example.com/shop", "registry.example.com"),
            ("127.0.0.1:5000/team/shop", "127.0.0.1:5000"),
            ("localhost/shop", "localhost"),
            ("team/shop", "docker.io"),
            ("shop", "docker.io"),
        ] {
            assert_eq!(registry_of(image), registry, "{image}");
        }
    }
}
