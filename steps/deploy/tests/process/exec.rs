//! Commands of a health check, run beside the instance with what it has.

#![expect(
    clippy::unwrap_used,
    reason = "a helper of a test fails the test by panicking"
)]

use crate::world::World;

/// A descriptor whose health check is a command of the shell.
fn check(world: &World, version: &str, script: &str) {
    let command = serde_json::to_string(&["/bin/sh", "-c", script]).unwrap();
    world.artifact(version, "");
    world.descriptor(&format!(
        "version: \"{version}\"\nports: [{{name: http, port: 8080}}]\nstop: {{grace: 5s}}\n\
         healthcheck: {{timeout: 3s, try_timeout: 1s, interval: 20ms, endpoints: [{{tcp: http}}, {{exec: {command}}}]}}\n"
    ));
}

fn grant(world: &World) {
    let path = world.path("pilotage.yaml");
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, text.replace("allow: {", "allow: {commands: true, ")).unwrap();
}

#[test]
fn a_command_decides_with_the_instances_own_variables_once_it_is_granted() {
    let world = World::new();
    check(
        &world,
        "1.0.0",
        "[ $PILOTAGE_VERSION = 1.0.0 ] && [ $PORT -gt 0 ] && [ -e artifact ]",
    );
    let refused = world.deploy(&["--fence", "1"]).expect(3);
    assert!(refused.says("allow: {commands: true}"));
    assert_eq!(world.instances(), [] as [&str; 0]);
    grant(&world);
    world.deploy(&["--fence", "1"]).expect(0);

    check(&world, "2.0.0", "echo no database; sleep 600 & exit 3");
    let bad = world.deploy(&["--fence", "2"]).expect(1);
    assert!(bad.says("exit 3 where 0 is expected: no database"));
    check(&world, "2.0.1", "sleep 600");
    let slow = world.deploy(&["--fence", "3"]).expect(1);
    assert!(slow.says("no end within"));
    check(&world, "2.0.2", "exec /no/such/program");
    let missing = world.deploy(&["--fence", "4"]).expect(1);
    assert!(missing.says("there is no such program"));
    assert_eq!(world.processes().len(), 1, "what a command starts ends with it");
}
