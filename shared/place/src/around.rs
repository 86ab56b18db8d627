use std::net::SocketAddr;

use pilotage_config::{Allow, Target};
use pilotage_name::ServiceKey;
use pilotage_outcome::Fault;
use pilotage_step::{Context, DescriptorArgs};

use crate::front_door::front_door;

/// What the configuration says of the place where a service runs.
#[derive(Clone, Debug)]
pub struct Around {
    /// Whose service it is.
    pub key: ServiceKey,
    /// What it runs on.
    pub target: Target,
    /// Where its users' requests arrive, where the configuration knows it.
    pub front_door: Option<SocketAddr>,
    /// What its descriptor may ask for.
    pub allow: Allow,
}

impl Around {
    /// Reads the configuration of a command line; nothing where it names none.
    ///
    /// # Errors
    /// When the configuration is invalid or does not have the environment, or it is not said which service is meant.
    pub async fn of(from: &DescriptorArgs, cx: &Context) -> Result<Option<Self>, Fault> {
        let Some(source) = from.config(cx).await? else {
            return Ok(None);
        };
        let (config, diagnostics) = pilotage_config::parse(&source);
        let Some(config) = config.filter(|_| !diagnostics.has_errors()) else {
            return Err(diagnostics.into());
        };
        let name = from.required_environment()?;
        let service = from.service_name().ok_or_else(|| {
            Fault::usage("--config needs the name of the service to find its target")
                .help("give --service NAME")
        })?;
        let environment = config
            .environment(name)
            .ok_or_else(|| Fault::usage(format!("the configuration has no environment `{name}`")))?;
        Ok(Some(Self {
            target: config.target_of(name, &service).1.clone(),
            front_door: front_door(&config, name, &service),
            allow: environment.allow.clone(),
            key: ServiceKey {
                project: config.project.clone(),
                environment: name.clone(),
                service,
            },
        }))
    }
}
