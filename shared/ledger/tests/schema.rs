//! The published schema of release events: it is fresh, it accepts what is written, and reading is additive.
#![cfg(test)]

use pilotage_ledger::{Event, EventError, What, schema};
use serde_json::{Value, json};

fn begun() -> Value {
    json!({
        "schema": "release-event/v1",
        "kind": "begun",
        "release": "qa.shop.17",
        "at": "2026-01-02T03:04:05Z",
        "data": {
            "service": {"project": "acme", "environment": "qa", "service": "shop"},
            "fence": 17,
            "commit": "a".repeat(40),
            "config_commit": "b".repeat(40),
            "policy": "p1",
            "descriptor": "sha256:cc",
            "config": "v1:dd",
            "version": "1.1.0",
            "trigger": {"kind": "monitor", "by": "ana"},
            "holder": {"host": "ci-1", "boot": "b1", "pid": 7, "started": 700},
            "expires": "2026-01-02T03:24:05Z"
        }
    })
}

fn read(value: &Value) -> Result<Event, EventError> {
    Event::from_json(&serde_json::to_vec(value).unwrap())
}

fn validator() -> jsonschema::Validator {
    jsonschema::validator_for(&schema::release_event()).unwrap()
}

#[test]
fn the_committed_schema_is_fresh() {
    let path = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/schemas/release-event.v1.schema.json"
    );
    let fresh = format!(
        "{}\n",
        serde_json::to_string_pretty(&schema::release_event()).unwrap()
    );
    let committed = std::fs::read_to_string(path).unwrap_or_default();
    if committed != fresh {
        std::fs::write(path, &fresh).unwrap();
        panic!("{path} was stale and has been written anew; look at the difference and commit it");
    }
}

#[test]
fn what_is_written_is_valid_and_reads_back() {
    let event = read(&begun()).unwrap();
    let written: Value = serde_json::from_slice(&event.to_json().unwrap()).unwrap();
    assert!(validator().is_valid(&written), "{written}");
    assert_eq!(written, begun());
    assert_eq!(read(&written).unwrap(), event);
}

#[test]
fn the_schema_refuses_what_the_reader_refuses() {
    for (path, value) in [
        ("/data/fence", json!("seventeen")),
        ("/data/commit", json!("HEAD")),
        ("/release", json!("QA.shop.1")),
        ("/schema", json!("release-event/v2")),
        ("/data", json!([])),
    ] {
        let mut bad = begun();
        *bad.pointer_mut(path).unwrap() = value;
        assert!(read(&bad).is_err(), "{path} must be refused");
        assert!(!validator().is_valid(&bad), "{path} must be invalid");
    }
}

#[test]
fn unknown_fields_words_and_kinds_are_read() {
    let mut later = begun();
    later["data"]["colour"] = json!("green");
    later["planet"] = json!("mars");
    later["data"]["trigger"]["kind"] = json!("tide");
    later["data"]["holder"] = json!({"pod": "x"});
    assert!(validator().is_valid(&later));
    let What::Begun(event) = read(&later).unwrap().what else {
        panic!("a begin")
    };
    assert_eq!(
        (event.trigger.kind.as_str(), event.version.as_str()),
        ("tide", "1.1.0")
    );

    let mut odd = begun();
    odd["kind"] = json!("verified");
    assert!(validator().is_valid(&odd));
    let event = read(&odd).unwrap();
    let What::Unknown { kind, raw } = &event.what else {
        panic!("unknown")
    };
    assert_eq!((kind.as_str(), &raw["data"]["fence"]), ("verified", &json!(17)));
    assert_eq!(
        read(&serde_json::from_slice(&event.to_json().unwrap()).unwrap())
            .unwrap()
            .what
            .kind(),
        "verified"
    );
}

#[test]
fn hostile_bytes_are_typed_errors() {
    assert!(matches!(Event::from_json(b""), Err(EventError::Malformed(_))));
    assert!(matches!(
        Event::from_json(b"\xff\xfe"),
        Err(EventError::Malformed(_))
    ));
    assert!(matches!(Event::from_json(b"[]"), Err(EventError::Malformed(_))));
    assert!(matches!(
        Event::from_json(&b"[".repeat(100_000)),
        Err(EventError::Malformed(_))
    ));
    assert!(matches!(
        Event::from_json(&b" ".repeat(schema::LARGEST + 1)),
        Err(EventError::TooLarge { .. })
    ));
    assert!(matches!(Event::from_json(b"{}"), Err(EventError::Schema { .. })));
    assert!(matches!(
        Event::from_json(br#"{"schema":"release-event/v1","kind":"begun","release":"qa.shop.1","at":"2026-01-02T03:04:05Z","data":{}}"#),
        Err(EventError::Malformed(_))
    ));
}
