//! One service on an engine: its objects, and who may change them.

use std::collections::BTreeMap;
use std::time::Duration;

use bollard::query_parameters::{InspectContainerOptions, ListContainersOptionsBuilder};
use futures::future::try_join_all;
use pilotage_clock::Clock;
use pilotage_config::DockerTarget;
use pilotage_engine::{Engine, EngineError, Holder, Images, Registries, network_of};
use pilotage_name::ServiceKey;
use tokio::sync::Mutex;

use super::adopt::Adopted;
use super::container::Container;
use super::mark::{Mark, Marks};
use super::network::Network;
use super::reach::Ourselves;
use super::{label, names};
use crate::desired::Labels;
use crate::error::TargetError;
use crate::live::{InstanceId, Replica, State};

/// How long a holder on another machine, or in another container, is believed to live: the longest a deploy takes.
const BELIEVED: Duration = Duration::from_secs(30 * 60);
/// How often a claim is tried again because somebody else was faster.
const RACES: u32 = 5;

/// One service on an engine.
#[derive(Debug)]
pub struct DockerService {
    pub(super) key: ServiceKey,
    pub(super) target: DockerTarget,
    pub(super) engine: Engine,
    pub(super) registries: Registries,
    pub(super) ourselves: Ourselves,
    clock: Clock,
    /// The mark that says that we may change the service.
    held: Mutex<Option<Mark>>,
}

impl DockerService {
    /// The service `key` on the engine of `target`.
    ///
    /// # Errors
    /// When the engine does not answer.
    pub async fn connect(
        target: DockerTarget,
        key: ServiceKey,
        registries: Registries,
        clock: Clock,
    ) -> Result<Self, TargetError> {
        let engine = Engine::connect(&target).await?;
        Ok(Self::on(engine, target, key, registries, clock).await)
    }

    /// The service `key` on an engine that answers.
    pub(super) async fn on(
        engine: Engine,
        target: DockerTarget,
        key: ServiceKey,
        registries: Registries,
        clock: Clock,
    ) -> Self {
        Self {
            ourselves: Ourselves::find(&engine).await,
            key,
            target,
            engine,
            registries,
            clock,
            held: Mutex::new(None),
        }
    }

    pub(super) fn marks(&self) -> Marks<'_> {
        Marks {
            engine: &self.engine,
            key: &self.key,
        }
    }

    pub(super) fn network(&self) -> Network<'_> {
        Network {
            engine: &self.engine,
            key: &self.key,
        }
    }

    pub(super) fn images(&self) -> Images<'_> {
        Images {
            engine: &self.engine,
            registries: &self.registries,
        }
    }

    /// Makes us the one who changes the service. A living holder with a lower fence is superseded: it finds out before
    /// its next effect.
    pub(super) async fn take(&self, labels: &Labels) -> Result<(), TargetError> {
        for _ in 0..RACES {
            let before = self.marks().read().await?.unwrap_or_default();
            check_fence(&before, labels)?;
            let now = self.clock.now();
            if let Some(holder) = before.holder.as_ref().filter(|holder| holder.lives(now)) {
                let who = format!(
                    "another deploy ({}, fence {})",
                    holder.describe(),
                    before.holder_fence
                );
                if before.holder_fence >= labels.fence {
                    return Err(TargetError::Busy { holder: who });
                }
                tracing::warn!("{who} is superseded by this release");
            }
            let mine = Mark {
                holder: Some(Holder::me(now.saturating_add(BELIEVED).unwrap_or(now))),
                holder_fence: labels.fence,
                ..before.clone()
            };
            if let Some(mine) = self.marks().append(before.sequence, mine).await? {
                *self.held.lock().await = Some(mine);
                return Ok(());
            }
        }
        Err(TargetError::Busy {
            holder: "another process".to_owned(),
        })
    }

    /// Lets the next one in.
    pub(super) async fn let_go(&self) {
        let held = self.held.lock().await.clone();
        let Some(held) = held else { return };
        let given_back = self
            .change(|mark| {
                mark.holder = None;
                mark.holder_fence = 0;
            })
            .await;
        if let Err(error) = given_back {
            // Whoever comes next sees that this process is gone.
            tracing::debug!("mark {} is not given back: {error}", held.sequence);
        }
        *self.held.lock().await = None;
    }

    /// The state of the service, when we still are the one who changes it.
    ///
    /// # Errors
    /// When somebody else has taken over.
    pub(super) async fn guard(&self, labels: &Labels) -> Result<Mark, TargetError> {
        let held = self.held.lock().await.clone();
        let now = self.marks().read().await?;
        match (held, now) {
            (Some(held), Some(now)) if held == now => Ok(now),
            (_, Some(now)) => {
                check_fence(&now, labels)?;
                if now.holder_fence > labels.fence {
                    return Err(TargetError::Stale {
                        fence: labels.fence,
                        by: format!("a deploy with fence {}", now.holder_fence),
                    });
                }
                let holder = match &now.holder {
                    Some(holder) => format!("another deploy ({})", holder.describe()),
                    None => "another deploy".to_owned(),
                };
                Err(TargetError::Busy { holder })
            }
            (_, None) => Err(EngineError::Unreadable {
                what: format!("what is remembered of {}", self.key),
                reason: "somebody has removed its volumes meanwhile".to_owned(),
            }
            .into()),
        }
    }

    /// Changes what is remembered of the service, when we still are the one who does.
    ///
    /// # Errors
    /// When somebody else has taken over.
    pub(super) async fn change(&self, how: impl FnOnce(&mut Mark)) -> Result<(), TargetError> {
        let mut held = self.held.lock().await;
        let lost = || TargetError::Busy {
            holder: "another deploy".to_owned(),
        };
        let before = held.clone().ok_or_else(lost)?;
        let mut new = before.clone();
        how(&mut new);
        if new == before {
            return Ok(());
        }
        *held = Some(
            self.marks()
                .append(before.sequence, new)
                .await?
                .ok_or_else(lost)?,
        );
        Ok(())
    }

    /// All replicas of all instances, half made ones included, by rising number.
    pub(super) async fn containers(&self) -> Result<Vec<(Replica, Container)>, TargetError> {
        let filters = label::filter(&label::of_service(&self.key), &[label::INSTANCE]);
        let options = ListContainersOptionsBuilder::default()
            .all(true)
            .filters(&filters)
            .build();
        let listed = self.engine.docker.list_containers(Some(options)).await;
        let listed = listed.map_err(self.engine.failed("list its containers"))?;
        let ids = listed.into_iter().filter_map(|container| container.id);
        let inspected = try_join_all(ids.map(|id| async move { self.inspect(&id).await })).await?;
        let mut found: Vec<(Replica, Container)> = inspected
            .into_iter()
            .flatten()
            .filter_map(|container| Some((label::replica(&container.labels)?, container)))
            .collect();
        for (number, adopted) in self.adopted().await? {
            if let Some(container) = self.inspect(&adopted.id).await? {
                let of = Replica::from(InstanceId(number));
                found.push((of, container.with_labels(adopted.labels.into_iter().collect())));
            }
        }
        found.sort_by_key(|(of, container)| (*of, container.name.clone()));
        Ok(found)
    }

    /// What was adopted, by the number of its instance.
    pub(super) async fn adopted(&self) -> Result<BTreeMap<u64, Adopted>, TargetError> {
        let held = self.held.lock().await.clone();
        let mark = match held {
            Some(held) => Some(held),
            None => self.marks().read().await?,
        };
        Ok(mark.map(|mark| mark.adopted).unwrap_or_default())
    }

    /// The replicas that are meant, whole ones, in their order.
    ///
    /// # Errors
    /// When there are none.
    pub(super) async fn meant(&self, of: Replica) -> Result<Vec<(Replica, Container)>, TargetError> {
        if of.replica.is_some() {
            return Ok(vec![(of, self.container(of).await?)]);
        }
        let mut found = self.containers().await?;
        found.retain(|(replica, container)| {
            replica.instance == of.instance && container.state != State::Partial
        });
        if found.is_empty() {
            return Err(not_there(of));
        }
        Ok(found)
    }

    /// The container of a replica.
    ///
    /// # Errors
    /// When there is none, or it is not ours.
    pub(super) async fn container(&self, of: Replica) -> Result<Container, TargetError> {
        if let Some(adopted) = self.adopted().await?.remove(&of.instance.0) {
            let found = self.inspect(&adopted.id).await?;
            let labels = adopted.labels.into_iter().collect();
            return found
                .map(|container| container.with_labels(labels))
                .ok_or_else(|| not_there(of));
        }
        let name = names::replica(&self.key, of);
        self.ours(&name).await?.ok_or_else(|| not_there(of))
    }

    /// The container of this name; none when there is none.
    ///
    /// # Errors
    /// When it is not ours.
    pub(super) async fn ours(&self, name: &str) -> Result<Option<Container>, TargetError> {
        let found = self.inspect(name).await?;
        match found {
            Some(container) if !label::carries(&container.labels, &label::of_service(&self.key)) => {
                Err(EngineError::Foreign {
                    what: format!("a container {name}"),
                }
                .into())
            }
            found => Ok(found),
        }
    }

    pub(super) async fn inspect(&self, id: &str) -> Result<Option<Container>, EngineError> {
        let inspected = self
            .engine
            .docker
            .inspect_container(id, None::<InspectContainerOptions>)
            .await;
        match inspected.map_err(self.engine.failed(format!("show the container {id}"))) {
            Ok(found) => Ok(Some(Container::read(found, &network_of(&self.key)))),
            Err(error) if error.status() == Some(404) => Ok(None),
            Err(error) => Err(error),
        }
    }
}

fn not_there(of: Replica) -> TargetError {
    TargetError::Instance {
        instance: of.instance,
        reason: "is not there".to_owned(),
    }
}

fn check_fence(mark: &Mark, labels: &Labels) -> Result<(), TargetError> {
    match mark.marker() {
        Some(marker) if marker.fence > labels.fence => Err(TargetError::Stale {
            fence: labels.fence,
            by: marker.to_string(),
        }),
        _ => Ok(()),
    }
}
