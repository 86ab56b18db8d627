//! What may be released as a decision stands, and what the status says of it.

use pilotage_ledger::{EnvironmentRecord, Frozen, Liveness, TriggerKind};
use pilotage_name::{CommitId, ServiceName};
use pilotage_outcome::Outcome;
use pilotage_release::approve::{Approval, Asking, Refusal, approve};
use pilotage_release::prepare::prepare;
use pilotage_release::status::Row;
use pilotage_tests::command::{Command, Output};
use pilotage_tests::gitserver::{NewCommit, Person};

use crate::world::{CONFIG, GOOD, Play, World, descriptor, name, outcome, this_process};

/// As `release run --commit`, which is what a monitor starts.
fn at(world: &World, commit: &CommitId) -> Approval {
    let asking = Asking {
        environment: name("prod"),
        services: vec![name("shop")],
        commit: Some(commit.clone()),
        holder: this_process(),
        dry_run: false,
    };
    approve(&mut world.desk(), &asking).unwrap().remove(0)
}

#[track_caller]
fn refused(approval: Approval) -> Box<Refusal> {
    match approval {
        Approval::Refused(refusal) => refusal,
        other => panic!("{other:?}"),
    }
}

/// Decides shop as it stands on prod and records that, as a monitor does.
fn decide(world: &World) {
    let mut desk = world.desk();
    let tip = desk.sight().tip(&name("prod")).unwrap().clone();
    let services: [ServiceName; 1] = [name("shop")];
    let (decided, on) = desk.decide(&name("prod"), &services, &tip, None).unwrap();
    let seen = EnvironmentRecord {
        first: on.environment.first.clone().or(Some(tip.clone())),
        seen: Some(tip),
        ..on.environment.clone()
    };
    let data = serde_json::Value::Null;
    desk.record(&name("prod"), &on, &decided, Some(seen), this_process(), data)
        .unwrap();
}

fn status(world: &World, more: &[&str]) -> Output {
    Command::step("pilotage-release")
        .args(["status", "--repo"])
        .arg(world.repository.path())
        .arg("--cache-dir")
        .arg(world.folder.path().join("cache"))
        .args(more)
        .run()
}

#[tokio::test]
async fn a_version_that_was_rejected_is_not_started_by_its_commit_again() {
    let world = World::new();
    world.push("prod", "shop", "1.0.0");
    let (ends, _) = world.release("prod", &["shop"], |_| GOOD).await;
    assert_eq!(outcome(&ends, "shop"), Outcome::Passed);
    let commit = world.push("prod", "shop", "1.1.0");
    let sick = |call: &pilotage_release::port::Call| match call.program.as_str() {
        "pilotage-healthcheck" => Play::Ends(Outcome::Failed, "503"),
        _ => GOOD,
    };
    let (ends, _) = world.release("prod", &["shop"], sick).await;
    assert_eq!(outcome(&ends, "shop"), Outcome::Failed);
    let refusal = refused(at(&world, &commit));
    assert_eq!(refusal.headline, "shop 1.1.0 in prod: held");
    assert!(
        refusal.reasons[0].contains("1.1.0 was rejected by prod.shop.2"),
        "{refusal:?}"
    );
    assert!(
        !refusal.waiting && refusal.satisfy[0].contains("a new commit"),
        "{refusal:?}"
    );
}

/// prod asks for changes that rita brought.
fn strict() -> String {
    CONFIG.replace(
        "from: qa, first: deploy}",
        "from: qa, first: deploy, policy: strict}",
    ) + "policies: {strict: {people: {who: [rita], proof: claimed}}}\n\
           people: {rita: {emails: [rita@example.com]}}\n"
}

fn rule(world: &World, config: &str) {
    world
        .repository
        .commit("main", NewCommit::new("policy").file("pilotage.yaml", config));
}

#[tokio::test]
async fn what_another_policy_accepted_is_not_started_under_one_that_would_not() {
    let world = World::new();
    world.push("prod", "shop", "1.0.0");
    world.release("prod", &["shop"], |_| GOOD).await;
    let commit = world.push("prod", "shop", "1.1.0");
    decide(&world);
    rule(&world, &strict());
    let refusal = refused(at(&world, &commit));
    assert!(
        refusal.reasons.iter().any(|why| why.starts_with("people: ")),
        "{refusal:?}"
    );
    let monitor = world.desk().ledger().monitor(&name("prod")).unwrap();
    let record = monitor.services[&name::<ServiceName>("shop")].clone();
    assert_eq!(record.outbox, None, "nobody sets it off any more");
    let (ends, calls) = world.release("prod", &["shop"], |_| GOOD).await;
    assert_eq!(outcome(&ends, "shop"), Outcome::Refused { waiting: false });
    assert_eq!(calls, Vec::<String>::new());

    // Loosened, it goes, and is still what the monitor set off.
    rule(
        &world,
        &(CONFIG.to_owned() + "people: {rita: {emails: [rita@example.com]}}\n"),
    );
    match at(&world, &commit) {
        Approval::Go(approved) => assert_eq!(approved.kind, TriggerKind::Monitor),
        other => panic!("{other:?}"),
    }
    world.release("prod", &["shop"], |_| GOOD).await;
    // What is released stays, whatever policy says later.
    rule(&world, &strict());
    let (ends, _) = world.release("prod", &["shop"], |_| GOOD).await;
    assert_eq!(outcome(&ends, "shop"), Outcome::Passed);
    assert_eq!(world.state("prod", "shop").proved.unwrap().version, "1.1.0");
}

#[tokio::test]
async fn the_status_names_the_change_that_was_brought_and_where_it_was_decided() {
    let world = World::new();
    let brought = NewCommit::new("Take shop to 1.0.0")
        .file("services/shop.yaml", descriptor("1.0.0", ""))
        .by(&Person::new("Ana", "ana@example.com"));
    let brought: CommitId = name(&world.repository.commit("prod", brought));
    let mention = NewCommit::new("Mention it")
        .file("README.md", "shop\n")
        .by(&Person::new("Eve", "eve@example.com"));
    let tip: CommitId = name(&world.repository.commit("prod", mention));
    world.release("prod", &["shop"], |_| GOOD).await;
    let row = Row::of(&world.state("prod", "shop"), true, &Liveness::Unknown);
    assert_eq!(row.commit, Some(brought.clone()));
    assert_eq!(row.subject.as_deref(), Some("Take shop to 1.0.0"));
    assert_eq!(row.by.as_deref(), Some("Ana <ana@example.com>"));
    assert_eq!(row.decided_at, Some(tip.clone()));

    // Nobody brought anything since, and it is still Ana's when it is asked about anew: nothing was released of it.
    let world = World::new();
    world.push("prod", "shop", "1.0.0");
    world.release("prod", &["shop"], |_| GOOD).await;
    let brought = world.push("prod", "shop", "1.1.0");
    decide(&world);
    world
        .repository
        .commit("prod", NewCommit::new("Mention it").file("README.md", "shop\n"));
    decide(&world);
    let mut desk = world.desk();
    let tip = desk.sight().tip(&name("prod")).unwrap().clone();
    let Approval::Go(approved) = at(&world, &tip) else {
        panic!("it was accepted");
    };
    let prepared = prepare(&mut desk, &name("prod"), &name("shop"), &approved).unwrap();
    assert_eq!(prepared.plan.trigger.change.unwrap().commit, brought);
}

#[test]
fn a_service_that_nobody_knows_is_a_slip_of_the_hand() {
    let world = World::new();
    world.push("prod", "shop", "1.0.0");
    let output = status(&world, &["--service", "shpo"]);
    assert_eq!(output.code, Some(2), "{output}");
    assert!(output.stderr.contains("there is no service `shpo`"), "{output}");
    assert!(output.stderr.contains("did you mean `shop`?"), "{output}");
    let output = status(&world, &["--service", "shop"]);
    assert_eq!(output.code, Some(0), "{output}");
}

#[test]
fn a_frozen_environment_is_told_under_the_table() {
    let world = World::new();
    world.push("prod", "shop", "1.0.0");
    decide(&world);
    let mut desk = world.desk();
    let monitor = desk.ledger().monitor(&name("prod")).unwrap();
    let frozen = EnvironmentRecord {
        frozen: Some(Frozen {
            reason: "the branch was deleted".to_owned(),
            since: "2026-01-02T03:04:05Z".parse().unwrap(),
            was: monitor.environment.seen.clone(),
            now: None,
        }),
        ..monitor.environment.clone()
    };
    let data = serde_json::Value::Null;
    desk.record(&name("prod"), &monitor, &[], Some(frozen), this_process(), data)
        .unwrap();
    let output = status(&world, &["--output", "json"]);
    assert_eq!(output.code, Some(0), "{output}");
    assert_eq!(
        output.json()["result"]["frozen"].as_array().unwrap().len(),
        1,
        "{output}"
    );
    let output = status(&world, &[]);
    assert!(
        output
            .stdout
            .contains("prod is frozen since 2026-01-02 03:04:05 UTC: the branch was deleted"),
        "{output}"
    );
    let tip = world.repository.id("prod");
    let accept = format!("env.git --env prod --commit {tip} --by");
    assert!(output.stdout.contains(&accept), "{accept}: {output}");
}

#[test]
fn the_status_answers_while_the_policy_is_broken() {
    let world = World::new();
    world.push("prod", "shop", "1.0.0");
    decide(&world);
    rule(
        &world,
        "apiVersion: pilotage/v1\nproject: acme\nenvironments: {qa: {taget: here}}\n",
    );
    let output = status(&world, &[]);
    assert_eq!(output.code, Some(0), "{output}");
    for said in [
        "never released",
        "pilotage.yaml has errors, so nothing is decided or released",
        "pilotage.yaml:3:21",
    ] {
        assert!(output.stdout.contains(said), "{said}: {output}");
    }
    rule(&world, CONFIG);
    let output = status(&world, &["--output", "json"]);
    assert_eq!(
        output.json()["result"]["broken"],
        serde_json::Value::Null,
        "{output}"
    );
}

#[test]
fn the_status_says_what_is_asked_for_and_kept_back() {
    let world = World::new();
    world.push("prod", "shop", "1.0.0");
    let skipped = NewCommit::new("shop 1.1.0 [skip ci]").file("services/shop.yaml", descriptor("1.1.0", ""));
    world.repository.commit("prod", skipped);
    decide(&world);
    let output = status(&world, &[]);
    assert!(
        output.stdout.contains("git asks for shop 1.1.0 in prod: skipped"),
        "{output}"
    );
}
