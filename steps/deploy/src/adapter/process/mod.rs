//! Processes on this machine: a target for development, demos and tests.
//!
//! The artifact is copied into the instance and identified by its hash; an instance runs in a session of its own, on
//! ports of its own, and carries its labels in its environment, where they are read back from. A crash at any moment
//! leaves nothing that the next run could not tell apart: what is whole has its final name, and a process that was
//! started and not yet recorded is found by its labels.

mod claim;
mod down;
mod files;
mod launch;
mod placeholder;
mod processes;
pub(crate) mod state;
mod target;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::time::Duration;

use pilotage_clock::Clock;
use pilotage_config::ProcessTarget;
use pilotage_descriptor::{Descriptor, Publish, Signal as StopSignal};
use pilotage_name::ServiceKey;
use rustix::process::Signal;

pub use claim::Claim;
pub use down::down;
use processes::Process;
use state::{MarkerFile, PortRecord, Record, RouteEntry, RouteFile, Run, ServiceDir, key_text};
use target::read_labels;

use crate::desired::{Desired, Identity, Labels, host_addresses};
use crate::error::TargetError;
use crate::fingerprint::Fingerprints;
use crate::front_door::{Ask, ask};
use crate::live::{Front, Instance, InstanceId, Marker, State};
use crate::plan::describe;

/// How often a process is looked at while it is waited for.
const POLL: Duration = Duration::from_millis(10);
/// How long a process may take to go after a kill.
const KILL: Duration = Duration::from_secs(5);
/// How long an instance that never served may take to end by itself.
const SHORT_GRACE: Duration = Duration::from_secs(2);
/// How long the front door may take to listen.
const FRONT: Duration = Duration::from_secs(5);
/// Lines of an instance's log that are told when it ends.
const LINES: usize = 10;

/// One service on a process target.
#[derive(Debug)]
pub struct ProcessService {
    key: ServiceKey,
    dir: ServiceDir,
    target: ProcessTarget,
    /// This program, which is the front door as well.
    program: PathBuf,
    clock: Clock,
    /// Variables of ours that instances inherit.
    inherited: BTreeMap<String, String>,
}

/// What instances inherit from whoever deploys: enough to find programs and speak the right language, no secrets.
const INHERITED: [&str; 8] = [
    "PATH",
    "HOME",
    "USER",
    "LANG",
    "LC_ALL",
    "TZ",
    "TMPDIR",
    "LD_LIBRARY_PATH",
];

impl ProcessService {
    /// The service `key` on `target`. `program` is started as the front door; `variable` reads our environment.
    ///
    /// # Errors
    /// When the state directory has no absolute path.
    pub fn new(
        target: ProcessTarget,
        key: ServiceKey,
        program: PathBuf,
        clock: Clock,
        variable: impl Fn(&str) -> Option<String>,
    ) -> Result<Self, TargetError> {
        let state = std::path::absolute(&target.state).map_err(TargetError::io("find", &target.state))?;
        Ok(Self {
            dir: ServiceDir::new(&state, &key_text(&key)),
            key,
            target,
            program,
            clock,
            inherited: INHERITED
                .iter()
                .filter_map(|name| Some(((*name).to_owned(), variable(name)?)))
                .collect(),
        })
    }

    /// The digest of the artifact of `version`, as it lies there now.
    ///
    /// # Errors
    /// When there is none, or the target's command asks for what does not exist.
    pub fn digest(&self, descriptor: &Descriptor) -> Result<String, TargetError> {
        // Every placeholder is tried before anything is touched.
        for argument in &self.target.command {
            placeholder::fill(argument, |name| match name.strip_prefix("port.") {
                Some(port) => descriptor.port(port).map(|port| port.port.to_string()),
                None if name == "port" => descriptor.ports.first().map(|port| port.port.to_string()),
                None => self.word(name, descriptor.version.as_str(), Path::new("/")),
            })?;
        }
        files::digest_of_artifact(&self.artifact(descriptor.version.as_str())?)
    }

    fn artifact(&self, version: &str) -> Result<PathBuf, TargetError> {
        let path = placeholder::fill(&self.target.artifact, |name| match name {
            "artifact" => None,
            name => self.word(name, version, Path::new("/")),
        })?;
        std::path::absolute(&path).map_err(TargetError::io("find", Path::new(&path)))
    }

    fn word(&self, name: &str, version: &str, artifact: &Path) -> Option<String> {
        match name {
            "artifact" => Some(artifact.display().to_string()),
            "service" => Some(self.key.service.to_string()),
            "environment" => Some(self.key.environment.to_string()),
            "version" => Some(version.to_owned()),
            _ => None,
        }
    }

    /// The labels by which an instance's processes are known, as they stand in their environment.
    fn labels(&self, id: InstanceId) -> [(&'static str, String); 5] {
        [
            ("PILOTAGE_PROJECT", self.key.project.to_string()),
            ("PILOTAGE_ENVIRONMENT", self.key.environment.to_string()),
            ("PILOTAGE_SERVICE", self.key.service.to_string()),
            ("PILOTAGE_INSTANCE", id.0.to_string()),
            ("PILOTAGE_STATE", self.dir.state.display().to_string()),
        ]
    }

    /// The processes of an instance: all that carry its labels or are in the session of its recorded run.
    fn members(&self, id: InstanceId, run: Option<&Run>, all: &[(Process, Vec<u8>)]) -> Vec<Process> {
        let labels = self.labels(id).map(|(name, value)| format!("{name}={value}"));
        let session = run
            .filter(|run| run.boot == processes::boot_id())
            .filter(|run| processes::process(run.pid).is_none_or(|leader| leader.start == run.start))
            .map(|run| (run.pid, run.start));
        all.iter()
            .filter(|(process, environment)| {
                let carried: BTreeSet<&[u8]> = environment.split(|byte| *byte == 0).collect();
                labels.iter().all(|label| carried.contains(label.as_bytes()))
                    || session.is_some_and(|(pid, start)| process.session == pid && process.start >= start)
            })
            .map(|(process, _)| *process)
            .collect()
    }

    fn record_path(&self, id: InstanceId) -> PathBuf {
        self.dir.instance(id).join("instance.json")
    }

    fn record(&self, id: InstanceId) -> Result<Record, TargetError> {
        state::read(&self.record_path(id))?.ok_or_else(|| TargetError::Instance {
            instance: id,
            reason: "is not there".to_owned(),
        })
    }

    /// The run of an instance that counts, when it still goes on.
    fn running(&self, id: InstanceId) -> Result<Run, TargetError> {
        self.record(id)?
            .run
            .filter(alive)
            .ok_or_else(|| TargetError::Instance {
                instance: id,
                reason: "does not run".to_owned(),
            })
    }

    fn route(&self) -> Result<Option<RouteFile>, TargetError> {
        state::read(&self.dir.route)
    }

    fn marker(&self) -> Result<MarkerFile, TargetError> {
        Ok(state::read(&self.dir.marker())?.unwrap_or_default())
    }

    fn check_fence(&self, labels: &Labels) -> Result<(), TargetError> {
        let marker = self.marker()?;
        if marker.fence > labels.fence {
            return Err(TargetError::Stale {
                fence: labels.fence,
                by: describe(&Marker {
                    fence: marker.fence,
                    release: marker.release,
                }),
            });
        }
        Ok(())
    }

    fn instance_ids(&self) -> Result<BTreeMap<InstanceId, bool>, TargetError> {
        let path = self.dir.instances();
        let entries = match fs::read_dir(&path) {
            Ok(entries) => entries,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(BTreeMap::new()),
            Err(error) => return Err(TargetError::io("read", &path)(error)),
        };
        let mut found = BTreeMap::new();
        for entry in entries {
            let name = entry.map_err(TargetError::io("read", &path))?.file_name();
            let Some(name) = name.to_str() else { continue };
            let (number, whole) = name
                .strip_suffix(".partial")
                .map_or((name, true), |number| (number, false));
            if let Ok(number) = number.parse() {
                found
                    .entry(InstanceId(number))
                    .and_modify(|both| *both |= whole)
                    .or_insert(whole);
            }
        }
        Ok(found)
    }

    fn observe_instance(
        &self,
        id: InstanceId,
        route: Option<&RouteFile>,
        all: &[(Process, Vec<u8>)],
    ) -> Result<Instance, TargetError> {
        let record = self.record(id)?;
        let directory = self.dir.instance(id);
        let serves = route.filter(|route| route.instance == id);
        let running = record.run.as_ref().filter(|run| alive(run));
        let state = match (running, &record.run) {
            (Some(_), _) => State::Running,
            (None, Some(_)) => State::Ended,
            (None, None) => State::Prepared,
        };
        let stray = running.is_none() && !self.members(id, record.run.as_ref(), all).is_empty();
        let turn = record.turn.max(serves.map_or(0, |route| route.turn));
        let identity = if turn > 0 && serves.is_none() {
            Some(record.identity.clone())
        } else {
            let digest = files::digest(&directory.join("artifact")).ok();
            let told = running.map(|run| read_labels(run.pid));
            digest.map(|digest| match told {
                Some(told) => Identity {
                    digest,
                    version: told.version,
                    config_hash: told.config_hash,
                },
                None => Identity {
                    digest,
                    ..record.identity.clone()
                },
            })
        };
        Ok(Instance {
            id,
            labels: record.labels,
            identity,
            secrets: record.secrets,
            state,
            stray,
            turn,
            undone: record.undone,
            descriptor: files::read_descriptor(&directory.join("descriptor.yaml"), &self.key.environment),
        })
    }

    /// Routes of `wanted` that another service has, and host ports that a stranger holds.
    fn taken(&self, wanted: &Descriptor, instances: &[Instance]) -> Result<Vec<String>, TargetError> {
        let mut taken = Vec::new();
        let directory = self.dir.state.join("routes");
        for file in files::list(&directory)? {
            let Some(other) = state::read::<RouteFile>(&file)?.filter(|other| other.key != self.key) else {
                continue;
            };
            for (host, path) in crate::desired::routes(wanted) {
                let same = |entry: &RouteEntry| {
                    entry.host == host && entry.path.trim_end_matches('/') == path.trim_end_matches('/')
                };
                if other.routes.iter().any(same) {
                    taken.push(format!("the route {host}{path} belongs to {}", other.key));
                }
            }
        }
        for address in host_addresses(wanted) {
            let ours = instances
                .iter()
                .filter(|instance| instance.holds())
                .any(|instance| {
                    instance
                        .host_addresses()
                        .iter()
                        .any(|held| held.collides(&address))
                });
            if ours {
                continue;
            }
            if let Err(error) = TcpListener::bind((address.bind, address.port)) {
                taken.push(format!("the host port {address} cannot be had: {error}"));
            }
        }
        Ok(taken)
    }

    fn prepare(&self, id: InstanceId, desired: &Desired) -> Result<(), TargetError> {
        let mut marker = self.marker()?;
        if marker.next <= id.0 {
            marker.next = id.0 + 1;
            state::write(&self.dir.marker(), &marker)?;
        }
        let partial = self.dir.partial(id);
        files::remove_tree(&partial)?;
        state::make_dir(&partial)?;
        let source = self.artifact(&desired.identity.version)?;
        let copy = partial.join("artifact");
        fs::copy(&source, &copy).map_err(TargetError::io("copy", &source))?;
        if files::digest(&copy)? != desired.identity.digest {
            return Err(TargetError::ArtifactMoved { path: source });
        }
        files::write_files(&partial.join("files"), &desired.descriptor)?;
        let mut environment = desired.descriptor.env.clone();
        for (name, secret) in &desired.secrets {
            environment.insert(name.clone(), secret.expose().to_owned());
        }
        state::write(&partial.join("environment.json"), &environment)?;
        state::write_bytes(
            &partial.join("descriptor.yaml"),
            desired.descriptor.to_yaml().as_bytes(),
        )?;
        let record = Record {
            labels: desired.labels.clone(),
            identity: desired.identity.clone(),
            secrets: Fingerprints::new(claim::salt()?, &desired.secrets),
            created: self.clock.now(),
            command: self.target.command.clone(),
            stop_signal: signal_number(desired.descriptor.stop.signal),
            stop_grace_ms: desired.descriptor.stop.grace.as_millis(),
            ports: desired
                .descriptor
                .ports
                .iter()
                .map(|port| PortRecord {
                    name: port.name.clone(),
                    fixed: match port.publish {
                        Publish::Host { host, bind } => Some(SocketAddr::new(bind, host)),
                        Publish::Internal | Publish::Proxy => None,
                    },
                })
                .collect(),
            turn: 0,
            undone: false,
            run: None,
        };
        state::write(&partial.join("instance.json"), &record)?;
        let whole = self.dir.instance(id);
        fs::rename(&partial, &whole).map_err(TargetError::io("finish", &whole))
    }

    async fn start(&self, id: InstanceId) -> Result<(), TargetError> {
        let mut record = self.record(id)?;
        // Whatever a crashed run started and did not record would hold ports and answer for the new one.
        self.end(id, record.run.as_ref(), Signal::TERM, SHORT_GRACE)
            .await?;
        let directory = self.dir.instance(id);
        let (addresses, held) =
            reserve(&record.ports).map_err(TargetError::io("find free ports for", &directory))?;
        let artifact = directory.join("artifact");
        let first = record.ports.first().and_then(|port| addresses.get(&port.name));
        let command = record
            .command
            .iter()
            .map(|argument| {
                placeholder::fill(argument, |name| match name.strip_prefix("port.") {
                    Some(port) => addresses.get(port).map(|address| address.port().to_string()),
                    None if name == "port" => first.map(|address| address.port().to_string()),
                    None => self.word(name, &record.identity.version, &artifact),
                })
            })
            .collect::<Result<Vec<String>, _>>()?;
        let mut environment = self.inherited.clone();
        environment.extend(
            state::read::<BTreeMap<String, String>>(&directory.join("environment.json"))?.unwrap_or_default(),
        );
        for (name, address) in &addresses {
            let name: String = name.to_ascii_uppercase().replace('-', "_");
            environment.insert(format!("PORT_{name}"), address.port().to_string());
        }
        if let Some(first) = first {
            environment.insert("PORT".to_owned(), first.port().to_string());
        }
        for (name, value) in self.labels(id) {
            environment.insert(name.to_owned(), value);
        }
        let labels = [
            ("RELEASE", record.labels.release.as_ref().map(ToString::to_string)),
            ("COMMIT", record.labels.commit.as_ref().map(ToString::to_string)),
            ("FENCE", Some(record.labels.fence.to_string())),
            ("VERSION", Some(record.identity.version.clone())),
            ("DIGEST", Some(record.identity.digest.clone())),
            ("CONFIG_HASH", Some(record.identity.config_hash.clone())),
            ("FILES", Some(directory.join("files").display().to_string())),
        ];
        for (name, value) in labels {
            if let Some(value) = value {
                environment.insert(format!("PILOTAGE_{name}"), value);
            }
        }
        // Held until the last moment, so that nobody is given the same ports meanwhile.
        drop(held);
        let pid = launch::launch(
            &command,
            &environment,
            &directory,
            &directory.join("stdout.log"),
            &directory.join("stderr.log"),
        )?;
        record.run = Some(Run {
            pid,
            start: processes::process(pid).map_or(0, |process| process.start),
            boot: processes::boot_id(),
            addresses,
        });
        state::write(&self.record_path(id), &record)
    }

    /// Ends all processes of an instance: the signal, the grace, the kill.
    async fn end(
        &self,
        id: InstanceId,
        run: Option<&Run>,
        signal: Signal,
        grace: Duration,
    ) -> Result<(), TargetError> {
        let mut members = self.members(id, run, &processes::all());
        for (attempt, limit) in [(signal, grace), (Signal::KILL, KILL)] {
            if members.is_empty() {
                break;
            }
            // The leader passes the signal to its group; who is in no led group gets its own.
            let led = |process: &Process| {
                members
                    .iter()
                    .any(|leader| leader.pid == leader.session && leader.pid == process.session)
            };
            for process in &members {
                if process.pid == process.session || !led(process) || attempt == Signal::KILL {
                    processes::signal(*process, attempt);
                }
            }
            let until = tokio::time::Instant::now() + limit;
            while !members.is_empty() && tokio::time::Instant::now() < until {
                for process in &members {
                    processes::reap(process.pid);
                }
                members.retain(|process| processes::runs(process.pid, process.start));
                if members.is_empty() {
                    // Whoever was started meanwhile belongs to it, too.
                    members = self.members(id, run, &processes::all());
                    if !members.is_empty() && attempt != Signal::KILL {
                        break;
                    }
                } else {
                    tokio::time::sleep(POLL).await;
                }
            }
        }
        match members.first() {
            Some(process) => Err(TargetError::Immortal {
                pid: process.pid,
                instance: id,
            }),
            None => Ok(()),
        }
    }

    fn switch(&self, id: InstanceId, desired: &Desired) -> Result<(), TargetError> {
        let run = self.running(id)?;
        let before = self.route()?;
        let mut turn = self.record(id)?.turn;
        for other in self
            .instance_ids()?
            .into_iter()
            .filter(|(_, whole)| *whole)
            .map(|(other, _)| other)
        {
            turn = turn.max(self.record(other)?.turn);
        }
        if let Some(before) = &before {
            turn = turn.max(before.turn);
            // The old instance has to know that it served before its route no longer says so.
            if before.instance != id
                && let Some(mut record) = state::read::<Record>(&self.record_path(before.instance))?
                && record.turn < before.turn
            {
                record.turn = before.turn;
                state::write(&self.record_path(before.instance), &record)?;
            }
        }
        let routes = desired
            .descriptor
            .ports
            .iter()
            .flat_map(|port| port.routes.iter().map(move |route| (port, route)))
            .filter_map(|(port, route)| {
                Some(RouteEntry {
                    host: route.host.as_str().to_ascii_lowercase(),
                    path: route.path.clone(),
                    address: *run.addresses.get(&port.name)?,
                })
            })
            .collect();
        state::make_dir(&self.dir.state.join("routes"))?;
        state::write(
            &self.dir.route,
            &RouteFile {
                key: self.key.clone(),
                instance: id,
                run: run.id(),
                turn: turn + 1,
                routes,
            },
        )
    }

    fn withdraw(&self) -> Result<(), TargetError> {
        let Some(route) = self.route()? else {
            return Ok(());
        };
        // The instance has to know that it served before its route no longer says so.
        if let Some(mut record) = state::read::<Record>(&self.record_path(route.instance))? {
            record.turn = record.turn.max(route.turn);
            state::write(&self.record_path(route.instance), &record)?;
        }
        fs::remove_file(&self.dir.route).map_err(TargetError::io("remove", &self.dir.route))
    }

    async fn stop(&self, id: InstanceId, undone: bool) -> Result<(), TargetError> {
        let mut record = self.record(id)?;
        let signal = Signal::from_named_raw(record.stop_signal).unwrap_or(Signal::TERM);
        let grace = Duration::from_millis(record.stop_grace_ms);
        if let Some(run) = &record.run {
            self.drain(run, grace).await;
        }
        self.end(id, record.run.as_ref(), signal, grace).await?;
        if let Some(route) = self.route()?.filter(|route| route.instance == id) {
            record.turn = record.turn.max(route.turn);
        }
        record.undone |= undone;
        state::write(&self.record_path(id), &record)
    }

    /// Waits until the front door leads nobody to this run any more; whoever is still connected then has had its grace.
    async fn drain(&self, run: &Run, grace: Duration) {
        let question = Ask::Drained {
            addresses: run.addresses.values().copied().collect(),
            timeout_ms: u64::try_from(grace.as_millis()).unwrap_or(u64::MAX),
        };
        match ask(&self.dir.state, &question).await {
            Ok(answer) if answer.open > 0 => {
                tracing::warn!(
                    "{} connections are still open after the grace of {grace:?}",
                    answer.open
                );
            }
            // Without a front door nobody is led anywhere.
            Ok(_) | Err(_) => {}
        }
    }

    async fn remove(&self, id: InstanceId) -> Result<(), TargetError> {
        let record = state::read::<Record>(&self.record_path(id))?;
        let run = record.as_ref().and_then(|record| record.run.as_ref());
        let signal = record
            .as_ref()
            .and_then(|record| Signal::from_named_raw(record.stop_signal))
            .unwrap_or(Signal::TERM);
        let grace = record.as_ref().map_or(SHORT_GRACE, |record| {
            Duration::from_millis(record.stop_grace_ms).min(SHORT_GRACE)
        });
        self.end(id, run, signal, grace).await?;
        let (whole, partial) = (self.dir.instance(id), self.dir.partial(id));
        if whole.exists() {
            files::remove_tree(&partial)?;
            fs::rename(&whole, &partial).map_err(TargetError::io("remove", &whole))?;
        }
        files::remove_tree(&partial)
    }

    async fn open_front(&self) -> Result<(), TargetError> {
        state::make_dir(&self.dir.state.join("routes"))?;
        let listen = self.target.listen;
        let log = self.dir.state.join("front-door.log");
        let command = [
            self.program.display().to_string(),
            "front-door".to_owned(),
            "--state".to_owned(),
            self.dir.state.display().to_string(),
            "--listen".to_owned(),
            listen.to_string(),
        ];
        let environment = self
            .inherited
            .iter()
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect();
        let pid = launch::launch(&command, &environment, &self.dir.state, &log, &log)?;
        let until = tokio::time::Instant::now() + FRONT;
        loop {
            match ask(&self.dir.state, &Ask::Status).await {
                Ok(answer) if listen.port() == 0 || answer.listen == listen => return Ok(()),
                Ok(answer) => return Err(front_elsewhere(answer.listen, listen)),
                Err(_) if tokio::time::Instant::now() > until => {
                    return Err(TargetError::Front {
                        reason: format!(
                            "does not answer within {FRONT:?}: {}",
                            launch::last_lines(&log, 3)
                        ),
                    });
                }
                Err(_) => {}
            }
            if let Some(how) = processes::reap(pid) {
                // Another deploy may have been faster; then that one answers, or is about to.
                if !matches!(self.front_is_coming(), Ok(true)) {
                    return Err(TargetError::Front {
                        reason: format!("on {listen} ended {how}: {}", launch::last_lines(&log, 3)),
                    });
                }
            }
            tokio::time::sleep(POLL).await;
        }
    }

    /// Whether some process holds the front door's lock.
    fn front_is_coming(&self) -> std::io::Result<bool> {
        use rustix::fs::{FlockOperation, flock};
        let lock = fs::File::open(self.dir.state.join("front-door.lock"))?;
        Ok(flock(&lock, FlockOperation::NonBlockingLockShared).is_err())
    }

    async fn front(&self, routed: bool) -> Result<Front, TargetError> {
        if !routed {
            return Ok(Front::Up);
        }
        match ask(&self.dir.state, &Ask::Status).await {
            Ok(answer) if self.target.listen.port() != 0 && answer.listen != self.target.listen => {
                Err(front_elsewhere(answer.listen, self.target.listen))
            }
            Ok(_) => Ok(Front::Up),
            Err(_) => Ok(Front::Down),
        }
    }
}

fn front_elsewhere(there: SocketAddr, wanted: SocketAddr) -> TargetError {
    TargetError::Front {
        reason: format!("listens on {there} and not on {wanted}: end it with `pilotage-deploy down`"),
    }
}

fn alive(run: &Run) -> bool {
    run.boot == processes::boot_id() && processes::runs(run.pid, run.start)
}

fn signal_number(signal: StopSignal) -> i32 {
    match signal {
        StopSignal::Term => Signal::TERM,
        StopSignal::Int => Signal::INT,
        StopSignal::Quit => Signal::QUIT,
        StopSignal::Hup => Signal::HUP,
        StopSignal::Usr1 => Signal::USR1,
        StopSignal::Usr2 => Signal::USR2,
        StopSignal::Kill => Signal::KILL,
    }
    .as_raw()
}

/// A free port of loopback for every port that asks for no address of its own, held by the listeners.
fn reserve(ports: &[PortRecord]) -> std::io::Result<(BTreeMap<String, SocketAddr>, Vec<TcpListener>)> {
    let mut addresses = BTreeMap::new();
    let mut held = Vec::new();
    for port in ports {
        let address = match port.fixed {
            // Asked on loopback when the instance listens everywhere.
            Some(fixed) if fixed.ip().is_unspecified() => SocketAddr::from(([127, 0, 0, 1], fixed.port())),
            Some(fixed) => fixed,
            None => {
                let listener = TcpListener::bind(("127.0.0.1", 0))?;
                let address = listener.local_addr()?;
                held.push(listener);
                address
            }
        };
        addresses.insert(port.name.clone(), address);
    }
    Ok((addresses, held))
}
