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
mod down;
pub mod error;
pub mod fingerprint;
mod front_door;
pub mod live;
pub mod operation;
mod place;
pub mod plan;
pub mod port;
pub mod prove;
pub mod risk;
pub mod run;
mod secrets;
pub mod status;

use std::collections::BTreeMap;
use std::path::Path;

use pilotage_config::Target as Configured;
use pilotage_engine::Registries;
use pilotage_http::HttpSettings;
use pilotage_outcome::{Fault, StepReport};
use pilotage_probe::Prober;
use pilotage_step::{Context, DescriptorArgs};

use adapter::docker::{self, DockerService};
use adapter::process::{self, ProcessService};
pub use args::Args;
use args::{Command, What};
use desired::{Desired, Identity};
use place::{Place, configuration, kind};
use port::Target;
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
        None => at_target(Task::Deploy, args.what, wishes, &cx).await,
        Some(Command::Plan {
            what,
            detailed_exitcode,
        }) => {
            let wishes = Wishes {
                dry_run: true,
                detailed: detailed_exitcode,
                ..wishes
            };
            at_target(Task::Deploy, what.or(args.what), wishes, &cx).await
        }
        Some(Command::Status { what }) => at_target(Task::Status, what.or(args.what), wishes, &cx).await,
        Some(Command::Undo { what, expect_plan }) => {
            let wishes = Wishes {
                expect_plan: expect_plan.or(wishes.expect_plan),
                ..wishes
            };
            at_target(Task::Undo, what.or(args.what), wishes, &cx).await
        }
        Some(Command::Adopt { what, instance }) => {
            at_target(Task::Adopt(instance), what.or(args.what), wishes, &cx).await
        }
        Some(Command::Down { config, target }) => down(config, &target, &cx).await,
        Some(Command::FrontDoor { state, listen }) => open_front_door(&state, listen, &cx).await,
    }
}

/// What is done at a target.
#[derive(Clone, Debug)]
enum Task {
    Deploy,
    /// Of what runs under this name.
    Adopt(String),
    Status,
    Undo,
}

/// Finds the target; whatever kind it is, the same is done there.
async fn at_target(task: Task, what: What, wishes: Wishes, cx: &Context) -> Result<StepReport, Fault> {
    let place = Place::read(&what, cx).await?;
    match place.target() {
        (_, Configured::Process(process)) => {
            let program = std::env::current_exe()
                .map_err(|error| Fault::unavailable("this program's own path is unknown").caused_by(error))?;
            let variable = |name: &str| cx.env.get(name).map(str::to_owned);
            let target = ProcessService::new(
                process.clone(),
                place.key.clone(),
                program,
                cx.clock.clone(),
                variable,
            )?;
            act(&target, task, &what, &place, wishes, cx).await
        }
        (_, Configured::Docker(docker)) => {
            let variable = |name: &str| cx.env.get(name).map(str::to_owned);
            let registries = Registries::of(docker, variable, &cx.redactor);
            let (key, clock) = (place.key.clone(), cx.clock.clone());
            let target = DockerService::connect(docker.clone(), key, registries, clock).await?;
            act(&target, task, &what, &place, wishes, cx).await
        }
        (name, other) => Err(Fault::invalid(format!(
            "the target `{name}` is a {} target, which this version cannot release to",
            kind(other)
        ))
        .help("use a process or docker target, or a version of pilotage-deploy that knows this kind")),
    }
}

async fn act<T: Target>(
    target: &T,
    task: Task,
    what: &What,
    place: &Place,
    mut wishes: Wishes,
    cx: &Context,
) -> Result<StepReport, Fault> {
    match task {
        Task::Deploy => {
            let desired = wanted(target, what, place, cx).await?;
            if place.observed_only() && !wishes.dry_run {
                tracing::warn!("mode: observe: the plan is told and nothing is changed");
                wishes.dry_run = true;
            }
            run::apply(target, &prober(cx)?, &desired, &wishes, cx).await
        }
        Task::Adopt(name) => {
            let desired = wanted(target, what, place, cx).await?;
            wishes.dry_run |= place.observed_only();
            run::adopt(target, &name, &desired, &wishes, cx).await
        }
        Task::Status => Ok(status::status(target, &place.key).await?),
        Task::Undo => {
            let labels = place.labels(what)?;
            wishes.dry_run |= place.observed_only();
            run::go_back(target, &prober(cx)?, &place.key, &labels, &wishes, cx).await
        }
    }
}

/// The descriptor, its secrets and what it would run.
async fn wanted<T: Target>(target: &T, what: &What, place: &Place, cx: &Context) -> Result<Desired, Fault> {
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
    if target.capabilities().images
        && let Some(image) = &descriptor.image
        && !place.environment()?.allow.image(&image.name)
    {
        let message = format!(
            "the image {} is not allowed in {}",
            image.name, place.key.environment
        );
        return Err(Fault::invalid(message)
            .help("pilotage.yaml grants images with `allow: {images: [...]}` of the environment"));
    }
    let commands = descriptor
        .healthcheck
        .iter()
        .flat_map(|check| &check.endpoints)
        .any(|endpoint| matches!(endpoint.ask, pilotage_descriptor::Ask::Exec { .. }));
    // In a container a command has what the container has; beside a process it has what we have.
    if commands && !target.capabilities().images && !place.environment()?.allow.commands {
        let message = format!(
            "healthcheck: `exec` runs a command on this machine, which is not allowed in {}",
            place.key.environment
        );
        return Err(Fault::invalid(message)
            .help("pilotage.yaml grants commands with `allow: {commands: true}` of the environment"));
    }
    let active = descriptor.state == pilotage_descriptor::State::Active;
    let (secrets, digest) = match active {
        true => (
            secrets::resolve(&descriptor, &place.key.service, place.environment()?, cx)?,
            target.digest(&descriptor).await?,
        ),
        false => (BTreeMap::new(), String::new()),
    };
    Ok(Desired {
        key: place.key.clone(),
        labels: place.labels(what)?,
        identity: Identity {
            digest,
            version: descriptor.version.as_str().to_owned(),
            instance_hash: descriptor.instance_hash(),
        },
        descriptor,
        secrets,
    })
}

async fn down(config: std::path::PathBuf, target: &str, cx: &Context) -> Result<StepReport, Fault> {
    let files = DescriptorArgs {
        config: Some(config),
        ..DescriptorArgs::default()
    };
    let config = configuration(&files, cx).await?;
    match config.targets.get(target) {
        Some(Configured::Process(process)) => process::down(process, &cx.clock, cx.dry_run).await,
        Some(Configured::Docker(engine)) => {
            docker::down(engine, &config.project, &cx.clock, cx.dry_run).await
        }
        Some(other) => Err(Fault::usage(format!("`{target}` is a {} target", kind(other)))
            .help("only a process or docker target can be taken down")),
        None => Err(Fault::usage(format!("pilotage.yaml has no target `{target}`"))),
    }
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
