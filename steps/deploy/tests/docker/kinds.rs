//! Services of several replicas, workers and jobs.

use crate::world::World;

#[test]
fn every_replica_is_proved_and_found_and_an_update_loses_no_request() {
    let Some(world) = World::new() else { return };
    world.image("1.0.0", &[]);
    world.image("1.1.0", &[]);
    let three = "resources: {replicas: 3, memory: 64Mi}";
    world.web("1.0.0", three);
    let planned = world.deploy(&["--dry-run", "--fence", "1"]).expect(0);
    for words in [
        "start instance #1.1",
        "prove instance #1.3",
        "switch to instance #1.2",
    ] {
        assert!(planned.text().contains(words), "{}", planned.text());
    }
    let first = world.deploy(&["--fence", "1"]).expect(0);
    world.expect_states(&[("1.1", "running"), ("1.2", "running"), ("1.3", "running")]);
    for replica in 1..=3 {
        assert_eq!(
            world.inspect(&format!("{}.{replica}", world.name(1)))["HostConfig"]["Memory"],
            64 * 1024 * 1024
        );
        let name = format!("#1.{replica} proof digest");
        let checks = first.report["checks"].as_array();
        let proved = checks.is_some_and(|checks| checks.iter().any(|check| check["name"] == name.as_str()));
        assert!(proved, "{name}: {}", first.text());
    }
    assert_ne!(first.output("address_http"), first.output("address_http_3"));
    let client = world.client();
    world.web("1.1.0", three);
    world.deploy(&["--fence", "2"]).expect(0);
    world.expect_states(&[
        ("1.1", "exited"),
        ("1.2", "exited"),
        ("1.3", "exited"),
        ("2.1", "running"),
        ("2.2", "running"),
        ("2.3", "running"),
    ]);
    let failed = || {
        let asked = client.asked();
        ["all", "first"].map(|kind| asked[kind]["failed"].as_u64().unwrap_or(u64::MAX))
    };
    assert_eq!(failed(), [0, 0]);
    // One that died is started again, and nothing else is touched.
    let died = format!("{}.2", world.name(2));
    let other = world.inspect(&format!("{}.1", world.name(2)))["State"]["StartedAt"].clone();
    let _ = world
        .engine
        .api("POST", &format!("/containers/{died}/kill?signal=KILL"), None);
    world.deploy(&["status"]).expect(0).says(&["2 of 3 replicas run"]);
    world
        .deploy(&["--fence", "2"])
        .expect(0)
        .says(&["start instance #2.2"]);
    assert_eq!(world.inspect(&died)["State"]["Running"], true);
    assert_eq!(
        world.inspect(&format!("{}.1", world.name(2)))["State"]["StartedAt"],
        other
    );
    let died = failed();
    world
        .deploy(&["undo", "--fence", "2"])
        .expect(0)
        .says(&["1.0.0 serves"]);
    assert_eq!(failed(), died, "what was lost was lost by the kill");
}

#[test]
fn a_replica_that_is_not_well_leaves_all_of_the_old_ones_serving() {
    let Some(world) = World::new() else { return };
    world.image("1.0.0", &[]);
    world.image(
        "2.0.0",
        &[("SAMPLE_EXIT_AFTER", "50ms"), ("SAMPLE_HEALTH", "never")],
    );
    let two = "resources: {replicas: 2}";
    world.web("1.0.0", two);
    world.deploy(&["--fence", "1"]).expect(0);
    world.web("2.0.0", two);
    let ended = world.deploy(&["--fence", "2"]).expect(1).says(&["instance #2.1"]);
    assert_eq!(ended.effects(), "none");
    world.expect_states(&[("1.1", "running"), ("1.2", "running")]);
}

#[test]
fn a_worker_has_no_name_and_is_asked_by_a_command() {
    let Some(world) = World::new() else { return };
    world.image("1.0.0", &[("PORT", "8080")]);
    let worker = |exit: &str| {
        world.descriptor(&format!(
            "kind: worker\nversion: \"1.0.0\"\nimage: {}/shop\nstop: {{signal: INT, grace: 3s}}\nenv: {{EXIT: \"{exit}\"}}\n\
             healthcheck: {{timeout: 2s, interval: 50ms, endpoints: [{{exec: [/sample-service, --port, \"9999\", \
             --exit-after, 10ms, --exit-code, \"{exit}\"]}}]}}\n",
            world.project
        ));
    };
    worker("0");
    world.deploy(&["--fence", "1"]).expect(0);
    let found = world.inspect(&world.name(1));
    let aliases = &found["NetworkSettings"]["Networks"][world.network()]["Aliases"];
    assert!(!aliases.to_string().contains("\"shop\""), "{aliases}");
    assert_eq!(found["Config"]["StopSignal"], "SIGINT");
    assert_eq!(found["HostConfig"]["RestartPolicy"]["Name"], "unless-stopped");
    assert_eq!(world.deploy(&["--fence", "2"]).expect(0).effects(), "none");
    worker("3");
    let ended = world.deploy(&["--fence", "3"]).expect(1).says(&["exit 3"]);
    assert_eq!(ended.effects(), "none");
    world.expect_states(&[("1", "running")]);
}

#[test]
fn a_job_runs_once_to_its_end_and_says_why_when_that_is_bad() {
    let Some(world) = World::new() else { return };
    let job = |version: &str, code: &str, more: &str| {
        let variables = [
            ("PORT", "8080"),
            ("SAMPLE_EXIT_AFTER", "300ms"),
            ("SAMPLE_EXIT_CODE", code),
        ];
        world.image(version, &variables);
        world.descriptor(&format!(
            "kind: job\nversion: \"{version}\"\nimage: {}/shop\n{more}\n",
            world.project
        ));
    };
    job("1.0.0", "0", "");
    world
        .deploy(&["--fence", "1"])
        .expect(0)
        .says(&["1.0.0 is done as instance #1"]);
    world.expect_states(&[("1", "exited")]);
    assert_eq!(
        world.inspect(&world.name(1))["HostConfig"]["RestartPolicy"]["Name"],
        "no"
    );
    let again = world
        .deploy(&["--fence", "2"])
        .expect(0)
        .says(&["is done already"]);
    assert_eq!(again.effects(), "none");
    job("1.1.0", "9", "");
    let failed =
        world
            .deploy(&["--fence", "3"])
            .expect(1)
            .says(&["job #2 failed", "exit code 9", "ending by itself"]);
    assert_eq!(failed.effects(), "partial", "what it did cannot be taken back");
    world.expect_states(&[("1", "exited")]);
    job("1.3.0", "0", "");
    world.deploy(&["--fence", "4"]).expect(0);
    world
        .deploy(&["status"])
        .expect(0)
        .says(&["1.3.0 is done as instance #3", "done last"]);
    world
        .deploy(&["undo", "--fence", "4"])
        .expect(6)
        .says(&["a job that has run cannot be taken back"]);
}
