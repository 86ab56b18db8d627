use std::fmt;

use pilotage_outcome::{Fault, Signal};
use tokio::sync::watch;

/// Why a step is asked to stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CancelReason {
    /// A signal came.
    Signal(Signal),
    /// The deadline of the step has come.
    Deadline,
}

impl fmt::Display for CancelReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Signal(signal) => signal.fmt(f),
            Self::Deadline => f.write_str("the deadline"),
        }
    }
}

/// Tells a step that it should stop: it then has a bounded time to leave things in order and to return. Cheap to
/// clone.
#[derive(Clone, Debug)]
pub struct Cancel(watch::Receiver<Option<CancelReason>>);

/// Asks everyone who holds the matching [`Cancel`] to stop.
#[derive(Clone, Debug)]
pub struct CancelHandle(watch::Sender<Option<CancelReason>>);

impl Cancel {
    /// A pair that nothing else holds; for the frame and for tests.
    #[must_use]
    pub fn pair() -> (CancelHandle, Self) {
        let (sender, receiver) = watch::channel(None);
        (CancelHandle(sender), Self(receiver))
    }

    /// One that never comes.
    #[must_use]
    pub fn never() -> Self {
        Self::pair().1
    }

    /// Waits until the step should stop. Dropping the future changes nothing, so it fits into `select!`.
    pub async fn cancelled(&self) -> CancelReason {
        let mut receiver = self.0.clone();
        match receiver.wait_for(Option::is_some).await {
            Ok(reason) => match *reason {
                Some(reason) => reason,
                None => std::future::pending().await,
            },
            // The handle is gone: nobody can ask any more.
            Err(_) => std::future::pending().await,
        }
    }

    /// Whether the step should stop; for code that cannot wait.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        self.reason().is_some()
    }

    /// Why the step should stop, if it should.
    #[must_use]
    pub fn reason(&self) -> Option<CancelReason> {
        *self.0.borrow()
    }

    /// Stops here when the step should stop.
    ///
    /// # Errors
    ///
    /// A fault of class cancelled, from which the frame makes exit 5, 130 or 143.
    pub fn check(&self) -> Result<(), Fault> {
        match self.reason() {
            None => Ok(()),
            Some(reason) => Err(stopped(reason)),
        }
    }

    /// Runs `work` to its end, or drops it when the step should stop.
    ///
    /// # Errors
    ///
    /// As [`Cancel::check`].
    pub async fn run<T>(&self, work: impl Future<Output = T>) -> Result<T, Fault> {
        tokio::select! {
            biased;
            reason = self.cancelled() => Err(stopped(reason)),
            value = work => Ok(value),
        }
    }
}

fn stopped(reason: CancelReason) -> Fault {
    Fault::cancelled(match reason {
        CancelReason::Signal(signal) => format!("stopped by {signal}"),
        CancelReason::Deadline => "the deadline came before the end".to_owned(),
    })
}

impl CancelHandle {
    /// Asks to stop; the first reason stays.
    pub fn cancel(&self, reason: CancelReason) {
        self.0.send_if_modified(|now| {
            let first = now.is_none();
            if first {
                *now = Some(reason);
            }
            first
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_first_reason_stays_and_work_is_dropped() {
        let (handle, cancel) = Cancel::pair();
        assert!(cancel.check().is_ok());
        assert_eq!(cancel.run(async { 7 }).await.unwrap(), 7);
        handle.cancel(CancelReason::Deadline);
        handle.cancel(CancelReason::Signal(Signal::Terminate));
        assert_eq!(cancel.cancelled().await, CancelReason::Deadline);
        let fault = cancel.run(std::future::pending::<()>()).await.unwrap_err();
        assert_eq!(fault.message, "the deadline came before the end");
    }

    #[test]
    fn a_handle_that_is_gone_asks_nothing() {
        assert!(!Cancel::never().is_cancelled());
    }
}
