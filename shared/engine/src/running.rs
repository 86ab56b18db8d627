//! A one-off container while it runs, and its end.

use std::path::Path;
use std::time::Duration;

use bollard::models::ContainerStateStatusEnum;
use bollard::query_parameters::{
    AttachContainerOptionsBuilder, CreateContainerOptionsBuilder, DownloadFromContainerOptionsBuilder,
    InspectContainerOptions, ListContainersOptionsBuilder, RemoveContainerOptionsBuilder,
    StartContainerOptions, StopContainerOptionsBuilder, UploadToContainerOptionsBuilder,
    WaitContainerOptionsBuilder,
};
use bytes::Bytes;
use futures::stream::BoxStream;
use futures::{FutureExt, StreamExt};
use jiff::Timestamp;
use tokio::sync::mpsc;

use crate::archive::{Archive, TakenOut, take_out};
use crate::engine::Engine;
use crate::error::EngineError;
use crate::holder::Holder;
use crate::label::{self, Map};
use crate::name::nonce;
use crate::one_off::OneOff;
use crate::output::Chunk;

/// How much longer than its grace an engine may take to stop a container.
const KILL: Duration = Duration::from_secs(30);
/// What an engine says of a process that was killed: 128 and SIGKILL.
const KILLED: i64 = 137;
/// The longest a container is waited for in one request.
const LONG: Duration = Duration::from_secs(24 * 3600);
/// Pieces of an archive between the engine and the disk.
const PIECES: usize = 8;

/// A one-off container. It has to be removed at the end; where that is forgotten, or we are killed, the next one with the
/// same labels does it.
pub struct Running {
    engine: Engine,
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
    grace: Duration,
    said: BoxStream<'static, Result<Chunk, EngineError>>,
}

/// How a container ended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct End {
    /// Its exit code; 128 and more is a signal.
    pub code: i64,
    /// Whether it was killed for want of memory.
    pub out_of_memory: bool,
    /// Whether it did not end when it was asked to, and had to be killed.
    pub killed: bool,
    /// Why the engine could not start it; empty when it could.
    pub error: String,
}

/// Why a container is ended, and how long it may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Halt<W> {
    /// Why, for who asked.
    pub why: W,
    /// How long it may take to end; its own grace when nothing is said.
    pub grace: Option<Duration>,
}

impl Engine {
    /// Creates a container, gives it its files, listens to it and starts it.
    ///
    /// # Errors
    /// When that cannot be done; then nothing of it is left.
    pub async fn start(&self, one: &OneOff, now: Timestamp) -> Result<Running, EngineError> {
        self.clear_left(&one.labels, now).await?;
        let random = nonce().map_err(io("read /dev/urandom"))?;
        let name = format!("{}-{}", one.name, &random[..8]);
        let (body, files) = one.body();
        let options = CreateContainerOptionsBuilder::default().name(&name).build();
        let created = self.docker.create_container(Some(options), body).await;
        let id = created
            .map_err(self.failed(format!("create the container {name}")))?
            .id;
        match self.bring_to_life(&id, &name, files).await {
            Ok(said) => Ok(Running {
                engine: self.clone(),
                id,
                name,
                grace: one.grace,
                said,
            }),
            Err(error) => {
                // The reason counts; what cannot be removed now is removed by the next one.
                let _ = self.remove(&id, &name).await;
                Err(error)
            }
        }
    }

    async fn bring_to_life(
        &self,
        id: &str,
        name: &str,
        files: Archive,
    ) -> Result<BoxStream<'static, Result<Chunk, EngineError>>, EngineError> {
        self.put(id, name, files).await?;
        let options = AttachContainerOptionsBuilder::default()
            .stdout(true)
            .stderr(true)
            .stream(true)
            .build();
        let listened = self.docker.attach_container(id, Some(options)).await;
        let output = listened
            .map_err(self.failed(format!("let us listen to {name}")))?
            .output;
        let started = self
            .docker
            .start_container(id, None::<StartContainerOptions>)
            .await;
        started.map_err(self.failed(format!("start {name}")))?;
        let (host, doing) = (self.host.clone(), format!("tell what {name} says"));
        Ok(output
            .map(move |said| {
                said.map(Chunk::from)
                    .map_err(|error| EngineError::of(&host, &doing, error))
            })
            .boxed())
    }

    /// Puts files into a container; `name` is for messages.
    ///
    /// # Errors
    /// When the engine does not take them.
    pub async fn put(&self, id: &str, name: &str, files: Archive) -> Result<(), EngineError> {
        if files.is_empty() {
            return Ok(());
        }
        let bytes = files.finish().map_err(io(format!("pack the files of {name}")))?;
        let options = UploadToContainerOptionsBuilder::default().path("/").build();
        let uploaded = self
            .docker
            .upload_to_container(id, Some(options), bollard::body_full(bytes.into()))
            .await;
        uploaded.map_err(self.failed(format!("bring the files of {name}")))
    }

    /// Removes one-off containers that carry `labels` and whose makers are gone or out of time.
    ///
    /// # Errors
    /// When the engine does not do it.
    pub async fn clear_left(&self, labels: &Map, now: Timestamp) -> Result<(), EngineError> {
        let filters = label::filter(labels, &[label::ONE_OFF]);
        let options = ListContainersOptionsBuilder::default()
            .all(true)
            .filters(&filters)
            .build();
        let listed = self.docker.list_containers(Some(options)).await;
        for left in listed.map_err(self.failed("list its containers"))? {
            let (Some(id), Some(labels)) = (left.id, left.labels) else {
                continue;
            };
            let holder = labels.get(label::ONE_OFF).map(String::as_str).unwrap_or_default();
            // What cannot be read was written by another Pilotage, which knows better when it is over.
            let gone = serde_json::from_str(holder).is_ok_and(|holder: Holder| !holder.lives(now));
            if gone {
                let name = left.names.unwrap_or_default().join(", ");
                tracing::info!("removing {name}, which an earlier run left");
                self.remove(&id, &name).await?;
            }
        }
        Ok(())
    }

    /// Removes a container and all that is in it, however it is; that it is gone already is well. `name` is for messages.
    ///
    /// # Errors
    /// When the engine does not do it.
    pub async fn remove(&self, id: &str, name: &str) -> Result<(), EngineError> {
        let options = RemoveContainerOptionsBuilder::default()
            .force(true)
            .v(true)
            .build();
        let removed = self.docker.remove_container(id, Some(options)).await;
        absent_is_well(removed.map_err(self.failed(format!("remove {name}"))))
    }

    /// Asks a container to end, and has it killed when it has not ended after `grace`. That it runs no longer is well.
    ///
    /// # Errors
    /// When the engine does not do it.
    pub async fn stop(&self, id: &str, name: &str, grace: Duration) -> Result<(), EngineError> {
        let seconds = i32::try_from(grace.as_millis().div_ceil(1000)).unwrap_or(i32::MAX);
        let docker = self.docker.clone().with_timeout(grace + KILL);
        let options = StopContainerOptionsBuilder::default().t(seconds).build();
        let stopped = docker.stop_container(id, Some(options)).await;
        absent_is_well(stopped.map_err(self.failed(format!("stop {name}"))))
    }

    /// Takes the files at `path` of a container and puts them below `folder`, at most `most` bytes of them. Nothing is
    /// there when the container has no such path.
    ///
    /// # Errors
    /// When the engine does not give them, or they cannot be written.
    pub async fn take_out(
        &self,
        id: &str,
        path: &str,
        folder: &Path,
        most: u64,
    ) -> Result<TakenOut, EngineError> {
        let options = DownloadFromContainerOptionsBuilder::default().path(path).build();
        let doing = format!("give the files in {path}");
        let mut pieces = self.docker.download_from_container(id, Some(options));
        let (pass, passed) = mpsc::channel(PIECES);
        let folder = folder.to_owned();
        let writing = tokio::task::spawn_blocking(move || take_out(Pieces::new(passed), &folder, most));
        let mut refused = None;
        while let Some(piece) = pieces.next().await {
            match piece.map_err(self.failed(doing.as_str())) {
                // Whoever writes has had enough, and says why.
                Ok(piece) => {
                    if pass.send(piece).await.is_err() {
                        break;
                    }
                }
                Err(error) if error.status() == Some(404) => break,
                Err(error) => {
                    refused = Some(error);
                    break;
                }
            }
        }
        drop(pass);
        let written = writing
            .await
            .unwrap_or_else(|error| Err(std::io::Error::other(error)));
        match refused {
            Some(error) => Err(error),
            None => written.map_err(io(format!("write the files of {path}"))),
        }
    }
}

impl Running {
    /// Hands on what it says until it ends. When `halt` comes first, it is asked to end, and killed after its grace; what
    /// it says meanwhile is handed on as well.
    ///
    /// # Errors
    /// When the engine goes away meanwhile.
    pub async fn to_its_end<W>(
        &mut self,
        mut heard: impl FnMut(Chunk),
        halt: impl Future<Output = Halt<W>>,
    ) -> Result<(End, Option<W>), EngineError> {
        let Self {
            engine,
            id,
            name,
            grace,
            said,
        } = self;
        let ended = wait(engine, id, name);
        let stopped = async {
            let Halt { why, grace: given } = halt.await;
            let done = engine.stop(id, name, given.unwrap_or(*grace)).await;
            (why, done)
        };
        let (mut ended, mut stopped) = (std::pin::pin!(ended.fuse()), std::pin::pin!(stopped.fuse()));
        let (mut end, mut why) = (None, None);
        let mut silent = false;
        // It is over when it has ended and all that it said was heard.
        while end.is_none() || !silent {
            tokio::select! {
                piece = said.next(), if !silent => match piece {
                    Some(Ok(piece)) => heard(piece),
                    // Whether it goes on says the engine, not the silence.
                    Some(Err(_)) | None => silent = true,
                },
                found = &mut ended, if end.is_none() => end = Some(found?),
                (reason, done) = &mut stopped, if end.is_none() && why.is_none() => {
                    done?;
                    why = Some(reason);
                }
            }
        }
        let mut end = end.unwrap_or_default();
        end.killed = why.is_some() && end.code == KILLED;
        Ok((end, why))
    }

    /// Takes its files at `path`: [`Engine::take_out`].
    ///
    /// # Errors
    /// When the engine does not give them, or they cannot be written.
    pub async fn take_out(&self, path: &str, folder: &Path, most: u64) -> Result<TakenOut, EngineError> {
        self.engine.take_out(&self.id, path, folder, most).await
    }

    /// Removes it, killing it where it still runs.
    ///
    /// # Errors
    /// When the engine does not do it.
    pub async fn remove(self) -> Result<(), EngineError> {
        self.engine.remove(&self.id, &self.name).await
    }
}

impl std::fmt::Debug for Running {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Running")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

/// Comes back with how it ended.
async fn wait(engine: &Engine, id: &str, name: &str) -> Result<End, EngineError> {
    loop {
        let options = WaitContainerOptionsBuilder::default()
            .condition("not-running")
            .build();
        let docker = engine.docker.clone().with_timeout(LONG);
        let mut ends = std::pin::pin!(docker.wait_container(id, Some(options)));
        // A code that is not 0 comes as an error here; the container itself says it better.
        let _ = ends.next().await;
        let found = engine
            .docker
            .inspect_container(id, None::<InspectContainerOptions>)
            .await;
        let state = found
            .map_err(engine.failed(format!("show {name}")))?
            .state
            .unwrap_or_default();
        if !matches!(
            state.status,
            Some(ContainerStateStatusEnum::RUNNING | ContainerStateStatusEnum::PAUSED)
        ) {
            return Ok(End {
                code: state.exit_code.unwrap_or_default(),
                out_of_memory: state.oom_killed.unwrap_or(false),
                killed: false,
                error: state.error.unwrap_or_default(),
            });
        }
    }
}

/// What is gone, stopped or being removed already needs no second time.
fn absent_is_well(done: Result<(), EngineError>) -> Result<(), EngineError> {
    match done {
        Err(error) if matches!(error.status(), Some(304 | 404)) => Ok(()),
        Err(error) if error.status() == Some(409) && error.message().contains("already in progress") => {
            Ok(())
        }
        done => done,
    }
}

fn io(doing: impl Into<String>) -> impl FnOnce(std::io::Error) -> EngineError {
    let doing = doing.into();
    move |source| EngineError::Io { doing, source }
}

/// Pieces that arrive, read as one.
struct Pieces {
    from: mpsc::Receiver<Bytes>,
    rest: Bytes,
}

impl Pieces {
    fn new(from: mpsc::Receiver<Bytes>) -> Self {
        Self {
            from,
            rest: Bytes::new(),
        }
    }
}

impl std::io::Read for Pieces {
    fn read(&mut self, to: &mut [u8]) -> std::io::Result<usize> {
        while self.rest.is_empty() {
            match self.from.blocking_recv() {
                Some(piece) => self.rest = piece,
                None => return Ok(0),
            }
        }
        let count = self.rest.len().min(to.len());
        to[..count].copy_from_slice(&self.rest.split_to(count));
        Ok(count)
    }
}
