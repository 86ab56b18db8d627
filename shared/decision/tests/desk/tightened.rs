//! What was accepted under another policy and came to no release is asked of again; what runs stays.

use pilotage_gate::{Decision, Verdict};
use pilotage_ledger::{Effects, EndWord, ServiceRecord};
use pilotage_name::ServiceName;

use crate::world::{POLICY, World, assert_verdict, decide, finished, name, said};

/// Nobody is asked who may release to prod.
fn loose() -> String {
    POLICY.replace(
        "from: stage, first: deploy, policy: strict}",
        "from: stage, first: deploy}",
    )
}

fn good() -> pilotage_ledger::Finished {
    finished(EndWord::Succeeded, Effects::Complete)
}

fn record(world: &World) -> ServiceRecord {
    let monitor = world.desk().ledger().monitor(&name("prod")).unwrap();
    monitor.services[&name::<ServiceName>("shop")].as_ref().clone()
}

/// The decision as it would be now, recorded nowhere.
fn now(world: &World) -> Decision {
    decide(&mut world.desk(), "prod", None).0.remove(0).decision
}

/// rita's 1.0.0 runs in prod, mallory's 1.1.0 is accepted there under a policy that asks nobody.
fn accepted() -> World {
    let world = World::with(&loose());
    world.tick("prod");
    world.release("prod", good());
    world.push("prod", "mallory", "1.1.0");
    assert_verdict(&world.shop("prod"), Verdict::Accept);
    assert!(record(&world).outbox.is_some());
    world
}

#[test]
fn a_policy_that_was_tightened_asks_again_who_brought_what_was_not_released_yet() {
    let world = accepted();
    world.rule(POLICY);
    let decision = world.shop("prod");
    assert_verdict(&decision, Verdict::Refuse);
    assert!(
        said(&decision, "people").1.contains("mallory"),
        "{}",
        decision.explain()
    );
    assert!(
        decision.explain().contains("1.1.0 was accepted at")
            && decision.explain().contains("under another policy"),
        "{}",
        decision.explain()
    );
    assert_eq!(record(&world).outbox, None, "nothing sets it off any more");

    // Nor does a clean commit on top carry it in.
    world.push("prod", "rita", "1.1.1");
    assert_verdict(&world.shop("prod"), Verdict::Refuse);
    // Taken back, what runs is what is asked.
    world.push("prod", "rita", "1.0.0");
    assert_verdict(&world.shop("prod"), Verdict::Nothing);
    world.push("prod", "rita", "1.1.2");
    assert_verdict(&now(&world), Verdict::Refuse);

    // Loosened again, it goes.
    world.rule(&loose());
    assert_verdict(&world.shop("prod"), Verdict::Accept);
    assert!(record(&world).outbox.is_some());
}

#[test]
fn a_policy_that_was_loosened_lets_it_go_and_what_is_released_stays() {
    let world = accepted();
    let other = loose().replace("managers: [rita]", "managers: [rita, ana]");
    world.rule(&other);
    let decision = world.shop("prod");
    assert_verdict(&decision, Verdict::Accept);
    let accepted = record(&world).accepted.unwrap();
    assert_eq!(
        accepted.policy,
        Some(decision.policy_hash),
        "it counts under today's policy now"
    );

    world.release("prod", good());
    world.rule(POLICY);
    assert_verdict(&world.shop("prod"), Verdict::Nothing);
    world.push("prod", "rita", "1.2.0");
    let decision = world.shop("prod");
    assert_verdict(&decision, Verdict::Accept);
    assert_eq!(
        decision.evidence.brought.len(),
        1,
        "nobody answers again for what is released: {}",
        decision.explain()
    );
}

#[test]
fn a_claim_that_was_enough_yesterday_is_none_where_signatures_are_wanted() {
    let (world, key) = crate::policy::signed_world();
    let signed = world.repository.git(&["show", "main:pilotage.yaml"]);
    world.rule(&signed.replace("proof: signed", "proof: claimed"));
    world.tick("prod");
    world.release("prod", good());
    world.push("prod", "rita", "1.1.0");
    assert_verdict(&world.shop("prod"), Verdict::Accept);

    world.rule(&signed);
    let decision = world.shop("prod");
    assert_verdict(&decision, Verdict::Refuse);
    assert!(
        said(&decision, "people").1.contains("is not signed"),
        "{}",
        decision.explain()
    );
    world.rule(&signed.replace("proof: signed", "proof: claimed"));
    assert_verdict(&world.shop("prod"), Verdict::Accept);
    world.release("prod", good());
    world.rule(&signed);
    let text = crate::world::shop("1.2.0");
    crate::policy::push_signed(&world, &key, "prod", &[("services/shop.yaml", &text)]);
    assert_verdict(&world.shop("prod"), Verdict::Accept);
}

#[test]
fn a_skip_that_was_allowed_is_refused_where_it_is_forbidden() {
    let allow = POLICY.replace("proof: claimed}}", "proof: claimed}, skip: allow}");
    let world = World::with(&allow);
    world.tick("prod");
    world.release("prod", good());
    let skip = pilotage_tests::gitserver::NewCommit::new("Take shop to 1.1.0 [skip deploy]")
        .file("services/shop.yaml", crate::world::shop("1.1.0"));
    world
        .repository
        .commit("prod", skip.by(&crate::world::person("rita")));
    assert_verdict(&world.shop("prod"), Verdict::Skip);
    world.rule(&allow.replace("skip: allow", "skip: forbid"));
    assert_verdict(&world.shop("prod"), Verdict::Refuse);
    world.rule(&allow);
    assert_verdict(&world.shop("prod"), Verdict::Skip);
    world.push("prod", "rita", "1.2.0");
    assert_verdict(&world.shop("prod"), Verdict::Accept);
    world.rule(&allow.replace("skip: allow", "skip: forbid"));
    let decision = world.shop("prod");
    assert_verdict(&decision, Verdict::Accept);
    assert_eq!(decision.evidence.brought.len(), 2, "from what runs on");
}

#[test]
fn what_was_rejected_stays_held_and_what_stands_on_it_answers_for_all_of_it() {
    let world = accepted();
    world.release("prod", finished(EndWord::Failed, Effects::None));
    world.rule(POLICY);
    let decision = world.shop("prod");
    assert_verdict(&decision, Verdict::Nothing);
    assert!(
        said(&decision, "difference").1.starts_with("held: 1.1.0"),
        "{}",
        decision.explain()
    );
    world.push("prod", "rita", "1.1.1");
    let decision = world.shop("prod");
    assert_verdict(&decision, Verdict::Refuse);
    assert!(
        said(&decision, "people").1.contains("mallory"),
        "{}",
        decision.explain()
    );
    world.push("prod", "rita", "1.0.0");
    assert_verdict(&world.shop("prod"), Verdict::Accept);
}

#[test]
fn a_release_that_is_under_way_may_bring_something_else_than_what_is_asked_by_now() {
    let world = accepted();
    let mut desk = world.desk();
    let lease = world.begin(&mut desk, "prod");
    world.rule(POLICY);
    world.push("prod", "rita", "1.0.0");
    let decision = world.shop("prod");
    assert_verdict(&decision, Verdict::Accept);
    assert!(
        said(&decision, "difference")
            .1
            .contains(&lease.release.to_string()),
        "{}",
        decision.explain()
    );
}
