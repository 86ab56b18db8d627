use std::path::PathBuf;

use clap::Parser;
use clap::builder::{PossibleValuesParser, TypedValueParser as _};
use pilotage_message::Event;
use pilotage_quantity::Duration;
use pilotage_step::{Common, DescriptorArgs, OutputName, SecretName, StepCli};
use url::Url;

use crate::destination::Destination;
use crate::mail::is_mailable;

/// Says what a release does to the people who want to know.
///
/// Who that is stands in the descriptor (`notify:`) and in pilotage.yaml; `--to` asks for others instead. Slack is reached by
/// a bot token in PILOTAGE_SLACK_TOKEN or by an incoming webhook in PILOTAGE_SLACK_WEBHOOK (or the file that either one's
/// `_FILE` names). Mail goes through the server that pilotage.yaml names under `mail:`, as PILOTAGE_SMTP_USER with the password in
/// PILOTAGE_SMTP_PASSWORD (or its `_FILE`) where they are set; failures and refusals go to the committer and the maintainer,
/// too. A channel that fails is named in the report; only when no channel took the message the exit code is 4.
#[derive(Parser, Clone, Debug)]
#[command(name = "pilotage-notify", version)]
pub struct Args {
    /// What happened; without it what the message says.
    #[arg(long, value_name = "EVENT", value_parser = event())]
    pub event: Option<Event>,
    /// What there is to say (JSON, notify-message/v1); `-` is stdin.
    #[arg(long, value_name = "FILE", required_unless_present_any = ["schema", "check"])]
    pub message: Option<PathBuf>,
    /// Tell these and no others: `console`, `slack:#CHANNEL`, `email:ADDRESS`; may be given several times.
    #[arg(long, value_name = "DESTINATION", value_parser = destination)]
    pub to: Vec<Destination>,
    /// Templates of the config branch: `<event>.slack` and `<event>.txt` take the place of ours, as does `<event>.html`.
    #[arg(long, value_name = "DIR")]
    pub templates: Option<PathBuf>,
    /// Remember in this file where the release's messages stand, and edit them at its later events.
    #[arg(long, value_name = "FILE")]
    pub state: Option<PathBuf>,
    /// Where Slack's Web API is; for gateways.
    #[arg(long, value_name = "URL", default_value = "https://slack.com/api")]
    pub slack_api_url: Url,
    /// The time for all channels together, waits and further tries included.
    #[arg(long, value_name = "DURATION", default_value = "60s")]
    pub within: Duration,
    /// The time for one request.
    #[arg(long, value_name = "DURATION", default_value = "10s")]
    pub try_timeout: Duration,
    /// Prove without telling anybody: the token, the app's place in each channel, the mail server, every template.
    #[arg(long, conflicts_with_all = ["message", "event"])]
    pub check: bool,
    /// Print the JSON Schema of notify-message/v1 and end.
    #[arg(long)]
    pub schema: bool,
    /// The service and its environment.
    #[command(flatten)]
    pub descriptor: DescriptorArgs,
    /// What every step has.
    #[command(flatten)]
    pub common: Common,
}

impl StepCli for Args {
    const SECRETS: &'static [SecretName] = &[
        SecretName {
            env: "PILOTAGE_SLACK_TOKEN",
            help: "A bot's token for Slack.",
        },
        SecretName {
            env: "PILOTAGE_SLACK_WEBHOOK",
            help: "An incoming webhook of Slack, where there is no bot.",
        },
        SecretName {
            env: "PILOTAGE_SMTP_PASSWORD",
            help: "The password for the mail server.",
        },
    ];

    const OUTPUTS: &'static [OutputName] = &[
        OutputName {
            key: "channels",
            help: "How many channels there are.",
        },
        OutputName {
            key: "channels_told",
            help: "How many of them took the message.",
        },
        OutputName {
            key: "channels_failed",
            help: "How many of them did not.",
        },
        OutputName {
            key: "channels_unknown",
            help: "How many of them may have taken it or not.",
        },
        OutputName {
            key: "permalink",
            help: "Where the message is found.",
        },
    ];

    fn common(&self) -> &Common {
        &self.common
    }
}

fn event() -> impl clap::builder::TypedValueParser<Value = Event> {
    PossibleValuesParser::new(Event::ALL.map(Event::word)).try_map(|word| word.parse::<Event>())
}

fn destination(text: &str) -> Result<Destination, String> {
    match text.split_once(':') {
        None if text == "console" => Ok(Destination::Console),
        Some(("slack", channel)) if good_channel(channel) => Ok(Destination::Slack(channel.to_owned())),
        Some(("email", address)) if is_mailable(address) => Ok(Destination::Email(address.to_owned())),
        _ => Err("write `console`, `slack:#CHANNEL` or `email:ADDRESS`".to_owned()),
    }
}

/// A channel's name has at most 80 characters, and no white space.
fn good_channel(channel: &str) -> bool {
    (1..=81).contains(&channel.chars().count())
        && !channel
            .chars()
            .any(|character| character.is_whitespace() || character.is_control())
}
