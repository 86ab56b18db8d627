//! First sight of an environment that runs already, and what interrupts it.

use pilotage_tests::gitserver::{Asked, Fault, GitServer, NewCommit};

use crate::world::{POLICY, World, decisions, service};

const SERVICES: usize = 6;

/// Environments that nobody has said anything about, with more services.
fn unseen() -> World {
    let world = World::with(&POLICY.replace(", first: deploy", ""));
    for branch in ["qa", "prod"] {
        let mut commit = NewCommit::new("More").by(&crate::world::person("rita"));
        for number in 1..SERVICES {
            commit = commit.file(&format!("services/s{number}.yaml"), service("1.0.0"));
        }
        world.repository.commit(branch, commit);
    }
    world
}

/// Everything is as after an adoption that nothing came between.
#[track_caller]
fn assert_adopted(world: &World, when: &str) {
    let mut desk = world.desk();
    for environment in ["qa", "prod"] {
        let environment = environment.parse().unwrap();
        let monitor = desk.ledger().monitor(&environment).unwrap();
        assert_eq!(monitor.services.len(), SERVICES, "{when}");
        let chains = desk.ledger().releases(&environment).unwrap();
        for (service, record) in &monitor.services {
            assert_eq!(
                record.decision["verdict"], "adopt",
                "{when}: {service} in {environment}"
            );
            let accepted = record.accepted.as_ref().unwrap();
            let chain = chains[service].as_ref().unwrap();
            let proved = chain.state().proved.as_ref().unwrap();
            assert!(
                proved.adopted && proved.descriptor == accepted.descriptor,
                "{when}"
            );
            assert_eq!(chain.entries.len(), 1, "{when}: {service} in {environment}");
        }
    }
    assert!(world.asked("pilotage-release").is_empty() && world.asked("pilotage-notify").is_empty());
}

fn pushes(server: &GitServer) -> u64 {
    server
        .counts()
        .by_kind
        .get(&Asked::Push)
        .copied()
        .unwrap_or_default()
}

fn adopt(world: &World, server: &GitServer) -> pilotage_tests::command::Command {
    world
        .monitor_of("once", &server.url("envs.git"))
        .args(["--first", "adopt"])
}

#[test]
fn all_services_are_one_push_and_a_kill_at_every_push_converges() {
    let world = unseen();
    let server = GitServer::start(&world.served());
    let output = adopt(&world, &server).run_reported();
    assert_eq!(output.code, Some(0), "{output}");
    assert_eq!(decisions(&output.report()).len(), 2 * SERVICES);
    assert_adopted(&world, "nothing came between");
    let all = pushes(&server);
    assert_eq!(all, 4, "what runs and what was decided, in each environment");

    // Before and after the server has done it.
    for fault in [Fault::Hang, Fault::HangAfter] {
        for push in 0..all {
            let world = unseen();
            let server = GitServer::start(&world.served());
            let before = usize::try_from(push).unwrap();
            server.fault(Asked::Push, Fault::Delay(std::time::Duration::ZERO), before);
            server.fault(Asked::Push, fault.clone(), 1);
            let running = adopt(&world, &server).spawn();
            world.wait_until("it comes to that push", || pushes(&server) > push);
            running.kill();
            assert_eq!(running.wait().signal, Some(9));
            server.heal();
            let output = adopt(&world, &server).run_reported();
            assert_eq!(output.code, Some(0), "{output}");
            assert_adopted(&world, &format!("{fault:?} at push {push}"));
        }
    }
}

#[test]
fn refs_that_did_not_move_before_the_kill_are_moved_by_the_next_look() {
    let world = unseen();
    let once = || {
        let output = world.monitor("once").args(["--first", "adopt"]).run_reported();
        assert_eq!(output.code, Some(0), "{output}");
    };
    once();
    // On a path refs move one after the other: a kill leaves any number of them, and no decision.
    for moved in 0..=SERVICES {
        for environment in ["qa", "prod"] {
            let monitor = format!("refs/pilotage/monitor/{environment}");
            world.repository.git(&["update-ref", "-d", &monitor]);
            let chains = format!("refs/pilotage/release/{environment}/");
            let chains = world
                .repository
                .git(&["for-each-ref", "--format=%(refname)", &chains]);
            for name in chains.lines().skip(moved) {
                world.repository.git(&["update-ref", "-d", name]);
            }
        }
        once();
        assert_adopted(&world, &format!("{moved} had moved"));
    }
}

#[test]
fn a_service_that_cannot_be_noted_is_named_and_the_others_are_noted() {
    use std::os::unix::fs::PermissionsExt as _;
    let world = unseen();
    let server = GitServer::start(&world.served());
    let hook = world.repository.path().join("hooks/update");
    std::fs::create_dir_all(hook.parent().unwrap()).unwrap();
    std::fs::write(&hook, "#!/bin/sh\ncase $1 in *qa/s[35]) exit 1;; esac\n").unwrap();
    std::fs::set_permissions(&hook, std::fs::Permissions::from_mode(0o755)).unwrap();
    let output = adopt(&world, &server).run_reported();
    assert_eq!(output.code, Some(6), "{output}");
    let report = output.report();
    assert_eq!(
        decisions(&report).len(),
        SERVICES,
        "prod is not hindered: {report:#}"
    );
    let undecided = report["result"]["undecided"][0].as_str().unwrap();
    assert!(
        undecided
            .starts_with("qa cannot be decided: 2 of 6 services are not adopted yet, the others are: s3: "),
        "{undecided}"
    );
    assert!(undecided.contains("; s5: "), "{undecided}");
    std::fs::remove_file(&hook).unwrap();
    assert_eq!(adopt(&world, &server).run().code, Some(0));
    assert_adopted(&world, "the server takes them now");
}
