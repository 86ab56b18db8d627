//! What works.

use serde_json::json;

use crate::world::{World, write};

#[test]
fn a_first_deploy_serves_under_its_name_and_the_same_again_changes_nothing() {
    let Some(world) = World::new() else { return };
    world.image("1.0.0", &[]);
    world.web("1.0.0", "env: {GREETING: hello}\nfiles: {/etc/shop/app.conf: {content: \"a: 1\\n\"}}\nresources: {cpu: 500m, memory: 64Mi}");
    let planned = world
        .deploy(&["--dry-run", "--fence", "1"])
        .expect(0)
        .says(&["prepare instance #1"]);
    assert_eq!(world.states(), [], "a plan changes nothing");
    let first = world
        .deploy(&["--fence", "1", "--expect-plan", planned.output("plan")])
        .expect(0);
    assert_eq!(first.effects(), "complete");
    assert_eq!(first.output("reach"), "direct");
    world.expect_states(&[("1", "running")]);
    assert_eq!(world.ask(1, "/"), (200, "Shop 1.0.0\n".to_owned()));
    assert_eq!(world.ask(1, "/env/GREETING").1, "hello");
    assert_eq!(world.ask(1, "/file/etc/shop/app.conf").1, "a: 1\n");
    let client = world.client();
    assert_eq!(client.asked()["all"]["failed"], 0);
    let found = world.inspect(&world.name(1));
    assert_eq!(found["HostConfig"]["NanoCpus"], 500_000_000);
    assert_eq!(found["HostConfig"]["Memory"], 64 * 1024 * 1024);
    assert_eq!(found["HostConfig"]["RestartPolicy"]["Name"], "unless-stopped");
    assert_eq!(found["Config"]["StopTimeout"], 5);
    for (label, value) in [
        ("fence", "1"),
        ("version", "1.0.0"),
        ("environment", "qa"),
        ("service", "shop"),
    ] {
        assert_eq!(found["Config"]["Labels"][format!("pilotage.{label}")], value);
    }
    let again = world.deploy(&["--fence", "2"]).expect(0);
    assert_eq!(again.effects(), "none");
    world.expect_states(&[("1", "running")]);
    world
        .deploy(&["status"])
        .expect(0)
        .says(&["1.0.0 serves as instance #1"]);
}

#[test]
fn a_switch_loses_no_request_and_the_last_two_are_kept_to_go_back_to() {
    let Some(world) = World::new() else { return };
    world.image("1.0.0", &[]);
    world.web("1.0.0", "");
    world.deploy(&["--fence", "1"]).expect(0);
    let client = world.client();
    for (fence, version) in [("2", "1.1.0"), ("3", "1.2.0"), ("4", "1.3.0")] {
        world.image(version, &[]);
        world.web(version, "");
        world.deploy(&["--fence", fence]).expect(0);
    }
    world.expect_states(&[("2", "exited"), ("3", "exited"), ("4", "running")]);
    world
        .deploy(&["undo", "--fence", "4"])
        .expect(0)
        .says(&["1.2.0 serves"]);
    world.expect_states(&[("2", "exited"), ("3", "running"), ("4", "exited")]);
    // What was taken back is no place to go back to, and repeating an undo goes no further.
    let again = world.deploy(&["undo", "--fence", "4"]).expect(0);
    assert_eq!(again.effects(), "none");
    let before = client.asked()["all"]["total"].as_u64();
    let asked = client.wait(|asked| asked["all"]["total"].as_u64() > before.map(|count| count + 20));
    for kind in ["all", "first"] {
        let tally = &asked[kind];
        assert_eq!(tally["failed"], 0, "{asked:#}");
        assert_eq!(
            tally["answers"].as_object().map(serde_json::Map::len),
            Some(4),
            "{asked:#}"
        );
    }
}

#[test]
fn a_secret_is_in_a_file_and_nowhere_else_and_another_value_starts_another_instance() {
    let Some(world) = World::new() else { return };
    const SECRET: &str = "sw0rdfish-at-midnight";
    world.image("1.0.0", &[]);
    world.web(
        "1.0.0",
        &format!(
            "secrets: {{DB_PASSWORD: {{file: \"{}\"}}}}",
            world.path("secrets/db").display()
        ),
    );
    std::fs::create_dir(world.path("secrets")).unwrap();
    write(&world.path("secrets/db"), SECRET);
    let first = world.deploy(&["--fence", "1", "-vv"]).expect(0);
    assert_eq!(
        world.ask(1, "/env/DB_PASSWORD_FILE").1,
        "/run/secrets/DB_PASSWORD"
    );
    assert_eq!(world.ask(1, "/file/run/secrets/DB_PASSWORD").1, SECRET);
    assert_eq!(world.ask(1, "/env/DB_PASSWORD").0, 404);
    let seen = world.inspect(&world.name(1)).to_string();
    assert!(!seen.contains(SECRET) && !first.text().contains(SECRET), "{seen}");
    let again = world.deploy(&["--fence", "2"]).expect(0);
    assert_eq!(again.effects(), "none", "the same value is no change");
    write(&world.path("secrets/db"), "another one");
    world
        .deploy(&["--fence", "3"])
        .expect(0)
        .says(&["changed secrets: DB_PASSWORD"]);
    assert_eq!(world.ask(2, "/file/run/secrets/DB_PASSWORD").1, "another one");
}

#[test]
fn a_port_of_the_host_is_handed_over_with_a_downtime_that_stands_in_the_plan() {
    let Some(world) = World::new() else { return };
    let ports = "ports: [{name: http, port: 8080, publish: {host: 18443}}]\nstop: {grace: 5s}\n";
    for version in ["1.0.0", "1.1.0"] {
        world.image(version, &[]);
    }
    let descriptor = |version: &str| {
        let image = format!("{}/shop", world.project);
        world.descriptor(&format!(
            "version: \"{version}\"\nimage: {image}\n{ports}healthcheck: {{timeout: 20s, endpoints: [{{http: /health}}]}}\n"
        ));
    };
    descriptor("1.0.0");
    world.deploy(&["--fence", "1"]).expect(0);
    let at = "127.0.0.1:18443".parse().unwrap();
    let ask = || {
        pilotage_tests::docker::get(at, "/")
            .map(|(_, body)| body)
            .unwrap_or_default()
    };
    assert_eq!(ask(), "Shop 1.0.0\n");
    descriptor("1.1.0");
    world.deploy(&["--fence", "2"]).expect(0).says(&["downtime"]);
    assert_eq!(ask(), "Shop 1.1.0\n");
    world.expect_states(&[("1", "exited"), ("2", "running")]);
}

#[test]
fn a_service_that_is_retired_is_stopped_and_down_stops_everything() {
    let Some(world) = World::new() else { return };
    world.image("1.0.0", &[]);
    world.web("1.0.0", "");
    world.deploy(&["--fence", "1"]).expect(0);
    world.web("1.0.0", "state: retired");
    world.deploy(&["--fence", "2"]).expect(0);
    world.expect_states(&[("1", "exited")]);
    world.web("1.0.0", "");
    world.deploy(&["--fence", "3"]).expect(0);
    let mut down = std::process::Command::new(crate::world::DEPLOY);
    down.env_clear()
        .args(["down", "--target", "box", "--config"])
        .arg(world.path("pilotage.yaml"));
    world.run(down).expect(0);
    assert!(
        world.states().iter().all(|(_, state)| state == "exited"),
        "{:?}",
        world.states()
    );
    world.deploy(&["--fence", "4"]).expect(0);
}

#[test]
fn what_a_service_requires_is_looked_up_on_the_network_of_its_environment() {
    let Some(world) = World::new() else { return };
    world.image("1.0.0", &[]);
    world.web("1.0.0", "requires: [\"db:8080\"]");
    let text = std::fs::read_to_string(world.path("shop.yaml")).unwrap();
    world.descriptor(&text.replace("timeout: 20s", "timeout: 2s"));
    world
        .deploy(&["--fence", "1"])
        .expect(4)
        .says(&["requires db:8080"]);
    let name = format!("{}-db", world.project);
    let mut body = json!({"Image": "sample-service:base", "Env": ["PORT=8080"]});
    body["NetworkingConfig"] = json!({"EndpointsConfig": {world.network(): {"Aliases": ["db"]}}});
    world.engine.run(&name, &world.network(), &body);
    world.deploy(&["--fence", "1"]).expect(0);
    let _ = world
        .engine
        .api("DELETE", &format!("/containers/{name}?force=1"), None);
}
