//! What does not work, and what is said of it.

use std::time::Duration;

use serde_json::json;

use crate::world::World;

/// A version, how its image behaves, more of its descriptor, and what has to be said of it.
type Case = (
    &'static str,
    &'static [(&'static str, &'static str)],
    &'static str,
    &'static [&'static str],
);

#[test]
fn a_new_version_that_is_not_well_is_told_why_within_seconds_and_the_old_one_serves_on() {
    let Some(world) = World::new() else { return };
    world.image("1.0.0", &[]);
    world.web("1.0.0", "");
    world.deploy(&["--fence", "1"]).expect(0);
    let client = world.client();
    let cases: [Case; 4] = [
        (
            "2.0.0",
            // It is never well, so that it has never served when it ends.
            &[
                ("SAMPLE_HEALTH", "never"),
                ("SAMPLE_EXIT_AFTER", "100ms"),
                ("SAMPLE_EXIT_CODE", "7"),
            ],
            "",
            &["exit code 7", "ending by itself"],
        ),
        (
            "2.0.1",
            &[("SAMPLE_EAT", "200")],
            "resources: {memory: 32Mi}",
            &["for want of memory", "32 MiB"],
        ),
        (
            "2.0.3",
            &[("SAMPLE_HEALTH", "never")],
            "maintainer: {name: Ana Costa, email: ana@example.com}",
            &[
                "503",
                "ill",
                "ask Ana Costa <ana@example.com>",
                "version 2.0.3 listens on",
            ],
        ),
        (
            "2.0.2",
            &[("SAMPLE_BIND", "nonsense")],
            "",
            &["exit code 2", "`nonsense` is no address"],
        ),
    ];
    for (version, variables, more, words) in cases {
        world.image(version, variables);
        world.web(version, more);
        let text = std::fs::read_to_string(world.path("shop.yaml")).unwrap_or_default();
        world.descriptor(&text.replace("timeout: 20s", "timeout: 2s"));
        let ended = world.deploy(&["--fence", "2"]).expect(1).says(words);
        assert_eq!(ended.effects(), "none", "{}", ended.text());
        assert!(ended.took < Duration::from_secs(15), "{:?}", ended.took);
        world.expect_states(&[("1", "running")]);
    }
    let asked = client.asked();
    assert_eq!(
        (&asked["all"]["failed"], &asked["first"]["failed"]),
        (&json!(0), &json!(0))
    );
}

#[test]
fn a_stale_release_changes_nothing() {
    let Some(world) = World::new() else { return };
    world.image("1.0.0", &[]);
    world.image("1.1.0", &[]);
    world.web("1.1.0", "");
    world.deploy(&["--fence", "5"]).expect(0);
    world.web("1.0.0", "");
    world.deploy(&["--fence", "4"]).expect(6).says(&["stale"]);
    world.deploy(&["undo", "--fence", "4"]).expect(6).says(&["stale"]);
    world.expect_states(&[("1", "running")]);
}

#[test]
fn what_is_not_ours_is_refused_and_not_touched() {
    let Some(world) = World::new() else { return };
    world.image("1.0.0", &[]);
    world.web("1.0.0", "");
    let stranger = json!({"Image": "sample-service:base", "Env": ["PORT=8080"]});
    let name = world.name(1);
    world.engine.run(&name, "none", &stranger);
    world.deploy(&["--fence", "1"]).expect(6).says(&["not ours"]);
    assert_eq!(world.inspect(&name)["State"]["Running"], true);
    let _ = world
        .engine
        .api("DELETE", &format!("/containers/{name}?force=1"), None);

    let network = json!({"Name": world.network()});
    let _ = world.engine.api("POST", "/networks/create", Some(&network));
    world.deploy(&["--fence", "1"]).expect(6).says(&["not ours"]);
    let _ = world
        .engine
        .api("DELETE", &format!("/networks/{}", world.network()), None);
    world.deploy(&["--fence", "1"]).expect(0);

    let other = format!("{}-other", world.project);
    let mut body = stranger.clone();
    body["NetworkingConfig"] = json!({"EndpointsConfig": {world.network(): {"Aliases": ["shop"]}}});
    world.engine.run(&other, &world.network(), &body);
    world.web("1.0.0", "env: {A: b}");
    world
        .deploy(&["--fence", "2"])
        .expect(6)
        .says(&["the name shop on the network"]);
    let _ = world
        .engine
        .api("DELETE", &format!("/containers/{other}?force=1"), None);

    let mut body = stranger;
    body["ExposedPorts"] = json!({"8080/tcp": {}});
    body["HostConfig"] =
        json!({"PortBindings": {"8080/tcp": [{"HostIp": "127.0.0.1", "HostPort": "18555"}]}});
    world.engine.run(&other, &world.network(), &body);
    world.web("1.0.0", "");
    let text = std::fs::read_to_string(world.path("shop.yaml")).unwrap_or_default();
    world.descriptor(&text.replace("port: 8080}", "port: 8080, publish: {host: 18555}}"));
    world
        .deploy(&["--fence", "2"])
        .expect(6)
        .says(&["the host port 0.0.0.0:18555 belongs to the container", "not ours"]);
    assert_eq!(world.inspect(&other)["State"]["Running"], true);
    let _ = world
        .engine
        .api("DELETE", &format!("/containers/{other}?force=1"), None);
}

#[test]
fn a_network_that_was_made_twice_is_one_again() {
    let Some(world) = World::new() else { return };
    let network = json!({
        "Name": world.network(),
        "Labels": {"pilotage.project": world.project, "pilotage.environment": "qa"},
    });
    // Two who came at the same moment, one of them killed before it could go back.
    for _ in 0..2 {
        let made = world.engine.api("POST", "/networks/create", Some(&network));
        assert_eq!(made.status, 201, "{}", made.body);
    }
    world.image("1.0.0", &[]);
    world.web("1.0.0", "");
    world.deploy(&[]).expect(0);
    let objects = world
        .engine
        .objects(&format!("pilotage.project={}", world.project));
    let networks = objects.iter().filter(|object| object.starts_with("/networks/"));
    assert_eq!(networks.count(), 1, "{objects:?}");
}

#[test]
fn an_engine_that_does_not_answer_is_no_verdict() {
    let Some(world) = World::new() else { return };
    world.web("1.0.0", "");
    world.config("unix:///nowhere/docker.sock", "");
    world
        .deploy(&[])
        .expect(4)
        .says(&["does not answer", "see whether the engine runs"]);
    world.config("tcp://127.0.0.1:1", "");
    world.deploy(&["status"]).expect(4).says(&["does not answer"]);
}

#[test]
fn a_command_of_the_health_check_decides_within_the_container() {
    let Some(world) = World::new() else { return };
    let exec = |command: &str| {
        world.web("1.0.0", "");
        let text = std::fs::read_to_string(world.path("shop.yaml")).unwrap();
        world.descriptor(&text.replace("endpoints: [", &format!("endpoints: [{{exec: {command}}}, ")));
    };
    world.image("1.0.0", &[]);
    exec("[/no/such/program]");
    let missing = world.deploy(&["--fence", "1"]).expect(1);
    missing.says(&["there is no such program"]);
    exec("[/sample-service, --no-such-flag]");
    let bad = world.deploy(&["--fence", "2"]).expect(1);
    bad.says(&["exit 2 where 0 is expected"]);
}

#[test]
fn an_image_for_another_architecture_is_refused_before_anything_is_touched() {
    let Some(world) = World::new() else { return };
    world.image("1.0.0", &[]);
    world.web("1.0.0", "");
    world.deploy(&["--fence", "1"]).expect(0);
    let made = world
        .engine
        .elsewhere(&format!("{}/shop", world.project), "2.0.0");
    assert_eq!(made.status, 200, "{:?}", made.body);
    world.web("2.0.0", "");
    let ended = world
        .deploy(&["--fence", "2"])
        .expect(4)
        .says(&["is built for arm64", "multi-platform"]);
    assert_eq!(ended.effects(), "none", "{}", ended.text());
    world.expect_states(&[("1", "running")]);
}

#[test]
fn one_that_dies_soon_after_it_was_well_leaves_the_old_one_serving() {
    let Some(world) = World::new() else { return };
    world.image("1.0.0", &[]);
    world.web("1.0.0", "");
    world.deploy(&["--fence", "1"]).expect(0);
    world.image(
        "2.0.0",
        &[("SAMPLE_EXIT_AFTER", "250ms"), ("SAMPLE_EXIT_CODE", "5")],
    );
    // It answers well, and not for as long as is asked.
    world.descriptor(&format!(
        "version: \"2.0.0\"\nimage: {}/shop\nports: [{{name: http, port: 8080}}]\n\
         healthcheck: {{timeout: 20s, interval: 20ms, threshold: 100, endpoints: [{{http: /health}}]}}\n",
        world.project
    ));
    world
        .deploy(&["--fence", "2"])
        .expect(1)
        .says(&["ended", "instance #1 keeps serving"]);
    world.expect_states(&[("1", "running")]);
    world
        .deploy(&["status"])
        .expect(0)
        .says(&["1.0.0 serves as instance #1"]);
}
