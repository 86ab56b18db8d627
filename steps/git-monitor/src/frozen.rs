//! What people are told of an environment as a whole: that it froze, and that a person let it go on.

use pilotage_command_line::CommandLines;
use pilotage_config::Config;
use pilotage_decision::Still;
use pilotage_ledger::EnvironmentRecord;
use pilotage_message::{Event, Message};
use pilotage_name::EnvironmentName;

use crate::voice::{Saying, Telling};

/// What is to be told of an environment and was not yet.
#[must_use]
pub(crate) fn untold(
    config: &Config,
    commands: &CommandLines,
    environment: &EnvironmentName,
    record: &EnvironmentRecord,
) -> Option<Saying> {
    if !record.untold {
        return None;
    }
    let of = |event| Message::new(event, config.project.clone(), environment.clone());
    let (at, headline, message) = match (&record.frozen, &record.accepted_push) {
        (Some(frozen), _) => {
            let known = config.environment(environment);
            let still = known.and_then(|known| Still::of(known, record, frozen.now.as_ref(), commands));
            (
                frozen.since,
                format!("{environment} is frozen: {}", frozen.reason),
                Message {
                    commit: frozen.now.clone(),
                    reasons: vec![frozen.reason.clone()],
                    satisfy: still.into_iter().map(|still| still.needs).collect(),
                    ..of(Event::Frozen)
                },
            )
        }
        (None, Some(push)) => (
            push.at,
            format!("{environment} is no longer frozen: {} ({})", push.reason, push.by),
            Message {
                commit: Some(push.now.clone()),
                reasons: vec![format!("{} accepted it: {}", push.by, push.reason)],
                ..of(Event::Thawed)
            },
        ),
        (None, None) => return None,
    };
    Some(Saying {
        telling: Telling {
            environment: environment.clone(),
            service: None,
            at,
        },
        headline,
        message,
    })
}
