//! kill -9 before every single effect on the disk and every signal of a deploy, then the same command again.

use crate::world::{World, free_port, get, strace_is_there};

/// The system calls by which a deploy has effects and writes its report. strace counts each of them for itself.
const EFFECTS: [&str; 9] = [
    "rename",
    "mkdir",
    "unlink",
    "unlinkat",
    "rmdir",
    "fdatasync",
    "ftruncate",
    "kill",
    "flock",
];

/// Runs `change` killed before its 1st, 2nd, … call of each kind until it gets through, and then again: it converges.
/// `change` gets a number that rises with each round.
fn crash_everywhere(world: &World, mut change: impl FnMut(u64) -> Vec<String>, converged: impl Fn(u64)) {
    if !strace_is_there() {
        return;
    }
    let (mut round, mut killed) = (0, 0);
    for call in EFFECTS {
        for when in 1..100 {
            round += 1;
            let arguments = change(round);
            let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
            let traced = world.traced(&arguments, call, "signal=KILL", when);
            let whole = traced.code.is_some();
            if whole {
                traced.expect(0);
            }
            world.deploy(&arguments).expect(0);
            converged(round);
            let place = format!("after a kill before {call} {when}");
            assert_eq!(world.processes().len(), 1, "{place}: {:?}", world.instances());
            assert!(
                world.instances().iter().all(|name| !name.contains('.')),
                "{place}: {:?}",
                world.instances()
            );
            assert!(world.instances().len() <= 3, "{place}: {:?}", world.instances());
            if whole {
                break;
            }
            killed += 1;
        }
    }
    assert!(killed >= 8, "it was killed at {killed} places only");
}

#[test]
fn a_deploy_that_is_killed_anywhere_converges_and_the_old_serves_until_then() {
    let world = World::new();
    world.artifact("1.0.0", "");
    world.web("1.0.0", "");
    world.deploy(&["--fence", "1"]).expect(0);
    crash_everywhere(
        &world,
        |turn| {
            // Whatever happened before, somebody serves.
            assert_eq!(world.ask().0, 200);
            world.artifact(&format!("1.0.{turn}"), "");
            world.web(&format!("1.0.{turn}"), "");
            vec!["--fence".to_owned(), (turn + 1).to_string()]
        },
        |turn| assert_eq!(world.ask(), (200, format!("Shop 1.0.{turn}\n"))),
    );
}

#[test]
fn a_first_deploy_that_is_killed_anywhere_converges() {
    let world = World::new();
    world.artifact("1.0.0", "");
    world.web("1.0.0", "");
    crash_everywhere(
        &world,
        |_| {
            world.down().expect(0);
            std::fs::remove_dir_all(world.state())
                .or_else(|error| match error.kind() {
                    std::io::ErrorKind::NotFound => Ok(()),
                    _ => Err(error),
                })
                .unwrap();
            vec!["--fence".to_owned(), "1".to_owned()]
        },
        |_| assert_eq!(world.ask(), (200, "Shop 1.0.0\n".to_owned())),
    );
}

#[test]
fn an_undo_that_is_killed_anywhere_converges() {
    let world = World::new();
    world.artifact("1.0.0", "");
    world.artifact("1.1.0", "");
    world.web("1.0.0", "");
    world.deploy(&["--fence", "1"]).expect(0);
    crash_everywhere(
        &world,
        |turn| {
            world.web("1.1.0", "");
            world.deploy(&["--fence", &(turn + 1).to_string()]).expect(0);
            assert_eq!(world.ask().1, "Shop 1.1.0\n");
            vec!["undo".to_owned(), "--fence".to_owned(), (turn + 1).to_string()]
        },
        |_| assert_eq!(world.ask(), (200, "Shop 1.0.0\n".to_owned())),
    );
}

#[test]
fn a_downtime_that_is_killed_anywhere_converges() {
    let world = World::new();
    let port = free_port();
    let host = |turn: u64| {
        world.artifact(&format!("1.0.{turn}"), "");
        world.descriptor(&format!(
            "version: \"1.0.{turn}\"\nports: [{{name: http, port: 8080, publish: {{host: {}}}}}]\n\
             healthcheck: {{timeout: 20s, interval: 20ms, endpoints: [{{http: /health, version: {{json: $.version}}}}]}}\n",
            port.port()
        ));
    };
    host(0);
    world.deploy(&["--fence", "1"]).expect(0);
    crash_everywhere(
        &world,
        |turn| {
            host(turn);
            vec!["--fence".to_owned(), (turn + 1).to_string()]
        },
        |turn| assert_eq!(get(port, "x", "/version").unwrap().1, format!("1.0.{turn}\n")),
    );
}
