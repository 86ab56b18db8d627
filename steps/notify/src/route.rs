//! Who hears of it: pure, from the descriptor, the configuration and what was asked for by hand.

use std::collections::BTreeSet;

use pilotage_config::{Config, NotifyEvent, NotifyRoute};
use pilotage_descriptor::Descriptor;
use pilotage_message::{Event, Message};
use pilotage_name::EnvironmentName;

use crate::accountable::{accountable, allowed};
use crate::destination::Destination;

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
mod tests;
