//! `--check`: proves what a release will need to tell people, and tells nobody.

use pilotage_config::{Config, MailTls};
use pilotage_message::{Event, Message};
use pilotage_outcome::{CheckOutcome, CheckResult, Fault, StepReport};
use pilotage_step::Context;
use serde_json::json;

use crate::adapter::{Access, Membership, SlackApi, is_id};
use crate::args::Args;
use crate::context::Context as Facts;
use crate::destination::Destination;
use crate::format::Format;
use crate::input::read_config;
use crate::port::{SCOPES_TO_FIND, SlackFailure};
use crate::post::{MailFailure, PostOffice as _};
use crate::route::everybody;
use crate::run::{access, post, slack};
use crate::template::{TemplateError, Templates};

/// One thing that was looked at.
struct Finding {
    thing: String,
    outcome: CheckOutcome,
    told: String,
    help: Option<String>,
}

impl Finding {
    fn new(thing: impl Into<String>, outcome: CheckOutcome, told: impl Into<String>) -> Self {
        Self {
            thing: thing.into(),
            outcome,
            told: told.into(),
            help: None,
        }
    }

    fn help(mut self, help: Option<impl Into<String>>) -> Self {
        self.help = help.map(Into::into);
        self
    }

    fn line(&self) -> String {
        let word = match self.outcome {
            CheckOutcome::Passed => "good",
            CheckOutcome::Unavailable => "no answer",
            CheckOutcome::Skipped => "not known",
            _ => "wrong",
        };
        format!("{}: {word}: {}", self.thing, self.told)
    }
}

/// Looks at everything.
pub(crate) async fn check(args: &Args, cx: &Context) -> Result<StepReport, Fault> {
    let config = read_config(args, cx).await?;
    let environment = args.descriptor.environment.as_ref();
    let descriptor = match args.descriptor.descriptor(cx).await? {
        None => None,
        Some(source) => {
            let environment = args.descriptor.required_environment()?;
            Some(pilotage_descriptor::parse(&source).resolve(environment)?)
        }
    };
    let destinations = if args.to.is_empty() {
        everybody(descriptor.as_ref(), config.as_ref(), environment)
    } else {
        args.to.clone()
    };
    let mut findings = vec![templates(args, config.as_ref())?];
    findings.extend(cx.cancel.run(slack_findings(args, cx, &destinations)).await??);
    let mails = destinations
        .iter()
        .any(|destination| matches!(destination, Destination::Email(_)));
    findings.extend(
        cx.cancel
            .run(mail_finding(args, cx, config.as_ref(), mails))
            .await??,
    );
    Ok(report(&findings))
}

fn report(findings: &[Finding]) -> StepReport {
    let checks = findings
        .iter()
        .map(|finding| CheckResult::new(finding.thing.clone(), finding.outcome).reason(finding.told.clone()))
        .collect();
    let mut report = StepReport::of_checks(checks);
    for finding in findings {
        if let Some(help) = finding.help.as_ref().filter(|help| !report.help.contains(help)) {
            report = report.help(help.clone());
        }
    }
    let lines: Vec<String> = findings.iter().map(Finding::line).collect();
    let wrong = findings
        .iter()
        .filter(|finding| !matches!(finding.outcome, CheckOutcome::Passed | CheckOutcome::Skipped))
        .count();
    report
        .summary(match wrong {
            0 => "everybody can be told".to_owned(),
            wrong => format!("{wrong} of {} things stand in the way", findings.len()),
        })
        .text(lines.join("\n") + "\n")
        .result(json!({ "findings": lines }))
}

/// Every message that can ever be needed, with a sample.
fn templates(args: &Args, config: Option<&Config>) -> Result<Finding, Fault> {
    let sample: Message = serde_json::from_value(json!({
        "schema": "notify-message/v1", "project": "acme", "environment": "qa", "service": "shop",
        "version": {"from": "1.2.0", "to": "1.3.0"},
        "commit": "0123456789abcdef0123456789abcdef01234567", "subject": "A change",
        "author": {"name": "Ana", "email": "ana@example.com"},
        "committer": {"name": "Ana", "email": "ana@example.com"},
        "maintainer": {"name": "Ana", "email": "ana@example.com"},
        "release": "qa.shop.17", "outcome": "failed", "reasons": ["a reason"], "satisfy": ["a way"],
        "stages": [{"name": "deploy", "outcome": "passed", "duration": "12s", "detail": "a detail"}],
        "services": [{"service": "shop", "outcome": "failed", "detail": "a detail"}],
        "duration": "1m", "held": {"running": "1.2.0", "rejected": "1.3.0", "until": "a new commit"},
        "links": [{"label": "Build", "url": "https://ci.example.com/1"}],
    }))
    .map_err(|error| Fault::internal("the sample is no message").caused_by(error))?;
    // And one that knows as little as a message can.
    let bare = Message::new(Event::Failed, sample.project.clone(), sample.environment.clone());
    let wrong = |error: TemplateError| match &error {
        TemplateError::Unreadable { .. } => error.to_string(),
        TemplateError::Invalid(problems) => {
            let lines: Vec<String> = problems
                .iter()
                .map(pilotage_diagnostic::Diagnostic::line)
                .collect();
            lines.join("; ")
        }
    };
    let rendered = Templates::of(args.templates.as_deref()).and_then(|templates| {
        let mut count = 0;
        for message in [&sample, &bare] {
            for event in Event::ALL {
                let facts = Facts::new(event, message, config);
                for format in Format::ALL {
                    templates.render(event, format, &facts)?;
                    count += 1;
                }
            }
        }
        Ok(count)
    });
    Ok(match rendered {
        Ok(count) => Finding::new(
            "templates",
            CheckOutcome::Passed,
            format!("{count} messages rendered"),
        ),
        Err(error) => Finding::new("templates", CheckOutcome::Failed, wrong(error)),
    })
}

async fn slack_findings(
    args: &Args,
    cx: &Context,
    destinations: &[Destination],
) -> Result<Vec<Finding>, Fault> {
    let wanted: Vec<&str> = destinations
        .iter()
        .filter_map(|destination| match destination {
            Destination::Slack(channel) => Some(channel.as_str()),
            _ => None,
        })
        .collect();
    let access = access(cx)?;
    match &access {
        Access::None if wanted.is_empty() => return Ok(Vec::new()),
        Access::None => {
            let told = "neither PILOTAGE_SLACK_TOKEN nor PILOTAGE_SLACK_WEBHOOK is set";
            return Ok(vec![Finding::new("slack", CheckOutcome::Failed, told)]);
        }
        Access::Webhook(_) => {
            let told = "only a message would prove it";
            return Ok(vec![Finding::new("slack webhook", CheckOutcome::Skipped, told)]);
        }
        Access::Token(_) => {}
    }
    let slack = slack(args, access, cx)?;
    let mut findings = Vec::new();
    match slack.identity().await {
        Ok(identity) => {
            let shown = pilotage_diagnostic::printable;
            let told = format!("{} in {}", shown(&identity.user), shown(&identity.team));
            findings.push(Finding::new("slack token", CheckOutcome::Passed, told));
        }
        Err(failure) => {
            // Without it nothing can be known of the channels.
            let told = failure.to_string();
            return Ok(vec![
                Finding::new("slack token", outcome_of(&failure), told).help(failure.fix("the channel")),
            ]);
        }
    }
    if !wanted.is_empty() {
        findings.extend(channels(&slack, &wanted).await);
    }
    Ok(findings)
}

async fn channels(slack: &SlackApi, wanted: &[&str]) -> Vec<Finding> {
    let all = slack.memberships(|_| false).await;
    wanted
        .iter()
        .map(|channel| {
            let thing = format!("slack {channel}");
            match &all {
                Ok(all) => channel_finding(thing, channel, all),
                Err(failure) if failure.maybe_hidden() => {
                    Finding::new(thing, CheckOutcome::Skipped, failure.to_string()).help(Some(SCOPES_TO_FIND))
                }
                Err(failure) => {
                    Finding::new(thing, outcome_of(failure), failure.to_string()).help(failure.fix(channel))
                }
            }
        })
        .collect()
}

fn channel_finding(thing: String, channel: &str, all: &[Membership]) -> Finding {
    let name = channel.trim_start_matches('#');
    let person = channel.starts_with(['U', 'W', 'D'])
        && channel
            .bytes()
            .all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit());
    if person {
        return Finding::new(thing, CheckOutcome::Skipped, "a person needs no invitation");
    }
    let mut known = all.iter().filter(|entry| {
        if is_id(channel) {
            entry.id == channel
        } else {
            entry.name == name
        }
    });
    let refused = |code: &str| {
        let failure = SlackFailure::Refused {
            code: code.to_owned(),
        };
        let told = match code {
            "is_archived" => "it is archived",
            _ => "the app is not in it, or it does not exist",
        };
        Finding::new(thing.clone(), CheckOutcome::Failed, told).help(failure.fix(channel))
    };
    match known.clone().find(|entry| !entry.is_archived) {
        Some(_) => Finding::new(thing, CheckOutcome::Passed, "the app is in it"),
        None if known.next().is_some() => refused("is_archived"),
        None => refused("not_in_channel"),
    }
}

fn outcome_of(failure: &SlackFailure) -> CheckOutcome {
    match failure {
        SlackFailure::Refused { .. } | SlackFailure::Unusable(_) => CheckOutcome::Failed,
        _ => CheckOutcome::Unavailable,
    }
}

async fn mail_finding(
    args: &Args,
    cx: &Context,
    config: Option<&Config>,
    mails: bool,
) -> Result<Option<Finding>, Fault> {
    let Some(server) = post(args, config, cx)? else {
        let told = "addresses are named, and pilotage.yaml names no mail server";
        let finding = Finding::new("mail", CheckOutcome::Failed, told)
            .help(Some("add `mail: {host: …, from: …}` to pilotage.yaml"));
        return Ok(mails.then_some(finding));
    };
    let settings = server.settings();
    let thing = format!("mail {}:{}", settings.host, settings.port());
    let finding = match server.greet().await {
        Ok(()) => {
            let protected = match settings.tls {
                MailTls::Starttls => "encrypted by STARTTLS",
                MailTls::Smtps => "encrypted",
                MailTls::None => "not encrypted",
            };
            let login = if server.logs_in() {
                "logged in"
            } else {
                "without a login"
            };
            Finding::new(thing, CheckOutcome::Passed, format!("{protected}, {login}"))
        }
        Err(failure) => {
            let outcome = match failure {
                MailFailure::NoAnswer { .. } | MailFailure::NotNow { .. } => CheckOutcome::Unavailable,
                MailFailure::No { .. } | MailFailure::Unsafe { .. } | MailFailure::Unusable(_) => {
                    CheckOutcome::Failed
                }
            };
            Finding::new(thing, outcome, failure.to_string()).help(failure.fix())
        }
    };
    Ok(Some(finding))
}
