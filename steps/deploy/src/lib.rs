//! Makes one service in one environment equal to its descriptor, beside the old until proved.
//!
//! The way of a deploy: [`desired`] and [`live`] are what is wanted and what is there; [`plan`] compares them and says
//! the [`operation`]s; [`run`](mod@run) has them, one after the other, through the [`port`]; [`prove`] asks the new
//! instance. Only [`adapter`] knows what an instance really is. Nothing that serves is stopped before its replacement
//! is proved.

pub mod adapter;
mod args;
pub mod capability;
pub mod desired;
pub mod error;
pub mod fingerprint;
mod front_door;
pub mod live;
pub mod operation;
pub mod plan;
pub mod port;
pub mod prove;
pub mod risk;
pub mod run;
mod secrets;
pub mod status;

use std::path::Path;

use pilotage_config::{Config, Mode, Target as ConfiguredTarget};
use pilotage_diagnostic::Diagnostics;
use pilotage_http::HttpSettings;
use pilotage_name::{EnvironmentName, ServiceKey};
use pilotage_outcome::{Fault, StepReport};
use pilotage_probe::Prober;
use pilotage_step::{Context, DescriptorArgs};

use adapter::process::{self, ProcessService};
pub use args::Args;
use args::{Command, What};
use desired::{Desired, Identity, Labels};
use run::Wishes;

/// The step: from its command line to its report.
///
/// # Errors
/// When there is no verdict.
pub async fn run(args: Args, cx: Context) -> Result<StepReport, Fault> {
    let wishes = Wishes {
        dry_run: cx.dry_run,
        expect_plan: args.expect_plan.clone(),
        detailed: false,
    };
    match args.command {
        None => deploy(args.what, wishes, &cx).await,
        Some(Command::Plan {
            what,
            detailed_exitcode,
        }) => {
            let wishes = Wishes {
                dry_run: true,
                detailed: detailed_exitcode,
                ..wishes
            };
            deploy(what.or(args.what), wishes, &cx).await
        }
        Some(Command::Status { what }) => {
            let place = Place::read(&what.or(args.what), &cx).await?;
            Ok(status::status(&place.target(&cx)?, &place.key).await?)
        }
        Some(Command::Undo { what, expect_plan }) => {
            let what = what.or(args.what);
            let place = Place::read(&what, &cx).await?;
            let labels = labels(&what, &place.key)?;
            let wishes = Wishes {
                dry_run: wishes.dry_run || place.observed_only(),
                expect_plan: expect_plan.or(wishes.expect_plan),
                detailed: false,
            };
            run::go_back(
                &place.target(&cx)?,
                &prober(&cx)?,
                &place.key,
                &labels,
                &wishes,
                &cx,
            )
            .await
        }
        Some(Command::Down { config, target }) => {
            let files = DescriptorArgs {
                config: Some(config),
                ..DescriptorArgs::default()
            };
            let config = configuration(&files, &cx).await?;
            match config.targets.get(&target) {
                Some(ConfiguredTarget::Process(process)) => {
                    process::down(process, &cx.clock, cx.dry_run).await
                }
                Some(other) => Err(Fault::usage(format!("`{target}` is a {} target", kind(other)))
                    .help("only a process target can be taken down")),
                None => Err(Fault::usage(format!("pilotage.yaml has no target `{target}`"))),
            }
        }
        Some(Command::FrontDoor { state, listen }) => open_front_door(&state, listen, &cx).await,
    }
}

async fn deploy(what: What, mut wishes: Wishes, cx: &Context) -> Result<StepReport, Fault> {
    let place = Place::read(&what, cx).await?;
    let source = what.files.required_descriptor(cx).await?;
    let descriptor = pilotage_descriptor::parse(&source)
        .for_service(&place.key.service)
        .resolve(&place.key.environment)?;
    for address in desired::host_addresses(&descriptor) {
        if !place.environment()?.allow.host_port(address.port) {
            let message = format!(
                "the host port {} is not allowed in {}",
                address.port, place.key.environment
            );
            return Err(Fault::invalid(message)
                .help("pilotage.yaml grants ports with `allow: {host_ports: [...]}` of the environment"));
        }
    }
    let target = place.target(cx)?;
    let active = descriptor.state == pilotage_descriptor::State::Active;
    let secrets = match active {
        true => secrets::resolve(&descriptor, &place.key.service, place.environment()?, cx)?,
        false => std::collections::BTreeMap::new(),
    };
    let desired = Desired {
        labels: labels(&what, &place.key)?,
        identity: Identity {
            digest: match active {
                true => target.digest(&descriptor)?,
                false => String::new(),
            },
            version: descriptor.version.as_str().to_owned(),
            config_hash: descriptor.config_hash(),
        },
        key: place.key.clone(),
        descriptor,
        secrets,
    };
    if place.observed_only() && !wishes.dry_run {
        tracing::warn!("mode: observe: the plan is told and nothing is changed");
        wishes.dry_run = true;
    }
    run::apply(&target, &prober(cx)?, &desired, &wishes, cx).await
}

/// Where a service is released to.
struct Place {
    key: ServiceKey,
    config: Config,
}

impl Place {
    async fn read(what: &What, cx: &Context) -> Result<Self, Fault> {
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

    fn environment(&self) -> Result<&pilotage_config::Environment, Fault> {
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

    fn observed_only(&self) -> bool {
        self.config.mode_of(&self.key.environment, &self.key.service) == Mode::Observe
    }

    fn target(&self, cx: &Context) -> Result<ProcessService, Fault> {
        let (name, target) = self.config.target_of(&self.key.environment, &self.key.service);
        match target {
            ConfiguredTarget::Process(process) => {
                let program = std::env::current_exe().map_err(|error| {
                    Fault::unavailable("this program's own path is unknown").caused_by(error)
                })?;
                let variable = |name: &str| cx.env.get(name).map(str::to_owned);
                Ok(ProcessService::new(
                    process.clone(),
                    self.key.clone(),
                    program,
                    cx.clock.clone(),
                    variable,
                )?)
            }
            other => Err(Fault::invalid(format!(
                "the target `{name}` is a {} target, which this version cannot release to",
                kind(other)
            ))
            .help("use a process target, or a version of pilotage-deploy that knows this kind")),
        }
    }
}

fn kind(target: &ConfiguredTarget) -> &'static str {
    match target {
        ConfiguredTarget::Docker(_) => "docker",
        ConfiguredTarget::Kubernetes(_) => "kubernetes",
        ConfiguredTarget::Command(_) => "command",
        ConfiguredTarget::Process(_) => "process",
    }
}

async fn configuration(files: &DescriptorArgs, cx: &Context) -> Result<Config, Fault> {
    let source = files.config(cx).await?.ok_or_else(|| {
        Fault::usage("--config is missing").help("give `--config FILE`, or set PILOTAGE_CONFIG")
    })?;
    let (config, diagnostics): (Option<Config>, Diagnostics) = pilotage_config::parse(&source);
    match config {
        Some(config) if !diagnostics.has_errors() => Ok(config),
        _ => Err(diagnostics.into()),
    }
}

fn labels(what: &What, key: &ServiceKey) -> Result<Labels, Fault> {
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

fn prober(cx: &Context) -> Result<Prober, Fault> {
    // Instances on this machine are asked in plain text, so that nobody's certificates are needed.
    let settings = HttpSettings {
        ca_files: cx.ca_files.clone(),
        system_roots: false,
        ..HttpSettings::default()
    };
    Prober::new(&settings).map_err(|error| Fault::usage("the prober cannot be made").caused_by(error))
}

async fn open_front_door(
    state: &Path,
    listen: std::net::SocketAddr,
    cx: &Context,
) -> Result<StepReport, Fault> {
    let cancel = cx.cancel.clone();
    let stopped = async move {
        cancel.cancelled().await;
    };
    match front_door::serve(state, listen, cx.clock.clone(), stopped).await {
        Ok(()) => Ok(StepReport::passed()),
        Err(error @ front_door::FrontError::Running(_)) => Err(Fault::refused(error.to_string())),
        Err(error) => Err(Fault::unavailable(error.to_string()).caused_by(error)),
    }
}
