use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use pilotage_clock::Clock;
use pilotage_config::Target;
use pilotage_descriptor::{Image, SecretSource};
use pilotage_engine::{
    Engine, EngineError, Halt, Images, OneOff, Pipe, Registries, Running, label, network_of, service_of,
};
use pilotage_outcome::{Class, Classify};
use pilotage_place::Around;
use pilotage_secret::{Redactor, Secret};
use pilotage_step::{Cancel, Context};
use tempfile::TempDir;
use tokio::time::Instant;

use crate::adapter::lines::{Said, silence};
use crate::port::{Ended, Exit, HURRY, Run, Suite};
use crate::{Glob, Plan};

/// What a container is for, beside whose it is.
const PURPOSE: (&str, &str) = ("pilotage.purpose", "regression");
/// The most that is taken out of a container after a run, in bytes.
const MOST: u64 = 256 * 1024 * 1024;
/// Where a suite finds the tests that failed in the run before.
const FAILED: &str = "/run/pilotage/failed-tests";
/// Processes and threads of a suite; one that forks without end harms itself only.
const PIDS: u32 = 4096;
/// Beyond its limits, for an engine that is slow.
const SPARE: Duration = Duration::from_secs(300);

/// Runs a suite as a container on the network of its environment, and takes its reports out.
#[derive(Debug)]
pub(crate) struct Containers {
    engine: Engine,
    one: OneOff,
    /// Where it starts; patterns of reports count from there.
    directory: String,
    reports: Vec<Glob>,
    /// Where reports are taken to: a folder of the same name as the container's, within one of ours.
    taken: TempDir,
    redactor: Redactor,
    structured: bool,
    clock: Clock,
}

impl Containers {
    /// Whether images can be run beside a service.
    pub(crate) fn are_in(around: &Around) -> bool {
        matches!(around.target, Target::Docker(_))
    }

    /// Makes sure of the image, so that a run does not wait for a registry.
    ///
    /// # Errors
    /// When the engine or the image cannot be had.
    pub(crate) async fn prepare(
        around: &Around,
        image: &Image,
        plan: &Plan,
        command: &[String],
        structured: bool,
        cx: &Context,
    ) -> Result<Self, ContainersError> {
        let (Target::Docker(target), key) = (&around.target, &around.key) else {
            return Err(ContainersError::NoEngine);
        };
        let variable = |name: &str| cx.env.get(name).map(str::to_owned);
        let registries = Registries::of(target, variable, &cx.redactor);
        let engine = Engine::connect(target).await?;
        let images = Images {
            engine: &engine,
            registries: &registries,
        };
        let digest = images.digest(image).await?;
        let id = images.have(image, &digest).await?;
        let directory = images.directory(&id).await?;
        let mut labels = label::of_service(key);
        labels.insert(PURPOSE.0.to_owned(), PURPOSE.1.to_owned());
        let mut one = OneOff::new(
            format!("{}-regression", service_of(key)),
            labels,
            id,
            Timestamp::MIN,
        );
        one.command = command.to_vec();
        one.env.clone_from(&plan.variables);
        let prefix = SecretSource::env_prefix(&key.service);
        one.secrets = cx
            .env
            .iter()
            .filter_map(|(name, value)| Some((name.to_str()?, value.to_str()?)))
            .filter(|(name, _)| name.starts_with(&prefix))
            .map(|(name, value)| (name.to_owned(), Secret::new(value.to_owned())))
            .collect();
        one.delivery = target.secrets;
        one.network = Some(network_of(key));
        one.limits.pids = Some(PIDS.min(target.pids));
        one.grace = plan.limits.grace.as_std();
        Ok(Self {
            engine,
            one,
            directory,
            reports: plan.reports.clone(),
            taken: TempDir::new().map_err(ContainersError::Folder)?,
            redactor: cx.redactor.clone(),
            structured,
            clock: cx.clock.clone(),
        })
    }

    /// Where the suite starts, within the container.
    pub(crate) fn directory(&self) -> &str {
        &self.directory
    }

    /// Where its reports are after a run, on this machine.
    ///
    /// # Errors
    /// When the folder cannot be made.
    pub(crate) fn folder(&self) -> std::io::Result<PathBuf> {
        let folder = self.taken.path().join(last_name(&self.directory));
        std::fs::create_dir_all(&folder)?;
        Ok(folder)
    }

    async fn heard(&self, running: &mut Running, run: &Run, said: &Said, cancel: &Cancel) -> (Exit, bool) {
        let mut out = said.hearing(&self.redactor, self.structured);
        let mut err = said.hearing(&self.redactor, self.structured);
        let end = Instant::now() + run.timeout;
        let halt = async {
            let (why, grace) = tokio::select! {
                biased;
                reason = cancel.cancelled() => (Exit::Stopped(reason), run.grace.min(HURRY)),
                () = tokio::time::sleep_until(end) => (Exit::TimedOut, run.grace),
                () = silence(said, run.idle) => (Exit::Idle, run.grace),
            };
            Halt {
                why,
                grace: Some(grace),
            }
        };
        let hear = |chunk: pilotage_engine::Chunk| match chunk.pipe {
            Pipe::Out => out.push(&chunk.bytes),
            Pipe::Err => err.push(&chunk.bytes),
        };
        let ended = running.to_its_end(hear, halt).await;
        out.finish();
        err.finish();
        match ended {
            Ok((end, Some(why))) => (why, end.killed),
            Ok((end, None)) => {
                if end.out_of_memory {
                    said.add("it was killed for want of memory");
                }
                match (end.error.as_str(), i32::try_from(end.code)) {
                    ("", Ok(code)) => (Exit::Code(code), false),
                    ("", Err(_)) => (Exit::NotStarted("how it ended cannot be told".to_owned()), false),
                    (error, _) => (Exit::NotStarted(error.to_owned()), false),
                }
            }
            Err(error) => (Exit::NotStarted(in_full(&error)), false),
        }
    }

    /// Takes what could be a report out of the container.
    async fn take(&self, running: &Running, said: &Said) {
        for below in folders(&self.reports) {
            let path = match (self.directory.trim_end_matches('/'), below.as_str()) {
                ("", "") => {
                    said.add("reports are looked for in folders, and the image's own is `/`: write a folder into `reports`");
                    continue;
                }
                (directory, "") => directory.to_owned(),
                (directory, below) => format!("{directory}/{below}"),
            };
            // The archive of a folder begins with the folder's own name.
            let within = match below.as_str() {
                "" => self.taken.path().to_owned(),
                below => {
                    let folder = self.taken.path().join(last_name(&self.directory));
                    folder.join(Path::new(below).parent().unwrap_or(Path::new("")))
                }
            };
            match running.take_out(&path, &within, MOST).await {
                Ok(taken) if taken.left > 0 => said.add(&format!(
                    "{} files of {path} were left in the container: links, or more than {MOST} bytes",
                    taken.left
                )),
                Ok(_) => {}
                Err(error) => said.add(&format!("{path} cannot be taken out: {}", in_full(&error))),
            }
        }
    }
}

impl Suite for Containers {
    async fn run(&self, run: Run, cancel: &Cancel) -> Ended {
        let began = Instant::now();
        let said = Said::new();
        let mut ended = Ended {
            exit: Exit::NotStarted(String::new()),
            took: Duration::ZERO,
            last: Vec::new(),
            left_behind: false,
            killed: false,
        };
        let now = self.clock.now();
        let mut one = self.one.clone();
        one.until = until(now, run.timeout + run.grace + SPARE);
        one.env
            .insert("PILOTAGE_ATTEMPT".to_owned(), run.attempt.to_string());
        if let Some(content) = run.failed.as_ref().and_then(|path| std::fs::read(path).ok()) {
            one.files.add(FAILED, 0o444, &content);
            one.env
                .insert("PILOTAGE_FAILED_TESTS".to_owned(), FAILED.to_owned());
        }
        match self.engine.start(&one, now).await {
            Ok(mut running) => {
                (ended.exit, ended.killed) = self.heard(&mut running, &run, &said, cancel).await;
                self.take(&running, &said).await;
                let name = running.name.clone();
                if let Err(error) = running.remove().await {
                    tracing::warn!("the container {name} is left behind: {}", in_full(&error));
                }
            }
            Err(error) => ended.exit = Exit::NotStarted(in_full(&error)),
        }
        ended.took = began.elapsed();
        ended.last = said.last();
        ended
    }
}

/// Why a suite's container cannot be prepared.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ContainersError {
    /// The service runs beside no engine.
    #[error("the service's target runs no images")]
    NoEngine,
    /// The engine, or the image.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// The folder for its reports.
    #[error("no folder can be made for its reports")]
    Folder(#[source] std::io::Error),
}

impl Classify for ContainersError {
    fn class(&self) -> Class {
        match self {
            Self::Engine(error) => error.class(),
            Self::NoEngine => Class::Invalid,
            Self::Folder(_) => Class::Unavailable,
        }
    }

    fn help(&self) -> Vec<String> {
        match self {
            Self::Engine(error) => error.help(),
            Self::NoEngine | Self::Folder(_) => Vec::new(),
        }
    }
}

/// An error with its causes, on one line.
fn in_full(error: &EngineError) -> String {
    let causes = std::iter::successors(std::error::Error::source(error), |cause| cause.source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}

fn until(now: Timestamp, time: Duration) -> Timestamp {
    SignedDuration::try_from(time)
        .ok()
        .and_then(|time| now.checked_add(time).ok())
        .unwrap_or(Timestamp::MAX)
}

/// The last name of a path; `root` for `/`.
fn last_name(path: &str) -> &str {
    path.trim_end_matches('/')
        .rsplit('/')
        .next()
        .filter(|name| !name.is_empty())
        .unwrap_or("root")
}

/// The folders that hold everything the patterns can fit, none within another; empty for the folder they count from.
fn folders(globs: &[Glob]) -> Vec<String> {
    let mut all: Vec<String> = globs.iter().map(Glob::folder).collect();
    all.sort();
    all.dedup();
    let within = |inner: &str, outer: &str| {
        outer.is_empty()
            || inner
                .strip_prefix(outer)
                .is_some_and(|rest| rest.starts_with('/'))
    };
    let kept = all
        .iter()
        .filter(|inner| !all.iter().any(|outer| outer != *inner && within(inner, outer)));
    kept.cloned().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_folders_of_reports_are_taken_out() {
        let folders = |globs: &[&str]| {
            let globs: Vec<Glob> = globs.iter().map(|glob| glob.parse().unwrap()).collect();
            folders(&globs)
        };
        assert_eq!(
            folders(&["out/**/*.xml", "out/a/b.xml", "target/x/*.xml"]),
            ["out", "target/x"]
        );
        assert_eq!(folders(&["out/*.xml", "*.xml"]), [""], "all of it");
        assert_eq!(folders(&["output/a.xml", "out/a.xml"]), ["out", "output"]);
        assert_eq!((last_name("/srv/shop/"), last_name("/")), ("shop", "root"));
    }
}
