//! Branches that were rewritten or deleted.

use pilotage_tests::gitserver::NewCommit;

use crate::world::{World, decisions, person, remarks, service};

fn accept(world: &World, tip: &str, more: &[&str]) -> pilotage_tests::command::Output {
    let given = [
        "--env",
        "prod",
        "--commit",
        tip,
        "--by",
        "rita",
        "--reason",
        "a password was in it",
    ];
    world.monitor("accept").args(given).args(more).run_reported()
}

#[test]
fn a_rewrite_freezes_until_it_is_accepted_and_the_next_one_freezes_again() {
    let world = World::new();
    world.once();
    let old = world.push("prod", "rita", "shop", &service("1.1.0"));
    world.once();
    let rewrite = |version: &str| {
        let from = world.repository.id(&format!("{old}^"));
        let commit = NewCommit::new("Rewrite")
            .from(&from)
            .file("services/shop.yaml", service(version));
        world.repository.commit("prod", commit.by(&person("rita")))
    };
    let new = rewrite("1.2.0");
    let report = world.once();
    assert!(remarks(&report)[0].contains("prod is frozen"), "{report:#}");
    let before = world.refs();
    let report = world.once();
    assert_eq!((decisions(&report).len(), world.refs()), (0, before.clone()));

    let output = accept(&world, &new, &["--dry-run"]);
    assert_eq!((output.code, world.refs()), (Some(0), before), "{output}");
    assert!(output.stdout.contains("would be accepted"), "{output}");
    let output = accept(&world, &old, &[]);
    assert_eq!(output.code, Some(6), "what is accepted is the tip: {output}");
    let output = accept(&world, &new, &[]);
    assert_eq!(output.code, Some(0), "{output}");
    let report = world.once();
    assert_eq!(decisions(&report), ["prod shop accept"]);
    let again = accept(&world, &new, &[]);
    assert!(again.stdout.contains("nothing to accept"), "{again}");

    rewrite("1.3.0");
    let report = world.once();
    assert!(remarks(&report)[0].contains("prod is frozen"), "{report:#}");
    assert!(decisions(&report).is_empty());
}

#[test]
fn a_deleted_branch_stops_nothing_and_its_return_is_accepted_by_a_person() {
    let world = World::new();
    world.once();
    let tip = world.repository.id("prod");
    world.repository.git(&["update-ref", "-d", "refs/heads/prod"]);
    let report = world.once();
    assert!(
        remarks(&report)[0].contains("the branch was deleted"),
        "{report:#}"
    );
    let output = accept(&world, &tip, &[]);
    assert_eq!(output.code, Some(4), "there is nothing to accept yet: {output}");
    world.repository.git(&["update-ref", "refs/heads/prod", &tip]);
    let new = world.push("prod", "rita", "shop", &service("1.1.0"));
    assert!(decisions(&world.once()).is_empty());
    assert_eq!(accept(&world, &new, &[]).code, Some(0));
    assert_eq!(decisions(&world.once()), ["prod shop accept"]);
}
