use std::net::SocketAddr;
use std::time::Duration;

use pilotage_check::{NoAnswer, Observation};

use crate::{Address, Question};

/// Where are you, and how do you do? Futures are dropped when the wait ends; nothing may go on behind them.
pub trait Probe {
    /// The addresses of a name, in no order that matters; the observation says why there is none.
    fn resolve(
        &self,
        at: &Address,
        limit: Duration,
    ) -> impl Future<Output = Result<Vec<SocketAddr>, Observation>>;

    /// One try at one address, over within `limit`.
    fn ask(&self, question: &Question, to: SocketAddr, limit: Duration) -> impl Future<Output = Observation>;

    /// One run of a program with its arguments within the instance, over within `limit`. Who knows no instance says so.
    fn execute(&self, command: &[String], limit: Duration) -> impl Future<Output = Observation> {
        let _ = (command, limit);
        std::future::ready(Observation::NoAnswer {
            cause: NoAnswer::NotRunning,
            detail: "no instance is known here in which a command could be run".to_owned(),
            elapsed: Duration::ZERO,
        })
    }
}
