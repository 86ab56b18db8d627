//! What runs already becomes the instance of a service: on a real engine, by the real steps.

use pilotage_tests::command::{Command, Output};
use pilotage_tests::docker::Engine;
use serde_json::json;

use crate::world::{CONFIG, World};

fn release(world: &World, arguments: &[&str]) -> Output {
    Command::step("pilotage-release")
        .args([arguments[0], "--repo", &world.repository.path().to_string_lossy()])
        .arg("--cache-dir")
        .arg(world.folder.path().join("cache"))
        .args(["--env", "qa", "--service", "shop"])
        .args(&arguments[1..])
        .run()
}

fn adopt(world: &World, name: &str, more: &[&str]) -> Output {
    let mut arguments = vec!["adopt", "--instance", name];
    arguments.extend(["--reason", "it ran before", "--by", "Ana <ana@example.com>"]);
    arguments.extend(more);
    release(world, &arguments)
}

#[test]
fn a_process_target_adopts_nothing_and_says_so() {
    let world = World::with(CONFIG);
    world.push("qa", "shop", "1.0.0");
    let output = adopt(&world, "shop", &[]);
    // It has no artifact either, which is asked first.
    assert!(matches!(output.code, Some(4 | 6)), "{output}");
    assert!(world.state("qa", "shop").proved.is_none());
}

#[test]
fn what_runs_is_adopted_once_and_the_next_release_does_nothing_or_replaces_it() {
    let Some(engine) = Engine::shared() else { return };
    engine.enter();
    let project = format!("r{}", std::process::id());
    let name = format!("{project}-legacy");
    let config = format!(
        "apiVersion: pilotage/v1\nproject: {project}\ntargets: {{box: {{docker: {{host: \"{}\"}}}}}}\n\
         environments: {{qa: {{target: box, first: deploy}}}}\n",
        engine.host()
    );
    let world = World::with(&config);
    for version in ["1.0.0", "1.1.0"] {
        engine.image(
            &format!("{project}/shop:{version}"),
            &[("SAMPLE_VERSION", version)],
        );
    }
    let more = format!(
        "image: {project}/shop\nhealthcheck: {{endpoints: [{{http: /health}}]}}\nstop: {{grace: 2s}}\n"
    );
    let commit = world.push_with("qa", "shop", "1.0.0", &more);
    let network = json!({"Name": name});
    let _ = engine.api("POST", "/networks/create", Some(&network));
    let body = json!({"Image": format!("{project}/shop:1.0.0"), "Env": ["PORT=8080"], "HostConfig": {}});
    engine.run(&name, &name, &body);

    let dry = adopt(&world, &name, &["--dry-run"]);
    assert_eq!(dry.code, Some(0), "{dry}");
    assert!(world.state("qa", "shop").proved.is_none(), "{dry}");
    for _ in 0..2 {
        let output = adopt(&world, &name, &[]);
        assert_eq!(output.code, Some(0), "{output}");
        let proved = world.state("qa", "shop").proved;
        assert!(
            proved
                .is_some_and(|proved| proved.adopted && proved.version == "1.0.0" && proved.commit == commit),
            "{output}"
        );
    }
    let same = release(&world, &["run"]);
    assert_eq!(same.code, Some(0), "{same}");
    let running =
        || engine.api("GET", &format!("/containers/{name}/json"), None).body["State"]["Running"] == true;
    assert!(running(), "{same}");
    world.push_with("qa", "shop", "1.1.0", &more);
    let next = release(&world, &["run"]);
    assert_eq!(next.code, Some(0), "{next}");
    assert!(!running(), "{next}");
    let refused = adopt(&world, &name, &[]);
    assert_eq!(refused.code, Some(6), "{refused}");
    assert!(refused.to_string().contains("was released already"), "{refused}");

    for path in [format!("/containers/{name}?force=1"), format!("/networks/{name}")] {
        let _ = engine.api("DELETE", &path, None);
    }
    engine.remove_project(&project);
}
