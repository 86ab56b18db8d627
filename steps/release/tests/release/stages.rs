//! What becomes of a release, by how its stages end.

use std::collections::BTreeMap;
use std::time::Duration;

use pilotage_ledger::{EndWord, Ending, Holder, TriggerKind};
use pilotage_name::ServiceName;
use pilotage_outcome::{Outcome, Signal};
use pilotage_release::port::Call;
use pilotage_release::service_end::ServiceEnd;
use pilotage_step::{Cancel, CancelReason};

use crate::world::{CONFIG, GOOD, Play, World, name, outcome, text};

#[tokio::test]
async fn a_release_runs_its_stages_and_proves_what_it_asked_for() {
    let world = World::new();
    let commit = world.push_with("qa", "shop", "1.0.0", "env: {COLOUR: \"no\"}\n");
    let (ends, calls) = world.release("qa", &["shop"], |_| GOOD).await;
    assert_eq!(
        outcome(&ends, "shop"),
        Outcome::Passed,
        "{}",
        text(&ends, "qa", "shop")
    );
    assert_eq!(
        calls,
        [
            "qa/shop notify started",
            "qa/shop deploy",
            "qa/shop healthcheck",
            "qa/shop notify succeeded"
        ]
    );

    let state = world.state("qa", "shop");
    let proved = state.proved.unwrap();
    assert_eq!((proved.commit, proved.version.as_str()), (commit, "1.0.0"));
    assert_eq!(
        proved.proof.unwrap().config.unwrap(),
        proved.config,
        "the file in the plan reads as the branch does"
    );
    assert_eq!(proved.by, "Ana Costa <ana@example.com>");
    assert_eq!(state.history[0].begun.trigger.kind, TriggerKind::Hand);
    assert!(state.running.is_none() && state.held.is_none() && state.unsettled.is_none());

    let (ends, calls) = world.release("qa", &["shop"], |_| GOOD).await;
    assert!(
        matches!(ends[&name::<ServiceName>("shop")], ServiceEnd::Nothing(_)),
        "{}",
        text(&ends, "qa", "shop")
    );
    assert!(calls.is_empty());
}

#[tokio::test]
async fn a_deploy_that_says_no_holds_the_version_and_the_old_one_stays() {
    let world = World::new();
    world.push("qa", "shop", "1.0.0");
    world.release("qa", &["shop"], |_| GOOD).await;
    let bad = world.push("qa", "shop", "1.1.0");
    let (ends, calls) = world
        .release("qa", &["shop"], |call| match call.program.as_str() {
            "pilotage-deploy" => Play::Ends(Outcome::Failed, "instance 2 is not well"),
            _ => GOOD,
        })
        .await;
    assert_eq!(outcome(&ends, "shop"), Outcome::Failed);
    assert_eq!(
        calls,
        [
            "qa/shop notify started",
            "qa/shop deploy",
            "qa/shop notify failed"
        ]
    );
    let state = world.state("qa", "shop");
    let held = state.held.unwrap();
    assert_eq!(
        (held.asked.commit, held.runs.unwrap().version.as_str()),
        (bad, "1.0.0")
    );
    assert!(held.why.contains("instance 2 is not well"), "{}", held.why);
    assert_eq!(state.proved.unwrap().version, "1.0.0");
    assert_eq!(
        state.unsettled, None,
        "qa/the deploy said that it changed nothing"
    );

    let (ends, calls) = world.release("qa", &["shop"], |_| GOOD).await;
    assert_eq!(outcome(&ends, "shop"), Outcome::Refused { waiting: false });
    let told = text(&ends, "qa", "shop");
    assert!(
        told.starts_with("shop 1.1.0 in qa: held\n") && told.contains("to go on: a new commit"),
        "{told}"
    );
    assert!(calls.is_empty());
}

#[tokio::test]
async fn a_failed_check_behind_the_switch_goes_back_where_the_environment_has_one_before() {
    let world = World::new();
    world.push("prod", "shop", "1.0.0");
    world.release("prod", &["shop"], |_| GOOD).await;
    world.push("prod", "shop", "1.1.0");
    let (ends, calls) = world
        .release("prod", &["shop"], |call| match call.label.as_str() {
            "prod/shop healthcheck" => Play::Ends(Outcome::Failed, "0 of 1 endpoints well"),
            _ => GOOD,
        })
        .await;
    assert_eq!(outcome(&ends, "shop"), Outcome::Failed);
    let expected = [
        "prod/shop notify started",
        "prod/shop deploy",
        "prod/shop healthcheck",
        "prod/shop undo",
        "prod/shop notify failed",
    ];
    assert_eq!(calls, expected);
    let state = world.state("prod", "shop");
    assert_eq!(state.proved.unwrap().version, "1.0.0");
    assert_eq!(state.held.unwrap().asked.version, "1.1.0");
    let last = state.history.last().unwrap();
    let (_, undone) = last.undone.as_ref().unwrap();
    assert_eq!(undone.to.as_deref(), Some("1.0.0"));
    assert_eq!(undone.reason, "healthcheck: 0 of 1 endpoints well");
    let told = text(&ends, "prod", "shop");
    assert!(told.contains("switched back to 1.0.0"), "{told}");
    assert!(
        told.contains("smoke is skipped: the descriptor has no smoke requests"),
        "{told}"
    );
}

#[tokio::test]
async fn what_a_stage_leaves_is_held_against_how_it_ended() {
    for (play, expected) in [
        (Play::Leaves(0, None), "it left no report"),
        (Play::Leaves(0, Some("{\"half\": ")), "what it left is no report"),
        (Play::Crashes, "it was ended by signal 9"),
        (
            Play::ServesOther,
            "what runs is not what was released: its config hash is v1:other",
        ),
    ] {
        let world = World::new();
        world.push("qa", "shop", "1.0.0");
        let play = std::cell::Cell::new(Some(play));
        let (ends, _) = world
            .release("qa", &["shop"], |call| match call.program.as_str() {
                "pilotage-deploy" => play.take().unwrap_or(GOOD),
                _ => GOOD,
            })
            .await;
        let told = text(&ends, "qa", "shop");
        assert!(
            !outcome(&ends, "shop").is_passed() && told.contains(expected),
            "{told}"
        );
        let state = world.state("qa", "shop");
        assert!(state.proved.is_none());
        assert!(state.unsettled.is_some(), "what it changed is not known");
    }
}

#[tokio::test]
async fn a_notification_fails_nothing_and_is_told() {
    let world = World::new();
    world.push("qa", "shop", "1.0.0");
    let (ends, _) = world
        .release("qa", &["shop"], |call| match call.program.as_str() {
            "pilotage-notify" => Play::Ends(Outcome::Unavailable, "no channel took it"),
            _ => GOOD,
        })
        .await;
    assert_eq!(outcome(&ends, "shop"), Outcome::Passed);
    let told = text(&ends, "qa", "shop");
    assert!(
        told.contains("notify unavailable, which fails no release: no channel took it"),
        "{told}"
    );
}

#[tokio::test]
async fn what_waits_for_a_service_begins_when_that_went_well_and_never_when_not() {
    let world = World::new();
    world.push("qa", "base", "1.0.0");
    world.push_with("qa", "shop", "1.0.0", "after: [base]\n");
    world.push("qa", "cart", "1.0.0");
    let (ends, _) = world
        .release("qa", &["shop", "base", "cart"], |call| {
            match call.label.as_str() {
                "qa/base deploy" => Play::Ends(Outcome::Failed, "no"),
                _ => GOOD,
            }
        })
        .await;
    assert_eq!(outcome(&ends, "cart"), Outcome::Passed);
    let told = text(&ends, "qa", "shop");
    assert_eq!(
        told,
        "shop is released after base, which did not go well; it was not begun\n"
    );
    assert_eq!(
        world.state("qa", "shop").fence,
        0,
        "nothing of it stands in the ledger"
    );

    world.push("qa", "base", "1.0.1");
    let (ends, calls) = world.release("qa", &["shop", "base"], |_| GOOD).await;
    assert_eq!(
        (outcome(&ends, "base"), outcome(&ends, "shop")),
        (Outcome::Passed, Outcome::Passed)
    );
    let at = |label: &str| calls.iter().position(|call| call == label).unwrap();
    assert!(
        at("qa/base notify succeeded") < at("qa/shop notify started"),
        "{calls:?}"
    );
}

#[tokio::test]
async fn a_second_release_of_one_service_is_refused_with_the_holder_of_the_first() {
    let world = World::new();
    world.push("qa", "shop", "1.0.0");
    let second = std::cell::RefCell::new(String::new());
    let (ends, _) = world
        .release("qa", &["shop"], |call| {
            if call.program == "pilotage-deploy" {
                let answer = world.second("https://ci.example.com/job/shop/9/");
                second.replace(answer);
            }
            GOOD
        })
        .await;
    assert_eq!(outcome(&ends, "shop"), Outcome::Passed);
    let told = second.into_inner();
    let pid = std::process::id();
    assert!(
        told.contains("qa.shop.1 is held since") && told.contains(&format!("process {pid} on")),
        "{told}"
    );
}

impl World {
    /// Another release of shop in qa, while one goes on: what it is told.
    fn second(&self, build: &str) -> String {
        // A runtime of its own on a thread of its own: the first release waits meanwhile.
        std::thread::scope(|scope| {
            let other = scope.spawn(|| {
                let runtime = tokio::runtime::Builder::new_current_thread()
                    .enable_all()
                    .build()
                    .unwrap();
                runtime.block_on(async {
                    let holder = Holder::build(build);
                    let (ends, calls) = self
                        .release_as("qa", &["shop"], holder, &Cancel::never(), |_| GOOD)
                        .await;
                    assert!(calls.is_empty());
                    assert_eq!(outcome(&ends, "shop"), Outcome::Refused { waiting: true });
                    text(&ends, "qa", "shop")
                })
            });
            other.join().unwrap()
        })
    }
}

#[tokio::test]
async fn a_dead_holder_is_taken_over_at_once_and_that_is_said() {
    let world = World::new();
    world.push("qa", "shop", "1.0.0");
    let mut child = std::process::Command::new("cat")
        .stdin(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let dead = pilotage_ledger::LinuxMachine::read()
        .unwrap()
        .holder(child.id())
        .unwrap();
    child.kill().unwrap();
    child.wait().unwrap();
    // Its release is cut off in the middle: it begins, and its deploy never comes to an end.
    let mut desk = world.desk();
    let answers = world.answers(&mut desk, "qa", &["shop"], &dead);
    let plan = answers.into_values().next().unwrap().unwrap().plan;
    let records = pilotage_release::records::Records::new(desk);
    pilotage_release::begin::begin(&records, vec![plan], dead)
        .await
        .unwrap()
        .pop()
        .unwrap()
        .unwrap();

    let (ends, _) = world.release("qa", &["shop"], |_| GOOD).await;
    let told = text(&ends, "qa", "shop");
    assert_eq!(outcome(&ends, "shop"), Outcome::Passed, "{told}");
    assert!(told.contains("took over from qa.shop.1: process"), "{told}");
    let state = world.state("qa", "shop");
    assert_eq!(state.proved.unwrap().release.fence, 2);
    assert!(matches!(
        state.history[0].end.as_ref().unwrap().how,
        Ending::Abandoned(_)
    ));
}

#[tokio::test]
async fn a_release_that_was_taken_over_changes_nothing_more() {
    let world = World::new();
    world.push("qa", "shop", "1.0.0");
    let (ends, calls) = world
        .release("qa", &["shop"], |call| {
            if call.label == "qa/shop notify" {
                let mut desk = world.desk();
                desk.ledger()
                    .abandon(&name("qa"), &name("shop"), None, "Bob", "it hangs")
                    .unwrap();
            }
            GOOD
        })
        .await;
    assert_eq!(calls, ["qa/shop notify started"], "the deploy was not started");
    assert_eq!(outcome(&ends, "shop"), Outcome::Refused { waiting: false });
    let told = text(&ends, "qa", "shop");
    assert!(
        told.contains("no longer ours: Bob, who gave it up") && told.contains("it hangs"),
        "{told}"
    );
    assert_eq!(told.matches("who gave it up").count(), 1, "said once: {told}");
    assert!(told.contains("its end is not ours to write"), "{told}");
}

#[tokio::test]
async fn a_release_that_is_asked_to_stop_writes_its_end() {
    let world = World::new();
    world.push("qa", "shop", "1.0.0");
    let (handle, cancel) = Cancel::pair();
    let holder = crate::world::this_process();
    let (ends, calls) = world
        .release_as("qa", &["shop"], holder, &cancel, |call| {
            if call.program == "pilotage-deploy" {
                handle.cancel(CancelReason::Signal(Signal::Terminate));
                return Play::Ends(Outcome::Cancelled(Signal::Terminate), "stopped by SIGTERM");
            }
            GOOD
        })
        .await;
    assert_eq!(
        calls,
        [
            "qa/shop notify started",
            "qa/shop deploy",
            "qa/shop notify cancelled"
        ],
        "who read that it started reads that it was cancelled"
    );
    assert_eq!(outcome(&ends, "shop"), Outcome::Cancelled(Signal::Terminate));
    let state = world.state("qa", "shop");
    let Ending::Finished(finished) = &state.history[0].end.as_ref().unwrap().how else {
        panic!("it was finished")
    };
    assert_eq!(finished.outcome, EndWord::Cancelled);
    assert!(state.held.is_none(), "a cancelled version is not a bad one");

    let (ends, _) = world.release("qa", &["shop"], |_| GOOD).await;
    assert_eq!(
        outcome(&ends, "shop"),
        Outcome::Passed,
        "the same command takes it up: {}",
        text(&ends, "qa", "shop")
    );
}

/// A release of shop in qa that is asked to stop while it deploys.
async fn stopped_in_deploy(
    world: &World,
    script: impl Fn(&Call) -> Play,
) -> (BTreeMap<ServiceName, ServiceEnd>, Vec<String>) {
    let (handle, cancel) = Cancel::pair();
    world
        .release_as("qa", &["shop"], crate::world::this_process(), &cancel, |call| {
            if call.program == "pilotage-deploy" {
                handle.cancel(CancelReason::Signal(Signal::Terminate));
            }
            script(call)
        })
        .await
}

#[tokio::test(start_paused = true)]
async fn people_are_told_of_a_cancelled_release_within_its_clean_up_and_no_longer() {
    let world = World::new();
    world.push("qa", "shop", "1.0.0");
    let begin = tokio::time::Instant::now();
    let (ends, calls) = stopped_in_deploy(&world, |call| match call.label.as_str() {
        "qa/shop notify" if call.environment["PILOTAGE_EVENT"] == "cancelled" => Play::Hangs,
        "qa/shop deploy" => Play::Ends(Outcome::Cancelled(Signal::Terminate), "stopped by SIGTERM"),
        _ => GOOD,
    })
    .await;
    assert_eq!(calls.last().map(String::as_str), Some("qa/shop notify cancelled"));
    assert!(begin.elapsed() < Duration::from_secs(5), "{:?}", begin.elapsed());
    assert_eq!(outcome(&ends, "shop"), Outcome::Cancelled(Signal::Terminate));
    let told = text(&ends, "qa", "shop");
    assert!(told.contains("notify deadline"), "{told}");
    let state = world.state("qa", "shop");
    let Ending::Finished(finished) = &state.history[0].end.as_ref().unwrap().how else {
        panic!("it was finished")
    };
    assert_eq!(finished.outcome, EndWord::Cancelled, "its end is written first");
}

/// Somebody gives up the release of shop in qa that goes on.
fn give_up(world: &World) {
    let mut desk = world.desk();
    desk.ledger()
        .abandon(&name("qa"), &name("shop"), None, "Bob", "it hangs")
        .unwrap();
}

#[tokio::test]
async fn what_somebody_else_has_taken_over_is_not_announced_as_failed() {
    for failing in [Outcome::Failed, Outcome::Passed] {
        let world = World::new();
        world.push("qa", "shop", "1.0.0");
        let (ends, calls) = world
            .release("qa", &["shop"], |call| {
                if call.label == "qa/shop healthcheck" {
                    give_up(&world);
                    return Play::Ends(failing, "0 of 1 endpoints well");
                }
                GOOD
            })
            .await;
        assert_eq!(
            calls,
            ["qa/shop notify started", "qa/shop deploy", "qa/shop healthcheck"],
            "channels hear nothing of it"
        );
        assert_eq!(outcome(&ends, "shop"), Outcome::Refused { waiting: false });
        let told = text(&ends, "qa", "shop");
        assert!(told.contains("no longer ours: Bob, who gave it up"), "{told}");
    }
}

#[tokio::test]
async fn a_cancelled_release_that_is_no_longer_ours_is_not_announced_either() {
    let world = World::new();
    world.push("qa", "shop", "1.0.0");
    let (ends, calls) = stopped_in_deploy(&world, |call| {
        if call.label == "qa/shop deploy" {
            give_up(&world);
        }
        GOOD
    })
    .await;
    assert_eq!(calls, ["qa/shop notify started", "qa/shop deploy"]);
    let told = text(&ends, "qa", "shop");
    assert!(told.contains("taken over meanwhile"), "{told}");
}

#[tokio::test]
async fn an_observed_environment_is_told_of_and_not_touched() {
    let config = CONFIG.replace("qa: {target: here,", "qa: {target: here, mode: observe,");
    let world = World::with(&config);
    world.push("qa", "shop", "1.0.0");
    let (ends, calls) = world.release("qa", &["shop"], |_| GOOD).await;
    assert_eq!(calls, ["qa/shop notify started"]);
    assert_eq!(outcome(&ends, "shop"), Outcome::Passed);
    assert_eq!(world.state("qa", "shop").fence, 0);
}

#[tokio::test]
async fn people_are_told_once_that_something_starts_however_often_it_is_tried_again() {
    let world = World::new();
    world.push("qa", "shop", "1.0.0");
    let told = std::cell::RefCell::new(Vec::new());
    let listen = |call: &Call| {
        if call
            .environment
            .get("PILOTAGE_EVENT")
            .is_some_and(|event| event == "started")
        {
            let message = std::fs::read(&call.environment["PILOTAGE_MESSAGE"]).unwrap();
            let message: serde_json::Value = serde_json::from_slice(&message).unwrap();
            told.borrow_mut()
                .push((message["release"].clone(), message["repeats"].clone()));
        }
    };
    for _ in 0..3 {
        let (ends, _) = world
            .release("qa", &["shop"], |call| {
                listen(call);
                match call.program.as_str() {
                    "pilotage-deploy" => Play::Ends(Outcome::Unavailable, "the target does not answer"),
                    _ => GOOD,
                }
            })
            .await;
        assert_eq!(outcome(&ends, "shop"), Outcome::Unavailable);
    }
    world.push("qa", "shop", "1.1.0");
    world
        .release("qa", &["shop"], |call| {
            listen(call);
            GOOD
        })
        .await;
    let shown: Vec<String> = told
        .borrow()
        .iter()
        .map(|(one, of)| format!("{one} {of}"))
        .collect();
    assert_eq!(
        shown,
        [
            r#""qa.shop.1" null"#,
            r#""qa.shop.2" "qa.shop.1""#,
            r#""qa.shop.3" "qa.shop.1""#,
            r#""qa.shop.4" null"#
        ]
    );
}
