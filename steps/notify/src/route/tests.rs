use pilotage_diagnostic::Source;

use super::*;

fn config(text: &str) -> Config {
    let head = "apiVersion: pilotage/v1\nproject: acme\ntargets: {here: {process: {state: /s, command: [x], artifact: /a, listen: \"127.0.0.1:1\"}}}\n";
    let (config, problems) = pilotage_config::parse(&Source::new("pilotage.yaml", format!("{head}{text}")));
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
