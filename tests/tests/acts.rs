//! The seven acts as a test, and the demo as a user runs it: again after it was stopped, beside another one, and leaving
//! nothing behind in any case.

#![expect(clippy::expect_used, reason = "a test says what is wrong by failing")]

use std::path::Path;
use std::sync::Arc;

use pilotage_tests::command::{Command, Output, binaries};
use pilotage_tests::play::{Teller, World, play, processes_of};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_seven_acts_come_to_their_good_end() {
    let world = World::new(&binaries(), Arc::new(Teller::quiet())).expect("there is room for a world");
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
}

#[expect(clippy::panic, reason = "so that lines are shown as lines")]
fn fail(missed: &str) -> ! {
    panic!("{missed}")
}

/// While the acts are played above, so that two plays at once are tried as well.
#[test]
fn a_demo_that_is_stopped_leaves_nothing_and_the_next_one_works() {
    let place = tempfile::tempdir().expect("a folder can be made");
    let demo = || Command::step("demo").env("TMPDIR", place.path());

    let running = demo().spawn();
    running.wait_for_stdout("Ana pushes shop 1.1.0 to qa");
    assert!(
        !processes_of(place.path()).is_empty(),
        "it is in the middle of it"
    );
    running.interrupt();
    let stopped = running.wait();
    assert_eq!(stopped.code, Some(130), "{stopped}");
    left_nothing(place.path(), &stopped);

    let played = demo().run();
    assert_eq!(played.code, Some(0), "{played}");
    for act in 1..=7 {
        let line = format!("\nAct {act}. ");
        assert!(played.stdout.contains(&line), "act {act} is told\n{played}");
    }
    assert!(played.stdout.contains(", 0 of them failed."), "{played}");
    left_nothing(place.path(), &played);
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
