use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::time::Duration;

use futures::future::join_all;
use pilotage_config::Config;
use pilotage_http::{HttpSettings, Proxies, client, root_certificates};
use pilotage_message::{Event, schema};
use pilotage_outcome::{Effects, Fault, StepReport};
use pilotage_retry::{Limits, RetryPolicy, Waits};
use pilotage_step::Context;

use crate::adapter::{Access, SlackApi, Smtp};
use crate::args::Args;
use crate::check::check;
use crate::context::Context as Facts;
use crate::delivery::{Arrival, ChannelResult, OutgoingMessage, to_channel, to_mailbox, to_webhook};
use crate::destination::Destination;
use crate::format::Format;
use crate::input::Input;
use crate::mail::Letter;
use crate::mark::Mark;
use crate::port::Posted;
use crate::report::{about, delivered, planned};
use crate::route::{SlackAccess, Sources, destinations, heard_as};
use crate::state::State;
use crate::template::{TemplateError, Templates};

/// Tells everybody who wants to know.
///
/// # Errors
/// When an input or a template is of no use. A channel that fails is no error; it is in the report.
pub async fn run(args: Args, cx: Context) -> Result<StepReport, Fault> {
    if args.schema {
        let text = serde_json::to_string_pretty(&schema())
            .map_err(|error| Fault::internal("the schema cannot be written").caused_by(error))?;
        return Ok(StepReport::document(text + "\n"));
    }
    if args.check {
        return check(&args, &cx).await;
    }
    let input = Input::read(&args, &cx).await?;
    let event = args.event.or(input.message.event).ok_or_else(|| {
        Fault::usage("neither --event nor the message says what happened").help("give `--event EVENT`")
    })?;
    cx.note(|report| *report = about(report.clone(), &input.message));
    if let (Event::Started, Some(earlier)) = (event, &input.message.repeats) {
        let said = format!(
            "{} started again; people were told by {earlier}",
            input.message.place()
        );
        return Ok(about(
            StepReport::passed()
                .summary(said.as_str())
                .text(format!("{said}\n")),
            &input.message,
        ));
    }
    let access = access(&cx)?;
    let destinations = destinations(
        event,
        &Sources {
            asked: &args.to,
            descriptor: input.descriptor.as_ref(),
            config: input.config.as_ref(),
            environment: &input.message.environment,
            slack: match access {
                Access::Token(_) => SlackAccess::Token,
                Access::Webhook(_) => SlackAccess::Webhook,
                Access::None => SlackAccess::None,
            },
            message: &input.message,
        },
    );
    let texts = render(event, &destinations, &args, &input, &cx)?;
    if cx.dry_run {
        let rendered: Vec<_> = destinations
            .into_iter()
            .map(|destination| {
                let text = text_for(&destination, &texts).to_owned();
                (destination, text)
            })
            .collect();
        return Ok(planned(event, &input.message, &rendered));
    }

    let mut state = match &args.state {
        Some(path) => State::read(path).map_err(|error| Fault::usage(error.to_string()).caused_by(error))?,
        None => State::default(),
    };
    let release = input.message.told_as().map(ToString::to_string);
    let slack = slack(&args, access, &cx)?;
    let mails = destinations
        .iter()
        .any(|destination| matches!(destination, Destination::Email(_)));
    let post = if mails {
        post(&args, input.config.as_ref(), &cx)?
    } else {
        None
    };
    let channels = Channels {
        slack: &slack,
        post: post.as_ref(),
        letter: Letter {
            event,
            message: &input.message,
            text: texts.get(&Format::Text).map_or("", String::as_str),
            html: texts.get(&Format::Html).map_or("", String::as_str),
            at: cx.clock.now().into(),
        },
    };
    let within = within(&args, &cx);
    let policy = policy(within)?;
    cx.note(|report| report.effects = Effects::Partial);
    let sending = join_all(destinations.iter().map(|destination| {
        let outgoing = OutgoingMessage {
            event,
            text: text_for(destination, &texts),
            earlier: release
                .as_ref()
                .and_then(|release| state.find(release, &destination.to_string())),
            mark: Mark::of(&input.message),
        };
        let (channels, policy) = (&channels, &policy);
        async move { send(channels, destination, &outgoing, policy, within).await }
    }));
    let results = cx.cancel.run(sending).await?;

    let mut told = Vec::with_capacity(results.len());
    for (destination, (channel, posted)) in destinations.iter().zip(results) {
        match &channel.error {
            Some(error) => {
                tracing::warn!(channel = %channel.channel, outcome = channel.outcome.word(), "{error}")
            }
            None => {
                tracing::info!(channel = %channel.channel, outcome = channel.outcome.word(), attempts = channel.attempts)
            }
        }
        if let (Some(release), Some(posted)) = (&release, posted) {
            state.remember(release, &destination.to_string(), posted);
        }
        told.push(channel);
    }
    if let Some(path) = &args.state
        && let Err(error) = state.write(path)
    {
        // The messages are out; the next event will add one instead of editing them.
        tracing::warn!("{error}");
    }
    let console = destinations
        .contains(&Destination::Console)
        .then(|| text_for(&Destination::Console, &texts));
    Ok(delivered(event, &input.message, &told, console))
}

/// The token comes first: it reaches every channel and can edit.
pub(crate) fn access(cx: &Context) -> Result<Access, Fault> {
    let token = cx.secret("SLACK_TOKEN")?;
    let webhook = cx.secret("SLACK_WEBHOOK")?;
    Ok(match (token, webhook) {
        (Some(token), _) => Access::Token(token),
        (None, Some(webhook)) => Access::Webhook(webhook),
        (None, None) => Access::None,
    })
}

/// Every format that is needed, before anything is sent: a broken template tells nobody half of it.
fn render(
    event: Event,
    destinations: &[Destination],
    args: &Args,
    input: &Input,
    cx: &Context,
) -> Result<BTreeMap<Format, String>, Fault> {
    let templates = Templates::of(args.templates.as_deref()).map_err(fault)?;
    let named = input
        .config
        .as_ref()
        .is_some_and(|config| config.templates.contains_key(&heard_as(event)));
    if named && args.templates.is_none() {
        // They are paths in the config branch, and this step holds no git.
        tracing::warn!(
            "pilotage.yaml names a template for `{event}`, but --templates was not given: ours is used"
        );
    }
    let facts = Facts::new(event, &input.message, input.config.as_ref());
    let mut texts = BTreeMap::new();
    for format in destinations.iter().flat_map(formats_for).copied() {
        if let Entry::Vacant(place) = texts.entry(format) {
            let text = templates.render(event, format, &facts).map_err(fault)?;
            // A reason may quote a log, and a log may hold anything.
            place.insert(cx.redactor.redact(&text).into_owned());
        }
    }
    Ok(texts)
}

fn fault(error: TemplateError) -> Fault {
    match error {
        TemplateError::Unreadable { .. } => Fault::usage(error.to_string()).caused_by(error),
        TemplateError::Invalid(problems) => Fault::from(problems),
    }
}

/// What a destination is written in, the one people see first before others.
fn formats_for(destination: &Destination) -> &'static [Format] {
    match destination {
        Destination::Console => &[Format::Text],
        Destination::Slack(_) | Destination::Webhook => &[Format::Slack],
        Destination::Email(_) => &[Format::Text, Format::Html],
    }
}

fn text_for<'a>(destination: &Destination, texts: &'a BTreeMap<Format, String>) -> &'a str {
    formats_for(destination)
        .first()
        .and_then(|format| texts.get(format))
        .map_or("", String::as_str)
}

/// The mail server, where pilotage.yaml names one.
pub(crate) fn post(args: &Args, config: Option<&Config>, cx: &Context) -> Result<Option<Smtp>, Fault> {
    let Some(mail) = config.and_then(|config| config.mail.clone()) else {
        return Ok(None);
    };
    // A user's name is often the sender's address: it is no secret, or no report could name that address.
    let user = cx.env.get("PILOTAGE_SMTP_USER").map(str::to_owned);
    let login = match (user, cx.secret("SMTP_PASSWORD")?) {
        (None, None) => None,
        (Some(user), Some(password)) => Some((user, password)),
        (Some(_), None) => {
            return Err(
                Fault::usage("PILOTAGE_SMTP_USER is set, PILOTAGE_SMTP_PASSWORD is not").help(
                    "set PILOTAGE_SMTP_PASSWORD, or PILOTAGE_SMTP_PASSWORD_FILE to a file that holds it",
                ),
            );
        }
        (None, Some(_)) => {
            return Err(Fault::usage(
                "PILOTAGE_SMTP_PASSWORD is set, PILOTAGE_SMTP_USER is not",
            ));
        }
    };
    let settings = HttpSettings {
        ca_files: cx.ca_files.clone(),
        ..HttpSettings::default()
    };
    let roots =
        root_certificates(&settings).map_err(|error| Fault::usage(error.to_string()).caused_by(error))?;
    Smtp::new(mail, login, roots, args.try_timeout.as_std())
        .map(Some)
        .map_err(|error| Fault::usage(error.to_string()).caused_by(error))
}

pub(crate) fn slack(args: &Args, access: Access, cx: &Context) -> Result<SlackApi, Fault> {
    let proxies = Proxies::from_env(|name| cx.env.get(name).map(str::to_owned))
        .map_err(|error| Fault::usage(error.to_string()).caused_by(error))?;
    for password in proxies.secrets() {
        cx.redactor.register_named("PROXY_PASSWORD", password);
    }
    let settings = HttpSettings {
        timeout: Some(args.try_timeout.as_std()),
        ca_files: cx.ca_files.clone(),
        proxies,
        ..HttpSettings::default()
    };
    let client = client(&settings).map_err(|error| Fault::usage(error.to_string()).caused_by(error))?;
    Ok(SlackApi::new(
        client,
        args.slack_api_url.clone(),
        cx.clock.clone(),
        access,
    ))
}

/// The time for all channels, within the deadline of the step: so that a deadline still leaves every channel a result.
fn within(args: &Args, cx: &Context) -> Duration {
    let asked = args.within.as_std();
    cx.remaining().map_or(asked, |left| asked.min(left.mul_f64(0.9)))
}

fn policy(within: Duration) -> Result<RetryPolicy, Fault> {
    let within = u64::try_from(within.as_millis()).unwrap_or(u64::MAX);
    let seconds = pilotage_quantity::Duration::from_secs;
    let waits = Waits {
        initial: seconds(1),
        factor: 2.0,
        cap: seconds(30),
        jitter: 0.2,
    };
    let limits = Limits {
        elapsed: Some(pilotage_quantity::Duration::from_millis(within)),
        tries: Some(3),
    };
    RetryPolicy::new(waits, limits).map_err(|error| Fault::internal(error.to_string()))
}

/// The ways out.
struct Channels<'a> {
    slack: &'a SlackApi,
    post: Option<&'a Smtp>,
    letter: Letter<'a>,
}

async fn send(
    channels: &Channels<'_>,
    destination: &Destination,
    outgoing: &OutgoingMessage<'_>,
    policy: &RetryPolicy,
    within: Duration,
) -> (ChannelResult, Option<Posted>) {
    match destination {
        // stdout is written by the frame, at the end.
        Destination::Console => (ChannelResult::new(destination, Arrival::Sent), None),
        Destination::Slack(channel) => to_channel(channels.slack, channel, outgoing, policy, within).await,
        Destination::Webhook => (
            to_webhook(channels.slack, outgoing.text, policy, within).await,
            None,
        ),
        Destination::Email(address) => (mail(channels, destination, address, policy, within).await, None),
    }
}

async fn mail(
    channels: &Channels<'_>,
    destination: &Destination,
    address: &str,
    policy: &RetryPolicy,
    within: Duration,
) -> ChannelResult {
    let Some((post, server)) = channels.post.map(|post| (post, post.settings())) else {
        let mut result = ChannelResult::new(destination, Arrival::Skipped);
        result.error = Some("pilotage.yaml names no mail server".to_owned());
        result.help = Some("add `mail: {host: …, from: …}` to pilotage.yaml".to_owned());
        return result;
    };
    match channels.letter.to(address, server) {
        Ok(letter) => to_mailbox(post, &destination.to_string(), &letter, policy, within).await,
        Err(error) => {
            let mut result = ChannelResult::new(destination, Arrival::Failed);
            result.error = Some(error.to_string());
            result
        }
    }
}
