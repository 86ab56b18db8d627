//! What `once` ends with, and what it may be asked.

use pilotage_ledger::EndWord;
use pilotage_tests::gitserver::NewCommit;

use crate::world::{POLICY, World, decisions, remarks, service};

/// The checks of a report, as `name: outcome`.
fn checks(report: &serde_json::Value) -> Vec<String> {
    let checks = report["checks"].as_array().unwrap();
    let part = |check: &serde_json::Value, name: &str| check[name].as_str().unwrap().to_owned();
    checks
        .iter()
        .map(|check| format!("{}: {}", part(check, "name"), part(check, "outcome")))
        .collect()
}

#[test]
fn a_release_that_was_waited_for_and_failed_is_not_green() {
    let world = World::new();
    // qa fails while prod cannot be reached.
    world.stand_in(
        "pilotage-release",
        "case \"$*\" in *\"--env qa\"*) exit 1;; *) exit 4;; esac",
    );
    let report = world.once_ending(1);
    assert_eq!(decisions(&report), ["qa shop accept", "prod shop accept"]);
    let tip = &world.repository.id("qa")[..10];
    let mut told = checks(&report);
    told.sort();
    assert_eq!(
        told,
        [
            format!("release shop in prod at {tip}: unavailable"),
            format!("release shop in qa at {tip}: failed")
        ]
    );
    assert_eq!(report["effects"], "complete", "what was decided is recorded");
    let summary = report["summary"].as_str().unwrap();
    assert!(summary.starts_with("2 decisions; release shop in "), "{summary}");

    // What failed is not tried again by itself; here nothing was begun, so it is.
    world.stand_in("pilotage-release", "exit 0");
    let report = world.once();
    assert_eq!(checks(&report).len(), 2, "{report:#}");
    assert!(checks(&report).iter().all(|check| check.ends_with(": passed")));
}

#[test]
fn what_is_not_waited_for_says_nothing_and_what_cannot_be_started_does() {
    let world = World::new();
    world.stand_in("pilotage-release", "exit 1");
    let output = world.monitor("once").arg("--no-wait").run_reported();
    assert_eq!(output.code, Some(0), "{output}");
    assert!(checks(&output.report()).is_empty());

    let world = World::with(&POLICY.replace("trigger: local", "trigger: {command: [/nowhere/at-all]}"));
    let report = world.once_ending(4);
    assert_eq!(checks(&report).len(), 2, "{report:#}");
    assert!(
        report["checks"][0]["reason"]
            .as_str()
            .unwrap()
            .contains("/nowhere/at-all"),
        "{report:#}"
    );
}

#[test]
fn a_release_of_another_program_is_good_only_when_it_says_0() {
    let world = World::with(&POLICY.replace("trigger: local", "trigger: {command: [sh, -c, \"exit 7\"]}"));
    let report = world.once_ending(1);
    assert_eq!(report["checks"][0]["reason"], "it ended with 7", "{report:#}");
}

#[test]
fn a_release_that_a_signal_ended_is_no_answer() {
    let world = World::new();
    world.stand_in("pilotage-release", "kill -9 $$");
    world.once_ending(4);
}

#[test]
fn a_release_that_came_to_no_answer_is_tried_again_and_one_that_failed_is_not() {
    let world = World::new();
    world.once();
    let before = world.asked("pilotage-release").len();
    world.release_ending("qa", "shop", EndWord::Cancelled);
    world.release_ending("prod", "shop", EndWord::Failed);
    world.once();
    let asked = world.asked("pilotage-release").split_off(before);
    assert_eq!(asked.len(), 1, "{asked:?}");
    assert!(asked[0].contains("--env qa"), "{asked:?}");
}

#[test]
fn a_release_that_comes_to_no_answer_again_is_given_time_by_every_monitor() {
    let world = World::new();
    world.once();
    world.release("prod", "shop");
    let asked = || world.asked("pilotage-release").len();
    let before = asked();
    world.release_ending("qa", "shop", EndWord::Unavailable);
    world.once();
    assert_eq!(asked(), before + 1, "the first time it is tried again at once");
    world.release_ending("qa", "shop", EndWord::Unavailable);
    for _ in 0..2 {
        let report = world.once();
        assert_eq!(asked(), before + 1, "{report:#}");
        let remarks = remarks(&report);
        assert!(
            remarks[0].starts_with("qa.shop.2 ended unavailable (attempt 2); it is tried again at "),
            "{remarks:?}"
        );
    }
    world.push("qa", "ana", "shop", &service("1.0.1"));
    world.once();
    assert_eq!(asked(), before + 2, "what is changed may be what helps");
}

#[test]
fn one_environment_is_looked_at_where_one_is_named() {
    let world = World::new();
    let output = world.monitor("once").args(["--env", "qa"]).run_reported();
    assert_eq!(decisions(&output.report()), ["qa shop accept"], "{output}");
    assert!(world.record("prod", "shop").is_none());
    let running = world
        .monitor("run")
        .args(["--env", "prod", "--interval", "50ms"])
        .spawn();
    world.wait_asked("pilotage-release", 2);
    world.push("qa", "ana", "shop", &service("1.1.0"));
    world.push("prod", "rita", "shop", &service("1.1.0"));
    running.wait_for_stdout("shop 1.1.0 in prod: accepted");
    let output = crate::world::stopped(running);
    assert!(!output.stdout.contains("in qa"), "{output}");
    assert_eq!(world.record("qa", "shop").unwrap().decision["version"], "1.0.0");

    let output = world.monitor("once").args(["--env", "qaa"]).run_reported();
    assert_eq!(output.code, Some(2), "{output}");
    assert!(output.stderr.contains("did you mean `qa`?"), "{output}");
}

#[test]
fn a_monitor_is_not_told_which_service_or_commit() {
    let world = World::new();
    let tip = world.repository.id("qa");
    for command in ["once", "run"] {
        for more in [["--service", "shop"], ["--commit", &tip]] {
            let output = world
                .monitor(command)
                .args(["--env", "qa"])
                .args(more)
                .run_reported();
            assert_eq!(output.code, Some(2), "{output}");
            assert!(
                output.stderr.contains("leave --service and --commit out"),
                "{output}"
            );
        }
    }
    assert_eq!(world.refs(), "");
}

#[test]
fn an_older_commit_of_the_branch_is_no_rewrite() {
    let world = World::new();
    let old = world.push("qa", "ana", "shop", &service("1.1.0"));
    world.push("qa", "ana", "shop", &service("1.2.0"));
    world.once();
    let explain = world
        .monitor("explain")
        .args(["--env", "qa", "--service", "shop"]);
    let output = explain.args(["--commit", &old]).run_reported();
    assert_eq!(output.code, Some(0), "{output}");
    let gates = output.report()["result"]["decisions"][0]["gates"].to_string();
    assert!(
        gates.contains("1.1.0") && !gates.contains("rewritten"),
        "{output}"
    );
    assert_eq!(
        output.report()["result"]["decisions"][0]["evidence"]["history"]["kind"],
        "linear"
    );
}

#[test]
fn a_file_full_of_errors_is_recorded_in_short_and_reported_in_full() {
    let world = World::new();
    let broken: String = (0..100).map(|number| format!("nonsense{number}: 1\n")).collect();
    let text = service("1.1.0") + &broken;
    world
        .repository
        .commit("qa", NewCommit::new("Break").file("services/shop.yaml", text));
    let report = world.once();
    let record = world.record("qa", "shop").unwrap();
    let gates = record.decision["gates"].as_array().unwrap();
    let told = gates.iter().find(|gate| gate["gate"] == "descriptor").unwrap();
    let told = told["evidence"].as_array().unwrap();
    assert_eq!(told.len(), 11, "{told:#?}");
    assert!(
        told[0]
            .as_str()
            .unwrap()
            .starts_with("the descriptor has 100 errors: services/shop.yaml:3:"),
        "{told:#?}"
    );
    assert_eq!(told[10], "and 90 more; `pilotage check` lists all");
    assert!(record.decision.to_string().len() < 10_000);
    assert_eq!(report["diagnostics"].as_array().unwrap().len(), 100);
    let explained = world
        .monitor("explain")
        .args(["--env", "qa"])
        .run_reported()
        .report();
    assert_eq!(explained["diagnostics"].as_array().unwrap().len(), 100);
}
