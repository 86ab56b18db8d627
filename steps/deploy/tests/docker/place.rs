//! Where the engine is, and where we are.

use std::path::Path;
use std::time::Duration;

use pilotage_tests::docker::until;
use serde_json::{Value, json};

use crate::world::{DEPLOY, World};

#[test]
fn an_engine_is_asked_over_tls_by_who_has_its_certificates_and_by_nobody_else() {
    let Some(world) = World::new() else { return };
    world.image("1.0.0", &[]);
    world.web("1.0.0", "");
    let (host, folder) = world.engine.secured();
    let tls = |folder: &Path| {
        let path = |name: &str| folder.join(name).display().to_string();
        format!(
            "      tls: {{ca: \"{}\", cert: \"{}\", key: \"{}\"}}",
            path("ca.pem"),
            path("cert.pem"),
            path("key.pem")
        )
    };
    world.config(host, "");
    world.deploy(&["--fence", "1"]).expect(4);
    world.config(host, &tls(&world.path("nowhere")));
    world.deploy(&["--fence", "1"]).expect(4);
    assert_eq!(world.states(), []);
    world.config(host, &tls(&folder));
    let ended = world.deploy(&["--fence", "1"]).expect(0);
    assert_eq!(ended.output("reach"), "direct");
    world.expect_states(&[("1", "running")]);
}

#[test]
fn from_inside_a_container_instances_are_reached_by_joining_their_network() {
    let Some(world) = World::new() else { return };
    world.image("1.0.0", &[]);
    world.web("1.0.0", "");
    world.config("unix:///docker.sock", "");
    let image = format!("{}/deploy:1", world.project);
    let made = world.engine.import(&image, Path::new(DEPLOY), &[]);
    assert!(made.is_ok(), "{made:?}");
    let name = format!("{}-deploy", world.project);
    let network = json!({"Name": name});
    let _ = world.engine.api("POST", "/networks/create", Some(&network));
    let folder = world.path("");
    let socket = world.engine.host().trim_start_matches("unix://").to_owned();
    let body = json!({
        "Image": image,
        "Cmd": ["--descriptor", "/w/shop.yaml", "--config", "/w/pilotage.yaml", "--env", "qa", "--fence", "1",
            "--report", "/w/report.json"],
        "HostConfig": {"Binds": [
            format!("{}:/w", folder.display()), format!("{socket}:/docker.sock"),
        ]},
    });
    world.engine.run(&name, &name, &body);
    let ended = until(Duration::from_secs(60), || {
        world.inspect(&name)["State"]["Status"] == "exited"
    });
    let report = std::fs::read(world.path("report.json")).unwrap_or_default();
    let report: Value = serde_json::from_slice(&report).unwrap_or_default();
    assert!(ended, "{report:#}");
    assert_eq!(world.inspect(&name)["State"]["ExitCode"], 0, "{report:#}");
    assert_eq!(report["outputs"]["reach"], "join", "{report:#}");
    world.expect_states(&[("1", "running")]);
    for path in [format!("/containers/{name}?force=1"), format!("/networks/{name}")] {
        let _ = world.engine.api("DELETE", &path, None);
    }
}
