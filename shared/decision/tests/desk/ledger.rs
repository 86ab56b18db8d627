//! Recording and reading back, and what comes in between.

use pilotage_decision::Recorded;
use pilotage_gate::{Decision, Verdict};
use pilotage_tests::gitserver::NewCommit;

use crate::world::{World, assert_verdict, decide, holder, name, record, said};

#[test]
fn a_decision_is_recorded_with_its_evidence_and_what_follows_from_it() {
    let world = World::new();
    let decision = world.shop("qa");
    let mut desk = world.desk();
    let monitor = desk.ledger().monitor(&name("qa")).unwrap();
    let record = &monitor.services[&name("shop")];
    assert_eq!(
        serde_json::from_value::<Decision>(record.decision.clone()).unwrap(),
        decision
    );
    let accepted = record.accepted.clone().unwrap();
    assert_eq!(
        (accepted.commit, accepted.version),
        (decision.commit.clone(), "1.0.0".to_owned())
    );
    assert_eq!(record.outbox.clone().unwrap().commit, decision.commit);
    assert_eq!(monitor.tick.clone().unwrap().by, holder());

    // What is refused leaves what was accepted as it is.
    world.tick("prod");
    world.push("prod", "mallory", "6.6.6");
    assert_verdict(&world.shop("prod"), Verdict::Refuse);
    let monitor = desk.ledger().monitor(&name("prod")).unwrap();
    let record = &monitor.services[&name("shop")];
    assert_eq!(record.accepted.clone().unwrap().version, "1.0.0");

    let told = desk
        .record_told(&name("prod"), &monitor, &[name("shop")], holder())
        .unwrap();
    assert!(matches!(told, Recorded::Done(_)));
    let monitor = desk.ledger().monitor(&name("prod")).unwrap();
    let record = &monitor.services[&name("shop")];
    let decision: Decision = serde_json::from_value(record.decision.clone()).unwrap();
    assert!(decision.told.is_some() && record.accepted.is_some());
}

#[test]
fn of_two_desks_one_records_and_the_other_starts_over() {
    let world = World::new();
    world.push("qa", "ana", "1.1.0");
    let (mut one, mut other) = (world.desk(), world.desk());
    let (first, on_first) = decide(&mut one, "qa", None);
    let (second, on_second) = decide(&mut other, "qa", None);
    assert!(matches!(
        record(&mut one, "qa", &first, &on_first),
        Recorded::Done(_)
    ));
    assert_eq!(record(&mut other, "qa", &second, &on_second), Recorded::Moved);

    // What came meanwhile is seen by the one that was slower, on top of what the faster one wrote.
    world.repository.commit(
        "qa",
        NewCommit::new("Add").file("services/cart.yaml", "version: \"1\"\nimage: r.example.com/c\n"),
    );
    other.look().unwrap();
    let (second, on_second) = decide(&mut other, "qa", None);
    assert!(matches!(
        record(&mut other, "qa", &second, &on_second),
        Recorded::Done(_)
    ));
    let monitor = one.ledger().monitor(&name("qa")).unwrap();
    let versions: Vec<String> = monitor
        .services
        .values()
        .map(|record| record.accepted.clone().unwrap().version)
        .collect();
    assert_eq!(versions, ["1", "1.1.0"]);
    assert_eq!(
        world
            .repository
            .git(&["rev-list", "--count", "refs/pilotage/monitor/qa"]),
        "2"
    );
}

#[test]
fn what_cannot_be_read_waits_and_stays_as_it_is() {
    let world = World::new();
    world.tick("qa");
    world.push("qa", "ana", "1.1.0");
    // Somebody who can push writes into the chain of the service.
    let junk = world.repository.commit(
        "refs/pilotage/release/qa/shop",
        NewCommit::new("x").file("event.json", "{"),
    );
    let mut desk = world.desk();
    let (decided, monitor) = decide(&mut desk, "qa", None);
    let decision = &decided[0].decision;
    assert_verdict(decision, Verdict::Wait);
    assert!(
        said(decision, "record").1.contains("cannot be read"),
        "{}",
        decision.explain()
    );
    let before = monitor.services[&name("shop")].clone();
    record(&mut desk, "qa", &decided, &monitor);
    let monitor = desk.ledger().monitor(&name("qa")).unwrap();
    assert_eq!(monitor.services[&name("shop")], before);
    world
        .repository
        .git(&["update-ref", "-d", "refs/pilotage/release/qa/shop", &junk]);
    assert_verdict(&world.shop("qa"), Verdict::Accept);
}

#[test]
fn a_look_at_what_was_listed_asks_nothing_when_nothing_moved() {
    let world = World::new();
    world.tick("qa");
    let mut desk = world.desk();
    let listed = desk.list().unwrap();
    desk.look_at(&listed).unwrap();
    assert_eq!(desk.list().unwrap(), listed);
    let asked = desk.remote().traffic();
    desk.look_at(&listed).unwrap();
    assert_eq!(desk.remote().traffic().requests, asked.requests);
    assert!(desk.ledger().known_monitor(&name("qa")).unwrap().tip.is_some());
    world.tick("prod");
    assert_ne!(desk.list().unwrap(), listed, "a decision shows");
}
