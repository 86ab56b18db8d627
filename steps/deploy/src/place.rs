//! Where a service is released to: what the command line and the configuration say of it.

use pilotage_config::{Config, Mode, Target};
use pilotage_diagnostic::Diagnostics;
use pilotage_name::{EnvironmentName, ServiceKey};
use pilotage_outcome::Fault;
use pilotage_step::{Context, DescriptorArgs};

use crate::args::What;
use crate::desired::Labels;

/// Where a service is released to.
pub(crate) struct Place {
    pub(crate) key: ServiceKey,
    config: Config,
}

impl Place {
    pub(crate) async fn read(what: &What, cx: &Context) -> Result<Self, Fault> {
        let environment = what.files.required_environment()?.clone();
        let service = what.files.service_name().ok_or_else(|| {
            Fault::usage("--service is missing").help("give `--service NAME`, or set PILOTAGE_SERVICE")
        })?;
        let config = configuration(&what.files, cx).await?;
        let key = ServiceKey {
            project: config.project.clone(),
            environment,
            service,
        };
        let place = Self { key, config };
        place.environment()?;
        Ok(place)
    }

    pub(crate) fn environment(&self) -> Result<&pilotage_config::Environment, Fault> {
        let name: &EnvironmentName = &self.key.environment;
        self.config.environment(name).ok_or_else(|| {
            let known: Vec<String> = self
                .config
                .environments
                .iter()
                .map(|known| known.name.to_string())
                .collect();
            Fault::usage(format!("pilotage.yaml has no environment `{name}`"))
                .help(format!("it has {}", known.join(", ")))
        })
    }

    /// Whether nothing may be changed here.
    pub(crate) fn observed_only(&self) -> bool {
        self.config.mode_of(&self.key.environment, &self.key.service) == Mode::Observe
    }

    /// The target of the service, by its name in the configuration.
    pub(crate) fn target(&self) -> (&str, &Target) {
        self.config.target_of(&self.key.environment, &self.key.service)
    }

    /// In whose name the service is changed.
    pub(crate) fn labels(&self, what: &What) -> Result<Labels, Fault> {
        let key = &self.key;
        if let Some(release) = &what.release {
            if release.environment != key.environment || release.service != key.service {
                return Err(Fault::usage(format!("the release {release} is not one of {key}")));
            }
            if what.fence.is_some_and(|fence| fence != release.fence) {
                return Err(Fault::usage(format!(
                    "--fence is not the fence of the release {release}"
                )));
            }
        }
        Ok(Labels {
            fence: what
                .fence
                .or(what.release.as_ref().map(|release| release.fence))
                .unwrap_or(0),
            release: what.release.clone(),
            commit: what.commit.clone(),
        })
    }
}

/// The kind of a target in the words of `pilotage.yaml`.
pub(crate) fn kind(target: &Target) -> &'static str {
    match target {
        Target::Docker(_) => "docker",
        Target::Kubernetes(_) => "kubernetes",
        Target::Command(_) => "command",
        Target::Process(_) => "process",
    }
}

/// The configuration that the command line names.
pub(crate) async fn configuration(files: &DescriptorArgs, cx: &Context) -> Result<Config, Fault> {
    let source = files.config(cx).await?.ok_or_else(|| {
        Fault::usage("--config is missing").help("give `--config FILE`, or set PILOTAGE_CONFIG")
    })?;
    let (config, diagnostics): (Option<Config>, Diagnostics) = pilotage_config::parse(&source);
    match config {
        Some(config) if !diagnostics.has_errors() => Ok(config),
        _ => Err(diagnostics.into()),
    }
}
