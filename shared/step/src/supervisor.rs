use std::time::Duration;

use pilotage_outcome::Signal;
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

use crate::{CancelHandle, CancelReason};

/// How long the frame waits for a step that is stopped by force to let go.
const LET_GO: Duration = Duration::from_millis(500);

/// Watches over one run: asks it to stop when the deadline or a signal comes, stops it by force when it does not stop
/// within `cleanup` or when a further signal comes.
pub(crate) struct Supervisor {
    pub(crate) signals: mpsc::UnboundedReceiver<Signal>,
    pub(crate) deadline: Option<Instant>,
    pub(crate) cleanup: Duration,
    pub(crate) cancel: CancelHandle,
    /// Tells the frame to drop the run.
    pub(crate) force: oneshot::Sender<CancelReason>,
    /// Resolves when the run is over.
    pub(crate) over: oneshot::Receiver<()>,
}

/// How the watch ended.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Watch {
    /// The run is over.
    Over,
    /// The run holds its thread and does not even let itself be dropped.
    Stuck(CancelReason),
}

impl Supervisor {
    /// Watches until the run is over, and gives back the signals for whoever listens afterwards.
    pub(crate) async fn watch(mut self) -> (Watch, mpsc::UnboundedReceiver<Signal>) {
        let watch = Self::stages(
            &mut self.signals,
            self.deadline,
            self.cleanup,
            &self.cancel,
            self.force,
            &mut self.over,
        );
        (watch.await, self.signals)
    }

    async fn stages(
        signals: &mut mpsc::UnboundedReceiver<Signal>,
        deadline: Option<Instant>,
        cleanup: Duration,
        cancel: &CancelHandle,
        force: oneshot::Sender<CancelReason>,
        over: &mut oneshot::Receiver<()>,
    ) -> Watch {
        let reason = tokio::select! {
            biased;
            _ = &mut *over => return Watch::Over,
            signal = next(signals) => CancelReason::Signal(signal),
            () = until(deadline) => CancelReason::Deadline,
        };
        cancel.cancel(reason);
        let reason = tokio::select! {
            biased;
            _ = &mut *over => return Watch::Over,
            signal = next(signals) => match reason {
                CancelReason::Deadline => CancelReason::Signal(signal),
                first => first,
            },
            () = tokio::time::sleep(cleanup) => reason,
        };
        if force.send(reason).is_err() {
            return Watch::Over;
        }
        tokio::select! {
            biased;
            _ = &mut *over => Watch::Over,
            () = tokio::time::sleep(LET_GO) => Watch::Stuck(reason),
        }
    }
}

/// The next signal; never, when no more can come.
pub(crate) async fn next(signals: &mut mpsc::UnboundedReceiver<Signal>) -> Signal {
    match signals.recv().await {
        Some(signal) => signal,
        None => std::future::pending().await,
    }
}

/// Waits for the deadline; forever, when there is none.
pub(crate) async fn until(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Cancel;

    struct World {
        send: mpsc::UnboundedSender<Signal>,
        cancel: Cancel,
        forced: oneshot::Receiver<CancelReason>,
        over: oneshot::Sender<()>,
        watch: tokio::task::JoinHandle<(Watch, mpsc::UnboundedReceiver<Signal>)>,
    }

    fn world(deadline: Option<Duration>, cleanup: Duration) -> World {
        let (send, signals) = mpsc::unbounded_channel();
        let (handle, cancel) = Cancel::pair();
        let (force, forced) = oneshot::channel();
        let (over, is_over) = oneshot::channel();
        let supervisor = Supervisor {
            signals,
            deadline: deadline.map(|after| Instant::now() + after),
            cleanup,
            cancel: handle,
            force,
            over: is_over,
        };
        let watch = tokio::spawn(supervisor.watch());
        World {
            send,
            cancel,
            forced,
            over,
            watch,
        }
    }

    const LONG: Duration = Duration::from_secs(3600);

    #[tokio::test]
    async fn a_run_that_ends_by_itself_is_left_alone() {
        let world = world(Some(LONG), LONG);
        world.over.send(()).unwrap();
        assert_eq!(world.watch.await.unwrap().0, Watch::Over);
        assert!(!world.cancel.is_cancelled());
    }

    #[tokio::test]
    async fn a_second_signal_does_not_wait_for_the_clean_up() {
        let world = world(None, LONG);
        world.send.send(Signal::Terminate).unwrap();
        let terminated = CancelReason::Signal(Signal::Terminate);
        assert_eq!(world.cancel.cancelled().await, terminated);
        world.send.send(Signal::Interrupt).unwrap();
        assert_eq!(
            world.forced.await.unwrap(),
            terminated,
            "the first signal says why"
        );
        drop(world.over);
        assert_eq!(world.watch.await.unwrap().0, Watch::Over);
    }

    #[tokio::test]
    async fn a_run_that_neither_stops_nor_lets_go_is_stuck() {
        let world = world(Some(Duration::ZERO), Duration::ZERO);
        let _keep = (&world.forced, &world.over);
        assert_eq!(world.watch.await.unwrap().0, Watch::Stuck(CancelReason::Deadline));
        assert_eq!(world.cancel.reason(), Some(CancelReason::Deadline));
    }
}
