//! The seven acts as tests, on processes and in containers, and the demo as a user runs it: again after it was stopped,
//! beside another one, and leaving nothing behind in any case.

#![expect(clippy::expect_used, reason = "a test says what is wrong by failing")]

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use pilotage_tests::command::{Command, Output, binaries};
use pilotage_tests::docker::Engine;
use pilotage_tests::play::{TargetKind, Teller, World, engine_socket, play, processes_of};

/// How long a whole demo may take where four are played at once; one alone takes less than a minute.
const PATIENCE: Duration = Duration::from_secs(300);

#[test]
fn the_seven_acts_come_to_their_good_end_on_processes() {
    seven_acts(&TargetKind::Process);
}

#[test]
fn the_seven_acts_come_to_their_good_end_in_containers() {
    let Some(engine) = entered() else { return };
    seven_acts(&TargetKind::Docker(socket(engine)));
}

/// On one thread only: that one may be in the network of an engine, and whatever it starts with it.
fn seven_acts(kind: &TargetKind) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.expect("there is a runtime").block_on(async {
        let world = World::new(&binaries(), Arc::new(Teller::quiet()), kind).await;
        let world = world.expect("there is room for a world");
        let root = world.root().to_owned();
        let summary = play(&world)
            .await
            .map_err(|missed| world.explain(missed).to_string());
        let closed = world.close().await.map_err(|missed| missed.to_string());
        let summary = summary.unwrap_or_else(|missed| fail(&missed));
        closed.unwrap_or_else(|missed| fail(&missed));
        assert_eq!((summary.acts, summary.failed), (7, 0));
        assert!(summary.requests > 0, "somebody asked all the time");
        assert!(processes_of(&root).is_empty(), "no process is left");
        assert!(!root.exists(), "no file is left");
    });
}

#[expect(clippy::panic, reason = "so that lines are shown as lines")]
fn fail<T>(missed: &str) -> T {
    panic!("{missed}")
}

/// While the acts are played above, so that two plays at once are tried as well.
#[test]
fn a_demo_that_is_stopped_leaves_nothing_and_the_next_one_works() {
    let place = tempfile::tempdir().expect("a folder can be made");
    let demo = || {
        Command::step("demo")
            .patience(PATIENCE)
            .args(["--target", "process"])
            .env("TMPDIR", place.path())
    };
    stopped(place.path(), demo(), "Ana pushes shop 1.1.0 to qa");
    played(place.path(), demo(), "with plain processes");
}

/// The demo takes the engine by itself; the acts above have one at the same time.
#[test]
fn a_demo_in_containers_that_is_stopped_leaves_nothing_and_the_next_one_works() {
    let Some(engine) = entered() else { return };
    let place = tempfile::tempdir().expect("a folder can be made");
    let demo = || {
        Command::step("demo")
            .patience(PATIENCE)
            .env("TMPDIR", place.path())
            .env("DOCKER_HOST", engine.host())
    };
    let project = stopped(place.path(), demo(), "Ana pushes shop 1.1.0 to qa");
    left_no_container(engine, &project);
    let project = played(place.path(), demo(), "with containers");
    left_no_container(engine, &project);
}

#[test]
fn a_demo_says_which_target_it_takes_and_how_to_choose_the_other() {
    let demo = |host: &str| Command::step("demo").env("DOCKER_HOST", host);
    let nowhere = "unix:///nowhere/docker.sock";
    let output = demo(nowhere).args(["--target", "docker"]).run();
    assert_eq!(output.code, Some(1), "{output}");
    assert!(output.stdout.contains("/nowhere/docker.sock"), "{output}");

    let running = demo(nowhere).spawn();
    running.wait_for_stdout("`make demo TARGET=docker` plays it with containers");
    running.interrupt();
    let output = running.wait();
    assert_eq!(output.code, Some(130), "{output}");
    assert!(
        output
            .stdout
            .contains("no Docker engine can be used: /nowhere/docker.sock: No such file"),
        "{output}"
    );

    let output = demo("tcp://192.0.2.1:2376").args(["--target", "docker"]).run();
    assert_eq!(output.code, Some(1), "{output}");
    assert!(
        output.stdout.contains("DOCKER_HOST is tcp://192.0.2.1:2376"),
        "{output}"
    );
    let output = Command::step("demo").args(["--target", "ship"]).run();
    assert_eq!(output.code, Some(2), "{output}");
}

/// The engine of the tests, whose network this thread is in from now on; none where none can be had, which is said.
fn entered() -> Option<&'static Engine> {
    let engine = Engine::shared()?;
    engine.enter();
    Some(engine)
}

fn socket(engine: &Engine) -> PathBuf {
    engine_socket(Some(&engine.host())).expect("it is on this machine")
}

/// Stops a demo at a moment; gives back its project.
fn stopped(place: &Path, demo: Command, moment: &str) -> String {
    let running = demo.spawn();
    running.wait_for_stdout(moment);
    assert!(!processes_of(place).is_empty(), "it is in the middle of it");
    running.interrupt();
    let output = running.wait();
    assert_eq!(output.code, Some(130), "{output}");
    left_nothing(place, &output);
    project(&output)
}

/// Plays a demo to its end; gives back its project.
fn played(place: &Path, demo: Command, target: &str) -> String {
    let output = demo.run();
    assert_eq!(output.code, Some(0), "{output}");
    assert!(output.stdout.contains(target), "{output}");
    for act in 1..=7 {
        let line = format!("\nAct {act}. ");
        assert!(output.stdout.contains(&line), "act {act} is told\n{output}");
    }
    assert!(output.stdout.contains(", 0 of them failed."), "{output}");
    left_nothing(place, &output);
    project(&output)
}

fn project(output: &Output) -> String {
    let (_, rest) = output
        .stdout
        .split_once("acme.git --project ")
        .unwrap_or_else(|| fail(&format!("the project is told\n{output}")));
    rest.split(' ').next().unwrap_or_default().to_owned()
}

fn left_nothing(place: &Path, output: &Output) {
    let processes = processes_of(place);
    assert!(processes.is_empty(), "left: {processes:?}\n{output}");
    let files: Vec<_> = std::fs::read_dir(place)
        .expect("the folder is there")
        .flatten()
        .map(|entry| entry.path())
        .collect();
    assert!(files.is_empty(), "left: {files:?}\n{output}");
}

fn left_no_container(engine: &Engine, project: &str) {
    for label in ["pilotage.project", "pilotage-demo"] {
        let left = engine.objects(&format!("{label}={project}"));
        assert!(left.is_empty(), "left of {project}: {left:?}");
    }
    let images = engine.images(&format!("{project}/*"));
    assert!(images.is_empty(), "left of {project}: {images:?}");
}
