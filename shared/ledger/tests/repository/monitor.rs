//! The monitor chain on a real repository.

use std::collections::BTreeMap;

use crate::world::{World, commit, noon, qa, service};
use pilotage_ledger::{
    Accepted, AppendTick, EnvironmentRecord, Frozen, NewTick, Outbox, OutboxState, ServiceRecord,
};
use pilotage_name::ServiceName;
use serde_json::json;

fn record(asked: u64, verdict: &str) -> ServiceRecord {
    ServiceRecord {
        decision: json!({"verdict": verdict, "gates": [{"gate": "people", "evidence": ["ana"]}]}),
        accepted: Some(Accepted {
            commit: commit(asked),
            descriptor: format!("sha256:{asked}"),
            blob: Some("b1".into()),
            version: "1.0.0".into(),
            files: Vec::new(),
            by: None,
            grade: Some("signed".into()),
            brought: Some(commit(asked)),
            policy: Some("v1:p".into()),
            at: noon(0),
        }),
        outbox: Some(Outbox {
            key: "k".into(),
            commit: commit(asked),
            state: OutboxState::Intended,
            at: noon(0),
        }),
    }
}

fn tick(world: &World, services: BTreeMap<ServiceName, Option<ServiceRecord>>) -> NewTick {
    NewTick {
        by: world.process(1),
        environment: None,
        services,
        data: json!({"from": 1}),
        summary: "qa: shop accepted".into(),
        over_unbelieved: false,
    }
}

#[test]
fn the_head_gives_everything_in_one_tree() {
    let world = World::new();
    let mut ledger = world.ledger();
    let empty = ledger.monitor(&qa()).unwrap();
    assert!(empty.tip.is_none() && empty.services.is_empty() && empty.tick.is_none());

    let frozen = Frozen {
        reason: "forced push".into(),
        since: noon(0),
        was: Some(commit(1)),
        now: None,
    };
    let environment = EnvironmentRecord {
        seen: Some(commit(2)),
        frozen: Some(frozen),
        ..EnvironmentRecord::default()
    };
    let services: BTreeMap<_, _> = [
        (service("shop"), Some(record(1, "accept"))),
        (service("cart"), Some(record(1, "refuse"))),
    ]
    .into();
    let first = NewTick {
        environment: Some(environment.clone()),
        ..tick(&world, services)
    };
    let AppendTick::Done(tip) = ledger.append_tick(&qa(), None, &first).unwrap() else {
        panic!()
    };
    let second = tick(
        &world,
        [
            (service("shop"), Some(record(2, "accept"))),
            (service("mail"), None),
        ]
        .into(),
    );
    let AppendTick::Done(_) = ledger.append_tick(&qa(), Some(&tip), &second).unwrap() else {
        panic!()
    };

    let read = world.ledger().monitor(&qa()).unwrap();
    assert_eq!(read.environment, environment);
    assert_eq!(*read.services[&service("shop")], record(2, "accept"));
    assert_eq!(*read.services[&service("cart")], record(1, "refuse"));
    let tick = read.tick.clone().unwrap();
    assert_eq!(
        (tick.at, tick.by.to_string().as_str()),
        (noon(0), "process 1 on ci-1")
    );
    assert_eq!(tick.services, [service("mail"), service("shop")]);
    assert_eq!(
        world.git(&["log", "--format=%s", "-1", "refs/pilotage/monitor/qa"]),
        "qa: shop accepted"
    );

    let gone = NewTick {
        environment: None,
        services: [(service("cart"), None)].into(),
        ..first
    };
    ledger.append_tick(&qa(), read.tip.as_ref(), &gone).unwrap();
    let read = ledger.known_monitor(&qa()).unwrap();
    assert_eq!(
        read.services.keys().map(ServiceName::as_str).collect::<Vec<_>>(),
        ["shop"]
    );
}

#[test]
fn a_tick_on_an_old_state_is_told_to_read_again() {
    let world = World::new();
    let (mut one, mut other) = (world.ledger(), world.ledger());
    let first = NewTick {
        by: world.process(2),
        ..tick(&world, BTreeMap::new())
    };
    let write = tick(&world, BTreeMap::new());
    let AppendTick::Done(tip) = one.append_tick(&qa(), None, &first).unwrap() else {
        panic!()
    };
    assert_eq!(other.append_tick(&qa(), None, &write).unwrap(), AppendTick::Moved);
    assert!(matches!(
        other.append_tick(&qa(), Some(&tip), &write).unwrap(),
        AppendTick::Done(_)
    ));
    assert_eq!(
        one.append_tick(&qa(), Some(&tip), &first).unwrap(),
        AppendTick::Moved
    );
}

#[test]
fn the_history_of_a_service_has_its_changes_and_no_others() {
    let world = World::new();
    let mut ledger = world.ledger();
    let shop = |record| [(service("shop"), record)].into();
    let writes: [BTreeMap<ServiceName, Option<ServiceRecord>>; 6] = [
        shop(Some(record(1, "accept"))),
        BTreeMap::new(),
        [(service("cart"), Some(record(1, "accept")))].into(),
        shop(Some(record(2, "refuse"))),
        shop(None),
        shop(Some(record(3, "accept"))),
    ];
    for (second, services) in writes.into_iter().enumerate() {
        world.clock.set(noon(second as i64));
        let tip = ledger.known_monitor(&qa()).unwrap().tip.clone();
        ledger
            .append_tick(&qa(), tip.as_ref(), &tick(&world, services))
            .unwrap();
    }
    let past = |most| {
        ledger
            .service_history(&qa(), &service("shop"), most)
            .unwrap()
            .iter()
            .map(|past| format!("{} {}", past.at, past.record.decision["verdict"]))
            .collect::<Vec<_>>()
    };
    let all = [
        "2026-01-01T12:00:05Z \"accept\"",
        "2026-01-01T12:00:03Z \"refuse\"",
        "2026-01-01T12:00:00Z \"accept\"",
    ];
    assert_eq!(past(10), all);
    assert_eq!(past(2), all[..2]);
    assert_eq!(past(0), Vec::<String>::new());

    let then = ledger.monitor_at(&qa(), noon(3)).unwrap();
    assert_eq!(*then.services[&service("shop")], record(2, "refuse"));
    assert!(
        !ledger
            .monitor_at(&qa(), noon(4))
            .unwrap()
            .services
            .contains_key(&service("shop"))
    );
    assert!(ledger.monitor_at(&qa(), noon(-1)).unwrap().tip.is_none());
}
