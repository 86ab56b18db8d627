//! A release that came to no answer says something of what it was about, and of nothing else.

use pilotage_gate::{Answer, Decision, Verdict};
use pilotage_ledger::{Effects, EndWord};

use crate::world::{World, assert_verdict, decide, finished, said};

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
