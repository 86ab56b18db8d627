//! kill -9 before every single effect that a deploy asks of the engine, then the same command again.
#![expect(
    clippy::unwrap_used,
    reason = "a world that cannot be made fails the test that wants it"
)]

use std::io::{Read, Write};
use std::net::Shutdown;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::Child;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use pilotage_tests::docker::until;

use crate::adopt::Legacy;
use crate::world::World;

#[derive(Default)]
struct Watch {
    /// The client is killed before the engine hears of its request of this number.
    place: Option<u32>,
    seen: u32,
    client: Option<Child>,
    killed: bool,
    /// The engine goes away there instead.
    goes: bool,
    away: bool,
}

impl Watch {
    /// Counts a request; whether the client is killed instead.
    fn kills(&mut self) -> bool {
        self.seen += 1;
        if self.place != Some(self.seen) {
            return false;
        }
        self.place = None;
        if self.goes {
            self.away = true;
            return true;
        }
        if let Some(client) = &mut self.client {
            let _ = client.kill();
            let _ = client.wait();
            self.killed = true;
        }
        true
    }
}

/// A socket before the engine's that counts what is asked of it.
struct Proxy {
    path: PathBuf,
    watch: Arc<Mutex<Watch>>,
}

impl Proxy {
    fn new(path: PathBuf, engine: &str) -> Self {
        let listener = UnixListener::bind(&path).unwrap();
        let watch = Arc::new(Mutex::new(Watch::default()));
        let (shared, engine) = (
            Arc::clone(&watch),
            PathBuf::from(engine.trim_start_matches("unix://")),
        );
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                if shared.lock().is_ok_and(|watch| watch.away) {
                    continue;
                }
                let (shared, engine) = (Arc::clone(&shared), engine.clone());
                thread::spawn(move || {
                    // A client that was killed cuts its connections; that is what is tried here.
                    let _ = relay(client, &engine, &shared);
                });
            }
        });
        Self { path, watch }
    }

    /// Runs a deploy that is killed there; whether it came so far.
    fn deploy(&self, world: &World, arguments: &[&str], place: u32) -> bool {
        let mut command = world.command(arguments);
        let child = command
            .stderr(std::process::Stdio::null())
            .stdout(std::process::Stdio::null());
        {
            let mut watch = self.watch.lock().unwrap();
            let client = child.spawn().unwrap();
            *watch = Watch {
                place: Some(place),
                client: Some(client),
                ..Watch::default()
            };
        }
        let mut killed = None;
        until(Duration::from_secs(60), || {
            let mut watch = self.watch.lock().unwrap();
            if watch.killed {
                killed = Some(true);
            } else if let Some(status) = watch
                .client
                .as_mut()
                .and_then(|client| client.try_wait().ok().flatten())
            {
                watch.place = None;
                assert!(status.success(), "it was not killed and ended with {status}");
                killed = Some(false);
            }
            killed.is_some()
        });
        killed.unwrap()
    }
}

/// Passes requests and answers on, one connection.
fn relay(mut client: UnixStream, engine: &Path, shared: &Mutex<Watch>) -> std::io::Result<()> {
    let mut upstream = UnixStream::connect(engine)?;
    let mut answers = (upstream.try_clone()?, client.try_clone()?);
    let passing = thread::spawn(move || {
        let _ = std::io::copy(&mut answers.0, &mut answers.1);
        let _ = answers.1.shutdown(Shutdown::Both);
    });
    let mut buffer = [0; 16384];
    while let Ok(count @ 1..) = client.read(&mut buffer) {
        let request = &buffer[..count];
        let changes = [b"POST ".as_slice(), b"PUT ", b"DELETE "]
            .iter()
            .any(|word| request.starts_with(word));
        // Waiting for an end has no effect.
        let waits = request.windows(6).take(200).any(|part| part == b"/wait?");
        if changes && !waits && shared.lock().is_ok_and(|mut watch| watch.kills()) {
            break;
        }
        if shared.lock().is_ok_and(|watch| watch.away) {
            break;
        }
        if upstream.write_all(request).is_err() {
            break;
        }
    }
    let _ = upstream.shutdown(Shutdown::Both);
    let _ = passing.join();
    Ok(())
}

/// `change` killed before its 1st, 2nd, … effect until it gets through, and then again: it converges. A kill after an
/// effect is one before the next, as far as the engine can tell.
fn crash_everywhere(
    world: &World,
    running: usize,
    most: usize,
    mut change: impl FnMut(u32) -> Vec<String>,
    converged: impl Fn(u32),
) {
    let proxy = Proxy::new(world.path("engine.sock"), &world.engine.host());
    world.config(&format!("unix://{}", proxy.path.display()), "");
    for number in 1.. {
        let arguments = change(number);
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let killed = proxy.deploy(world, &arguments, number);
        world.deploy(&arguments).expect(0);
        converged(number);
        let states = world.states();
        let found = states.iter().filter(|(_, state)| state == "running").count();
        assert_eq!(found, running, "killed before effect {number}: {states:?}");
        assert!(states.len() <= most, "killed before effect {number}: {states:?}");
        if !killed {
            assert!(number > 8, "it had {number} effects only");
            return;
        }
        assert!(number < 60, "it never gets through");
    }
}

/// The same for new versions of a service with `more` in its descriptor, while somebody asks it all the time.
fn crash_while_asked(world: &World, running: usize, most: usize, more: &str) {
    let client = world.client();
    crash_everywhere(
        world,
        running,
        most,
        |number| {
            let version = format!("1.0.{number}");
            world.image(&version, &[]);
            world.web(&version, more);
            vec!["--fence".to_owned(), (number + 1).to_string()]
        },
        |number| {
            world
                .deploy(&["status"])
                .expect(0)
                .says(&[&format!("1.0.{number} serves as instance")]);
        },
    );
    let asked = client.asked();
    for kind in ["all", "first"] {
        assert_eq!(
            asked[kind]["failed"], 0,
            "somebody served all the time: {asked:#}"
        );
    }
}

#[test]
fn a_deploy_that_is_killed_before_any_effect_converges_and_the_old_serves_until_then() {
    let Some(world) = World::new() else { return };
    world.image("1.0.0", &[]);
    world.web("1.0.0", "");
    world.deploy(&["--fence", "1"]).expect(0);
    crash_while_asked(&world, 1, 3, "");
}

#[test]
fn an_undo_that_is_killed_before_any_effect_converges() {
    let Some(world) = World::new() else { return };
    for version in ["1.0.0", "1.1.0"] {
        world.image(version, &[]);
    }
    world.web("1.0.0", "");
    world.deploy(&["--fence", "1"]).expect(0);
    crash_everywhere(
        &world,
        1,
        3,
        |number| {
            let fence = (number + 1).to_string();
            world.web("1.1.0", &format!("env: {{FENCE: \"{fence}\"}}"));
            world.deploy(&["--fence", &fence]).expect(0);
            vec!["undo".to_owned(), "--fence".to_owned(), fence]
        },
        |_| {
            world
                .deploy(&["status"])
                .expect(0)
                .says(&["1.0.0 serves as instance"]);
        },
    );
}

#[test]
fn replicas_that_are_killed_before_any_effect_converge_and_enough_serve_until_then() {
    let Some(world) = World::new() else { return };
    let two = "resources: {replicas: 2}";
    world.image("1.0.0", &[]);
    world.web("1.0.0", two);
    world.deploy(&["--fence", "1"]).expect(0);
    crash_while_asked(&world, 2, 6, two);
}

#[test]
fn a_job_that_is_killed_before_any_effect_converges_and_is_done() {
    let Some(world) = World::new() else { return };
    crash_everywhere(
        &world,
        0,
        3,
        |number| {
            let version = format!("1.0.{number}");
            let variables = [
                ("PORT", "8080"),
                ("SAMPLE_EXIT_AFTER", "50ms"),
                ("SAMPLE_EXIT_CODE", "0"),
            ];
            world.image(&version, &variables);
            let image = format!("{}/shop", world.project);
            world.descriptor(&format!("kind: job\nversion: \"{version}\"\nimage: {image}\n"));
            vec!["--fence".to_owned(), (number + 1).to_string()]
        },
        |number| {
            world
                .deploy(&["status"])
                .expect(0)
                .says(&[&format!("1.0.{number} is done as instance")]);
        },
    );
}

#[test]
fn an_adoption_that_is_killed_before_any_effect_converges() {
    let Some(world) = World::new() else { return };
    world.image("1.0.0", &[]);
    let made = std::cell::RefCell::new(None);
    crash_everywhere(
        &world,
        0,
        0,
        |number| {
            made.replace(None);
            world.engine.remove_project(&world.project);
            made.replace(Some(Legacy::new(&world, "1.0.0", &[])));
            world.web("1.0.0", "");
            let arguments = [
                "adopt",
                "--instance",
                &world.legacy(),
                "--fence",
                &number.to_string(),
            ];
            arguments.map(str::to_owned).to_vec()
        },
        |number| {
            let fence = number.to_string();
            world
                .deploy(&["status"])
                .expect(0)
                .says(&["1.0.0 serves as instance #1"]);
            let next = world.deploy(&["--fence", &fence]).expect(0);
            assert_eq!(
                next.effects(),
                "none",
                "killed before effect {number}: {}",
                next.text()
            );
        },
    );
}

#[test]
fn an_engine_that_goes_away_at_any_moment_is_no_verdict_and_the_next_run_converges() {
    let Some(world) = World::new() else { return };
    world.image("1.0.0", &[]);
    world.web("1.0.0", "");
    world.deploy(&["--fence", "1"]).expect(0);
    let proxy = Proxy::new(world.path("engine.sock"), &world.engine.host());
    for number in 1.. {
        world.config(&format!("unix://{}", proxy.path.display()), "");
        let version = format!("1.0.{number}");
        world.image(&version, &[]);
        world.web(&version, "");
        *proxy.watch.lock().unwrap() = Watch {
            place: Some(number),
            goes: true,
            ..Watch::default()
        };
        let fence = (number + 1).to_string();
        let ended = world.deploy(&["--fence", &fence]);
        let away = std::mem::take(&mut *proxy.watch.lock().unwrap()).away;
        if away && ended.code != Some(0) {
            let ended = ended.expect(4).says(&["does not answer"]);
            assert!(ended.took < Duration::from_secs(20), "{:?}", ended.took);
        }
        world.config(&world.engine.host(), "");
        world.deploy(&["--fence", &fence]).expect(0);
        let states = world.states();
        let running = states.iter().filter(|(_, state)| state == "running").count();
        assert_eq!(running, 1, "away before effect {number}: {states:?}");
        if !away {
            assert!(number > 8, "it had {number} effects only");
            return;
        }
        assert!(number < 60, "it never gets through");
    }
}
