//! `pilotage why`: the story of one service from a ledger that was written as git-monitor and release write it.
#![cfg(test)]

mod world;

use std::time::Duration;

use jiff::Timestamp;
use pilotage_clock::Clock;
use pilotage_decision::{Access, Desk, Recorded};
use pilotage_gitrepo::{Limits, RemoteUrl};
use pilotage_ledger::{
    Adopted, Append, Begin, BeginRequest, Effects, EndWord, EnvironmentRecord, Finished, Frozen, Holder,
    Lease, LinuxMachine, Note, Proof, Rejected, Stage, Trigger, TriggerKind, Undone,
};
use pilotage_name::{CommitId, EnvironmentName, ServiceKey, ServiceName};
use pilotage_tests::contract::assert_valid;
use pilotage_tests::gitserver::{NewCommit, Person};
use serde_json::Value;
use world::{CONFIG, World, descriptor, pilotage, places};

/// A monitor and a releaser, whose clock the test moves.
struct Script<'a> {
    world: &'a World,
    clock: Clock,
    desk: Desk,
    environment: EnvironmentName,
    service: ServiceName,
}

impl<'a> Script<'a> {
    fn of(world: &'a World) -> Self {
        let clock = Clock::fixed("2026-01-02T12:00:00Z".parse().unwrap());
        let access = Access {
            url: RemoteUrl::from_path(&world.path()),
            config_branch: "main".to_owned(),
            cache_dir: world.folder().join("cache"),
            http: pilotage_http::HttpSettings::default(),
            credentials: None,
            limits: Limits::default(),
            ssh: pilotage_gitrepo::SshSettings::default(),
            ledger_key: None,
            clock: clock.clone(),
        };
        Self {
            world,
            clock,
            desk: Desk::open(access).unwrap(),
            environment: "qa".parse().unwrap(),
            service: "shop".parse().unwrap(),
        }
    }

    /// Moves the clock on.
    fn after(&mut self, seconds: i64) -> &mut Self {
        let now: Timestamp = self.clock.now();
        self.clock.set(now + jiff::SignedDuration::from_secs(seconds));
        self
    }

    fn tip(&self) -> CommitId {
        self.desk.sight().tip(&self.environment).unwrap().clone()
    }

    /// What a tick of the monitor does.
    fn decide(&mut self) -> &mut Self {
        self.desk.look().unwrap();
        let tip = self.tip();
        let services = [self.service.clone()];
        let (decided, on) = self
            .desk
            .decide(&self.environment, &services, &tip, None)
            .unwrap();
        let changed = EnvironmentRecord {
            first: on.environment.first.clone().or(Some(tip.clone())),
            seen: Some(tip),
            ..on.environment.clone()
        };
        let by = Holder::build("https://ci.example.com/monitor/1");
        let recorded = self
            .desk
            .record(
                &self.environment.clone(),
                &on,
                &decided,
                Some(changed),
                by,
                Value::Null,
            )
            .unwrap();
        assert!(matches!(recorded, Recorded::Done(_)));
        self
    }

    fn begin(&mut self, version: &str) -> Lease {
        self.begin_by(version, Holder::build("https://ci.example.com/release/7"))
    }

    fn begin_by(&mut self, version: &str, holder: Holder) -> Lease {
        let commit = self.tip();
        let monitor = self.desk.ledger().monitor(&self.environment).unwrap();
        let accepted = monitor.services[&self.service].accepted.clone().unwrap();
        let request = BeginRequest {
            service: ServiceKey {
                project: "acme".parse().unwrap(),
                environment: self.environment.clone(),
                service: self.service.clone(),
            },
            commit,
            config_commit: self.desk.sight().config_commit.clone(),
            policy: self.desk.sight().config.policy_hash(),
            descriptor: accepted.descriptor,
            config: "v1:cc".to_owned(),
            version: version.to_owned(),
            plan: None,
            trigger: Trigger {
                kind: TriggerKind::Monitor,
                by: "ana".to_owned(),
                change: None,
            },
            decision: None,
            holder,
            lasts: Duration::from_secs(600),
            retires: false,
        };
        let mut related = |_: &CommitId, _: &CommitId| Ok(false);
        match self
            .desk
            .ledger()
            .begin(&[request], &mut related)
            .unwrap()
            .pop()
            .unwrap()
        {
            Begin::Begun(lease) => lease,
            other => panic!("{other:?}"),
        }
    }

    fn finish(&mut self, lease: &Lease, finished: Finished) -> &mut Self {
        let append = self.desk.ledger().finish(lease, finished).unwrap();
        assert!(matches!(append, Append::Done(_)), "{append:?}");
        self
    }

    fn undo(&mut self, lease: &Lease, to: &str, reason: &str) -> Lease {
        let undone = Undone {
            to: Some(to.to_owned()),
            reason: reason.to_owned(),
            proof: None,
        };
        match self.desk.ledger().undone(lease, undone).unwrap() {
            Append::Done(lease) => lease,
            other => panic!("{other:?}"),
        }
    }

    fn push(&mut self, message: &str, text: &str, who: &Person) -> &mut Self {
        let commit = NewCommit::new(message).file("services/shop.yaml", text).by(who);
        self.world.bare.commit("qa", commit);
        self
    }
}

fn stage(step: &str, outcome: EndWord, milliseconds: u64) -> Stage {
    Stage {
        step: step.to_owned(),
        outcome,
        exit: None,
        milliseconds,
    }
}

fn good(version: &str) -> Finished {
    Finished {
        outcome: EndWord::Succeeded,
        effects: Effects::Complete,
        stages: vec![
            stage("deploy", EndWord::Succeeded, 3_210),
            stage("healthcheck", EndWord::Succeeded, 1_050),
            stage("regression", EndWord::Skipped, 0),
        ],
        plan: None,
        proof: Some(Proof {
            digest: "sha256:aa".to_owned(),
            version: Some(version.to_owned()),
            config: None,
        }),
        reason: Vec::new(),
        undone: false,
    }
}

fn bad(reason: &str) -> Finished {
    Finished {
        outcome: EndWord::Failed,
        effects: Effects::Complete,
        stages: vec![
            stage("deploy", EndWord::Succeeded, 3_000),
            stage("healthcheck", EndWord::Failed, 30_000),
        ],
        proof: None,
        reason: vec![reason.to_owned()],
        undone: true,
        ..good("1.1.0")
    }
}

fn ana() -> Person {
    Person::new("Ana Costa", "ana@example.com")
}

fn version(version: &str) -> String {
    descriptor("shop").replace("1.0.0", version)
}

/// A release that went well, one that was undone, and a rejection by hand.
fn world() -> World {
    let world = World::with(CONFIG, &[("services/shop.yaml", &descriptor("shop"))]);
    let mut script = Script::of(&world);
    script.decide();
    let lease = script.after(1).begin("1.0.0");
    script.after(5).finish(&lease, good("1.0.0"));

    script
        .after(3600)
        .push("Release 1.1.0", &version("1.1.0"), &ana());
    script.decide();
    let lease = script.after(1).begin("1.1.0");
    let lease = script.after(34).undo(&lease, "1.0.0", "healthcheck failed");
    script.after(1).finish(
        &lease,
        bad("healthcheck: timeout 30s reached after 14 tries; last: 503 (13×)"),
    );
    script.after(10).decide();
    world
}

#[test]
fn the_story_of_a_version_that_was_undone() {
    let world = world();
    let output = world.pilotage("why shop qa");
    assert_eq!(output.code, Some(0), "{output}");
    insta::assert_snapshot!("undone", output.stdout);
    let report = output.report();
    assert_valid(&report);
    let result = &report["result"];
    assert_eq!(result["now"]["runs"]["version"], "1.0.0", "{result:#}");
    assert_eq!(result["now"]["equal"], false, "{result:#}");
    let kinds: Vec<&str> = result["story"]
        .as_array()
        .unwrap()
        .iter()
        .map(|chapter| chapter["kind"].as_str().unwrap())
        .collect();
    assert_eq!(
        kinds,
        [
            "accepted",
            "begun",
            "succeeded",
            "accepted",
            "begun",
            "undone",
            "failed",
            "nothing"
        ]
    );
}

#[test]
fn the_newest_events_and_those_of_one_commit() {
    let world = world();
    let output = world.pilotage("why --service shop --env qa --last 2");
    assert!(
        output
            .stdout
            .starts_with("(6 earlier events; --last 0 tells them all)\n"),
        "{output}"
    );
    assert_eq!(
        output.report()["result"]["story"].as_array().unwrap().len(),
        2,
        "{output}"
    );

    let first = world.bare.id("qa~1");
    let output = world.pilotage(&format!("why shop qa --commit {first}"));
    let story = output.report()["result"]["story"].clone();
    let versions: Vec<&str> = story
        .as_array()
        .unwrap()
        .iter()
        .map(|chapter| chapter["version"].as_str().unwrap())
        .collect();
    assert_eq!(versions, ["1.0.0", "1.0.0", "1.0.0"], "{output}");
}

#[test]
fn a_refusal_says_what_would_help() {
    let config = CONFIG.replace(
        "qa:    {target: cluster,",
        "qa:    {target: cluster, policy: strict,",
    ) + "policies: {strict: {people: {who: [ana], proof: claimed}}}\npeople: {ana: {emails: [ana@example.com]}}\n";
    let world = World::with(&config, &[("services/shop.yaml", &descriptor("shop"))]);
    let mut script = Script::of(&world);
    script.decide();
    let lease = script.after(1).begin("1.0.0");
    script.after(5).finish(&lease, good("1.0.0"));
    let eve = Person::new("Eve \u{1b}[31m", "eve@example.com");
    script.after(60).push("Mine", &version("6.6.6"), &eve);
    // Asked twice, told once.
    script.decide();
    script.after(60).decide();
    let output = world.pilotage("why shop qa");
    assert!(
        !output.stdout.contains('\u{1b}'),
        "what comes from git is harmless: {output}"
    );
    insta::assert_snapshot!("refused", output.stdout);
}

#[test]
fn a_rejection_an_adoption_and_a_broken_descriptor() {
    let world = World::with(CONFIG, &[("services/shop.yaml", &descriptor("shop"))]);
    let mut script = Script::of(&world);
    let (environment, service) = (script.environment.clone(), script.service.clone());
    let tip = script.tip();
    let adopted = Adopted {
        service: ServiceKey {
            project: "acme".parse().unwrap(),
            environment: environment.clone(),
            service: service.clone(),
        },
        commit: tip.clone(),
        config_commit: script.desk.sight().config_commit.clone(),
        descriptor: "sha256:old".to_owned(),
        config: "v1:old".to_owned(),
        version: "0.9.0".to_owned(),
        proof: None,
        by: "ana".to_owned(),
        reason: "it ran before Pilotage came".to_owned(),
    };
    let rejected = Rejected {
        commit: tip,
        descriptor: "sha256:new".to_owned(),
        version: "1.0.0".to_owned(),
        reason: "it loses carts".to_owned(),
        by: "bea".to_owned(),
    };
    script
        .desk
        .ledger()
        .note(&environment, &service, &Note::Adopted(adopted))
        .unwrap();
    script.after(60);
    script
        .desk
        .ledger()
        .note(&environment, &service, &Note::Rejected(rejected))
        .unwrap();
    script.push("Break it", "version: 1.10\n", &ana());
    let output = world.pilotage("why shop qa");
    assert_eq!(output.code, Some(0), "{output}");
    insta::assert_snapshot!("broken", output.stdout);
}

#[test]
fn an_orphan_is_one() {
    let world = world();
    world.bare.commit(
        "qa",
        NewCommit::new("Away").remove("services/shop.yaml").by(&ana()),
    );
    let output = world.pilotage("why shop qa --last 1");
    assert_eq!(output.code, Some(0), "{output}");
    assert!(output.stdout.contains("the service is an orphan"), "{output}");
}

#[test]
fn nothing_recorded_and_nothing_known() {
    let world = World::new();
    let output = world.pilotage("why shop qa");
    assert_eq!(output.code, Some(0), "{output}");
    assert!(output.stdout.starts_with("nothing is recorded\n"), "{output}");
    let output = world.pilotage("why shp qa");
    assert_eq!(output.code, Some(2), "{output}");
    assert!(output.stderr.contains("did you mean `shop`?"), "{output}");
    let output = world.pilotage("why shop");
    assert_eq!(output.code, Some(2), "{output}");
    let output = pilotage("why shop qa --repo /no/such/repository").run();
    assert_eq!(output.code, Some(4), "{output}");
}

/// Freezes qa as a monitor does that finds the branch gone or rewritten.
fn freeze(script: &mut Script<'_>, reason: &str, now: Option<CommitId>) {
    let environment = script.environment.clone();
    let monitor = script.desk.ledger().monitor(&environment).unwrap();
    let frozen = Frozen {
        reason: reason.to_owned(),
        since: script.desk.now(),
        was: monitor.environment.seen.clone(),
        now,
    };
    let changed = EnvironmentRecord {
        frozen: Some(frozen),
        ..monitor.environment.clone()
    };
    let by = Holder::build("https://ci.example.com/monitor/1");
    let recorded = script
        .desk
        .record(&environment, &monitor, &[], Some(changed), by, Value::Null);
    assert!(matches!(recorded.unwrap(), Recorded::Done(_)));
}

#[test]
fn a_branch_that_is_gone_still_has_its_story() {
    let world = world();
    let tip = world.bare.id("qa");
    world.bare.git(&["update-ref", "-d", "refs/heads/qa"]);
    let mut script = Script::of(&world);
    freeze(&mut script, "the branch was deleted", None);
    let output = world.pilotage("why shop qa");
    assert_eq!(output.code, Some(0), "{output}");
    for said in [
        "shop 1.0.0 runs in qa since",
        "what git asks for is not known: the branch is not there",
        "qa is frozen since",
        "its branch `qa` is gone",
        &format!("{tip}:refs/heads/qa"),
        "pilotage-git-monitor accept",
    ] {
        assert!(output.stdout.contains(said), "{said}: {output}");
    }
    assert_valid(&output.report());
    let output = world.pilotage("why shpo qa");
    assert_eq!(output.code, Some(2), "{output}");
    assert!(output.stderr.contains("branch `qa` is gone"), "{output}");
}

#[test]
fn a_policy_that_is_broken_keeps_nobody_from_the_story() {
    let world = world();
    for broken in [
        CONFIG.replace("project:", "porject:"),
        "environments: [\n".to_owned(),
    ] {
        let commit = NewCommit::new("A slip").file("pilotage.yaml", &broken);
        world.bare.commit("main", commit);
        let output = world.pilotage("why shop qa");
        assert_eq!(output.code, Some(0), "{output}");
        for said in [
            "shop 1.0.0 runs in qa since",
            "git asks for 1.1.0",
            "pilotage.yaml has errors, so nothing is decided or released",
            "pilotage.yaml:",
            &format!("`pilotage check --repo {}` tells all", world.path().display()),
        ] {
            assert!(output.stdout.contains(said), "{said}: {output}");
        }
        assert!(!places(&output).is_empty(), "{output}");
    }
    let output = world.pilotage("why shop qa --config-branch mian");
    assert_eq!(output.code, Some(3), "{output}");
    assert!(
        output.stderr.contains("did you mean `--config-branch main`?"),
        "{output}"
    );
}

#[test]
fn a_holder_that_is_gone_holds_nothing() {
    let world = World::with(CONFIG, &[("services/shop.yaml", &descriptor("shop"))]);
    let mut script = Script::of(&world);
    script.decide();
    let here = LinuxMachine::read().unwrap().this_process().unwrap();
    let mut gone = serde_json::to_value(here).unwrap();
    // The process that had this number before.
    gone["started"] = Value::from(1);
    script
        .after(1)
        .begin_by("1.0.0", serde_json::from_value(gone).unwrap());
    let output = world.pilotage("why shop qa");
    let (_, now) = output.stdout.split_once("Now:").unwrap();
    assert!(
        now.contains("qa.shop.1 began to release 1.0.0 at ") && now.contains("was cut off"),
        "{output}"
    );
    assert!(!now.contains("held by"), "{output}");
}

#[test]
fn a_commit_is_named_by_the_digits_that_are_shown() {
    let world = world();
    let tip = world.bare.id("qa");
    let of = |commit: &str| world.pilotage(&format!("why shop qa --commit {commit}"));
    assert_eq!(of(&tip[..10]).stdout, of(&tip).stdout);
    let output = of("0123456789");
    assert_eq!(output.code, Some(2), "{output}");
    assert!(
        output
            .stderr
            .contains("no commit in the repository begins with 0123456789"),
        "{output}"
    );
}

#[test]
fn a_frozen_environment_is_said_even_where_what_runs_is_what_is_asked() {
    let world = World::with(CONFIG, &[("services/shop.yaml", &descriptor("shop"))]);
    let mut script = Script::of(&world);
    script.decide();
    let lease = script.after(1).begin("1.0.0");
    script.after(5).finish(&lease, good("1.0.0"));
    let tip = script.tip();
    freeze(&mut script, "the branch was rewritten", Some(tip.clone()));
    let output = world.pilotage("why shop qa");
    assert!(output.stdout.contains("git asks for exactly that"), "{output}");
    assert!(output.stdout.contains("qa is frozen since"), "{output}");
    assert_eq!(
        output
            .stdout
            .matches(&format!("acme --env qa --commit {tip} --by"))
            .count(),
        1,
        "{output}"
    );
}

#[test]
fn the_change_is_named_that_was_brought_and_not_the_tip_it_was_decided_at() {
    let world = World::with(CONFIG, &[("services/shop.yaml", &descriptor("shop"))]);
    let mut script = Script::of(&world);
    script.decide();
    script.push("Release 1.1.0", &version("1.1.0"), &ana());
    let brought = world.bare.id("qa");
    let tip = world
        .bare
        .commit("qa", NewCommit::new("Mention it").file("README.md", "shop\n"));
    script.decide();
    let output = world.pilotage("why shop qa");
    assert!(
        output.stdout.contains(&format!(
            "1.1.0 at {}, brought by Ana Costa <ana@example.com>; decided at {}",
            &brought[..10],
            &tip[..10]
        )),
        "{output}"
    );
}
