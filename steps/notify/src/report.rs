//! What the step says at its end.

use pilotage_message::{Event, Message};
use pilotage_outcome::{Change, CheckOutcome, CheckResult, Effects, Outcome, StepReport};
use serde_json::json;

use crate::delivery::{Arrival, ChannelResult};
use crate::destination::Destination;

/// The report about all channels. `console` is the message as it goes to stdout, when the console was asked for.
pub(crate) fn delivered(
    event: Event,
    message: &Message,
    channels: &[ChannelResult],
    console: Option<&str>,
) -> StepReport {
    let took = channels.iter().filter(|channel| channel.outcome.took()).count();
    let touched = channels
        .iter()
        .filter(|channel| channel.outcome != Arrival::Failed && channel.outcome != Arrival::Skipped)
        .count();
    let outcome = if took > 0 || channels.is_empty() {
        Outcome::Passed
    } else {
        Outcome::Unavailable
    };
    let effects = match touched {
        0 => Effects::None,
        _ if took == channels.len() => Effects::Complete,
        _ => Effects::Partial,
    };
    let summary = match (channels.len(), took) {
        (0, _) => format!("nobody wants to hear of `{event}`"),
        (all, took) if all == took => format!("told {}", counted(all)),
        (all, 0) => format!("none of {} took the message", counted(all)),
        (all, took) => format!("told {took} of {}", counted(all)),
    };
    let mut text = String::new();
    if let Some(message) = console {
        text.push_str(message);
        text.push('\n');
    }
    let mut report = about(StepReport::new(outcome), message)
        .effects(effects)
        .summary(summary);
    for channel in channels {
        report = report.check(check(channel));
        if channel.outcome.took() {
            report = report.change(Change::new(channel.outcome.word(), channel.channel.clone()));
        }
        if channel.channel != Destination::Console.to_string() {
            text.push_str(&line(channel));
            text.push('\n');
        }
        if let (Some(help), false) = (
            &channel.help,
            report
                .help
                .iter()
                .any(|known| Some(known) == channel.help.as_ref()),
        ) {
            report = report.help(help.clone());
        }
    }
    if channels.is_empty() {
        text = format!("nobody wants to hear of `{event}`\n");
    }
    let told = |arrival| {
        channels
            .iter()
            .filter(|channel| channel.outcome == arrival)
            .count()
            .to_string()
    };
    report = report
        .output("channels", channels.len().to_string())
        .output("channels_told", took.to_string())
        .output("channels_failed", told(Arrival::Failed))
        .output("channels_unknown", told(Arrival::Unknown));
    if let Some(link) = channels.iter().find_map(|channel| channel.permalink.as_ref()) {
        report = report.output("permalink", link.as_str());
    }
    report
        .text(text)
        .result(json!({ "event": event, "channels": channels }))
}

/// The report of `--dry-run`: what each channel would get.
pub(crate) fn planned(event: Event, message: &Message, rendered: &[(Destination, String)]) -> StepReport {
    let mut report = about(StepReport::passed(), message);
    let mut text = String::new();
    for (destination, message) in rendered {
        report = report.change(Change::new("would send", destination.to_string()));
        text.push_str(&format!("--- {destination}\n{message}\n"));
    }
    if rendered.is_empty() {
        text = format!("nobody wants to hear of `{event}`\n");
    }
    let channels: Vec<_> = rendered
        .iter()
        .map(|(destination, message)| json!({ "channel": destination.to_string(), "message": message }))
        .collect();
    report
        .summary(format!("would tell {}", counted(rendered.len())))
        .text(text)
        .result(json!({ "event": event, "channels": channels }))
}

/// Whose message it was.
pub(crate) fn about(report: StepReport, message: &Message) -> StepReport {
    let mut report = match &message.release {
        Some(release) => report.release(release.clone()),
        None => report,
    };
    if let Some(commit) = &message.commit {
        report = report.commit(commit.clone());
    }
    if let Some(service) = &message.service {
        report = report.service(service.clone());
    }
    report
        .project(message.project.clone())
        .environment(message.environment.clone())
}

fn check(channel: &ChannelResult) -> CheckResult {
    let outcome = match channel.outcome {
        Arrival::Sent | Arrival::Edited => CheckOutcome::Passed,
        Arrival::Failed | Arrival::Unknown => CheckOutcome::Unavailable,
        Arrival::Skipped => CheckOutcome::Skipped,
    };
    CheckResult::new(channel.channel.clone(), outcome)
        .reason(channel.error.clone().unwrap_or_default())
        .tries(channel.attempts)
}

fn line(channel: &ChannelResult) -> String {
    let mut line = format!("{}: {}", channel.channel, channel.outcome.word());
    if channel.attempts > 1 {
        line.push_str(&format!(" after {} requests", channel.attempts));
    }
    if let Some(error) = &channel.error {
        line.push_str(&format!(": {error}"));
    }
    if let Some(link) = &channel.permalink {
        line.push_str(&format!(" ({link})"));
    }
    line
}

fn counted(channels: usize) -> String {
    if channels == 1 {
        "1 channel".to_owned()
    } else {
        format!("{channels} channels")
    }
}
