//! A container that runs already becomes the instance of a service.

use serde_json::{Value, json};

use crate::world::World;

/// A container that somebody made by hand, on a network of its own.
pub(crate) struct Legacy<'w> {
    world: &'w World,
}

impl World {
    /// The name of what somebody made by hand.
    pub(crate) fn legacy(&self) -> String {
        format!("{}-legacy", self.project)
    }
}

impl<'w> Legacy<'w> {
    pub(crate) fn new(world: &'w World, version: &str, env: &[&str]) -> Self {
        Self::with(world, version, env, &json!({}))
    }

    fn with(world: &'w World, version: &str, env: &[&str], host: &Value) -> Self {
        let name = world.legacy();
        let network = json!({"Name": name});
        let _ = world.engine.api("POST", "/networks/create", Some(&network));
        let mut variables = vec!["PORT=8080"];
        variables.extend(env);
        let mut host = host.clone();
        host["RestartPolicy"] = json!({"Name": "always"});
        let body = json!({
            "Image": format!("{}/shop:{version}", world.project), "Env": variables,
            "ExposedPorts": {"8080/tcp": {}}, "HostConfig": host, "StopTimeout": 5,
        });
        world.engine.run(&name, &name, &body);
        Self { world }
    }

    fn running(&self) -> bool {
        self.world.inspect(&self.world.legacy())["State"]["Running"] == true
    }
}

impl Drop for Legacy<'_> {
    fn drop(&mut self) {
        let name = self.world.legacy();
        for path in [format!("/containers/{name}?force=1"), format!("/networks/{name}")] {
            let _ = self.world.engine.api("DELETE", &path, None);
        }
    }
}

#[test]
fn what_runs_is_adopted_replaced_without_a_lost_request_and_gone_back_to() {
    let Some(world) = World::new() else { return };
    for version in ["1.0.0", "1.1.0"] {
        world.image(version, &[]);
    }
    let legacy = Legacy::new(&world, "1.0.0", &["GREETING=hello"]);
    let name = world.legacy();
    world.web("1.0.0", "env: {GREETING: hello}");
    let adopt = ["adopt", "--instance", &name, "--fence", "1"];
    let dry: Vec<&str> = adopt.into_iter().chain(["--dry-run"]).collect();
    let planned = world.deploy(&dry).expect(0).says(&["adopt it as instance #1"]);
    assert_eq!(planned.effects(), "none");
    let adopted = world
        .deploy(&adopt)
        .expect(0)
        .says(&["is adopted as instance #1"]);
    assert!(!adopted.text().contains("differs"), "{}", adopted.text());
    assert_eq!(
        world.inspect(&name)["HostConfig"]["RestartPolicy"]["Name"],
        "unless-stopped"
    );
    world.deploy(&adopt).expect(0).says(&["is instance #1 already"]);
    let next = world
        .deploy(&["--fence", "1"])
        .expect(0)
        .says(&["1.0.0 serves already as instance #1"]);
    assert_eq!(next.effects(), "none");
    let client = world.client();
    world.web("1.1.0", "env: {GREETING: hello}");
    world.deploy(&["--fence", "2"]).expect(0);
    world.expect_states(&[("2", "running")]);
    assert!(!legacy.running());
    world
        .deploy(&["undo", "--fence", "2"])
        .expect(0)
        .says(&["1.0.0 serves as instance #1"]);
    assert!(legacy.running());
    for (fence, version) in [("3", "1.2.0"), ("4", "1.3.0"), ("5", "1.4.0"), ("6", "1.5.0")] {
        world.image(version, &[]);
        world.web(version, "");
        world.deploy(&["--fence", fence]).expect(0);
    }
    assert_eq!(
        world.inspect(&name)["State"]["Status"],
        "exited",
        "it is forgotten and not removed"
    );
    let asked = client.asked();
    for kind in ["all", "first"] {
        assert_eq!(asked[kind]["failed"], 0, "{asked:#}");
    }
}

#[test]
fn what_differs_is_said_and_a_port_that_both_need_is_a_downtime() {
    let Some(world) = World::new() else { return };
    world.image("1.0.0", &[]);
    let bound = json!({"PortBindings": {"8080/tcp": [{"HostIp": "0.0.0.0", "HostPort": "18666"}]}});
    let _legacy = Legacy::with(&world, "1.0.0", &["GREETING=hallo"], &bound);
    world.web("1.0.0", "env: {GREETING: hello}");
    let text = std::fs::read_to_string(world.path("shop.yaml")).unwrap_or_default();
    world.descriptor(&text.replace("port: 8080}", "port: 8080, publish: {host: 18666}}"));
    world
        .deploy(&["--fence", "1"])
        .expect(6)
        .says(&["the host port 0.0.0.0:18666 belongs to the container"]);
    let adopted = world.deploy(&["adopt", "--instance", &world.legacy(), "--fence", "1"]);
    let adopted = adopted
        .expect(0)
        .says(&["the variable GREETING is missing or another"]);
    assert!(
        !adopted.text().contains("hallo"),
        "it may be a secret: {}",
        adopted.text()
    );
    world
        .deploy(&["plan", "--detailed-exitcode", "--fence", "2"])
        .expect(11)
        .says(&["downtime", "both need 0.0.0.0:18666"]);
    world.deploy(&["--fence", "2"]).expect(0);
    world.expect_states(&[("2", "running")]);
}

#[test]
fn what_cannot_be_adopted_is_refused_and_not_touched() {
    let Some(world) = World::new() else { return };
    world.image("1.0.0", &[]);
    world.web("1.0.0", "");
    let adopt = |name: &str| world.deploy(&["adopt", "--instance", name, "--fence", "1"]);
    adopt("nobody")
        .expect(6)
        .says(&["there is no container of this name or id"]);
    let legacy = Legacy::new(&world, "1.0.0", &[]);
    let name = world.legacy();
    let _ = world
        .engine
        .api("POST", &format!("/containers/{name}/stop"), None);
    adopt(&name).expect(6).says(&["it does not run"]);
    let _ = world
        .engine
        .api("POST", &format!("/containers/{name}/start"), None);
    world.deploy(&["--fence", "1"]).expect(0);
    adopt(&name).expect(6).says(&["instance #1 serves already"]);
    adopt(&world.name(1)).expect(6).says(&["belongs to", "already"]);
    let aliases = world.inspect(&name)["NetworkSettings"]["Networks"].to_string();
    assert!(legacy.running() && !aliases.contains("\"shop\""), "{aliases}");
}
