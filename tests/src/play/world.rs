//! The world of one play: the repository, the people, the monitor, and where releases land.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde_json::Value;
use tokio::time::Instant;

use super::chains::{self, Release};
use super::missed::{Missed, Play, expect};
use super::monitor::Monitor;
use super::place::Place;
use super::target::{Asker, Target, TargetKind};
use super::teller::Teller;

/// How long the play waits for something before it gives up: much longer than it takes, because machines are busy.
const PATIENCE: Duration = Duration::from_secs(45);
/// How often it is looked whether something has happened.
const LOOK: Duration = Duration::from_millis(60);
/// Lines of the monitor that are told when an expectation is missed.
const LINES: usize = 60;

/// Everything one play needs. Dropping it ends every process and removes every file.
pub struct World {
    pub(crate) place: Place,
    /// Tells what happens.
    pub teller: Arc<Teller>,
    /// The bare environment repository.
    pub(crate) repository: PathBuf,
    /// The configuration as it is on the config branch.
    pub(crate) config: PathBuf,
    /// Where releases land. What there is of it goes after the processes, which might make more.
    pub(crate) target: Target,
    monitor: Mutex<Option<Monitor>>,
}

impl World {
    /// A new world. `programs` is the folder of the built binaries.
    ///
    /// # Errors
    /// There is no room for it: no folder, no port, no engine, or a binary is missing.
    pub async fn new(programs: &Path, teller: Arc<Teller>, kind: &TargetKind) -> Play<Self> {
        for name in [
            "pilotage",
            "pilotage-git-monitor",
            "pilotage-release",
            "pilotage-deploy",
            "pilotage-healthcheck",
            "pilotage-notify",
            "pilotage-regression",
            "pilotage-smoke",
            "sample-service",
            "sample-suite",
        ] {
            let built = programs.join(name).is_file();
            let expected = format!("{name} stands in {}", programs.display());
            expect(
                built,
                expected,
                "it does not: `cargo build --workspace --bins` makes it",
            )?;
        }
        let place = Place::new(programs.to_owned())?;
        let artifacts = place.root().join("artifacts");
        Ok(Self {
            target: Target::open(kind, artifacts, programs.join("sample-service")).await?,
            repository: place.root().join("acme.git"),
            config: place.root().join("pilotage.yaml"),
            monitor: Mutex::new(None),
            place,
            teller,
        })
    }

    /// The folder everything is in; every process of this world has it in its environment.
    #[must_use]
    pub fn root(&self) -> &Path {
        self.place.root()
    }

    pub(crate) fn start_monitor(&self) -> Play<()> {
        let monitor = Monitor::start(&self.place, &self.teller, &self.repository)?;
        *self.monitor() = Some(monitor);
        Ok(())
    }

    fn monitor(&self) -> std::sync::MutexGuard<'_, Option<Monitor>> {
        self.monitor.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether only the news of the monitor and its releases are told, or all that they say to people.
    pub(crate) fn tell_briefly(&self, briefly: bool) {
        if let Some(monitor) = self.monitor().as_ref() {
            monitor.tell_briefly(briefly);
        }
    }

    /// What the monitor and its releases said so far.
    pub(crate) fn heard(&self) -> Vec<String> {
        self.monitor().as_ref().map(Monitor::lines).unwrap_or_default()
    }

    /// Waits until `probe` finds something.
    pub(crate) async fn until<T, F>(&self, expected: &str, mut probe: impl FnMut() -> F) -> Play<T>
    where
        F: Future<Output = Play<Option<T>>>,
    {
        let end = Instant::now() + PATIENCE;
        loop {
            if let Some(found) = probe().await? {
                return Ok(found);
            }
            if let Some(how) = self.monitor().as_mut().and_then(Monitor::ended) {
                return Err(Missed::new(expected, format!("the monitor has ended: {how}")));
            }
            if Instant::now() > end {
                let found = format!("it did not happen within {} s", PATIENCE.as_secs());
                return Err(Missed::new(expected, found));
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    /// Waits until somebody was told: a line of a notification or of the monitor that holds all these words.
    pub(crate) async fn hears(&self, words: &[&str]) -> Play<String> {
        let expected = format!("somebody is told of {}", words.join(", "));
        self.until(&expected, || async {
            let lines = self.heard();
            let found = lines
                .iter()
                .rfind(|line| words.iter().all(|word| line.contains(word)));
            Ok(found.cloned())
        })
        .await
    }

    /// Waits until the release of a service for this commit has ended.
    pub(crate) async fn released(&self, environment: &str, service: &str, commit: &str) -> Play<Release> {
        let expected = format!("a release of {service} in {environment} at {commit} ends");
        self.until(&expected, || async {
            let release = chains::release(&self.place, &self.repository, environment, service).await?;
            Ok(release.filter(|release| release.commit == commit && release.end.is_some()))
        })
        .await
    }

    /// As [`World::released`], and it went well.
    pub(crate) async fn released_well(
        &self,
        environment: &str,
        service: &str,
        commit: &str,
        version: &str,
    ) -> Play<Release> {
        let release = self.released(environment, service, commit).await?;
        let end = release.end.as_ref();
        let proved = end.and_then(|end| end.proved.as_deref());
        expect(
            end.is_some_and(|end| end.outcome == "succeeded") && proved == Some(version),
            format!("{service} {version} is released in {environment} and proved to run"),
            format!("{release:?}"),
        )?;
        Ok(release)
    }

    /// Waits until the newest decision about a service is one that `wanted` knows.
    pub(crate) async fn decided(
        &self,
        environment: &str,
        service: &str,
        verdict: &str,
        wanted: impl Fn(&str) -> bool,
    ) -> Play<String> {
        let expected =
            format!("the decision about {service} in {environment} is `{verdict}`, for the right reason");
        let seen = Mutex::new(Value::Null);
        let found = self.until(&expected, || async {
            let decision = chains::decision(&self.place, &self.repository, environment, service).await?;
            let Some(decision) = decision else { return Ok(None) };
            let why = chains::objections(&decision);
            let so = decision["verdict"] == verdict && wanted(&why);
            *seen.lock().unwrap_or_else(PoisonError::into_inner) = decision;
            Ok(so.then_some(why))
        });
        found.await.map_err(|missed| {
            let seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
            missed.log("the decision", format!("{seen:#}"))
        })
    }

    /// Asks a service as its users do, and expects this answer.
    pub(crate) async fn shows(&self, environment: &str, service: &str, path: &str, body: &str) -> Play<()> {
        let answer = self.target.get(environment, service, path).await;
        let right = answer
            .as_ref()
            .is_ok_and(|answer| answer.status == 200 && answer.body == body);
        let url = self.target.url(environment, service, path);
        expect(right, format!("{url} shows `{body}`"), format!("{answer:?}"))?;
        self.teller.sees(&format!("{url} → 200 {body}"));
        Ok(())
    }

    /// Somebody who asks a service all the time, as its users do.
    pub(crate) async fn asker(&self, environment: &str, service: &str) -> Play<Asker> {
        self.target.asker(environment, service).await
    }

    /// Adds what the monitor said last.
    #[must_use]
    pub fn explain(&self, missed: Missed) -> Missed {
        let lines = self.heard();
        let last = &lines[lines.len().saturating_sub(LINES)..];
        missed.log("the monitor and its releases", last.join("\n"))
    }

    /// Stops everything in good order and removes every file.
    ///
    /// # Errors
    /// The monitor does not end as it should, or something is left behind.
    pub async fn close(self) -> Play<()> {
        let stopped = self.stop().await;
        let cleared = self.target.clear();
        self.place.close()?;
        stopped.and(cleared)
    }

    /// Stops everything in good order and keeps the files; says where they are.
    pub async fn keep(self) -> PathBuf {
        // Whatever does not stop is killed.
        let _ = self.stop().await;
        drop(self.target);
        self.place.keep()
    }

    async fn stop(&self) -> Play<()> {
        self.tell_briefly(true);
        let monitor = self.monitor().take();
        let stopped = match monitor {
            Some(monitor) => monitor.stop().await,
            None => Ok(()),
        };
        self.place.settle(&self.config, self.target.name()).await;
        stopped
    }
}
