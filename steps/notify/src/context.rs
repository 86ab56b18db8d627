use minijinja::value::{Serde, Value};
use pilotage_config::Config;
use pilotage_message::{Event, Message};
use serde::Serialize;

use crate::format::Format;
use crate::mrkdwn;

/// What templates can name: the message with everything spelt out, and whom to mention.
#[derive(Clone, Debug)]
pub(crate) struct Context {
    message: Message,
    member: Option<String>,
}

#[derive(Serialize)]
struct View<'a> {
    #[serde(flatten)]
    message: &'a Message,
    place: String,
    short_commit: Option<&'a str>,
    mention: Value,
}

impl Context {
    /// `config` knows the people.
    #[must_use]
    pub(crate) fn new(event: Event, message: &Message, config: Option<&Config>) -> Self {
        Self {
            message: Message {
                event: Some(event),
                ..message.clone()
            },
            member: config.and_then(|config| member(message, config)),
        }
    }

    /// The values for one format. `mention` calls on who brought the change: in Slack by their member id where it is known,
    /// by name elsewhere.
    pub(crate) fn to_value(&self, format: Format) -> Value {
        let name = self.message.brought_by().map(|who| Value::from(who.name.clone()));
        let member = self
            .member
            .as_deref()
            .filter(|_| format == Format::Slack)
            .and_then(mrkdwn::mention);
        Value::from(Serde(View {
            message: &self.message,
            place: self.message.place(),
            short_commit: self.message.commit.as_ref().map(pilotage_name::CommitId::short),
            mention: member
                .map(Value::from_safe_string)
                .or(name)
                .unwrap_or_else(|| Value::from(())),
        }))
    }
}

/// The Slack member who brought the change, by the mail address of the commit.
fn member(message: &Message, config: &Config) -> Option<String> {
    let email = message.brought_by()?.email.as_deref()?;
    config
        .people
        .values()
        .find(|person| {
            person
                .emails
                .iter()
                .any(|known| known.eq_ignore_ascii_case(email))
        })
        .and_then(|person| person.slack.clone())
}

#[cfg(test)]
impl Context {
    pub(crate) fn with_member(mut self, member: Option<&str>) -> Self {
        self.member = member.map(str::to_owned);
        self
    }
}
