//! The format is a contract between binaries of several versions: what it reads, what it refuses, what it publishes.

#![expect(
    clippy::unwrap_used,
    reason = "a helper of a test fails the test by panicking"
)]

use pilotage_diagnostic::Source;
use pilotage_message::{Event, Held, Link, Message, ServicePart, StageResult, VersionChange, Who, schema};
use serde_json::{Value, json};

fn parse(text: &str) -> Result<Message, String> {
    Message::parse(&Source::new("message.json", text)).map_err(|diagnostic| diagnostic.line())
}

fn who(name: &str) -> Option<Who> {
    Some(Who {
        name: name.to_owned(),
        email: Some(format!("{name}@example.com")),
    })
}

/// A message with something in every field.
fn full() -> Message {
    let version = VersionChange {
        from: Some("1.0.0".to_owned()),
        to: Some("1.1.0".to_owned()),
    };
    let duration = Some("12s".parse().unwrap());
    Message {
        service: Some("shop".parse().unwrap()),
        services: vec![ServicePart {
            service: "cart".parse().unwrap(),
            version: version.clone(),
            release: Some("qa.cart.3".parse().unwrap()),
            outcome: Some("passed".to_owned()),
            detail: Some("as before".to_owned()),
        }],
        version,
        retired: true,
        commit: Some("0123456789abcdef0123456789abcdef01234567".parse().unwrap()),
        subject: Some("Prices".to_owned()),
        author: who("bo"),
        committer: who("ana"),
        maintainer: who("cem"),
        release: Some("qa.shop.17".parse().unwrap()),
        observe: true,
        outcome: Some("failed".to_owned()),
        reasons: vec!["healthcheck: 503".to_owned()],
        satisfy: vec!["a commit by ana".to_owned()],
        stages: vec![StageResult {
            name: "deploy".to_owned(),
            outcome: "passed".to_owned(),
            duration,
            detail: Some("x".to_owned()),
        }],
        duration,
        held: Some(Held {
            running: Some("1.0.0".to_owned()),
            rejected: "1.1.0".to_owned(),
            until: Some("a new commit".to_owned()),
        }),
        links: vec![Link {
            label: "Build".to_owned(),
            url: "https://ci.example.com/1".to_owned(),
        }],
        ..Message::new(Event::Failed, "acme".parse().unwrap(), "qa".parse().unwrap())
    }
}

#[test]
fn what_is_written_is_read_back_and_fits_the_schema() {
    let validator = jsonschema::validator_for(&schema()).unwrap();
    let frozen = Message::new(Event::Frozen, "acme".parse().unwrap(), "qa".parse().unwrap());
    for message in [full(), frozen] {
        let value = serde_json::to_value(&message).unwrap();
        let problems: Vec<String> = validator
            .iter_errors(&value)
            .map(|error| error.to_string())
            .collect();
        assert_eq!(problems, Vec::<String>::new(), "{value:#}");
        assert_eq!(parse(&value.to_string()), Ok(message));
    }
}

#[test]
fn the_published_schema_is_the_one_of_the_code() {
    let published: Value = serde_json::from_str(include_str!("../notify-message.schema.json")).unwrap();
    assert_eq!(
        published,
        schema(),
        "`pilotage-notify --schema > shared/message/notify-message.schema.json` publishes it anew"
    );
    assert!(!jsonschema::is_valid(
        &published,
        &json!({"schema": "notify-message/v1", "project": "acme"})
    ));
}

#[test]
fn the_smallest_message_of_an_earlier_writer_is_read_and_later_keys_are_no_error() {
    let text = r#"{"schema":"notify-message/v1","project":"acme","environment":"qa","service":"shop","added_later":1}"#;
    let message = parse(text).unwrap();
    assert_eq!(message.place(), "qa/shop");
    assert_eq!((message.event, message.version), (None, VersionChange::default()));
    let environment = parse(r#"{"schema":"notify-message/v1","project":"acme","environment":"qa"}"#).unwrap();
    assert_eq!(environment.place(), "qa");
}

#[test]
fn a_version_that_is_not_known_is_refused_by_its_name_whatever_else_it_holds() {
    for text in [
        r#"{"schema":"notify-message/v2","project":"acme","environment":"qa","service":"shop"}"#,
        r#"{"schema":"notify-message/v2","about":{"environments":["qa"]}}"#,
    ] {
        let told = parse(text).unwrap_err();
        assert!(
            told.contains("message-format") && told.contains("notify-message/v2"),
            "{told}"
        );
    }
    let told = parse("{\"schema\":\"\\u001b[2J\"}").unwrap_err();
    assert!(!told.contains('\u{1b}'), "{told:?}");
}

#[test]
fn a_problem_is_told_with_its_place() {
    let text = "{\"schema\": \"notify-message/v1\", \"project\": \"acme\",\n \"environment\": \"QA\"}";
    let told = parse(text).unwrap_err();
    assert!(told.starts_with("message.json:2:"), "{told}");
    assert!(parse("").unwrap_err().contains("message-invalid"));
    assert!(
        parse(r#"{"project":"acme"}"#)
            .unwrap_err()
            .contains("message-invalid")
    );
    let large = " ".repeat(1024 * 1024 + 1);
    assert!(parse(&large).unwrap_err().contains("message-too-large"));
}

#[test]
fn every_event_has_one_word_everywhere() {
    for event in Event::ALL {
        assert_eq!(event.word().parse(), Ok(event));
        assert_eq!(serde_json::to_value(event).unwrap(), json!(event.word()));
    }
    assert!("Failed".parse::<Event>().is_err());
}
