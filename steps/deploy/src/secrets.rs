use std::collections::BTreeMap;

use pilotage_config::Environment;
use pilotage_descriptor::{Descriptor, SecretSource};
use pilotage_name::ServiceName;
use pilotage_outcome::Fault;
use pilotage_secret::Secret;
use pilotage_step::Context;

/// The values of a descriptor's secrets, registered for redaction. The descriptor is not trusted: a variable has to
/// carry the service's name, and a file has to be allowed by the environment's configuration.
///
/// # Errors
/// When one may not be read, or cannot.
pub(crate) fn resolve(
    descriptor: &Descriptor,
    service: &ServiceName,
    environment: &Environment,
    cx: &Context,
) -> Result<BTreeMap<String, Secret>, Fault> {
    let mut secrets = BTreeMap::new();
    for (name, source) in &descriptor.secrets {
        let text = match source {
            SecretSource::Env(variable) => from_variable(name, variable, service, cx)?,
            SecretSource::File(path) => from_file(name, path, environment)?,
            // The planner refuses by name what this target cannot read.
            SecretSource::Sealed(_) | SecretSource::Secret { .. } => continue,
        };
        let secret = Secret::new(text);
        cx.redactor.register_named(name, &secret);
        secrets.insert(name.clone(), secret);
    }
    Ok(secrets)
}

fn from_variable(name: &str, variable: &str, service: &ServiceName, cx: &Context) -> Result<String, Fault> {
    let prefix = SecretSource::env_prefix(service);
    if !variable.starts_with(&prefix) {
        return Err(
            Fault::invalid(format!("secrets.{name}.env: `{variable}` is not this service's")).help(format!(
                "a descriptor may only read variables that begin with {prefix}"
            )),
        );
    }
    cx.env.get(variable).map(str::to_owned).ok_or_else(|| {
        Fault::unavailable(format!("the secret {name} cannot be had: {variable} is not set"))
            .help(format!("set {variable} where the deploy runs"))
    })
}

fn from_file(name: &str, path: &str, environment: &Environment) -> Result<String, Fault> {
    let normal = std::path::Path::new(path).components().all(|part| {
        matches!(
            part,
            std::path::Component::RootDir | std::path::Component::Normal(_)
        )
    });
    let allowed = environment.allow.secret_file(path);
    if !normal || !allowed {
        return Err(Fault::invalid(format!(
            "secrets.{name}.file: `{path}` is not allowed in {}",
            environment.name
        ))
        .help("pilotage.yaml grants files with `allow: {secret_files: [...]}` of the environment"));
    }
    let mut text = std::fs::read_to_string(path).map_err(|error| {
        Fault::unavailable(format!("the secret {name} cannot be read from {path}")).caused_by(error)
    })?;
    if text.ends_with('\n') {
        text.pop();
    }
    Ok(text)
}
