//! By what a release's message is found again in a channel, whoever looks and wherever they run.

use std::collections::HashMap;

use pilotage_message::Message;
use serde_json::Value;
use slack_morphism::prelude::SlackMessageMetadata;

/// The kind of our marks among the metadata of other apps.
const KIND: &str = "pilotage_release";

/// What a message carries unseen: whose it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Mark {
    project: String,
    release: String,
}

impl Mark {
    /// The mark of a release, or of the one that it repeats; none where no release began.
    #[must_use]
    pub(crate) fn of(message: &Message) -> Option<Self> {
        message.told_as().map(|release| Self {
            project: message.project.to_string(),
            release: release.to_string(),
        })
    }

    /// As Slack keeps it: <https://docs.slack.dev/messaging/message-metadata>.
    #[must_use]
    pub(crate) fn metadata(&self) -> SlackMessageMetadata {
        SlackMessageMetadata::new(KIND.to_owned()).with_event_payload(HashMap::from([
            ("project".to_owned(), self.project.clone()),
            ("release".to_owned(), self.release.clone()),
        ]))
    }

    /// Whether the metadata of a message is this mark.
    #[must_use]
    pub(crate) fn is_on(&self, metadata: &Value) -> bool {
        metadata["event_type"] == KIND
            && metadata["event_payload"]["project"] == self.project.as_str()
            && metadata["event_payload"]["release"] == self.release.as_str()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_is_known_again_and_no_other_is() {
        let mark = |project: &str, release: &str| Mark {
            project: project.to_owned(),
            release: release.to_owned(),
        };
        let ours = mark("acme", "qa.shop.17");
        let kept = serde_json::to_value(ours.metadata()).unwrap();
        assert!(ours.is_on(&kept));
        assert!(!mark("acme", "qa.shop.18").is_on(&kept));
        assert!(!mark("other", "qa.shop.17").is_on(&kept));
        for other in [
            Value::Null,
            serde_json::json!({"event_type": "pilotage_release"}),
            serde_json::json!({"event_type": "task", "event_payload": kept["event_payload"]}),
        ] {
            assert!(!ours.is_on(&other), "{other}");
        }
    }
}
