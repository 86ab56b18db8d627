//! A release that came to no answer says something of what it was about, and of nothing else.

use pilotage_gate::{Answer, Decision, Verdict};
use pilotage_ledger::{Effects, EndWord, Holder, ProcessHolder};
use pilotage_tests::gitserver::NewCommit;

use crate::world::{World, assert_verdict, decide, finished, holder, person, said, shop};

/// The decision as it would be now, recorded nowhere.
fn now(world: &World) -> Decision {
    decide(&mut world.desk(), "prod", None).0.remove(0).decision
}

#[test]
fn a_loose_end_counts_for_what_it_was_about() {
    let world = World::new();
    world.tick("prod");
    world.release("prod", finished(EndWord::Succeeded, Effects::Complete));
    world.push("prod", "rita", "1.1.0");
    assert_verdict(&world.shop("prod"), Verdict::Accept);
    world.release("prod", finished(EndWord::Cancelled, Effects::None));
    let decision = now(&world);
    assert_verdict(&decision, Verdict::Accept);
    assert!(
        said(&decision, "difference").1.contains("cancelled"),
        "{}",
        decision.explain()
    );

    // What runs is asked again: it was touched by nothing, whatever became of the other one.
    world.push("prod", "rita", "1.0.0");
    let decision = world.shop("prod");
    assert_eq!(
        said(&decision, "difference").0,
        Answer::Pass,
        "1.1.0 was accepted in between"
    );
    assert_verdict(&now(&world), Verdict::Nothing);

    // A release that touched something and proved nothing leaves everything in doubt.
    world.push("prod", "rita", "1.2.0");
    assert_verdict(&world.shop("prod"), Verdict::Accept);
    world.release("prod", finished(EndWord::Cancelled, Effects::Partial));
    world.push("prod", "rita", "1.0.0");
    world.shop("prod");
    let decision = now(&world);
    assert_verdict(&decision, Verdict::Accept);
    assert!(
        said(&decision, "difference").1.contains("cancelled"),
        "{}",
        decision.explain()
    );
}

#[test]
fn what_was_accepted_after_a_rejection_stays_open_however_its_release_was_cut_off() {
    let world = World::new();
    world.tick("qa");
    world.release("qa", finished(EndWord::Succeeded, Effects::Complete));
    world.push("qa", "ana", "1.1.0");
    assert_verdict(&world.shop("qa"), Verdict::Accept);
    world.release("qa", finished(EndWord::Failed, Effects::Partial));
    let held = world.shop("qa");
    assert_verdict(&held, Verdict::Nothing);
    assert!(said(&held, "difference").1.starts_with("held: 1.1.0"));

    // Another version, and the same one once more on purpose.
    for version in ["1.1.1", "1.1.0"] {
        let commit = NewCommit::new(&format!("{version}, on purpose"))
            .file("services/shop.yaml", format!("{}# {version}\n", shop(version)));
        world.repository.commit("qa", commit.by(&person("ana")));
        assert_verdict(&world.shop("qa"), Verdict::Accept);
        for end in [EndWord::Cancelled, EndWord::Unavailable] {
            world.release("qa", finished(end.clone(), Effects::None));
            let open = world.shop("qa");
            assert_verdict(&open, Verdict::Accept);
            let why = said(&open, "difference").1;
            assert!(why.contains(&format!("ended {end}")), "{}", open.explain());
        }
        world.release("qa", finished(EndWord::Failed, Effects::None));
        assert_verdict(&world.shop("qa"), Verdict::Nothing);
    }
}

#[test]
fn a_release_whose_holder_is_gone_is_not_under_way() {
    let world = World::new();
    world.tick("qa");
    let Holder::Process(process) = holder() else {
        panic!("this is a process");
    };
    // Another one had our number before.
    let gone = ProcessHolder {
        started: process.started - 1,
        ..process
    };
    let mut desk = world.desk();
    world.begin_as(&mut desk, "qa", Holder::Process(gone));
    let decision = world.shop("qa");
    assert_verdict(&decision, Verdict::Accept);
    let why = said(&decision, "difference").1;
    assert!(why.contains("was cut off"), "{}", decision.explain());
}
