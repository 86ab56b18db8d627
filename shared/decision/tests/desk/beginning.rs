//! The way out where nothing was ever accepted and a stranger came first.

use pilotage_gate::Verdict;
use pilotage_tests::gitserver::NewCommit;

use crate::world::{POLICY, World, assert_verdict, name, person, said, shop};

/// A commit that takes shop's descriptor off prod.
fn remove(world: &World, who: &str) {
    let commit = NewCommit::new("Take shop away").remove("services/shop.yaml");
    world.repository.commit("prod", commit.by(&person(who)));
}

#[test]
fn a_stranger_s_beginning_is_answered_for_by_whoever_brings_the_service_back() {
    let world = World::new();
    let strange = world.push("prod", "mallory", "6.6.6");
    let decision = world.shop("prod");
    assert_verdict(&decision, Verdict::Refuse);
    let needs = &decision
        .gates
        .iter()
        .find(|gate| gate.gate == "people")
        .unwrap()
        .satisfy;
    assert_eq!(needs.len(), 1, "{needs:?}");
    assert!(
        needs[0].starts_with(
            "services/shop.yaml removed from the branch, and after that a commit by one of managers"
        ),
        "{needs:?}"
    );
    // On top of it nobody can answer.
    world.push("prod", "rita", "1.0.1");
    let decision = world.shop("prod");
    assert_verdict(&decision, Verdict::Refuse);
    assert!(
        said(&decision, "people").1.contains(&strange[..10]),
        "{}",
        decision.explain()
    );

    remove(&world, "rita");
    assert!(world.tick("prod").is_empty());
    world.push("prod", "mallory", "6.6.7");
    assert_verdict(&world.shop("prod"), Verdict::Refuse);
    // Both in one push do as well.
    remove(&world, "rita");
    let back = world.push("prod", "rita", "1.0.1");
    let decision = world.shop("prod");
    assert_verdict(&decision, Verdict::Accept);
    let brought: Vec<&str> = decision
        .evidence
        .brought
        .iter()
        .map(|change| change.commit.as_str())
        .collect();
    assert_eq!(brought, [back.as_str()]);
}

#[test]
fn so_is_a_service_that_a_stranger_adds_later_and_its_tickets() {
    let ticketed = POLICY.replace("proof: claimed}}", "proof: claimed}, ticket: {project: SHOP}}");
    let world = World::with(&ticketed);
    remove(&world, "rita");
    world.tick("prod");
    world.push("prod", "mallory", "1.0.0");
    let decision = world.shop("prod");
    assert_verdict(&decision, Verdict::Refuse);
    for gate in decision.objections() {
        assert!(
            gate.satisfy[0].starts_with("services/shop.yaml removed from the branch"),
            "{}",
            decision.explain()
        );
    }
    remove(&world, "rita");
    let back = NewCommit::new("SHOP-7 Bring shop").file("services/shop.yaml", shop("1.0.0"));
    world.repository.commit("prod", back.by(&person("rita")));
    assert_verdict(&world.shop("prod"), Verdict::Accept);
}

#[test]
fn what_was_accepted_once_is_not_begun_anew_by_being_removed() {
    let world = World::new();
    world.tick("prod");
    let strange = world.push("prod", "mallory", "1.1.0");
    remove(&world, "rita");
    world.push("prod", "rita", "1.2.0");
    let decision = world.shop("prod");
    assert_verdict(&decision, Verdict::Refuse);
    assert_eq!(decision.evidence.brought[0].commit, name(&strange));
}
