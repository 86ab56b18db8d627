//! kill -9 before every single effect on the disk and every signal of a deploy, then the same command again.

mod world;

use world::{Ended, World, get};

/// The system calls by which a deploy has effects (and writes its report).
const EFFECTS: &str =
    "rename,renameat,renameat2,mkdir,mkdirat,rmdir,unlink,unlinkat,fdatasync,ftruncate,kill,flock";

/// Runs `change` killed before its 1st, 2nd, … effect until it gets through, each time followed by `converged`.
fn crash_everywhere(
    world: &World,
    mut change: impl FnMut(usize) -> Vec<String>,
    converged: impl Fn(usize, Ended),
) {
    for turn in 1..200 {
        let arguments = change(turn);
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let traced = world.traced(&arguments, EFFECTS, "signal=KILL", turn);
        let whole = traced.code.is_some();
        if whole {
            assert!(turn > 10, "the first effects were not met: {}", traced.stderr);
            traced.expect(0);
        }
        converged(turn, world.deploy(&arguments).expect(0));
        assert_eq!(
            world.processes().len(),
            1,
            "after a kill before effect {turn}: {:?}",
            world.instances()
        );
        let left: Vec<String> = world
            .instances()
            .into_iter()
            .filter(|name| name.contains('.'))
            .collect();
        assert!(left.is_empty(), "after a kill before effect {turn}: {left:?}");
        assert!(world.instances().len() <= 3);
        if whole {
            return;
        }
    }
    panic!("it never got through");
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
        |turn, _| assert_eq!(world.ask(), (200, format!("Shop 1.0.{turn}\n"))),
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
        |_, _| assert_eq!(world.ask(), (200, "Shop 1.0.0\n".to_owned())),
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
        |_, _| assert_eq!(world.ask(), (200, "Shop 1.0.0\n".to_owned())),
    );
}

#[test]
fn a_downtime_that_is_killed_anywhere_converges() {
    let world = World::new();
    let port = world::free_port();
    let host = |turn: usize| {
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
        |turn, _| assert_eq!(get(port, "x", "/version").unwrap().1, format!("1.0.{turn}\n")),
    );
}
