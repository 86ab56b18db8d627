//! The plan's directory, what others leave in it, going back, and what is told of it all.

use std::path::Path;

use pilotage_config::StepName;
use pilotage_decision::Desk;
use pilotage_gitrepo::SigningKey;
use pilotage_ledger::{Liveness, TriggerKind};
use pilotage_message::Event;
use pilotage_message::person;
use pilotage_name::{CommitId, ServiceName};
use pilotage_outcome::{Outcome, Signal};
use pilotage_release::directory::PlanDirectory;
use pilotage_release::judge::judge;
use pilotage_release::plan::ReleasePlan;
use pilotage_release::result::left_behind;
use pilotage_release::rollback::{Choice, Rollback, RollbackRequest, choose, roll_back};
use pilotage_release::service_end::worst;
use pilotage_release::stage::StagePlan;
use pilotage_release::status::{Row, State, table};
use pilotage_tests::gitserver::NewCommit;
use serde_json::{Value, json};

use crate::world::{GOOD, Play, World, descriptor, name, outcome, this_process};

/// A plan of shop in prod, written down.
fn planned(world: &World, out: &Path) -> (PlanDirectory, ReleasePlan) {
    world.push("prod", "shop", "1.0.0");
    let mut desk = world.desk();
    let mut answers = world.answers(&mut desk, "prod", &["shop"], &this_process());
    let prepared = answers.remove(&name::<ServiceName>("shop")).unwrap().unwrap();
    let directory = PlanDirectory::create(out, &prepared.plan, &prepared.texts).unwrap();
    (directory, prepared.plan)
}

#[test]
fn checks_that_the_descriptor_asks_for_are_stages_with_what_they_need() {
    let world = World::new();
    let suite = "smoke: [{get: /}]\nregression: {image: shop-tests}\n";
    let list = "tests: [{test: a.b, issue: SHOP-1, owner: ana, until: 2999-01-01}]\n";
    world.repository.commit(
        "prod",
        NewCommit::new("Know a test that fails").file("quarantine/shop.yaml", list),
    );
    world.push_with("prod", "shop", "1.0.0", suite);
    let mut desk = world.desk();
    let mut answers = world.answers(&mut desk, "prod", &["shop"], &this_process());
    let prepared = answers.remove(&name::<ServiceName>("shop")).unwrap().unwrap();
    let directory =
        PlanDirectory::create(&world.folder.path().join("plan"), &prepared.plan, &prepared.texts).unwrap();
    let steps: Vec<StepName> = prepared.plan.due().map(|stage| stage.step).collect();
    use StepName::{Deploy, Healthcheck, Notify, Smoke};
    assert_eq!(steps, [Notify, Deploy, Healthcheck, Smoke, Notify]);
    let read = |name: &str| std::fs::read_to_string(directory.file(name)).unwrap();
    assert!(read("4-smoke.env").contains("PILOTAGE_DESCRIPTOR=/"));
    assert_eq!(read("quarantine.yaml"), list);
    let regression = StagePlan {
        step: StepName::Regression,
        ..prepared.plan.due().next().unwrap().clone()
    };
    let variables = directory.environment(&prepared.plan, &regression, Event::Started);
    assert!(variables["PILOTAGE_QUARANTINE"].ends_with("/quarantine.yaml"));
}

#[test]
fn a_plan_reads_back_as_it_was_written_and_says_when_it_was_changed() {
    let world = World::new();
    let out = world.folder.path().join("plan");
    let (directory, plan) = planned(&world, &out);
    let (again, read) = PlanDirectory::open(&out).unwrap();
    assert_eq!((again, &read), (directory.clone(), &plan));
    let read = |name: &str| std::fs::read_to_string(directory.file(name)).unwrap();
    let stages = read("stages");
    let steps: Vec<&str> = stages.lines().filter_map(|line| line.split(' ').nth(1)).collect();
    assert_eq!(
        steps,
        ["notify", "deploy", "healthcheck", "notify"],
        "the descriptor has nothing to smoke"
    );
    assert!(read("3-healthcheck.env").contains("PILOTAGE_DESCRIPTOR=/"));
    assert!(read("5-notify.env").contains("PILOTAGE_EVENT=succeeded\n"));
    assert!(read("config.yaml").contains("project: acme"));

    let error = PlanDirectory::create(&out, &plan, &Default::default()).unwrap_err();
    assert!(error.to_string().contains("is not empty"), "{error}");
    let text = read("release.json").replace("\"1.0.0\"", "\"6.6.6\"");
    std::fs::write(directory.file("release.json"), text).unwrap();
    let error = PlanDirectory::open(&out).unwrap_err();
    assert!(error.to_string().contains("changed after it was made"), "{error}");
}

#[test]
fn the_schema_of_a_plan_fits_what_is_written() {
    let world = World::new();
    let (_, plan) = planned(&world, &world.folder.path().join("plan"));
    let schema = schemars::schema_for!(ReleasePlan).to_value();
    let validator = jsonschema::validator_for(&schema).unwrap();
    let value = serde_json::to_value(&plan).unwrap();
    let problems: Vec<String> = validator
        .iter_errors(&value)
        .map(|error| error.to_string())
        .collect();
    assert_eq!(problems, Vec::<String>::new());
}

/// What a stage that somebody else ran leaves.
fn leave(directory: &PlanDirectory, stem: &str, more: Value) {
    let mut report = json!({
        "schema": "step-report/v1", "step": "x", "version": "0", "outcome": "passed", "exit_code": 0,
        "effects": "none", "started": "2026-01-01T00:00:00Z", "duration_ms": 1200,
    });
    report
        .as_object_mut()
        .unwrap()
        .extend(more.as_object().unwrap().clone());
    std::fs::write(
        directory.file(&format!("reports/{stem}.json")),
        report.to_string(),
    )
    .unwrap();
}

fn deployed(plan: &ReleasePlan) -> Value {
    json!({"effects": "complete",
        "outputs": {"digest": "sha256:1", "version": plan.version, "config_hash": plan.config}})
}

#[test]
fn what_others_left_is_judged_as_our_own_stages_are() {
    let world = World::new();
    let (directory, plan) = planned(&world, &world.folder.path().join("plan"));
    let judged = || judge(&plan, &left_behind(&plan, &directory), None);

    let judgement = judged();
    assert_eq!(
        judgement.outcome,
        Outcome::Internal,
        "a deploy without a report broke off"
    );
    assert!(
        judgement.reason[0].contains("deploy: it left no report"),
        "{:?}",
        judgement.reason
    );

    leave(&directory, "2-deploy", deployed(&plan));
    leave(&directory, "3-healthcheck", json!({}));
    let judgement = judged();
    assert_eq!((judgement.outcome, judgement.undone), (Outcome::Passed, false));
    assert_eq!(judgement.proof.unwrap().config.unwrap(), plan.config);

    leave(
        &directory,
        "3-healthcheck",
        json!({"outcome": "failed", "exit_code": 1, "summary": "0 of 1 well"}),
    );
    let judgement = judged();
    assert_eq!(judgement.outcome, Outcome::Failed);
    assert!(
        judgement
            .reason
            .iter()
            .any(|why| why.contains("switching back did not work")),
        "{:?}",
        judgement.reason
    );

    leave(&directory, "undo", json!({"effects": "complete"}));
    let judgement = judged();
    assert_eq!(
        (judgement.outcome, judgement.undone, judgement.rejects()),
        (Outcome::Failed, true, true)
    );
}

fn request(reason: &str, to: Option<&str>) -> RollbackRequest {
    RollbackRequest {
        environment: name("qa"),
        service: name("shop"),
        to: to.map(str::to_owned),
        commit: None,
        reason: reason.to_owned(),
        by: person("Bob Blue <bob@example.com>").unwrap(),
        signing_key: None,
        dry_run: false,
    }
}

fn pushed(desk: &mut Desk, request: &RollbackRequest) -> CommitId {
    match roll_back(desk, request, "2026-01-02T03:04:05Z".parse().unwrap()).unwrap() {
        Rollback::Pushed { commit, .. } => commit,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_rollback_restores_the_whole_file_by_a_commit_and_rejects_what_ran() {
    let world = World::new();
    let first = world.push_with("qa", "shop", "1.0.0", "env: {COLOUR: red}\n");
    world.release("qa", &["shop"], |_| GOOD).await;
    world.push_with("qa", "shop", "1.1.0", "env: {COLOUR: blue}\n");
    world.release("qa", &["shop"], |_| GOOD).await;
    world.push("qa", "cart", "2.0.0");

    let commit = pushed(&mut world.desk(), &request("it is too blue", None));
    assert_eq!(world.repository.id("qa"), commit.as_str());
    let show = |rest: &str| world.repository.git(&["show", rest]);
    assert_eq!(
        show("qa:services/shop.yaml"),
        descriptor("1.0.0", "env: {COLOUR: red}\n").trim_end()
    );
    assert!(
        show("qa:services/cart.yaml").contains("2.0.0"),
        "nothing else is touched"
    );
    let log = world
        .repository
        .git(&["log", "-1", "--format=%an %ae %cn%n%B", "qa"]);
    assert!(
        log.starts_with(
            "Bob Blue bob@example.com Bob Blue\nRoll shop in qa back to 1.0.0\n\nit is too blue\n"
        ),
        "{log}"
    );
    assert!(log.contains(&format!("Rollback-To: {first}")), "{log}");

    let (ends, _) = world.release("qa", &["shop"], |_| GOOD).await;
    assert_eq!(outcome(&ends, "shop"), Outcome::Passed);
    let state = world.state("qa", "shop");
    assert_eq!(state.proved.as_ref().unwrap().version, "1.0.0");
    assert_eq!(
        state.history.last().unwrap().begun.trigger.kind,
        TriggerKind::Rollback
    );
    assert_eq!(
        state
            .rejections
            .iter()
            .map(|r| r.asked.version.as_str())
            .collect::<Vec<_>>(),
        ["1.1.0"]
    );
}

#[tokio::test]
async fn while_a_version_is_held_a_rollback_makes_git_ask_for_what_runs() {
    let world = World::new();
    world.push("qa", "shop", "1.0.0");
    world.release("qa", &["shop"], |_| GOOD).await;
    world.push("qa", "shop", "1.1.0");
    world
        .release("qa", &["shop"], |call| match call.program.as_str() {
            "pilotage-deploy" => Play::Ends(Outcome::Failed, "no"),
            _ => GOOD,
        })
        .await;
    let mut desk = world.desk();
    assert!(
        roll_back(
            &mut desk,
            &request("x", Some("7.0.0")),
            "2026-01-02T03:04:05Z".parse().unwrap()
        )
        .is_err()
    );
    pushed(&mut desk, &request("back", None));
    let (ends, _) = world.release("qa", &["shop"], |_| GOOD).await;
    assert_eq!(outcome(&ends, "shop"), Outcome::Passed);
    let state = world.state("qa", "shop");
    assert!(state.held.is_none());
    assert_eq!(state.rejections.len(), 1, "1.1.0 stays rejected");

    let again = roll_back(
        &mut world.desk(),
        &request("twice", Some("1.0.0")),
        "2026-01-02T03:04:05Z".parse().unwrap(),
    );
    assert!(
        matches!(again.unwrap(), Rollback::Asked { .. }),
        "nothing is pushed twice"
    );
}

#[tokio::test]
async fn a_rollback_that_is_asked_again_does_nothing_and_never_brings_back_what_was_rejected() {
    let world = World::new();
    for version in ["1.0.0", "1.1.0", "1.2.0"] {
        world.push("qa", "shop", version);
        world.release("qa", &["shop"], |_| GOOD).await;
    }
    let now = "2026-01-02T03:04:05Z".parse().unwrap();
    pushed(&mut world.desk(), &request("it is bad", None));
    world.release("qa", &["shop"], |_| GOOD).await;
    let before = world.repository.id("qa");

    let again = roll_back(&mut world.desk(), &request("it is bad", None), now).unwrap();
    let Rollback::Stands(standing) = again else {
        panic!("{again:?}")
    };
    assert_eq!(
        (standing.version.as_str(), standing.release.to_string().as_str()),
        ("1.1.0", "qa.shop.4")
    );
    assert_eq!(world.repository.id("qa"), before, "nothing is pushed");

    // The same version released once more by hand: what was rolled back from is still not what comes next.
    let mut state = world.state("qa", "shop");
    state.history.last_mut().unwrap().begun.trigger.kind = TriggerKind::Hand;
    let runs = state.proved.as_ref().unwrap().descriptor.clone();
    let runs = Some(runs.as_str());
    let back = |state: &pilotage_ledger::ReleaseState, to| match choose(state, runs, to, None) {
        Ok(Choice::Back(target)) => target.version,
        other => panic!("{other:?}"),
    };
    assert_eq!(back(&state, None), "1.0.0");
    assert_eq!(back(&state, Some("1.2.0")), "1.2.0", "a person may name it");
    let third = state.history[2].begun.commit.clone();
    match choose(&state, runs, None, Some(&third)) {
        Ok(Choice::Back(target)) => assert_eq!((target.version.as_str(), target.commit), ("1.2.0", third)),
        other => panic!("{other:?}"),
    }
    let nowhere = "0".repeat(40).parse().unwrap();
    let (why, _) = choose(&state, runs, None, Some(&nowhere)).unwrap_err();
    assert!(why.contains("nothing of 0000000000 was ever proved"), "{why}");
    // Whatever else the branch asks for, be it nothing: what runs is what was proved last.
    for asked in [None, Some("another")] {
        match choose(&state, asked, None, None) {
            Ok(Choice::Back(target)) => assert_eq!(target.version, "1.1.0"),
            other => panic!("{other:?}"),
        }
    }
    state.history.remove(0);
    let (why, versions) = choose(&state, runs, None, None).unwrap_err();
    assert!(why.contains("rejected or rolled back from"), "{why}");
    assert_eq!(versions, ["1.1.0", "1.2.0"]);

    pushed(&mut world.desk(), &request("further", Some("1.0.0")));
    world.release("qa", &["shop"], |_| GOOD).await;
    assert_eq!(world.state("qa", "shop").proved.unwrap().version, "1.0.0");
}

/// A key pair of Bob's: the private file and the public line.
fn key_pair(folder: &Path) -> (std::path::PathBuf, String) {
    let private = folder.join("id");
    let made = std::process::Command::new("ssh-keygen")
        .args(["-q", "-t", "ed25519", "-N", "", "-C", "bob", "-f"])
        .arg(&private)
        .status()
        .unwrap();
    assert!(made.success());
    let public = std::fs::read_to_string(private.with_extension("pub")).unwrap();
    (private, public.trim().to_owned())
}

/// A world whose qa wants signatures of Bob, at 1.1.0 with 1.0.0 before it; both were pushed by Bob.
async fn signed_world(public: &str) -> World {
    let world = World::new();
    world.push("qa", "shop", "1.0.0");
    world.release("qa", &["shop"], |_| GOOD).await;
    world.push("qa", "shop", "1.1.0");
    world.release("qa", &["shop"], |_| GOOD).await;
    let config = crate::world::CONFIG.replace("qa: {target: here,", "qa: {target: here, policy: strict,");
    let config = format!(
        "{config}policies: {{strict: {{people: {{who: [bob], proof: signed}}}}}}\n\
         people: {{bob: {{emails: [bob@example.com], keys: [\"{public}\"]}}}}\n"
    );
    let policy = NewCommit::new("strict").file("pilotage.yaml", config);
    world.repository.commit("main", policy);
    world
}

#[tokio::test]
async fn where_the_policy_wants_signatures_a_rollback_signs_or_says_what_a_person_would_run() {
    let keys = tempfile::tempdir().unwrap();
    let (private, public) = key_pair(keys.path());
    let world = signed_world(&public).await;
    let now = "2026-01-02T03:04:05Z".parse().unwrap();
    let before = world.repository.id("qa");
    let refused = roll_back(&mut world.desk(), &request("Bob's \"way\"", None), now).unwrap();
    let Rollback::Refused(refusal) = refused else {
        panic!("{refused:?}")
    };
    assert_eq!(
        world.repository.id("qa"),
        before,
        "nothing is pushed that would be refused"
    );
    assert!(refusal.satisfy[0].contains("--signing-key FILE"), "{refusal:?}");

    // The lines do what they say, as they stand there.
    let clone = keys.path().join("clone");
    let script = refusal.satisfy[1..]
        .iter()
        .map(|line| line.trim().trim_start_matches("or by hand: "))
        .collect::<Vec<_>>()
        .join("\n");
    let script = format!(
        "set -e\ngit clone -q {} {}\ncd {}\ngit config user.name Bob\ngit config user.email bob@example.com\n\
         git config gpg.format ssh\ngit config user.signingkey {}\n{script}\n",
        world.repository.path().display(),
        clone.display(),
        clone.display(),
        private.display()
    );
    let ran = std::process::Command::new("sh")
        .args(["-c", &script])
        .output()
        .unwrap();
    assert!(
        ran.status.success(),
        "{script}\n{}",
        String::from_utf8_lossy(&ran.stderr)
    );
    let (ends, _) = world.release("qa", &["shop"], |_| GOOD).await;
    assert_eq!(
        outcome(&ends, "shop"),
        Outcome::Passed,
        "{}",
        crate::world::text(&ends, "qa", "shop")
    );
    let state = world.state("qa", "shop");
    assert_eq!(state.proved.as_ref().unwrap().version, "1.0.0");
    assert_eq!(
        state.history.last().unwrap().begun.trigger.kind,
        TriggerKind::Rollback
    );
}

#[tokio::test]
async fn a_rollback_that_is_signed_passes_where_signatures_are_wanted() {
    let keys = tempfile::tempdir().unwrap();
    let (private, public) = key_pair(keys.path());
    let world = signed_world(&public).await;
    let key = SigningKey::from_openssh(&std::fs::read_to_string(&private).unwrap()).unwrap();
    let signed = RollbackRequest {
        signing_key: Some(std::sync::Arc::new(key)),
        ..request("it is too blue", None)
    };
    let commit = pushed(&mut world.desk(), &signed);
    assert_eq!(world.repository.id("qa"), commit.as_str());
    let (ends, _) = world.release("qa", &["shop"], |_| GOOD).await;
    assert_eq!(
        outcome(&ends, "shop"),
        Outcome::Passed,
        "{}",
        crate::world::text(&ends, "qa", "shop")
    );
}

#[tokio::test]
async fn a_file_that_others_use_too_is_not_changed_behind_their_backs() {
    let world = World::new();
    let files = "files: {/etc/x: {from: files/x}}\n";
    let push = |version: &str, content: &str| {
        let commit = NewCommit::new(version)
            .file("services/shop.yaml", descriptor(version, files))
            .file("services/cart.yaml", descriptor("1.0.0", files))
            .file("files/x", content);
        world.repository.commit("qa", commit)
    };
    push("1.0.0", "one");
    world.release("qa", &["shop"], |_| GOOD).await;
    push("1.1.0", "two");
    world.release("qa", &["shop"], |_| GOOD).await;
    let fault = roll_back(
        &mut world.desk(),
        &request("x", None),
        "2026-01-02T03:04:05Z".parse().unwrap(),
    )
    .unwrap_err();
    assert!(
        fault
            .message
            .contains("`files/x` was changed since, and cart takes content from it too"),
        "{fault}"
    );
}

#[tokio::test]
async fn the_status_says_what_runs_and_what_holds_it() {
    let world = World::new();
    world.push("qa", "shop", "1.0.0");
    world.release("qa", &["shop"], |_| GOOD).await;
    let row = Row::of(&world.state("qa", "shop"), true, &Liveness::Unknown);
    assert_eq!((row.state, row.version.as_deref()), (State::Runs, Some("1.0.0")));
    assert_eq!(
        Row::of(&world.state("qa", "shop"), false, &Liveness::Unknown).state,
        State::Orphaned
    );
    let mut goes_on = world.state("qa", "shop");
    goes_on.running = goes_on.history.pop();
    let row = Row::of(&goes_on, true, &Liveness::Alive);
    assert_eq!(row.state, State::Releasing);
    let row = Row::of(
        &goes_on,
        true,
        &Liveness::Dead("process 7 on ci has ended".to_owned()),
    );
    assert_eq!(row.state, State::CutOff);
    let note = row.notes.last().unwrap();
    assert!(
        note.ends_with("was cut off: process 7 on ci has ended; the next run takes it over"),
        "{note}"
    );
    world.push("qa", "shop", "1.1.0");
    world
        .release("qa", &["shop"], |call| match call.program.as_str() {
            "pilotage-deploy" => Play::Ends(Outcome::Failed, "no"),
            _ => GOOD,
        })
        .await;
    let row = Row::of(&world.state("qa", "shop"), true, &Liveness::Unknown);
    assert_eq!((row.state, row.version.as_deref()), (State::Held, Some("1.0.0")));
    let mut said = row.clone();
    said.notes.push("the last it said:\nerror: no".to_owned());
    let lines = table(&[said]);
    assert!(
        lines.contains("    the last it said:\n      error: no\n"),
        "{lines}"
    );
    let shown = table(&[row, Row::never(name("qa"), name("cart"))]);
    assert!(
        shown.contains("git asks for 1.1.0, rejected by qa.shop.2: failed: deploy: no"),
        "{shown}"
    );
    assert!(
        shown
            .lines()
            .any(|line| line.starts_with("qa           cart     -        never released")),
        "{shown}"
    );
}

#[test]
fn of_several_services_the_worst_decides() {
    let refused = Outcome::Refused { waiting: false };
    let order = [
        Outcome::Cancelled(Signal::Terminate),
        Outcome::Internal,
        Outcome::Failed,
        Outcome::Deadline,
        Outcome::Unavailable,
        Outcome::Invalid,
        refused,
        Outcome::Superseded,
        Outcome::Passed,
    ];
    for pair in order.windows(2) {
        assert_eq!(worst([pair[0], pair[1]]), pair[0]);
        assert_eq!(worst([pair[1], pair[0]]), pair[0]);
    }
    assert_eq!(worst([]), Outcome::Passed);
}

#[test]
fn a_person_has_a_name_and_an_address() {
    assert!(person("Ana Costa <ana@example.com>").is_ok());
    for bad in [
        "",
        "Ana",
        "<a@b>",
        "Ana <>",
        "Ana <a b@c>",
        "Ana <a@b> x",
        "A\nB <a@b>",
        "Ana <a@b>>",
    ] {
        assert!(person(bad).is_err(), "{bad:?}");
    }
}
