//! Commands in the instances that serve, on a real engine.

#![expect(
    clippy::unwrap_used,
    reason = "a helper of a test fails the test by panicking"
)]

use std::process::{Command, Stdio};

use pilotage_tests::docker::Engine;
use serde_json::json;

const TOOLS: &str = "pilotage-test-tools:1";

fn healthcheck(engine: &Engine, script: &str, more: &[&str]) -> (Option<i32>, String) {
    let folder = tempfile::tempdir().unwrap();
    let command = serde_json::to_string(&["/bin/sh", "-c", script]).unwrap();
    let descriptor = format!(
        "version: \"1\"\nkind: worker\nimage: shop\nhealthcheck: {{endpoints: [{{exec: {command}}}], timeout: 20s}}\n"
    );
    let config = format!(
        "apiVersion: pilotage/v1\nproject: inside\ntargets: {{box: {{docker: {{host: \"{}\"}}}}}}\nenvironments: {{qa: {{target: box}}}}\n",
        engine.host()
    );
    std::fs::write(folder.path().join("shop.yaml"), descriptor).unwrap();
    std::fs::write(folder.path().join("pilotage.yaml"), config).unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_pilotage-healthcheck"))
        .env_clear()
        .current_dir(folder.path())
        .args(["--descriptor", "shop.yaml", "--config", "pilotage.yaml"])
        .args(["--env", "qa", "--service", "shop"])
        .args(more)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let all = format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    (output.status.code(), all)
}

#[test]
fn a_command_is_run_in_every_instance_that_serves() {
    let Some(engine) = Engine::shared() else { return };
    engine.tools(TOOLS);
    let (code, all) = healthcheck(engine, "exit 0", &["--timeout", "1s"]);
    assert_eq!(code, Some(4), "{all}");
    assert!(all.contains("no instance of inside-qa-shop runs"), "{all}");

    let labels =
        json!({"pilotage.project": "inside", "pilotage.environment": "qa", "pilotage.service": "shop"});
    for number in ["1", "2"] {
        let body = json!({
            "Image": TOOLS, "Cmd": ["/bin/sleep", "600"], "Labels": labels,
            "Env": [format!("NUMBER={number}")],
        });
        engine.run(&format!("inside-qa-shop-{number}"), "none", &body);
    }
    let (code, all) = healthcheck(engine, "test $NUMBER -ge 1", &[]);
    assert_eq!(code, Some(0), "{all}");
    assert!(all.contains("exit 0"), "{all}");
    let second = "[ $NUMBER = 1 ] || { echo no database in $NUMBER; exit 3; }";
    let (code, all) = healthcheck(engine, second, &["--timeout", "1s"]);
    assert_eq!(code, Some(1), "{all}");
    assert!(
        all.contains("exit 3 where 0 is expected: no database in 2"),
        "{all}"
    );
    let (code, all) = healthcheck(
        engine,
        "sleep 600",
        &["--timeout", "2s", "--try-timeout", "500ms"],
    );
    assert_eq!(code, Some(4), "{all}");
    assert!(all.contains("no end within"), "{all}");
    engine.remove_project("inside");
}
