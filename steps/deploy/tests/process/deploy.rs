//! Releases as they should go, and as they may go.

use std::fs;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use rustix::process::Signal;
use tokio::time::Instant;

use crate::world::{World, free_port, get, sample, strace_is_there};

#[test]
fn a_release_serves_through_the_front_door_and_a_second_one_changes_nothing() {
    let world = World::new();
    world.artifact("1.0.0", "");
    world.web(
        "1.0.0",
        "env: {LOG_LEVEL: debug}\nfiles: {/etc/shop/app.yaml: {content: \"colour: blue\"}}",
    );
    let first = world.deploy(&["--release", "qa.shop.1"]).expect(0);
    assert_eq!((first.effects(), first.output("version")), ("complete", "1.0.0"));
    assert_eq!(first.output("front_door"), world.listen.to_string());
    assert_eq!(world.ask(), (200, "Shop 1.0.0\n".to_owned()));

    let direct = first.output("address_http").parse().unwrap();
    let ask = |path: &str| get(direct, "x", path).unwrap().1;
    assert_eq!(ask("/env/LOG_LEVEL"), "debug");
    assert_eq!(ask("/file/etc/shop/app.yaml"), "colour: blue");
    assert_eq!(ask("/env/PILOTAGE_RELEASE"), "qa.shop.1");
    assert_eq!(ask("/env/PILOTAGE_INSTANCE_HASH"), first.output("instance_hash"));
    assert_eq!(
        ask("/env/PORT"),
        first.output("address_http").rsplit(':').next().unwrap()
    );

    let again = world.deploy(&["--release", "qa.shop.1"]).expect(0);
    assert_eq!(
        (again.effects(), &again.report["result"]["unchanged"]),
        ("none", &true.into())
    );
    assert_eq!(again.output("instance"), "1");
    let names: Vec<&str> = again.report["checks"]
        .as_array()
        .unwrap()
        .iter()
        .map(|c| c["name"].as_str().unwrap())
        .collect();
    assert_eq!(
        names,
        [
            "proof digest",
            "proof version",
            "proof instance hash",
            "proof route",
            "proof http /health on http"
        ],
        "nothing to do is proved as well"
    );
    assert_eq!(world.processes().len(), 1);
}

#[test]
fn a_client_that_asks_all_the_time_sees_no_failure_across_releases() {
    const CLIENTS: usize = 4;
    let world = World::new();
    for version in 0..6 {
        world.artifact(&format!("1.0.{version}"), "delay = 3ms");
    }
    world.web("1.0.0", "");
    world.deploy(&["--fence", "1"]).expect(0);
    let (stop, asked) = (AtomicBool::new(false), AtomicUsize::new(0));
    thread::scope(|scope| {
        let clients: Vec<_> = (0..CLIENTS)
            .map(|_| {
                scope.spawn(|| {
                    let mut versions = Vec::new();
                    while !stop.load(Ordering::Relaxed) {
                        let (status, body) =
                            get(world.listen, "shop.example.com", "/").expect("no request may fail");
                        assert_eq!(status, 200, "{body}");
                        asked.fetch_add(1, Ordering::Relaxed);
                        if versions.last() != Some(&body) {
                            versions.push(body);
                        }
                    }
                    versions
                })
            })
            .collect();
        let mut last = world.deploy(&["--fence", "1"]);
        for version in 1..6 {
            // Enough requests under each version that a switch always meets some.
            let until = asked.load(Ordering::Relaxed) + 400;
            while asked.load(Ordering::Relaxed) < until && clients.iter().all(|client| !client.is_finished())
            {
                thread::yield_now();
            }
            world.web(&format!("1.0.{version}"), "");
            last = world.deploy(&["--fence", &(version + 1).to_string()]);
            if last.code != Some(0) {
                break;
            }
        }
        stop.store(true, Ordering::Relaxed);
        last.expect(0);
        for client in clients {
            let versions = client.join().expect("a client failed");
            let expected: Vec<String> = (0..6).map(|version| format!("Shop 1.0.{version}\n")).collect();
            assert_eq!(versions, expected, "each version in turn, never back");
        }
    });
    let asked = asked.into_inner();
    assert!(asked >= 2000, "only {asked} requests were made");
    assert_eq!(world.instances(), ["4", "5", "6"], "two are kept");
}

#[test]
fn a_version_that_is_never_well_changes_nothing() {
    let world = World::new();
    world.artifact("1.0.0", "");
    world.web("1.0.0", "");
    world.deploy(&["--fence", "1"]).expect(0);
    let short = |version: &str| {
        world.web(version, "");
        let text = fs::read_to_string(world.path("shop.yaml")).unwrap();
        world.descriptor(&text.replace("timeout: 20s", "timeout: 1s"));
    };
    let table = [
        ("1.1.0", "health = never", "503"),
        (
            "1.1.1",
            "version = 9.9.9",
            "version 9.9.9 answered where 1.1.1 is expected",
        ),
        ("1.1.2", "start-after = 60s", "refused"),
    ];
    for (version, behaviour, reason) in table {
        world.artifact(version, behaviour);
        short(version);
        let failed = world.deploy(&["--fence", "2"]).expect(1);
        assert_eq!(failed.effects(), "none", "{version}");
        assert!(
            failed.report["summary"].as_str().unwrap().contains(reason),
            "{:#}",
            failed.report
        );
        assert_eq!(world.ask(), (200, "Shop 1.0.0\n".to_owned()));
        assert_eq!(world.instances(), ["1"]);
        assert_eq!(world.processes().len(), 1);
    }
}

#[test]
fn an_early_end_is_told_at_once_with_the_last_words() {
    let world = World::new();
    world.artifact("1.0.0", "health = never\nexit-after = 50ms\nexit-code = 7");
    world.web("1.0.0", "");
    let begin = Instant::now();
    let failed = world.deploy(&[]).expect(1);
    assert!(
        begin.elapsed() < Duration::from_secs(15),
        "long before the time-out of 20s"
    );
    let summary = failed.report["summary"].as_str().unwrap();
    assert!(summary.contains("it ended with exit code 7"), "{summary}");
    assert!(
        summary.contains("ending by itself, as the artifact says"),
        "{summary}"
    );
    assert_eq!(failed.effects(), "none");
    assert!(world.processes().is_empty() && world.instances().is_empty());
}

#[test]
fn however_soon_a_version_ends_it_failed() {
    let world = World::with_command(&["/bin/sh", "{artifact}"]);
    fs::write(world.path("artifacts/shop/1.0.0"), "echo out of luck >&2; exit 3").unwrap();
    world.web("1.0.0", "");
    for _ in 0..20 {
        let failed = world.deploy(&["--fence", "1"]).expect(1);
        let summary = failed.report["summary"].as_str().unwrap();
        assert!(
            summary.contains("it ended with exit code 3") && summary.contains("out of luck"),
            "{summary}"
        );
    }
}

#[test]
fn a_changed_variable_or_secret_restarts_and_the_secret_is_seen_nowhere() {
    let world = World::new();
    world.artifact("1.0.0", "");
    let secret = "secrets: {DB_PASSWORD: {env: PILOTAGE_SECRET_SHOP_DB}}";
    world.web("1.0.0", secret);
    let with = |value: &str| {
        world.run(
            world.command(&["-v", "-v"]),
            &[("PILOTAGE_SECRET_SHOP_DB", value)],
        )
    };
    let first = with("planted-one").expect(0);
    assert_eq!(
        get(
            first.output("address_http").parse().unwrap(),
            "x",
            "/env/DB_PASSWORD"
        )
        .unwrap()
        .1,
        "planted-one"
    );
    assert_eq!(with("planted-one").expect(0).effects(), "none");
    let second = with("planted-two").expect(0);
    assert_eq!((second.effects(), second.output("instance")), ("complete", "2"));
    assert!(second.says("changed secrets: DB_PASSWORD"));
    for ended in [&first, &second] {
        let all = format!("{}{}{}", ended.stdout, ended.stderr, ended.report);
        assert!(!all.contains("planted-"), "{all}");
    }
    let record = fs::read_to_string(
        world
            .state()
            .join("services/acme.qa.shop/instances/2/instance.json"),
    )
    .unwrap();
    assert!(!record.contains("planted-"));
    world.web("1.0.0", &format!("{secret}\nenv: {{A: b}}"));
    assert_eq!(with("planted-two").expect(0).output("instance"), "3");

    let missing = world.deploy(&[]).expect(4);
    assert!(missing.says("PILOTAGE_SECRET_SHOP_DB is not set"));
    world.web("1.0.0", "secrets: {X: {file: /etc/hostname}}");
    assert!(world.deploy(&[]).expect(3).says("is not allowed in qa"));
}

#[test]
fn what_the_instance_is_not_made_of_is_released_without_a_restart() {
    let world = World::new();
    world.artifact("1.0.0", "");
    world.web("1.0.0", "");
    let commit = |digit: &str| digit.repeat(40);
    let first = world
        .deploy(&["--release", "qa.shop.1", "--commit", &commit("a")])
        .expect(0);
    let before = world.processes();
    world.web(
        "1.0.0",
        "notify: {slack: [\"#shop\"]}\nmaintainer: {name: Ana, email: ana@example.com}",
    );
    let text = fs::read_to_string(world.path("shop.yaml")).unwrap();
    world.descriptor(&text.replace("interval: 20ms", "interval: 30ms"));
    let release = ["--release", "qa.shop.2", "--commit", &commit("b")];
    let plan = world
        .deploy(&[&["plan", "--detailed-exitcode"], &release[..]].concat())
        .expect(0);
    assert!(plan.says("nothing to do"), "{}", plan.stdout);
    let second = world.deploy(&release).expect(0);
    assert_eq!((second.effects(), second.output("instance")), ("none", "1"));
    assert_eq!(
        second.report["checks"].as_array().map(Vec::len),
        Some(5),
        "it is proved"
    );
    assert_eq!(world.processes(), before, "nothing was started");
    assert_eq!(second.output("instance_hash"), first.output("instance_hash"));
    assert_ne!(second.output("config_hash"), first.output("config_hash"));
    let status = world.deploy(&["status"]).expect(0);
    assert!(
        status.says(&format!("changed last by release qa.shop.2 of {}", commit("b"))),
        "{}",
        status.stdout
    );
    assert_eq!(status.report["commit"], commit("b"));

    // The healthcheck that the release brings is the one that has to pass; what serves goes on.
    world.descriptor(
        &text
            .replace("http: /health", "http: /no-such-page")
            .replace("timeout: 20s", "timeout: 1s"),
    );
    let failed = world.deploy(&["--release", "qa.shop.3"]).expect(1);
    assert_eq!(failed.effects(), "none");
    assert_eq!((world.processes(), world.ask().0), (before, 200));
}

#[test]
fn whoever_else_listens_on_the_instances_port_proves_nothing() {
    let world = World::with_command(&["/bin/sh", "{artifact}"]);
    fs::write(world.path("artifacts/shop/1.0.0"), "exec tail -f /dev/null").unwrap();
    let port = free_port();
    world.descriptor(&format!(
        "version: \"1.0.0\"\nports: [{{name: http, port: 8080, publish: {{host: {}}}}}]\n\
         healthcheck: {{timeout: 10m, endpoints: [{{tcp: http}}]}}\n",
        port.port()
    ));
    let deploy = world.deploy_until(&["--fence", "1"], "prove instance");
    // Answers, and is none of the instance's processes.
    let _listener = std::net::TcpListener::bind(port).unwrap();
    let failed = deploy.wait().expect(1);
    let summary = failed.report["summary"].as_str().unwrap();
    assert!(
        summary.contains(&format!("listener: process {} (`", std::process::id()))
            && summary.contains(&format!(
                "listens on {port} (port http), and the instance does not"
            )),
        "{summary}"
    );
    assert_eq!(failed.effects(), "none");
    assert!(world.processes().is_empty() && world.instances().is_empty());
}

#[test]
fn a_child_of_the_instance_may_listen_for_it() {
    let run = "\"$@\" & wait";
    let world = World::with_command(&[
        "/bin/sh",
        "-c",
        run,
        "sh",
        &sample(),
        "--artifact",
        "{artifact}",
        "--port",
        "{port}",
    ]);
    world.artifact("1.0.0", "");
    world.web("1.0.0", "");
    world.deploy(&["--fence", "1"]).expect(0);
    assert_eq!(world.ask().0, 200);
    assert_eq!(world.processes().len(), 2);
}

#[test]
fn what_the_service_requires_and_nobody_offers_is_told_and_is_not_the_versions_fault() {
    let world = World::new();
    world.artifact("1.0.0", "");
    world.web("1.0.0", &format!("requires: [\"{}\"]", free_port()));
    let text = fs::read_to_string(world.path("shop.yaml")).unwrap();
    world.descriptor(&text.replace("timeout: 20s", "timeout: 1s"));
    let away = world.deploy(&[]).expect(4);
    assert!(
        away.says("requires 127.0.0.1:") && away.says("refused"),
        "{}",
        away.stderr
    );
    assert_eq!(away.effects(), "none");
    assert!(world.processes().is_empty());
}

#[test]
fn artifacts_that_cannot_run_are_told_and_leave_the_old_serving() {
    let world = World::with_command(&["{artifact}"]);
    world.web("1.0.0", "");
    assert!(world.deploy(&[]).expect(4).says("does not exist"));
    world.artifact("1.0.0", "");
    let denied = world.deploy(&[]).expect(4);
    assert!(
        denied.says("failed to start") && denied.says("make the artifact executable"),
        "{}",
        denied.stderr
    );
    assert_eq!(denied.effects(), "none");
    assert!(world.instances().is_empty());
}

#[test]
fn a_host_port_is_handed_over_with_a_downtime_and_comes_back_when_the_new_one_fails() {
    let world = World::new();
    let port = free_port();
    let host = |version: &str| {
        world.descriptor(&format!(
            "version: \"{version}\"\nports: [{{name: http, port: 8080, publish: {{host: {}}}}}]\n\
             healthcheck: {{timeout: 2s, interval: 20ms, endpoints: [{{http: /health, version: {{json: $.version}}}}]}}\n",
            port.port()
        ));
    };
    for (version, behaviour) in [("1.0.0", ""), ("1.1.0", ""), ("1.2.0", "health = never")] {
        world.artifact(version, behaviour);
    }
    host("1.0.0");
    world.deploy(&["--fence", "1"]).expect(0);
    host("1.1.0");
    let plan = world
        .deploy(&["plan", "--detailed-exitcode", "--fence", "2"])
        .expect(11);
    assert!(
        plan.says("downtime: stop and keep instance #1"),
        "{}",
        plan.stdout
    );
    world.deploy(&["--fence", "2"]).expect(0);
    assert_eq!(get(port, "x", "/version").unwrap().1, "1.1.0\n");
    host("1.2.0");
    let failed = world.deploy(&["--fence", "3"]).expect(1);
    assert_eq!(failed.effects(), "partial", "there was a downtime");
    assert!(failed.says("instance #2 serves again"), "{}", failed.stdout);
    assert_eq!(world.processes().len(), 1);
    host("1.1.0");
    assert_eq!(world.deploy(&["--fence", "3"]).expect(0).effects(), "none");

    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let text = fs::read_to_string(world.path("shop.yaml")).unwrap();
    let other = taken.local_addr().unwrap().port();
    world.descriptor(&text.replace(&port.port().to_string(), &other.to_string()));
    assert!(world.deploy(&["--fence", "3"]).expect(6).says("cannot be had"));
}

#[test]
fn stale_fences_and_moved_plans_are_refused() {
    let world = World::new();
    for version in ["1.0.0", "1.1.0"] {
        world.artifact(version, "");
    }
    world.web("1.0.0", "");
    let digest = world
        .deploy(&["plan", "--detailed-exitcode"])
        .expect(10)
        .output("plan")
        .to_owned();
    assert!(!world.state().exists(), "a plan changes nothing");
    world
        .deploy(&["--fence", "5", "--expect-plan", &digest])
        .expect(0);
    world
        .deploy(&["plan", "--detailed-exitcode", "--fence", "5"])
        .expect(0);
    world.web("1.1.0", "");
    let asked = world.deploy(&["plan", "--detailed-exitcode"]).expect(10);
    assert!(asked.says("version 1.0.0 -> 1.1.0"), "{}", asked.stdout);
    let unfenced = world.deploy(&[]).expect(6);
    assert!(
        unfenced.says("--fence") && unfenced.says("pilotage-release run"),
        "{}",
        unfenced.stderr
    );
    let stale = world.deploy(&["--fence", "4"]).expect(6);
    assert!(stale.says("fence 4 is stale"), "{}", stale.stderr);
    let moved = world
        .deploy(&["--fence", "6", "--expect-plan", &digest])
        .expect(6);
    assert!(moved.says("the plan no longer fits"));
    assert_eq!(moved.effects(), "none");
    assert_eq!(
        world.deploy(&["--dry-run", "--fence", "6"]).expect(0).effects(),
        "none"
    );
    assert_eq!(world.ask().1, "Shop 1.0.0\n");
}

#[test]
fn undo_switches_back_once_under_its_fence() {
    let world = World::new();
    for version in ["1.0.0", "1.1.0", "1.2.0"] {
        world.artifact(version, "");
    }
    world.web("1.0.0", "env: {GREETING: old}");
    world.deploy(&["--fence", "1"]).expect(0);
    world.deploy(&["undo", "--fence", "1"]).expect(6);
    world.web("1.1.0", "env: {GREETING: new}");
    world.deploy(&["--fence", "2"]).expect(0);
    let undone = world.deploy(&["undo", "--fence", "2"]).expect(0);
    assert_eq!(
        (undone.effects(), undone.output("version")),
        ("complete", "1.0.0")
    );
    assert_eq!(world.ask().1, "Shop 1.0.0\n");
    assert_eq!(
        get(
            undone.output("address_http").parse().unwrap(),
            "x",
            "/env/GREETING"
        )
        .unwrap()
        .1,
        "old"
    );
    assert_eq!(
        world.deploy(&["undo", "--fence", "2"]).expect(0).effects(),
        "none"
    );
    assert_eq!(world.processes().len(), 1);
    world.deploy(&["undo", "--fence", "1"]).expect(6);
    let status = world.deploy(&["status"]).expect(0);
    assert!(
        status.says("acme-qa-shop: 1.0.0 serves as instance #1"),
        "{}",
        status.stdout
    );
    assert!(
        status.says("#2 1.1.0 ended (taken back, by fence 2)"),
        "{}",
        status.stdout
    );
    // What was taken back is no place to go back to.
    world.web("1.2.0", "");
    world.deploy(&["--fence", "3"]).expect(0);
    assert_eq!(
        world
            .deploy(&["undo", "--fence", "3"])
            .expect(0)
            .output("version"),
        "1.0.0"
    );
}

#[test]
fn a_retired_service_is_stopped_and_its_route_is_free() {
    let world = World::new();
    world.artifact("1.0.0", "");
    world.web("1.0.0", "");
    world.deploy(&["--fence", "1"]).expect(0);
    world.web("1.0.0", "state: retired");
    assert_eq!(world.deploy(&["--fence", "2"]).expect(0).effects(), "complete");
    assert!(world.processes().is_empty());
    assert_eq!(
        world.ask(),
        (404, "404 Not Found: no service has this host\n".to_owned())
    );
    assert_eq!(world.deploy(&["--fence", "2"]).expect(0).effects(), "none");
    world.web("1.0.0", "");
    world.deploy(&["--fence", "3"]).expect(0);
    assert_eq!(world.ask().0, 200);
}

#[test]
fn a_second_deploy_is_refused_and_a_newer_fence_ends_one_that_stands_still() {
    let world = World::new();
    world.artifact("1.0.0", "");
    world.artifact("1.1.0", "health = never");
    world.artifact("1.2.0", "");
    world.web("1.0.0", "");
    world.deploy(&["--fence", "1"]).expect(0);
    world.web("1.1.0", "");
    let slow = world.deploy_until(&["--release", "qa.shop.2"], "prove instance");
    world.web("1.2.0", "");
    let second = world.deploy(&["--release", "qa.shop.2"]).expect(6);
    assert!(
        second.says("the deploy of release qa.shop.2 (process "),
        "{}",
        second.stderr
    );
    assert_eq!(second.report["waiting"], true);
    slow.signal(Signal::STOP);
    world.deploy(&["--release", "qa.shop.3"]).expect(0);
    assert_eq!(world.ask().1, "Shop 1.2.0\n");
    assert_eq!(slow.wait().code, None, "it was killed while it stood still");
    assert_eq!(world.processes().len(), 1);
    assert_eq!(world.instances(), ["1", "3"]);
}

#[test]
fn what_a_killed_deploy_started_goes_with_the_next_one_also_when_that_fails() {
    let world = World::new();
    world.artifact("1.0.0", "");
    world.artifact("1.1.0", "health = never");
    world.web("1.0.0", "");
    world.deploy(&["--fence", "1"]).expect(0);
    world.web("1.1.0", "");
    let text = fs::read_to_string(world.path("shop.yaml")).unwrap();
    for next in ["2", "3"] {
        world.descriptor(&text);
        let killed = world.deploy_until(&["--fence", "2"], "prove instance");
        killed.signal(Signal::KILL);
        assert_eq!(killed.wait().code, None);
        assert_eq!(world.processes().len(), 2, "an instance is left");
        world.descriptor(&text.replace("timeout: 20s", "timeout: 1s"));
        world.deploy(&["--fence", next]).expect(1);
        assert_eq!(world.instances(), ["1"], "after fence {next}");
        assert_eq!(world.processes().len(), 1);
        assert_eq!(world.ask().1, "Shop 1.0.0\n");
    }
}

#[test]
fn sigterm_takes_the_new_instance_away_and_writes_the_report() {
    let world = World::new();
    world.artifact("1.0.0", "");
    world.artifact("1.1.0", "health = never");
    world.web("1.0.0", "");
    world.deploy(&["--fence", "1"]).expect(0);
    world.web("1.1.0", "");
    let slow = world.deploy_until(&["--fence", "2"], "prove instance");
    slow.signal(Signal::TERM);
    let ended = slow.wait().expect(143);
    assert_eq!(ended.effects(), "none");
    assert_eq!(world.instances(), ["1"]);
    assert_eq!(world.ask().1, "Shop 1.0.0\n");
    let late = world.deploy(&["--fence", "2", "--deadline", "1s"]).expect(5);
    assert_eq!(late.effects(), "none");
    assert_eq!(world.processes().len(), 1);
}

#[test]
fn workers_have_to_keep_running() {
    let world = World::with_command(&["/bin/sh", "{artifact}"]);
    let worker = |version: &str, script: &str| {
        fs::write(world.path("artifacts/shop").join(version), script).unwrap();
        world.descriptor(&format!(
            "kind: worker\nversion: \"{version}\"\nstop: {{grace: 5s}}\n"
        ));
    };
    worker("1.0.0", "exec tail -f /dev/null");
    world.deploy(&["--fence", "1"]).expect(0);
    worker("1.1.0", "echo out of luck >&2; exit 3");
    let failed = world.deploy(&["--fence", "2"]).expect(1);
    assert!(
        failed.says("exit code 3") && failed.says("out of luck"),
        "{}",
        failed.stdout
    );
    assert_eq!(world.processes().len(), 1);
    // A worker's children go with it, in whatever session they are.
    worker("1.2.0", "setsid tail -f /dev/null & exec tail -f /dev/null");
    world.deploy(&["--fence", "3"]).expect(0);
    worker("1.3.0", "exec tail -f /dev/null");
    world.deploy(&["--fence", "4"]).expect(0);
    assert_eq!(world.processes().len(), 1);
}

#[test]
fn an_instance_that_ignores_its_signal_is_killed_after_the_grace() {
    let world = World::new();
    world.artifact("1.0.0", "ignore-term = true");
    world.artifact("1.1.0", "");
    world.web("1.0.0", "");
    let text = fs::read_to_string(world.path("shop.yaml"))
        .unwrap()
        .replace("grace: 5s", "grace: 100ms");
    world.descriptor(&text);
    world.deploy(&[]).expect(0);
    world.descriptor(&text.replace("1.0.0", "1.1.0"));
    world.deploy(&[]).expect(0);
    assert_eq!(world.processes().len(), 1);
    assert_eq!(world.ask().1, "Shop 1.1.0\n");
}

#[test]
fn a_dead_instance_and_a_dead_front_door_are_brought_back() {
    let world = World::new();
    world.artifact("1.0.0", "");
    world.web("1.0.0", "");
    world.deploy(&["--fence", "1"]).expect(0);
    let kill = |pid: u32| {
        let pid = rustix::process::Pid::from_raw(pid.try_into().unwrap()).unwrap();
        rustix::process::kill_process(pid, Signal::KILL).unwrap();
    };
    world.processes().into_keys().for_each(kill);
    let told = (0..10_000).find(|_| world.ask().0 == 503);
    assert!(told.is_some(), "the front door says that nobody serves");
    assert_eq!(world.deploy(&["--fence", "1"]).expect(0).output("instance"), "1");
    assert_eq!(world.ask().0, 200);
    world.down().expect(0);
    assert!(get(world.listen, "shop.example.com", "/").is_err());
    world.deploy(&["--fence", "1"]).expect(0);
    assert_eq!(world.ask().0, 200);
}

#[test]
fn a_full_disk_and_a_taken_front_door_leave_everything_as_it_was() {
    let world = World::new();
    world.artifact("1.0.0", "");
    world.artifact("1.1.0", "");
    world.web("1.0.0", "");
    {
        let _held = std::net::TcpListener::bind(world.listen).unwrap();
        let taken = world.deploy(&["--fence", "1"]).expect(4);
        let listen = format!("the front door cannot listen on {}", world.listen);
        for said in [
            listen.as_str(),
            "Address already in use",
            "or change `listen` of the target",
        ] {
            assert!(taken.says(said), "{said}: {}", taken.stderr);
        }
        assert!(!taken.says("\\n"), "it is one line of text: {}", taken.stderr);
        assert_eq!(taken.effects(), "none");
    }
    world.deploy(&["--fence", "1"]).expect(0);
    world.web("1.1.0", "");
    let places = if strace_is_there() { 3 } else { 0 };
    for when in 1..=places {
        let full = world
            .traced(&["--fence", "2"], "fdatasync", "error=ENOSPC", when)
            .expect(4);
        assert!(full.says("free space on the disk"), "{}", full.stderr);
        assert_eq!(world.ask().1, "Shop 1.0.0\n");
        assert_eq!(world.processes().len(), 1);
    }
    world.deploy(&["--fence", "2"]).expect(0);
    assert_eq!(world.ask().1, "Shop 1.1.0\n");
    world.down().expect(0);
    let _held = std::net::TcpListener::bind(world.listen).unwrap();
    let taken = world.deploy(&["--fence", "2"]).expect(4);
    assert!(taken.says("cannot listen on"), "{}", taken.stderr);
    assert!(taken.says("or change `listen` of the target"), "{}", taken.stderr);
    assert!(
        !taken.says(" listens on "),
        "nothing of the one before: {}",
        taken.stderr
    );
}

#[test]
fn a_route_of_another_service_is_not_taken() {
    let world = World::new();
    world.artifact("1.0.0", "");
    fs::create_dir(world.path("artifacts/cart")).unwrap();
    fs::copy(
        world.path("artifacts/shop/1.0.0"),
        world.path("artifacts/cart/1.0.0"),
    )
    .unwrap();
    world.web("1.0.0", "");
    world.deploy(&[]).expect(0);
    let refused = world.deploy(&["--service", "cart"]).expect(6);
    assert!(
        refused.says("the route shop.example.com/ belongs to acme-qa-shop"),
        "{}",
        refused.stderr
    );
    let text = fs::read_to_string(world.path("shop.yaml")).unwrap();
    world.descriptor(&text.replace("shop.example.com", "cart.example.com"));
    world.deploy(&["--service", "cart"]).expect(0);
    assert_eq!(get(world.listen, "cart.example.com", "/").unwrap().0, 200);
    assert_eq!(world.ask().0, 200);
}

#[test]
fn all_services_of_a_target_are_taken_down_at_the_same_time() {
    let world = World::with_command(&["/bin/sh", "{artifact}"]);
    // Each ends only when the other was asked to end as well; one after the other, both would have to be killed.
    for (service, other) in [("shop", "cart"), ("cart", "shop")] {
        let folder = world.path("artifacts").join(service);
        fs::create_dir_all(&folder).unwrap();
        let (asked, waits_for, done) = (
            world.path(&format!("{service}.asked")),
            world.path(&format!("{other}.asked")),
            world.path(&format!("{service}.done")),
        );
        let script = format!(
            "trap 'touch {}; until [ -e {} ]; do sleep 0.02; done; touch {}; exit 0' TERM\nwhile :; do sleep 0.02; done\n",
            asked.display(),
            waits_for.display(),
            done.display()
        );
        fs::write(folder.join("1.0.0"), script).unwrap();
        world.descriptor("kind: worker\nversion: \"1.0.0\"\nstop: {grace: 5s}\n");
        world.deploy(&["--service", service]).expect(0);
    }
    let down = world.down().expect(0);
    assert_eq!(down.report["changes"].as_array().map(Vec::len), Some(2));
    assert!(world.path("shop.done").exists() && world.path("cart.done").exists());
}
