use pilotage_diagnostic::nearest;
use pilotage_yaml::{Decode, DecodeKey, Decoder, Diagnostic, Node, Span, record, words};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Serialize, Serializer};

words! {
    /// Something a channel may hear of.
    pub enum NotifyEvent {
        /// A release began.
        Started = "started",
        /// A release ended well.
        Succeeded = "succeeded",
        /// A release failed.
        Failed = "failed",
        /// A gate refused.
        Refused = "refused",
        /// A gate waits.
        Waiting = "waiting",
    }
}

impl DecodeKey for NotifyEvent {
    fn decode_key(key: &str, span: Span, cx: &mut Decoder) -> Option<Self> {
        if let Ok(event) = key.parse() {
            return Some(event);
        }
        let words: Vec<&str> = Self::ALL.iter().map(|event| event.as_str()).collect();
        let message = format!("there is no event `{}`", pilotage_diagnostic::printable(key));
        let error = Diagnostic::error("unknown-key", message);
        cx.report(match nearest(key, words.iter().copied()) {
            Some(near) => error
                .at(cx.source(), span, format!("did you mean `{near}`?"))
                .help(format!("write `{near}`, or remove the key")),
            None => error
                .at(cx.source(), span, "no such event")
                .help(format!("the events are `{}`", words.join("`, `"))),
        });
        None
    }
}

record! {
    /// Who hears of what. Tokens and webhooks come from the environment of the step, never from here.
    pub struct NotifyRoutes: Eq, Default {
        /// Slack channels: `#releases`, or `{to: ["#releases"], events: [failed]}`.
        pub slack: Vec<NotifyRoute>,
        /// Mail addresses: `ops@example.com`, or `{to: [ops@example.com], events: [failed]}`.
        pub email: Vec<NotifyRoute>,
    }
}

/// Channels and what they are told.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NotifyRoute {
    /// Slack channels or mail addresses.
    pub to: Vec<String>,
    /// What they hear of; everything when empty.
    pub events: Vec<NotifyEvent>,
}

record! {
    /// A route: channels and what they are told.
    struct LongRoute {
        /// Slack channels or mail addresses.
        to: Vec<String>,
        /// What they hear of; everything when empty.
        events: Vec<NotifyEvent>,
    }
}

impl Decode for NotifyRoute {
    fn decode(node: &Node, cx: &mut Decoder) -> Option<Self> {
        if node.scalar().is_some() {
            let to = vec![String::decode(node, cx)?];
            return Some(Self {
                to,
                events: Vec::new(),
            });
        }
        let LongRoute { to, events } = LongRoute::decode(node, cx)?;
        Some(Self { to, events })
    }
}

impl Serialize for NotifyRoute {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let (to, events) = (self.to.clone(), self.events.clone());
        LongRoute { to, events }.serialize(serializer)
    }
}

impl JsonSchema for NotifyRoute {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "NotifyRoute".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "Channels and what they are told.",
            "anyOf": [{"type": "string"}, generator.subschema_for::<LongRoute>()],
        })
    }
}
