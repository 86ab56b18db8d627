//! A Docker engine as the play uses it: images of the services, visitors that ask them from inside, and an end that leaves
//! nothing of either.

use std::collections::BTreeMap;
use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use super::door::{Answer, Count, get};
use super::missed::{Missed, Play, expect};
use crate::docker::Engine;

/// Where services and visitors listen, each at an address of its own.
pub(crate) const PORT: u16 = 8080;
/// The name of the suite's image.
pub(crate) const SUITE: &str = "shop-tests";
/// How long a new visitor may take until it answers.
const ARRIVED: Duration = Duration::from_secs(10);
/// How often that is looked at.
const LOOK: Duration = Duration::from_millis(20);
/// How many answers somebody who asks all the time has before that counts as begun.
const BEGUN: u64 = 10;
/// What the play makes beside Pilotage carries this label.
const LABEL: &str = "pilotage-demo";

/// The engine, and what of it belongs to one play. Dropping it removes that.
#[derive(Debug)]
pub(crate) struct Harbour {
    engine: Arc<Engine>,
    /// The project of this play: several plays may use one engine.
    project: String,
    sample: PathBuf,
    count: AtomicU32,
    /// Who asks now and then, by environment.
    visitors: Mutex<BTreeMap<String, Arc<Visitor>>>,
}

impl Harbour {
    /// On the engine that listens on `socket`; `sample` is the program that its images hold.
    ///
    /// # Errors
    /// It does not answer, or what runs there cannot be reached from here.
    pub(crate) async fn open(socket: &Path, sample: PathBuf) -> Play<Self> {
        let away = |error| {
            Missed::new(
                "a Docker engine answers",
                format!("{}: {error}", socket.display()),
            )
        };
        let engine = Engine::at(socket.to_owned()).map_err(away)?;
        let random = RandomState::new().build_hasher().finish() & 0xff_ffff;
        let harbour = Self {
            engine: Arc::new(engine),
            project: format!("acme-{random:06x}"),
            sample,
            count: AtomicU32::new(0),
            visitors: Mutex::default(),
        };
        harbour.image("visitor", "1", "")?;
        let network = harbour.network("reach");
        let body = json!({"Name": network, "Driver": "bridge", "Labels": harbour.labels()});
        harbour.ask("POST", "/networks/create", Some(&body))?;
        let reached = harbour.visitor("reach", None).await.map(drop);
        harbour.ask("DELETE", &format!("/networks/{network}"), None)?;
        reached.map(|()| harbour)
    }

    /// The project.
    pub(crate) fn project(&self) -> &str {
        &self.project
    }

    /// The engine's address as `pilotage.yaml` has it.
    pub(crate) fn address(&self) -> String {
        self.engine.host()
    }

    /// The images of the services, as `pilotage init` takes them.
    pub(crate) fn images(&self) -> String {
        format!("{}/{{service}}", self.project)
    }

    /// Makes an image that behaves as the lines of an artifact say.
    pub(crate) fn image(&self, service: &str, version: &str, artifact: &str) -> Play<()> {
        let name = format!("{}/{service}:{version}", self.project);
        let lines = artifact.lines().filter_map(|line| line.split_once('='));
        let variables: Vec<(String, &str)> = lines
            .map(|(key, value)| {
                let key = key.trim().to_uppercase().replace('-', "_");
                (format!("SAMPLE_{key}"), value.trim())
            })
            .collect();
        let variables: Vec<(&str, &str)> = variables
            .iter()
            .map(|(name, value)| (name.as_str(), *value))
            .collect();
        self.import(&name, &self.sample, &variables)
    }

    /// Makes the image of the suite.
    pub(crate) fn suite(&self, program: &Path) -> Play<()> {
        self.import(&format!("{}/{SUITE}:1", self.project), program, &[])
    }

    fn import(&self, name: &str, program: &Path, variables: &[(&str, &str)]) -> Play<()> {
        self.engine
            .import(name, program, variables)
            .map_err(|error| Missed::new(format!("the engine takes the image {name}"), error))
    }

    /// What a service answers somebody inside its environment.
    pub(crate) async fn get(&self, environment: &str, service: &str, path: &str) -> Result<Answer, String> {
        let known = self.visitors().get(environment).cloned();
        let visitor = match known {
            Some(visitor) => visitor,
            None => {
                let visitor = self.visitor(environment, None).await;
                let visitor = Arc::new(visitor.map_err(|missed| missed.to_string())?);
                self.visitors()
                    .insert(environment.to_owned(), Arc::clone(&visitor));
                visitor
            }
        };
        get(
            visitor.address,
            "visitor",
            &format!("/ask/{service}:{PORT}{path}"),
        )
        .await
    }

    /// Somebody who asks a service from inside its environment all the time, in the two ways in which programs use the
    /// addresses of a name: one after the other until one answers, and the first only.
    pub(crate) async fn asker(&self, environment: &str, service: &str) -> Play<Visitor> {
        let visitor = self.visitor(environment, Some(service)).await?;
        let end = Instant::now() + ARRIVED;
        while visitor.count().await?.requests < BEGUN {
            expect(
                Instant::now() < end,
                format!("{service} is asked all the time in {environment}"),
                "nobody gets an answer",
            )?;
            sleep(LOOK).await;
        }
        Ok(visitor)
    }

    fn visitors(&self) -> MutexGuard<'_, BTreeMap<String, Arc<Visitor>>> {
        self.visitors.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn visitor(&self, environment: &str, asks: Option<&str>) -> Play<Visitor> {
        let number = self.count.fetch_add(1, Ordering::Relaxed);
        let name = format!("{}-visitor-{number}", self.project);
        let network = self.network(environment);
        let mut variables = vec![format!("PORT={PORT}")];
        variables.extend(asks.map(|service| format!("SAMPLE_ASK={service}:{PORT}")));
        let body = json!({
            "Image": format!("{}/visitor:1", self.project),
            "Env": variables,
            "Labels": self.labels(),
            "HostConfig": {"NetworkMode": network},
        });
        self.ask("POST", &format!("/containers/create?name={name}"), Some(&body))?;
        let mut visitor = Visitor {
            engine: Arc::clone(&self.engine),
            address: SocketAddr::from(([0, 0, 0, 0], PORT)),
            name,
        };
        self.ask("POST", &format!("/containers/{}/start", visitor.name), None)?;
        let address = self.engine.address(&visitor.name, &network);
        let address = address.ok_or_else(|| Missed::new("a visitor has an address", "it has none"))?;
        visitor.address.set_ip(address);
        let end = Instant::now() + ARRIVED;
        loop {
            let answer = tokio::time::timeout(ARRIVED, get(visitor.address, "visitor", "/version")).await;
            match answer {
                Ok(Ok(_)) => return Ok(visitor),
                Ok(Err(why)) if Instant::now() > end => {
                    return Err(Missed::new("containers are reached from this machine", why));
                }
                Ok(Err(_)) => sleep(LOOK).await,
                Err(_) => {
                    let why = format!("{} does not answer within {ARRIVED:?}", visitor.address);
                    return Err(Missed::new("containers are reached from this machine", why));
                }
            }
        }
    }

    fn network(&self, environment: &str) -> String {
        format!("{}-{environment}", self.project)
    }

    fn labels(&self) -> Value {
        json!({LABEL: self.project})
    }

    fn ask(&self, method: &str, path: &str, body: Option<&Value>) -> Play<()> {
        let expected = || format!("the engine does {method} {path}");
        let answer = self
            .engine
            .request(method, path, body)
            .map_err(|error| Missed::new(expected(), error))?;
        expect(answer.status < 300, expected(), &answer.body)
    }

    /// Removes everything of the play, and says what is left.
    ///
    /// # Errors
    /// Something is left, or the engine does not say.
    pub(crate) fn clear(&self) -> Play<()> {
        self.remove();
        let left: Vec<String> = self
            .labels_of_everything()
            .iter()
            .flat_map(|label| self.engine.objects(label))
            .chain(self.engine.images(&format!("{}/*", self.project)))
            .collect();
        expect(left.is_empty(), "nothing is left on the engine", left.join(", "))
    }

    fn remove(&self) {
        self.visitors().clear();
        for label in self.labels_of_everything() {
            self.engine.remove(&label);
        }
        self.engine.remove_images(&format!("{}/*", self.project));
    }

    fn labels_of_everything(&self) -> [String; 2] {
        [
            format!("{LABEL}={}", self.project),
            format!("pilotage.project={}", self.project),
        ]
    }
}

impl Drop for Harbour {
    fn drop(&mut self) {
        self.remove();
    }
}

/// A container on the network of an environment; dropping it removes it.
#[derive(Debug)]
pub(crate) struct Visitor {
    engine: Arc<Engine>,
    name: String,
    address: SocketAddr,
}

impl Visitor {
    /// What it has seen so far.
    pub(crate) async fn count(&self) -> Play<Count> {
        let wrong = |why: String| Missed::new("who asks all the time tells what they saw", why);
        let answer = get(self.address, "visitor", "/asked").await.map_err(wrong)?;
        let asked: Value = serde_json::from_str(&answer.body).map_err(|error| wrong(error.to_string()))?;
        let mut count = Count::default();
        for way in ["all", "first"] {
            let tally = &asked[way];
            count.requests += tally["total"].as_u64().unwrap_or_default();
            count.failed += tally["failed"].as_u64().unwrap_or_default();
            let error = tally["last_error"].as_str().filter(|error| !error.is_empty());
            count.failures.extend(error.map(str::to_owned));
            for (answer, times) in tally["answers"].as_object().into_iter().flatten() {
                *count.answers.entry(answer.clone()).or_insert(0) += times.as_u64().unwrap_or_default();
            }
        }
        Ok(count)
    }
}

impl Drop for Visitor {
    fn drop(&mut self) {
        let _ = self
            .engine
            .request("DELETE", &format!("/containers/{}?force=1&v=1", self.name), None);
    }
}
