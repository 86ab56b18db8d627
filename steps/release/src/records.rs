//! The repository and its ledger for a release that goes on: calls that block are made on threads of their own, and what
//! the network drops is asked again for a while.

use std::sync::{Arc, Mutex, PoisonError};

use pilotage_command_line::CommandLines;
use pilotage_decision::Desk;
use pilotage_decision::fault::of_ledger;
use pilotage_ledger::{Append, Finished, Lease, LedgerError, Standing, Undone};
use pilotage_name::{CommitId, CommitPrefix};
use pilotage_outcome::Fault;
use pilotage_quantity::Duration;
use pilotage_retry::{Limits, RetryPolicy, Retryable, Waits, retry};
use pilotage_step::Cancel;

/// How long a write is tried again while nothing presses.
const PATIENT: Duration = Duration::from_secs(60);
/// How long it is tried again when the step was asked to stop; within its clean-up.
const PRESSED: Duration = Duration::from_secs(4);

/// The desk, shared by the releases of one process.
#[derive(Clone, Debug)]
pub struct Records {
    desk: Arc<Mutex<Desk>>,
    commands: CommandLines,
}

impl Records {
    /// Shares a desk.
    #[must_use]
    pub fn new(desk: Desk) -> Self {
        Self {
            commands: desk.command_lines(),
            desk: Arc::new(Mutex::new(desk)),
        }
    }

    /// The commands about the repository that messages tell people to type.
    #[must_use]
    pub fn command_lines(&self) -> &CommandLines {
        &self.commands
    }

    /// The commit that somebody asked for, where they did.
    ///
    /// # Errors
    /// The digits that were given mean no commit, or several.
    pub async fn asked(&self, commit: Option<CommitPrefix>) -> Result<Option<CommitId>, Fault> {
        if commit.is_none() {
            return Ok(None);
        }
        self.with(move |desk| desk.asked(commit.as_ref()).map_err(Fault::from))
            .await
    }

    /// Does something at the desk, on a thread that may block.
    ///
    /// # Errors
    /// What it says.
    pub async fn with<T, F>(&self, work: F) -> Result<T, Fault>
    where
        T: Send + 'static,
        F: FnOnce(&mut Desk) -> Result<T, Fault> + Send + 'static,
    {
        let desk = Arc::clone(&self.desk);
        let done = tokio::task::spawn_blocking(move || {
            work(&mut desk.lock().unwrap_or_else(PoisonError::into_inner))
        });
        done.await
            .unwrap_or_else(|error| Err(Fault::internal("work at the repository broke off").caused_by(error)))
    }

    /// Whether a lease still holds.
    ///
    /// # Errors
    /// Nobody could be asked; that is no leave to go on.
    pub async fn verify(&self, lease: &Lease, cancel: &Cancel) -> Result<Standing, Fault> {
        let lease = lease.clone();
        self.patiently(cancel, move |desk| desk.ledger().verify(&lease))
            .await
    }

    /// Writes that a release switched back. An earlier try whose reply was lost counts.
    ///
    /// # Errors
    /// It could not be written.
    pub async fn undone(&self, lease: &Lease, undone: Undone, cancel: &Cancel) -> Result<Append, Fault> {
        let lease = lease.clone();
        self.patiently(cancel, move |desk| {
            let answer = desk.ledger().undone(&lease, undone.clone())?;
            let Append::Lost { .. } = &answer else {
                return Ok(answer);
            };
            let chain = desk
                .ledger()
                .known_release(&lease.release.environment, &lease.release.service)?;
            let ours = chain
                .state()
                .running
                .as_ref()
                .filter(|running| running.id == lease.release);
            Ok(
                match (ours.and_then(|running| running.undone.as_ref()), &chain.tip) {
                    (Some((_, written)), Some(tip)) if *written == undone => Append::Done(Lease {
                        tip: tip.clone(),
                        ..lease.clone()
                    }),
                    _ => answer,
                },
            )
        })
        .await
    }

    /// Writes the end of a release.
    ///
    /// # Errors
    /// It could not be written.
    pub async fn finish(&self, lease: &Lease, finished: Finished, cancel: &Cancel) -> Result<Append, Fault> {
        let lease = lease.clone();
        self.patiently(cancel, move |desk| desk.ledger().finish(&lease, finished.clone()))
            .await
    }

    /// Whether the release that came in between is of a newer commit.
    pub async fn overtaken(&self, lease: &Lease, commit: &CommitId) -> bool {
        let (lease, commit) = (lease.clone(), commit.clone());
        let newer = self.with(move |desk| {
            let id = &lease.release;
            let chain = desk
                .ledger()
                .known_release(&id.environment, &id.service)
                .map_err(of_ledger)?;
            let state = chain.state();
            let newest = state
                .running
                .as_ref()
                .or(state.last())
                .map(|release| release.begun.commit.clone());
            let Some(newest) = newest.filter(|newest| *newest != commit) else {
                return Ok(false);
            };
            Ok(desk.cache().has_commit(&newest)
                && desk.cache().is_ancestor(&commit, &newest).unwrap_or(false))
        });
        newer.await.unwrap_or(false)
    }

    async fn patiently<T, F>(&self, cancel: &Cancel, work: F) -> Result<T, Fault>
    where
        T: Send + 'static,
        F: Fn(&mut Desk) -> Result<T, LedgerError> + Clone + Send + 'static,
    {
        let elapsed = if cancel.is_cancelled() { PRESSED } else { PATIENT };
        let waits = Waits {
            initial: Duration::from_millis(200),
            factor: 2.0,
            cap: Duration::from_secs(5),
            jitter: 0.3,
        };
        let policy = RetryPolicy::new(
            waits,
            Limits {
                elapsed: Some(elapsed),
                tries: None,
            },
        )
        .map_err(|error| Fault::internal(error.to_string()))?;
        let again = |error: &TryError| match error {
            TryError::Ledger(LedgerError::Git(error)) if error.is_transient() => Retryable::Yes,
            TryError::Ledger(LedgerError::Unsettled { .. } | LedgerError::Contended { .. }) => Retryable::Yes,
            TryError::Ledger(_) | TryError::Fault(_) => Retryable::No,
        };
        let tries = retry(&policy, again, async |_| {
            let work = work.clone();
            match self.with(move |desk| Ok(work(desk))).await {
                Ok(Ok(value)) => Ok(value),
                Ok(Err(error)) => Err(TryError::Ledger(error)),
                Err(fault) => Err(TryError::Fault(fault)),
            }
        });
        // A release that is asked to stop while the network is away stops waiting for it.
        let result = match cancel.is_cancelled() {
            true => tries.await,
            false => {
                let cut = async {
                    cancel.cancelled().await;
                    tokio::time::sleep(PRESSED.as_std()).await;
                };
                tokio::select! {
                    biased;
                    result = tries => result,
                    () = cut => return Err(Fault::unavailable("the ledger did not answer before the release had to stop")),
                }
            }
        };
        result.map_err(|gave_up| match gave_up.into_last() {
            TryError::Ledger(error) => of_ledger(error),
            TryError::Fault(fault) => fault,
        })
    }
}

enum TryError {
    Ledger(LedgerError),
    Fault(Fault),
}
