//! Who hears of it: pure, from the descriptor, the configuration and what was asked for by hand.

use std::collections::BTreeSet;

use pilotage_config::{Config, Mail, NotifyEvent, NotifyRoute, is_forge_address};
use pilotage_descriptor::Descriptor;
use pilotage_message::{Event, Message};
use pilotage_name::EnvironmentName;

use crate::mail::is_mailable;

/// Where one message goes.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Destination {
    /// This process's standard output.
    Console,
    /// A Slack channel by name (`#shop`), or a conversation or member by id.
    Slack(String),
    /// The channel behind the incoming webhook.
    Webhook,
    /// A mail address.
    Email(String),
}

impl std::fmt::Display for Destination {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Console => f.write_str("console"),
            Self::Slack(channel) => write!(f, "slack {channel}"),
            Self::Webhook => f.write_str("slack webhook"),
            Self::Email(address) => write!(f, "email {address}"),
        }
    }
}

/// What decides who hears of an event.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sources<'a> {
    /// Asked for by hand: these and no others.
    pub(crate) asked: &'a [Destination],
    /// The service's own wishes.
    pub(crate) descriptor: Option<&'a Descriptor>,
    /// The routes of everywhere and of the environment.
    pub(crate) config: Option<&'a Config>,
    /// Which environment.
    pub(crate) environment: &'a EnvironmentName,
    /// How Slack can be reached.
    pub(crate) slack: SlackAccess,
    /// What there is to tell: it names the people to mail.
    pub(crate) message: &'a Message,
}

/// How Slack can be reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SlackAccess {
    /// By an app's token, in every channel it was invited to.
    Token,
    /// By an incoming webhook, which leads to one channel chosen when it was made.
    Webhook,
    /// Not at all.
    None,
}

/// The destinations of an event, each once, in the order they were named. Where nobody is named at all it is the console,
/// so that the step is of use without any configuration; where routes exist and none wants this event, it is nobody.
#[must_use]
pub(crate) fn destinations(event: Event, sources: &Sources<'_>) -> Vec<Destination> {
    if !sources.asked.is_empty() {
        return unique(
            sources
                .asked
                .iter()
                .cloned()
                .map(|destination| reached(destination, sources.slack)),
        );
    }
    let environment = sources
        .config
        .and_then(|config| config.environment(sources.environment));
    let routes = [
        sources.config.map(|config| &config.notify),
        environment.map(|environment| &environment.notify),
    ];
    let mut named = Vec::new();
    let mut any = false;
    if let Some(descriptor) = sources.descriptor {
        any |= !(descriptor.notify.slack.is_empty() && descriptor.notify.email.is_empty());
        named.extend(descriptor.notify.slack.iter().cloned().map(Destination::Slack));
        named.extend(
            descriptor
                .notify
                .email
                .iter()
                .filter(|address| allowed(address, sources.config))
                .cloned()
                .map(Destination::Email),
        );
    }
    for routes in routes.into_iter().flatten() {
        any |= !(routes.slack.is_empty() && routes.email.is_empty());
        named.extend(wanting(event, &routes.slack).map(Destination::Slack));
        named.extend(wanting(event, &routes.email).map(Destination::Email));
    }
    if !any {
        // A webhook names its channel itself.
        named.push(match sources.slack {
            SlackAccess::Webhook => Destination::Webhook,
            SlackAccess::Token | SlackAccess::None => Destination::Console,
        });
    }
    named.extend(accountable(event, sources).map(Destination::Email));
    unique(
        named
            .into_iter()
            .map(|destination| reached(destination, sources.slack)),
    )
}

/// Everybody whom any event of an environment, or of all of them, may reach by a route, each once.
pub(crate) fn everybody(
    descriptor: Option<&Descriptor>,
    config: Option<&Config>,
    environment: Option<&EnvironmentName>,
) -> Vec<Destination> {
    let mut named = Vec::new();
    if let Some(descriptor) = descriptor {
        named.extend(descriptor.notify.slack.iter().cloned().map(Destination::Slack));
        named.extend(descriptor.notify.email.iter().cloned().map(Destination::Email));
    }
    let environments = config.into_iter().flat_map(|config| &config.environments);
    let routes = config.map(|config| &config.notify).into_iter().chain(
        environments
            .filter(|known| environment.is_none_or(|asked| known.name == *asked))
            .map(|known| &known.notify),
    );
    for routes in routes {
        let to = |routes: &[NotifyRoute]| -> Vec<String> {
            routes.iter().flat_map(|route| route.to.iter().cloned()).collect()
        };
        named.extend(to(&routes.slack).into_iter().map(Destination::Slack));
        named.extend(to(&routes.email).into_iter().map(Destination::Email));
    }
    unique(named.into_iter())
}

/// Who is told of bad news wherever it is told: who brought the change, and whom the descriptor names. Only where there is
/// mail at all.
fn accountable<'a>(event: Event, sources: &Sources<'a>) -> impl Iterator<Item = String> + use<'a> {
    let config = sources.config;
    let bad = matches!(event, Event::Failed | Event::Refused) && config.is_some_and(|it| it.mail.is_some());
    let people = [sources.message.brought_by(), sources.message.maintainer.as_ref()];
    let of_descriptor = sources
        .descriptor
        .and_then(|descriptor| descriptor.maintainer.as_ref())
        .map(|maintainer| &maintainer.email);
    people
        .into_iter()
        .flatten()
        .filter_map(|who| who.email.as_ref())
        .chain(of_descriptor)
        .filter(move |address| {
            bad && is_mailable(address)
                && !is_forge_address(address)
                && !silent(address)
                && allowed(address, config)
        })
        .cloned()
}

/// An address behind which nobody reads, such as `1234+ana@users.noreply.github.com`.
fn silent(address: &str) -> bool {
    address.rsplit_once('@').is_some_and(|(_, domain)| {
        domain
            .split('.')
            .any(|label| label.eq_ignore_ascii_case("noreply"))
    })
}

/// Whether an address that comes from git is mailed: anybody can write any address there.
fn allowed(address: &str, config: Option<&Config>) -> bool {
    let Some((config, mail)) = config.and_then(|config| Some((config, config.mail.as_ref()?))) else {
        return true;
    };
    let known = || {
        let mut emails = config.people.values().flat_map(|person| &person.emails);
        emails.any(|known| known.eq_ignore_ascii_case(address))
    };
    Mail::reaches(mail, address) || known()
}

/// The word in pilotage.yaml for those who want to hear of an event. Whoever wants to know of failures also wants to know
/// of a release that was ended from outside; where nothing is released, every change waits.
#[must_use]
pub(crate) const fn heard_as(event: Event) -> NotifyEvent {
    match event {
        Event::Started => NotifyEvent::Started,
        Event::Succeeded => NotifyEvent::Succeeded,
        Event::Failed | Event::Cancelled => NotifyEvent::Failed,
        Event::Refused => NotifyEvent::Refused,
        Event::Waiting | Event::Frozen | Event::Thawed => NotifyEvent::Waiting,
    }
}

fn wanting(event: Event, routes: &[NotifyRoute]) -> impl Iterator<Item = String> {
    routes
        .iter()
        .filter(move |route| route.events.is_empty() || route.events.contains(&heard_as(event)))
        .flat_map(|route| route.to.iter().cloned())
}

/// All channels are one behind a webhook.
fn reached(destination: Destination, slack: SlackAccess) -> Destination {
    match destination {
        Destination::Slack(_) if slack == SlackAccess::Webhook => Destination::Webhook,
        other => other,
    }
}

fn unique(destinations: impl Iterator<Item = Destination>) -> Vec<Destination> {
    let mut seen = BTreeSet::new();
    destinations
        .filter(|destination| {
            seen.insert(match destination {
                // Slack takes a name with and without its sign; ids are upper-case and are no names.
                Destination::Slack(channel) => Destination::Slack(channel.trim_start_matches('#').to_owned()),
                Destination::Email(address) => Destination::Email(address.to_ascii_lowercase()),
                other => other.clone(),
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use pilotage_diagnostic::Source;

    use super::*;

    fn config(text: &str) -> Config {
        let head = "apiVersion: pilotage/v1\nproject: acme\ntargets: {here: {process: {state: /s, command: [x], artifact: /a, listen: \"127.0.0.1:1\"}}}\n";
        let (config, problems) =
            pilotage_config::parse(&Source::new("pilotage.yaml", format!("{head}{text}")));
        config.unwrap_or_else(|| panic!("{:?}", problems.to_data()))
    }

    fn descriptor(notify: &str) -> Descriptor {
        let text = format!("version: \"1.0.0\"\nimage: shop\nnotify: {notify}\n");
        pilotage_descriptor::parse(&Source::new("shop.yaml", text))
            .resolve(&"qa".parse().unwrap())
            .unwrap()
    }

    fn message() -> Message {
        serde_json::from_value(serde_json::json!({
            "schema": "notify-message/v1", "project": "acme", "environment": "qa",
            "committer": {"name": "Ana", "email": "ana@example.com"},
            "maintainer": {"name": "Shop", "email": "shop@example.com"},
        }))
        .unwrap()
    }

    fn told(
        event: Event,
        descriptor: Option<&Descriptor>,
        config: Option<&Config>,
        slack: SlackAccess,
    ) -> String {
        told_of(&message(), event, descriptor, config, slack)
    }

    fn told_of(
        message: &Message,
        event: Event,
        descriptor: Option<&Descriptor>,
        config: Option<&Config>,
        slack: SlackAccess,
    ) -> String {
        let environment = "qa".parse().unwrap();
        let sources = Sources {
            asked: &[],
            descriptor,
            config,
            environment: &environment,
            slack,
            message,
        };
        let all: Vec<String> = destinations(event, &sources)
            .iter()
            .map(ToString::to_string)
            .collect();
        all.join(", ")
    }

    #[test]
    fn service_everywhere_and_environment_are_heard_each_channel_once() {
        let config = config(
            "notify: {slack: [\"#releases\", {to: [\"#alarm\"], events: [failed, refused]}]}\n\
             environments: {qa: {target: here, notify: {slack: [shop], email: [Qa@example.com]}}, prod: {target: here, notify: {slack: [\"#prod\"]}}}\n",
        );
        let descriptor = descriptor("{slack: [\"#shop\"], email: [qa@example.com]}");
        let (descriptor, config) = (Some(&descriptor), Some(&config));
        let token = SlackAccess::Token;
        assert_eq!(
            told(Event::Started, descriptor, config, token),
            "slack #shop, email qa@example.com, slack #releases"
        );
        assert_eq!(
            told(Event::Failed, descriptor, config, token),
            "slack #shop, email qa@example.com, slack #releases, slack #alarm"
        );
        for (event, like) in [
            (Event::Cancelled, Event::Failed),
            (Event::Frozen, Event::Waiting),
            (Event::Thawed, Event::Waiting),
        ] {
            assert_eq!(
                told(event, descriptor, config, token),
                told(like, descriptor, config, token)
            );
        }
        assert_eq!(
            told(Event::Failed, None, config, SlackAccess::Webhook),
            "slack webhook, email Qa@example.com"
        );
    }

    #[test]
    fn where_nobody_is_named_it_is_the_console_and_where_nobody_wants_it_nobody() {
        assert_eq!(told(Event::Started, None, None, SlackAccess::Token), "console");
        assert_eq!(
            told(Event::Started, None, None, SlackAccess::Webhook),
            "slack webhook"
        );
        let config = config(
            "environments: {qa: {target: here, notify: {slack: [{to: [\"#alarm\"], events: [failed]}]}}}\n",
        );
        assert_eq!(told(Event::Started, None, Some(&config), SlackAccess::Token), "");
    }

    #[test]
    fn who_is_asked_for_by_hand_is_told_alone() {
        let descriptor = descriptor("{slack: [\"#shop\"]}");
        let environment = "qa".parse().unwrap();
        let asked = [
            Destination::Console,
            Destination::Slack("#me".to_owned()),
            Destination::Console,
        ];
        let sources = Sources {
            asked: &asked,
            descriptor: Some(&descriptor),
            config: None,
            environment: &environment,
            slack: SlackAccess::Token,
            message: &message(),
        };
        assert_eq!(destinations(Event::Failed, &sources), asked[..2]);
    }

    #[test]
    fn bad_news_is_mailed_to_who_brought_it_and_to_the_maintainer() {
        let with = |domains: &str| {
            config(&format!(
                "mail: {{host: mail.example.com, from: p@example.com, domains: [{domains}]}}\n\
                 people: {{ana: {{emails: [ana@home.example.org]}}}}\n\
                 environments: {{qa: {{target: here, notify: {{slack: [\"#qa\"]}}}}}}\n"
            ))
        };
        let (all, some) = (with(""), with("example.com"));
        let told = |message: &Message, event, config: &Config| {
            told_of(message, event, None, Some(config), SlackAccess::Token)
        };
        let ours = message();
        for event in [Event::Failed, Event::Refused] {
            assert_eq!(
                told(&ours, event, &all),
                "slack #qa, email ana@example.com, email shop@example.com"
            );
        }
        for event in [Event::Started, Event::Succeeded, Event::Waiting, Event::Cancelled] {
            assert_eq!(told(&ours, event, &all), "slack #qa");
        }
        // Whoever can push can write any address into a commit.
        for (address, everywhere, at_home) in [
            ("victim@elsewhere.example", true, false),
            ("ana@home.example.org", true, true),
            ("1+ana@users.noreply.github.com", false, false),
            ("noreply@github.com", false, false),
            ("a@example.com\r\nBcc: b@example.com", false, false),
            ("a@example.com, b@example.com", false, false),
            ("", false, false),
        ] {
            let mut message = message();
            message.maintainer = None;
            message.committer = Some(pilotage_message::Who {
                name: "x".to_owned(),
                email: Some(address.to_owned()),
            });
            for (config, told_there) in [(&all, everywhere), (&some, at_home)] {
                let expected = if told_there {
                    format!("slack #qa, email {address}")
                } else {
                    "slack #qa".to_owned()
                };
                assert_eq!(told(&message, Event::Failed, config), expected, "{address:?}");
            }
        }
    }
}
