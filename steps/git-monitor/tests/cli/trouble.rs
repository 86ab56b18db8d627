//! Bad luck: signals, kills, races, networks, and a policy with errors.

use pilotage_tests::gitserver::{Asked, Fault, GitServer, NewCommit};

use crate::world::{POLICY, World, decisions, service, stopped};

#[test]
fn explain_and_a_dry_run_change_nothing() {
    let world = World::new();
    world.push("prod", "mallory", "shop", &service("6.6.6"));
    for (command, more) in [
        ("explain", "--color"),
        ("once", "--dry-run"),
        ("run", "--dry-run"),
    ] {
        let mut monitor = world.monitor(command);
        if more == "--dry-run" {
            monitor = monitor.arg(more);
        }
        let output = monitor.run_reported();
        assert_eq!(output.code, Some(0), "{output}");
        assert!(output.stdout.contains("mallory@example.com"), "{output}");
        assert_eq!(
            (output.report()["effects"].as_str(), world.refs()),
            (Some("none"), String::new())
        );
    }
    assert!(world.asked("pilotage-release").is_empty() && world.asked("pilotage-notify").is_empty());
}

#[test]
fn sigterm_ends_the_monitor_and_not_its_releases() {
    let world = World::new();
    world.stand_in(
        "pilotage-release",
        "while [ ! -e \"$0.go\" ]; do sleep 0.05; done; echo done >> \"$0.ended\"",
    );
    let running = world.run();
    world.wait_asked("pilotage-release", 2);
    running.terminate();
    // The releases hold its stderr open, so its end is seen when they have ended.
    std::fs::write(world.path("bin/pilotage-release.go"), "").unwrap();
    let output = running.wait();
    assert_eq!(output.code, Some(143), "{output}");
    world.wait_until("the releases end by themselves", || {
        std::fs::read_to_string(world.path("bin/pilotage-release.ended"))
            .is_ok_and(|text| text.lines().count() == 2)
    });
}

#[test]
fn a_killed_monitor_leaves_nothing_undone() {
    let world = World::new();
    let server = GitServer::start(&world.served());
    let url = server.url("envs.git");
    world.push("prod", "mallory", "shop", &service("6.6.6"));
    // Dead before the record, and dead after it with nothing triggered or told.
    for fault in [Fault::Hang, Fault::HangAfter] {
        server.fault(Asked::Push, fault, 1);
        server.reset_counts();
        let running = world.monitor_of("run", &url).args(["--interval", "50ms"]).spawn();
        world.wait_until("it records", || {
            server.counts().by_kind.contains_key(&Asked::Push)
        });
        running.kill();
        assert_eq!(running.wait().signal, Some(9));
        server.heal();
    }
    assert!(world.asked("pilotage-release").is_empty() && world.asked("pilotage-notify").is_empty());
    let output = world.monitor_of("once", &url).run_reported();
    assert_eq!(output.code, Some(0), "{output}");
    assert_eq!(
        (world.verdict("qa", "shop"), world.verdict("prod", "shop")),
        ("accept".into(), "refuse".into())
    );
    let (released, told) = (world.asked("pilotage-release"), world.asked("pilotage-notify"));
    assert_eq!((released.len(), told.len()), (1, 1), "{released:?} {told:?}");
    assert!(released[0].contains("--env qa") && told[0].contains("--env prod"));
}

#[test]
fn a_decision_whose_monitor_died_is_triggered_and_told_by_the_next_one() {
    let world = World::new();
    world.once();
    world.release("qa", "shop");
    world.release("prod", "shop");
    let before = world.asked("pilotage-release").len();
    // The decision is written by a process that then ends without having done anything about it.
    world.stand_in("pilotage-release", "kill -9 $$");
    world.stand_in("pilotage-notify", "kill -9 $$");
    world.push("qa", "ana", "shop", &service("1.1.0"));
    world.push("prod", "mallory", "shop", &service("6.6.6"));
    world.once_ending(4);
    assert_eq!(world.asked("pilotage-release").len(), before + 1);
    world.stand_in("pilotage-release", "exit 0");
    world.stand_in("pilotage-notify", "exit 0");
    let report = world.once();
    assert!(decisions(&report).is_empty(), "{report:#}");
    assert_eq!(
        (
            world.asked("pilotage-release").len(),
            world.asked("pilotage-notify").len()
        ),
        (before + 2, 2)
    );
}

#[test]
fn two_monitors_trigger_once_and_tell_once() {
    let world = World::new();
    world.once();
    world.release("qa", "shop");
    world.release("prod", "shop");
    let (one, other) = (world.run(), world.run());
    for number in 0..5 {
        let name = format!("s{number}");
        world.push("qa", "ana", &name, &service("1.0.0"));
        world.push("prod", "mallory", &name, &service("1.0.0"));
        world.wait_until("it is decided and told", || {
            world.record("qa", &name).is_some()
                && world
                    .record("prod", &name)
                    .is_some_and(|record| record.decision["told"].is_string())
        });
    }
    world.wait_until("all are triggered", || {
        (0..5).all(|n| {
            world
                .asked("pilotage-release")
                .iter()
                .any(|line| line.contains(&format!("s{n}")))
        })
    });
    let _ = stopped(one);
    let _ = stopped(other);
    for number in 0..5 {
        let name = format!("--service s{number} ");
        let asked = world.asked("pilotage-release");
        assert_eq!(
            asked.iter().filter(|line| line.contains(&name)).count(),
            1,
            "{asked:?}"
        );
    }
    assert_eq!(world.asked("pilotage-notify").len(), 5);
}

#[test]
fn a_policy_with_errors_decides_nothing_and_says_so_once() {
    let world = World::new();
    let running = world.run();
    world.wait_asked("pilotage-release", 2);
    let before = world.refs();
    let broken = POLICY.replace("target: box, from", "traget: box, from");
    world
        .repository
        .commit("main", NewCommit::new("Slip").file("pilotage.yaml", broken));
    running.wait_for_stderr("nothing is decided");
    world.push("qa", "ana", "cart", &service("0.1.0"));
    let other = POLICY.replace("first: deploy, policy", "frist: deploy, policy");
    world
        .repository
        .commit("main", NewCommit::new("Slip again").file("pilotage.yaml", other));
    running.wait_for_stderr("frist");
    assert!(before == world.refs(), "nothing was decided meanwhile");
    world
        .repository
        .commit("main", NewCommit::new("Mend").file("pilotage.yaml", POLICY));
    running.wait_for_stdout("cart 0.1.0 in qa: accepted");
    let output = stopped(running);
    assert_eq!(output.stderr.matches("nothing is decided").count(), 2, "{output}");
    assert!(output.stderr.contains("pilotage.yaml:7:"), "{output}");
}

#[test]
fn a_repository_that_cannot_be_had_ends_in_4() {
    let world = World::new();
    let server = GitServer::start(&world.served());
    server.require("git", "right");
    let url = server.url("envs.git");
    for password in [None, Some("wrong")] {
        let mut monitor = world.monitor_of("once", &url);
        if let Some(password) = password {
            monitor = monitor.env("PILOTAGE_GIT_PASSWORD", password);
        }
        let output = monitor.run_reported();
        assert_eq!(
            (output.code, output.report()["effects"].as_str()),
            (Some(4), Some("none")),
            "{output}"
        );
    }
    let output = world
        .monitor_of("once", &url)
        .env("PILOTAGE_GIT_PASSWORD", "right")
        .run();
    assert_eq!(output.code, Some(0), "{output}");
    let gone = url.clone();
    drop(server);
    let output = world.monitor_of("once", &gone).run();
    assert_eq!(output.code, Some(4), "{output}");
}

#[test]
fn a_server_that_hangs_is_waited_for_until_the_deadline() {
    let world = World::new();
    let server = GitServer::start(&world.served());
    server.fault(Asked::LsRefs, Fault::Hang, 100);
    let output = world
        .monitor_of("once", &server.url("envs.git"))
        .args(["--deadline", "1s"])
        .run_reported();
    assert_eq!(output.code, Some(5), "{output}");
    assert_eq!(output.report()["outcome"], "deadline");
}

#[test]
fn an_outage_while_watching_is_said_once_and_got_over() {
    let world = World::new();
    let server = GitServer::start(&world.served());
    let running = world
        .monitor_of("run", &server.url("envs.git"))
        .args(["--interval", "50ms"])
        .spawn();
    world.wait_asked("pilotage-release", 2);
    server.fault(Asked::Any, Fault::Status(503), 20);
    running.wait_for_stderr("nothing is decided");
    server.heal();
    world.push("qa", "ana", "cart", &service("0.1.0"));
    running.wait_for_stdout("cart 0.1.0 in qa: accepted");
    let output = stopped(running);
    assert_eq!(output.stderr.matches("nothing is decided").count(), 1, "{output}");
}
