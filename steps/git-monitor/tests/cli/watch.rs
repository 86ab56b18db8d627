//! From a push to a trigger, and nothing twice.

use pilotage_tests::gitserver::{Asked, GitServer, NewCommit};

use crate::world::{POLICY, World, decisions, person, remarks, service, stopped};

#[test]
fn once_decides_records_and_triggers_all_of_a_push_together() {
    let world = World::new();
    world.push("qa", "ana", "cart", &service("0.1.0"));
    let report = world.once();
    assert_eq!(
        decisions(&report),
        ["qa cart accept", "qa shop accept", "prod shop accept"]
    );
    let asked = world.asked("pilotage-release");
    assert_eq!(asked.len(), 2, "one release for each environment: {asked:?}");
    let tip = world.repository.id("qa");
    let qa = asked.iter().find(|line| line.contains("--env qa")).unwrap();
    assert!(
        qa.starts_with("run --repo") && qa.contains("--service cart,shop"),
        "{qa}"
    );
    assert!(qa.ends_with(&format!("--commit {tip}")), "{qa}");
    assert!(world.asked("pilotage-notify").is_empty());

    world.release("qa", "shop");
    world.release("qa", "cart");
    world.release("prod", "shop");
    let before = world.refs();
    let report = world.once();
    assert_eq!(
        (decisions(&report).len(), world.asked("pilotage-release").len()),
        (0, 2)
    );
    assert_eq!((report["effects"].as_str(), world.refs()), (Some("none"), before));
}

#[test]
fn an_idle_look_is_one_request_also_after_the_monitor_s_own_writes() {
    let world = World::new();
    let server = GitServer::start(&world.served());
    let url = server.url("envs.git");
    let running = world.monitor_of("run", &url).args(["--interval", "50ms"]).spawn();
    world.wait_asked("pilotage-release", 2);
    world.release("qa", "shop");
    world.release("prod", "shop");
    // Quiet is when one listing follows another.
    let quiet = |looks: u64| {
        server.reset_counts();
        world.wait_until("the monitor looks again", || server.counts().requests >= looks);
        let counts = server.counts();
        counts.by_kind.get(&Asked::LsRefs).copied() == Some(counts.requests)
            && counts.bytes_out / counts.requests < 1024
    };
    world.wait_until("it is quiet", || quiet(10));
    let before = world.refs();
    assert!(quiet(20), "{:?}", server.counts());
    assert_eq!(world.refs(), before);

    // And it wakes.
    world.push("qa", "ana", "shop", &service("1.1.0"));
    world.wait_asked("pilotage-release", 3);
    world.release("qa", "shop");
    world.wait_until("it is quiet again", || quiet(10));
    let _ = stopped(running);
}

#[test]
fn a_ledger_of_its_own_is_one_request_more() {
    let world = World::new();
    let ledger = world.served().join("ledger.git");
    pilotage_tests::gitserver::BareRepository::init(&ledger);
    let server = GitServer::start(&world.served());
    let policy = format!(
        "{POLICY}ledger: {{repository: \"{}\"}}\n",
        server.url("ledger.git")
    );
    world
        .repository
        .commit("main", NewCommit::new("Move").file("pilotage.yaml", policy));
    let running = world
        .monitor_of("run", &server.url("envs.git"))
        .args(["--interval", "50ms"])
        .spawn();
    world.wait_asked("pilotage-release", 2);
    assert_eq!(
        world.refs(),
        "",
        "nothing is written to the environments' repository"
    );
    world.release("qa", "shop");
    world.release("prod", "shop");
    world.wait_until("it is quiet", || {
        server.reset_counts();
        world.wait_until("the monitor looks again", || server.counts().requests >= 20);
        let counts = server.counts();
        counts.by_kind.get(&Asked::LsRefs).copied() == Some(counts.requests)
    });
    let _ = stopped(running);
}

#[test]
fn a_refusal_is_told_once_and_the_others_go_on() {
    let world = World::new();
    world.once();
    world.push("prod", "mallory", "shop", &service("6.6.6"));
    world.push("qa", "ana", "shop", "version: 1.10\nimage: x\n");
    world.push("qa", "ana", "cart", &service("0.1.0"));
    let report = world.once();
    assert_eq!(
        decisions(&report),
        ["qa cart accept", "qa shop refuse", "prod shop refuse"]
    );
    let told = world.asked("pilotage-notify");
    assert_eq!(told.len(), 2, "{told:?}");
    assert!(
        told.iter().all(|line| line.starts_with("--event refused --env")),
        "{told:?}"
    );
    let report = world.once();
    assert_eq!(
        (decisions(&report).len(), world.asked("pilotage-notify").len()),
        (0, 2)
    );

    // Nothing of ours is left in the folder for temporary files.
    let output = world.monitor("once").run();
    let left = std::fs::read_dir(output.home()).unwrap().filter(|entry| {
        entry
            .as_ref()
            .is_ok_and(|entry| entry.file_name().to_string_lossy().starts_with("pilotage-tell"))
    });
    assert_eq!(left.count(), 0);
}

#[test]
fn what_nobody_could_be_told_is_told_by_the_next_one() {
    let world = World::new();
    world.stand_in("pilotage-notify", "exit 4");
    world.push("prod", "mallory", "shop", &service("6.6.6"));
    world.once();
    world.once();
    assert_eq!(world.asked("pilotage-notify").len(), 2);
    world.stand_in("pilotage-notify", "exit 0");
    world.once();
    world.once();
    assert_eq!(world.asked("pilotage-notify").len(), 3);
    assert!(world.record("prod", "shop").unwrap().decision["told"].is_string());
}

#[test]
fn messages_are_worded_by_the_templates_of_the_config_branch() {
    let policy = format!("{POLICY}templates: {{refused: templates/no.txt}}\n");
    let world = World::with(&policy);
    world.stand_in(
        "pilotage-notify",
        "while [ \"$1\" != --templates ]; do shift; done; cat \"$2\"/* > \"$0.template\"",
    );
    let template = NewCommit::new("Word it").file("templates/no.txt", "No.\n");
    world.repository.commit("main", template);
    world.push("prod", "mallory", "shop", &service("6.6.6"));
    world.once();
    let seen = std::fs::read_to_string(world.path("bin/pilotage-notify.template")).unwrap();
    assert_eq!(seen, "No.\n");
}

#[test]
fn a_storm_waits_for_a_word_that_may_come_later() {
    let world = World::new();
    world.once();
    let mut push = NewCommit::new("Everything").by(&person("rita"));
    for number in 0..30 {
        push = push.file(&format!("services/s{number}.yaml"), service("1.0.0"));
    }
    world.repository.commit("prod", push);
    let report = world.once();
    let waiting = decisions(&report)
        .iter()
        .filter(|line| line.ends_with("wait"))
        .count();
    assert_eq!(waiting, 30);
    assert_eq!(world.asked("pilotage-notify").len(), 30);
    // By somebody who has no say there, then by somebody who has.
    let word = |who: &str| NewCommit::new("It is meant\n\nStorm: 30\n").by(&person(who));
    world.repository.commit("prod", word("mallory"));
    world.once();
    assert_eq!(world.verdict("prod", "s7"), "wait");
    world.repository.commit("prod", word("rita"));
    world.once();
    assert_eq!(world.verdict("prod", "s7"), "accept");
    let asked = world.asked("pilotage-release");
    assert_eq!(
        asked
            .iter()
            .filter(|line| line.contains("s7") && line.contains("s29"))
            .count(),
        1,
        "{asked:?}"
    );
}

#[test]
fn files_touch_their_service_and_a_missing_one_may_come_later() {
    let world = World::new();
    let with_file = service("1.1.0") + "files: {/etc/s.conf: {from: files/s.conf}}\n";
    world.push("qa", "ana", "shop", &with_file);
    world.once();
    assert_eq!(world.verdict("qa", "shop"), "refuse");
    world
        .repository
        .commit("qa", NewCommit::new("The file").file("files/s.conf", "a\n"));
    world.once();
    assert_eq!(world.verdict("qa", "shop"), "accept");
    world.release("qa", "shop");
    let tip = world
        .repository
        .commit("qa", NewCommit::new("Another").file("files/s.conf", "b\n"));
    world.once();
    assert_eq!(
        world
            .record("qa", "shop")
            .unwrap()
            .accepted
            .unwrap()
            .commit
            .to_string(),
        tip
    );
}

#[test]
fn an_orphan_is_told_once_and_a_misnamed_file_too() {
    let world = World::new();
    world.once();
    world.release("qa", "shop");
    let push = NewCommit::new("Tidy up")
        .remove("services/shop.yaml")
        .file("services/Cart.yml", "x");
    world.repository.commit("qa", push);
    let report = world.once();
    assert_eq!(decisions(&report), ["qa shop nothing"]);
    assert!(remarks(&report)[0].contains("services/Cart.yml"), "{report:#}");
    assert!(world.asked("pilotage-notify")[0].starts_with("--event waiting"));
    world
        .repository
        .commit("qa", NewCommit::new("More").file("README.md", "x"));
    let report = world.once();
    assert_eq!(
        (decisions(&report).len(), remarks(&report).len()),
        (0, 0),
        "{report:#}"
    );
    assert_eq!(world.asked("pilotage-notify").len(), 1);
}

#[test]
fn what_is_observed_is_released_when_policy_says_so() {
    let observed = POLICY.replace("qa: {target: box,", "qa: {target: box, mode: observe,");
    let world = World::with(&observed);
    let report = world.once();
    assert!(
        remarks(&report)
            .iter()
            .any(|remark| remark.contains("only observed")),
        "{report:#}"
    );
    assert!(
        world
            .asked("pilotage-release")
            .iter()
            .all(|line| line.contains("--env prod"))
    );
    world
        .repository
        .commit("main", NewCommit::new("In earnest").file("pilotage.yaml", POLICY));
    world.once();
    assert!(
        world
            .asked("pilotage-release")
            .iter()
            .any(|line| line.contains("--env qa"))
    );
}

#[test]
fn first_sight_is_asked_once_and_adopting_starts_nothing() {
    let world = World::with(&POLICY.replace(", first: deploy", ""));
    let report = world.once();
    assert_eq!(
        (decisions(&report).len(), world.asked("pilotage-notify").len()),
        (0, 0)
    );
    assert!(remarks(&report)[0].contains("first: adopt"), "{report:#}");
    let output = world.monitor("once").args(["--first", "adopt"]).run_reported();
    assert_eq!(
        decisions(&output.report()),
        ["qa shop adopt", "prod shop adopt"],
        "{output}"
    );
    let chain = world
        .desk()
        .ledger()
        .release(&"qa".parse().unwrap(), &"shop".parse().unwrap())
        .unwrap();
    assert!(chain.state().proved.as_ref().is_some_and(|proved| proved.adopted));
    assert!(world.asked("pilotage-release").is_empty());
    world.push("qa", "ana", "shop", &service("1.1.0"));
    world.once();
    assert_eq!(world.asked("pilotage-release").len(), 1);
}

#[test]
fn a_command_is_told_by_its_environment_and_by_nothing_else() {
    let world = World::with(POLICY);
    let script = world.path("trigger.sh");
    std::fs::write(
        &script,
        "#!/bin/sh\nenv | grep ^PILOTAGE_ | sort > \"$0.$PILOTAGE_ENV\"\n",
    )
    .unwrap();
    let command = format!(
        "trigger: {{command: [sh, \"{}\", \"$(id); x\"]}}\n",
        script.display()
    );
    let policy = POLICY.replace("trigger: local\n", &command);
    world
        .repository
        .commit("main", NewCommit::new("Trigger").file("pilotage.yaml", policy));
    world.once();
    let told = std::fs::read_to_string(world.path("trigger.sh.qa")).unwrap();
    let tip = world.repository.id("qa");
    for line in [
        "PILOTAGE_CONFIG_BRANCH=main",
        "PILOTAGE_ENV=qa",
        "PILOTAGE_SERVICE=shop",
        &format!("PILOTAGE_COMMIT={tip}"),
    ] {
        assert!(told.lines().any(|said| said == line), "{line} in {told}");
    }
    assert!(world.asked("pilotage-release").is_empty());
}

#[test]
fn what_is_hopeless_is_not_tried_again_while_another_service_is_on_its_way() {
    let world = World::new();
    world.stand_in(
        "pilotage-release",
        "case \"$*\" in *'--service shop'*) exit 3 ;; *) exit 4 ;; esac",
    );
    let running = world.run();
    world.wait_asked("pilotage-release", 2);
    for (number, version) in ["1.0.0", "1.1.0", "1.2.0"].iter().enumerate() {
        world.push("qa", "ana", "cart", &service(version));
        world.wait_until("cart is tried", || {
            let asked = world.asked("pilotage-release");
            asked
                .iter()
                .filter(|line| line.contains("--service cart"))
                .count()
                > number
        });
    }
    let _ = stopped(running);
    let asked = world.asked("pilotage-release");
    let shop = asked.iter().filter(|line| line.contains("--service shop"));
    assert_eq!(shop.count(), 2, "once in qa and once in prod: {asked:?}");
}
