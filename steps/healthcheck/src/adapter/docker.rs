use std::time::Duration;

use futures::future::join_all;
use pilotage_check::{Expectation, NoAnswer, Observation, judge};
use pilotage_config::Target;
use pilotage_engine::{Engine, EngineError};
use pilotage_name::ServiceKey;
use pilotage_place::Around;
use tokio::time::Instant;

/// The containers that serve, found by their labels at each try.
#[derive(Debug)]
pub(crate) struct Instances {
    engine: Engine,
    key: ServiceKey,
}

impl Instances {
    /// Whether a service runs in containers that can be entered.
    pub(crate) fn are_in(around: &Around) -> bool {
        matches!(around.target, Target::Docker(_))
    }

    /// Those of a service; nothing where it does not run in any.
    ///
    /// # Errors
    /// When the engine does not answer.
    pub(crate) async fn connect(around: &Around) -> Result<Option<Self>, EngineError> {
        let Target::Docker(target) = &around.target else {
            return Ok(None);
        };
        let engine = Engine::connect(target).await?;
        let key = around.key.clone();
        Ok(Some(Self { engine, key }))
    }

    /// Runs a command in each, and tells the one that is not well, if there is one.
    pub(crate) async fn execute(&self, command: &[String], limit: Duration) -> Observation {
        let began = Instant::now();
        let silent = |cause, detail| Observation::NoAnswer {
            cause,
            detail,
            elapsed: began.elapsed(),
        };
        let serving = match tokio::time::timeout(limit, self.engine.serving(&self.key)).await {
            Ok(Ok(serving)) => serving,
            Ok(Err(error)) => return silent(NoAnswer::Unreachable, error.to_string()),
            Err(_) => return silent(NoAnswer::Timeout, "the engine does not answer".to_owned()),
        };
        let left = limit.saturating_sub(began.elapsed());
        let tries = serving.iter().map(|id| self.engine.try_in(id, command, left));
        let mut seen = join_all(tries).await;
        let bad = seen
            .iter()
            .position(|seen| !judge(&Expectation::Exit, seen).is_good());
        match bad {
            Some(bad) => seen.swap_remove(bad),
            None => seen
                .pop()
                .unwrap_or_else(|| silent(NoAnswer::NotRunning, format!("no instance of {} runs", self.key))),
        }
    }
}
