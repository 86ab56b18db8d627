//! Which commits answer for a change, however it came to the branch.

use pilotage_decision::{Recorded, past};
use pilotage_gate::{History, Verdict};
use pilotage_ledger::{AcceptedPush, Effects, EndWord, EnvironmentRecord};
use pilotage_tests::gitserver::NewCommit;

use crate::world::{World, assert_verdict, finished, holder, name, person, said, shop};

#[test]
fn a_merge_is_answered_for_by_who_merged_and_named_tickets_by_what_it_brings() {
    let world = World::new();
    world.tick("stage");
    let ana = world.push("qa", "ana", "1.1.0");
    let merge = NewCommit::new("Merge qa")
        .merge(&ana)
        .file("services/shop.yaml", shop("1.1.0"));
    let merge = world.repository.commit("stage", merge.by(&person("rita")));
    let decision = world.shop("stage");
    assert_verdict(&decision, Verdict::Accept);
    let ids = |changes: &[pilotage_gate::Change]| -> Vec<String> {
        changes.iter().map(|change| change.commit.to_string()).collect()
    };
    assert_eq!(ids(&decision.evidence.brought), [merge]);
    assert_eq!(ids(&decision.evidence.accountable), [ana]);
}

#[test]
fn a_fast_forward_is_seen_although_another_branch_had_the_commits_before() {
    let world = World::new();
    world.tick("qa");
    world.tick("stage");
    world.push("qa", "ana", "1.1.0");
    assert_verdict(&world.shop("qa"), Verdict::Accept);
    world
        .repository
        .git(&["update-ref", "refs/heads/stage", "refs/heads/qa"]);
    let decision = world.shop("stage");
    assert_verdict(&decision, Verdict::Refuse);
    assert!(
        said(&decision, "people").1.contains("ana"),
        "{}",
        decision.explain()
    );

    world.push("qa", "rita", "1.2.0");
    world
        .repository
        .git(&["update-ref", "refs/heads/prod", "refs/heads/qa"]);
    // prod is seen for the first time: the newest change answers.
    assert_verdict(&world.shop("prod"), Verdict::Accept);
}

#[test]
fn a_cherry_pick_and_a_squash_are_answered_for_by_their_committer() {
    let world = World::new();
    world.tick("stage");
    for version in ["1.1.0", "1.2.0"] {
        let pick = NewCommit::new("Take it over").file("services/shop.yaml", shop(version));
        world
            .repository
            .commit("stage", pick.by(&person("ana")).committed_by(&person("rita")));
        let decision = world.shop("stage");
        assert_verdict(&decision, Verdict::Accept);
        assert_eq!(decision.evidence.brought.len(), 1);
    }
}

#[test]
fn a_revert_says_what_it_is_and_releases_again() {
    let world = World::new();
    world.tick("qa");
    let before = world.push("qa", "ana", "1.1.0");
    assert_verdict(&world.shop("qa"), Verdict::Accept);
    let revert = NewCommit::new("Revert \"Take shop to 1.1.0\"").file("services/shop.yaml", shop("1.0.0"));
    let revert = world.repository.commit("qa", revert.by(&person("ana")));
    let decision = world.shop("qa");
    assert_verdict(&decision, Verdict::Accept);
    assert_eq!(decision.evidence.since, Some(name(&before)));
    assert_eq!(decision.notes, [format!("{} is a revert", &revert[..10])]);
}

#[test]
fn what_was_taken_back_is_not_answered_for_whether_or_not_somebody_looked_in_between() {
    let push = |world: &World, who: &str, text: &str| {
        let commit = NewCommit::new("Change shop").file("services/shop.yaml", text);
        world.repository.commit("prod", commit.by(&person(who)))
    };
    // Byte by byte, and written differently.
    for back in [shop("1.0.0"), format!("# as it was\n{}", shop("1.0.0"))] {
        for looked in [false, true] {
            let world = World::new();
            assert_verdict(&world.shop("prod"), Verdict::Accept);
            world.release("prod", finished(EndWord::Succeeded, Effects::Complete));
            push(&world, "mallory", &shop("6.6.6"));
            assert_verdict(&world.shop("prod"), Verdict::Refuse);
            push(&world, "mallory", &shop("6.6.7"));
            let back = push(&world, "rita", &back);
            if looked {
                assert_verdict(&world.shop("prod"), Verdict::Nothing);
            }
            let own = push(&world, "rita", &shop("1.1.0"));
            let decision = world.shop("prod");
            assert_verdict(&decision, Verdict::Accept);
            assert_eq!(decision.evidence.since, Some(name(&back)));
            let brought = &decision.evidence.brought;
            assert_eq!(
                brought
                    .iter()
                    .map(|change| change.commit.as_str())
                    .collect::<Vec<_>>(),
                [own]
            );
        }
    }
    // What was not taken back is.
    let world = World::new();
    world.shop("prod");
    push(&world, "rita", &shop("1.0.1"));
    push(&world, "mallory", &shop("6.6.6"));
    push(&world, "rita", &shop("1.0.1"));
    push(&world, "rita", &shop("1.1.0"));
    assert_verdict(&world.shop("prod"), Verdict::Refuse);
}

#[test]
fn a_branch_that_is_set_back_to_what_was_rejected_releases_it_only_by_a_new_commit() {
    let world = World::new();
    let good = || finished(EndWord::Succeeded, Effects::Complete);
    assert_verdict(&world.shop("qa"), Verdict::Accept);
    world.release("qa", good());
    let bad = world.push("qa", "ana", "1.1.0");
    assert_verdict(&world.shop("qa"), Verdict::Accept);
    world.release("qa", finished(EndWord::Failed, Effects::None));
    let back = world.push("qa", "ana", "1.0.0");
    assert_verdict(&world.shop("qa"), Verdict::Accept);
    world.release("qa", good());

    world.repository.git(&["update-ref", "refs/heads/qa", &bad]);
    let mut desk = world.desk();
    let monitor = desk.ledger().monitor(&name("qa")).unwrap();
    let accepted = EnvironmentRecord {
        accepted_push: Some(AcceptedPush {
            was: Some(name(&back)),
            now: name(&bad),
            by: "ana".to_owned(),
            reason: "a slip".to_owned(),
            at: desk.now(),
        }),
        ..monitor.environment.clone()
    };
    let data = serde_json::Value::Null;
    desk.record(&name("qa"), &monitor, &[], Some(accepted), holder(), data)
        .unwrap();
    let held = world.shop("qa");
    assert_verdict(&held, Verdict::Nothing);
    assert!(
        said(&held, "difference")
            .1
            .starts_with("held: exactly this 1.1.0"),
        "{}",
        held.explain()
    );

    let again = NewCommit::new("1.1.0 again, the database is back")
        .file("services/shop.yaml", format!("# again\n{}", shop("1.1.0")));
    world.repository.commit("qa", again.by(&person("ana")));
    assert_verdict(&world.shop("qa"), Verdict::Accept);
}

#[test]
fn a_rewrite_is_accepted_once_and_for_what_stands_on_it() {
    let world = World::new();
    world.tick("prod");
    let old = world.push("prod", "rita", "1.1.0");
    assert_verdict(&world.shop("prod"), Verdict::Accept);
    let root = world.repository.id(&format!("{old}^"));
    let rewrite = |from: &str, who: &str, version: &str| {
        let commit = NewCommit::new("Rewrite")
            .from(from)
            .file("services/shop.yaml", shop(version));
        world.repository.commit("prod", commit.by(&person(who)))
    };
    let new = rewrite(&root, "rita", "1.2.0");
    let decision = crate::world::decide(&mut world.desk(), "prod", None)
        .0
        .remove(0)
        .decision;
    assert_verdict(&decision, Verdict::Wait);
    assert!(
        said(&decision, "history").1.contains(&old[..10]),
        "{}",
        decision.explain()
    );

    let mut desk = world.desk();
    let monitor = desk.ledger().monitor(&name("prod")).unwrap();
    let accepted = EnvironmentRecord {
        accepted_push: Some(AcceptedPush {
            was: Some(name(&old)),
            now: name(&new),
            by: "rita".to_owned(),
            reason: "a password was in it".to_owned(),
            at: desk.now(),
        }),
        ..monitor.environment.clone()
    };
    let data = serde_json::Value::Null;
    let done = desk
        .record(
            &name("prod"),
            &monitor,
            &[],
            Some(accepted.clone()),
            holder(),
            data,
        )
        .unwrap();
    assert!(matches!(done, Recorded::Done(_)));
    let history = |tip: &str| past::history(world.desk().cache(), &accepted, &name(tip)).unwrap();
    assert!(matches!(
        history(&new),
        History::Rewritten {
            accepted: Some(_),
            ..
        }
    ));
    let on_top = world.push("prod", "rita", "1.3.0");
    assert!(matches!(
        history(&on_top),
        History::Rewritten {
            accepted: Some(_),
            ..
        }
    ));
    let again = rewrite(&root, "rita", "6.0.0");
    assert!(matches!(
        history(&again),
        History::Rewritten { accepted: None, .. }
    ));
    world.repository.git(&["update-ref", "refs/heads/prod", &on_top]);

    let decision = world.shop("prod");
    assert_verdict(&decision, Verdict::Accept);
    assert_eq!(
        decision.evidence.since,
        Some(name(&root)),
        "where the old way and the new one part"
    );
    assert_eq!(decision.evidence.brought.len(), 2);
}

#[test]
fn a_history_that_has_nothing_to_do_with_the_old_one_is_answered_for_by_everybody() {
    let world = World::new();
    world.tick("prod");
    world.repository.git(&["update-ref", "-d", "refs/heads/prod"]);
    let strange = world.push("prod", "mallory", "1.1.0");
    let new = world.push("prod", "rita", "1.2.0");
    let mut desk = world.desk();
    let monitor = desk.ledger().monitor(&name("prod")).unwrap();
    let accepted = EnvironmentRecord {
        accepted_push: Some(AcceptedPush {
            was: monitor.environment.seen.clone(),
            now: name(&new),
            by: "rita".to_owned(),
            reason: "a new start".to_owned(),
            at: desk.now(),
        }),
        ..monitor.environment.clone()
    };
    let data = serde_json::Value::Null;
    desk.record(&name("prod"), &monitor, &[], Some(accepted), holder(), data)
        .unwrap();
    let decision = world.shop("prod");
    assert_verdict(&decision, Verdict::Refuse);
    assert!(
        said(&decision, "people").1.contains(&strange[..10]),
        "{}",
        decision.explain()
    );
}
