use std::net::SocketAddr;
use std::time::Duration;

use pilotage_check::Observation;

use crate::{Address, Question};

/// Where are you, and how do you do? Futures are dropped when the wait ends; nothing may go on behind them.
pub trait Probe: Sync {
    /// The addresses of a name, in no order that matters; the observation says why there is none.
    fn resolve(
        &self,
        at: &Address,
        limit: Duration,
    ) -> impl Future<Output = Result<Vec<SocketAddr>, Observation>> + Send;

    /// One try at one address, over within `limit`.
    fn ask(
        &self,
        question: &Question,
        to: SocketAddr,
        limit: Duration,
    ) -> impl Future<Output = Observation> + Send;
}
