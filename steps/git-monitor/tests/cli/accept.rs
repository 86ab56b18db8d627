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
        "Rita <rita@example.com>",
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
    assert_eq!(report["summary"], "nothing is decided in prod while frozen");
    let before = world.refs();
    let report = world.once();
    assert_eq!((decisions(&report).len(), world.refs()), (0, before.clone()));

    let output = accept(&world, &new, &["--dry-run"]);
    assert_eq!((output.code, world.refs()), (Some(0), before), "{output}");
    assert!(output.stdout.contains("would be accepted"), "{output}");
    let output = accept(&world, &old, &[]);
    assert_eq!(output.code, Some(6), "what is accepted is the tip: {output}");
    let output = accept(&world, "0123456", &[]);
    assert_eq!(output.code, Some(2), "{output}");
    assert!(
        output
            .stderr
            .contains("no commit in the repository begins with 0123456"),
        "{output}"
    );
    let output = accept(&world, &new[..10], &[]);
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
fn who_accepts_and_why_is_said_or_nothing_is_accepted() {
    let world = World::new();
    world.once();
    let before = world.refs();
    for (by, reason) in [
        ("Rita <rita@example.com>", " "),
        ("Rita <rita@example.com>", "a\u{1b}[2J"),
        ("rita", "a password was in it"),
        ("Rita\n<rita@example.com", "a password was in it"),
    ] {
        let accept = world.monitor("accept").args(["--env", "prod"]);
        let output = accept.args(["--by", by, "--reason", reason]).run();
        assert_eq!((output.code, world.refs()), (Some(2), before.clone()), "{output}");
    }
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

/// The messages about environments, as `event environment`.
fn told(world: &World) -> Vec<String> {
    let asked = world.asked("pilotage-notify");
    let words = asked.iter().map(|line| line.split(' ').collect::<Vec<_>>());
    words
        .filter(|words| ["frozen", "thawed"].contains(&words[1]))
        .map(|words| format!("{} {}", words[1], words[3]))
        .collect()
}

#[test]
fn people_are_told_once_that_an_environment_froze_and_once_that_it_goes_on() {
    let world = World::new();
    world.once();
    world.stand_in("pilotage-notify", "cat \"$6\" > \"$0.$2\"; exit 4");
    let begin = world.repository.id("prod");
    for (number, already) in [("1", 0), ("2", 1)] {
        let rewrite = NewCommit::new("Rewrite").file("README.md", number);
        let rewritten = world
            .repository
            .git(&["commit-tree", &format!("{begin}^{{tree}}"), "-m", number]);
        world
            .repository
            .git(&["update-ref", "refs/heads/prod", &rewritten]);
        let tip = world.repository.commit("prod", rewrite.by(&person("rita")));
        // Nobody could be told, so the next monitor tells it.
        world.stand_in("pilotage-notify", "cat \"$6\" > \"$0.$2\"; exit 4");
        world.once();
        world.stand_in("pilotage-notify", "cat \"$6\" > \"$0.$2\"");
        world.once();
        world.once();
        // A frozen branch that moves on is no news.
        let tip = match number {
            "1" => world.push("prod", "rita", "shop", &service("1.2.0")),
            _ => tip,
        };
        world.once();
        assert_eq!(
            told(&world).split_off(3 * already),
            ["frozen prod", "frozen prod"]
        );
        let message = std::fs::read_to_string(world.path("bin/pilotage-notify.frozen")).unwrap();
        assert!(
            message.contains("the branch was rewritten")
                && message.contains("served/envs.git --env prod --commit "),
            "{message}"
        );

        assert_eq!(accept(&world, &tip, &[]).code, Some(0));
        world.once();
        world.once();
        assert_eq!(
            told(&world).split_off(3 * already),
            ["frozen prod", "frozen prod", "thawed prod"]
        );
        let message = std::fs::read_to_string(world.path("bin/pilotage-notify.thawed")).unwrap();
        assert!(
            message.contains("Rita <rita@example.com> accepted it: a password was in it"),
            "{message}"
        );
    }
}

#[test]
fn a_monitor_that_goes_on_tells_a_freeze_once_and_rests() {
    let world = World::new();
    let running = world.run();
    world.wait_asked("pilotage-release", 2);
    world.repository.git(&["update-ref", "-d", "refs/heads/prod"]);
    world.wait_asked("pilotage-notify", 1);
    world.wait_until("it is noted", || {
        let monitor = world.desk().ledger().monitor(&"prod".parse().unwrap()).unwrap();
        monitor.environment.frozen.is_some() && !monitor.environment.untold
    });
    // It looks on meanwhile.
    world.push("qa", "ana", "shop", &service("1.1.0"));
    running.wait_for_stdout("shop 1.1.0 in qa: accepted");
    let _ = crate::world::stopped(running);
    assert_eq!(told(&world), ["frozen prod"]);
}
