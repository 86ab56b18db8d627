use std::time::Duration;

use pilotage_retry::RetryPolicy;
use tokio::time::Instant;

use super::{Arrival, ChannelResult, Sender};
use crate::post::PostOffice;

/// Sends a mail to its one recipient: what the server puts off is tried again within the time.
pub(crate) async fn to_mailbox(
    post: &impl PostOffice,
    channel: &str,
    mail: &lettre::Message,
    policy: &RetryPolicy,
    within: Duration,
) -> ChannelResult {
    let mut sender = Sender {
        policy,
        until: Instant::now() + within,
        attempts: 0,
    };
    let sent = sender.send(true, || post.send(mail)).await;
    let mut result = match sent {
        Ok(()) => ChannelResult::new(channel, Arrival::Sent),
        Err((failure, story)) => {
            let outcome = if failure.maybe_done() {
                Arrival::Unknown
            } else {
                Arrival::Failed
            };
            let mut result = ChannelResult::new(channel, outcome);
            result.error = Some(story);
            result.help = failure.fix().map(str::to_owned);
            result
        }
    };
    result.attempts = sender.attempts;
    result
}
