//! The planner, on live states that no real target has to be brought into.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "what a test is made from is written in the test"
)]

use std::collections::BTreeMap;

use pilotage_deploy::capability::Capabilities;
use pilotage_deploy::desired::{Desired, Identity, Labels};
use pilotage_deploy::fingerprint::Fingerprints;
use pilotage_deploy::live::{Front, Instance, InstanceId, Live, Marker, Replica, Serving, State};
use pilotage_deploy::operation::Operation;
use pilotage_deploy::plan::{Plan, Refused, plan, recovery, undo};
use pilotage_deploy::risk::RiskClass;
use pilotage_descriptor::{Descriptor, Source, parse};
use pilotage_name::ServiceKey;
use pilotage_secret::Secret;

const PROCESS: Capabilities = pilotage_deploy::adapter::process::CAPABILITIES;

const WEB: &str = r#"
version: "1.1.0"
domain: shop.example.com
ports: [{name: http, port: 8080, publish: proxy}]
healthcheck: {endpoints: [{http: /health}]}
"#;

const HOSTED: &str = r#"
version: "1.1.0"
ports: [{name: http, port: 8080, publish: {host: 9000}}]
"#;

fn descriptor(text: &str) -> Descriptor {
    let source = Source::new("services/shop.yaml", text);
    match parse(&source)
        .for_service(&"shop".parse().unwrap())
        .resolve(&"qa".parse().unwrap())
    {
        Ok(descriptor) => descriptor,
        Err(diagnostics) => panic!("{diagnostics:?}"),
    }
}

fn key() -> ServiceKey {
    ServiceKey {
        project: "acme".parse().unwrap(),
        environment: "qa".parse().unwrap(),
        service: "shop".parse().unwrap(),
    }
}

fn labels(fence: u64) -> Labels {
    Labels {
        release: (fence > 0).then(|| format!("qa.shop.{fence}").parse().unwrap()),
        fence,
        commit: None,
    }
}

fn identity(descriptor: &Descriptor) -> Identity {
    Identity {
        digest: format!("sha256:{}", descriptor.version.as_str()),
        version: descriptor.version.as_str().to_owned(),
        instance_hash: descriptor.instance_hash(),
    }
}

fn desired(text: &str, fence: u64) -> Desired {
    let descriptor = descriptor(text);
    Desired {
        key: key(),
        labels: labels(fence),
        identity: identity(&descriptor),
        descriptor,
        secrets: BTreeMap::new(),
    }
}

fn instance(id: u64, text: &str, fence: u64, state: State, turn: u64) -> Instance {
    let descriptor = descriptor(text);
    Instance {
        id: InstanceId(id),
        labels: labels(fence),
        identity: Some(identity(&descriptor)),
        secrets: Fingerprints::default(),
        state,
        replicas: vec![state; descriptor.resources.replicas as usize],
        stray: false,
        turn,
        undone: false,
        descriptor: Some(descriptor),
    }
}

/// A live state in which the last of `instances` that served does so now.
fn live(instances: Vec<Instance>) -> Live {
    let serving = instances
        .iter()
        .filter(|instance| instance.turn > 0)
        .max_by_key(|instance| instance.turn);
    Live {
        marker: instances
            .iter()
            .map(|instance| instance.labels.fence)
            .max()
            .map(|fence| Marker {
                fence,
                release: labels(fence).release,
                commit: None,
            }),
        serving: serving.map(|instance| Serving {
            instance: instance.id,
            current: true,
        }),
        next: InstanceId(instances.last().map_or(1, |instance| instance.id.0 + 1)),
        instances,
        front: Front::Up,
        taken: Vec::new(),
    }
}

fn old(text: &str) -> String {
    text.replace("1.1.0", "1.0.0")
}

/// The operations in short: `prepare 2, start 2, …`.
fn short(operations: impl IntoIterator<Item = Operation>) -> String {
    let words: Vec<String> = operations
        .into_iter()
        .map(|operation| match operation {
            Operation::Mark { fence } => format!("mark {fence}"),
            Operation::OpenFront => "front".to_owned(),
            Operation::Prepare { instance } => format!("prepare {}", instance.0),
            Operation::Start { of } => format!("start {}", shown(of)),
            Operation::Prove { of } => format!("prove {}", shown(of)),
            Operation::Switch { of } => format!("switch {}", shown(of)),
            Operation::Verify { instance } => format!("verify {}", instance.0),
            Operation::Stop {
                instance,
                undone: false,
            } => format!("stop {}", instance.0),
            Operation::Stop {
                instance,
                undone: true,
            } => format!("take back {}", instance.0),
            Operation::Remove { instance } => format!("remove {}", instance.0),
            Operation::Withdraw => "withdraw".to_owned(),
            Operation::Adopt { instance } => format!("adopt {}", instance.0),
        })
        .collect();
    words.join(", ")
}

fn shown(of: Replica) -> String {
    of.to_string().trim_start_matches('#').to_owned()
}

fn steps(plan: &Plan) -> String {
    short(plan.operations.iter().map(|planned| planned.operation))
}

fn planned(desired: &Desired, live: &Live) -> Plan {
    plan(desired, live, &PROCESS).unwrap()
}

#[test]
fn the_first_release_brings_up_everything() {
    let nothing = Live {
        next: InstanceId(1),
        front: Front::Down,
        ..Live::default()
    };
    let plan = planned(&desired(WEB, 1), &nothing);
    assert_eq!(
        steps(&plan),
        "mark 1, front, prepare 1, start 1, prove 1, switch 1, verify 1"
    );
    assert!(plan.risks.is_empty() && !plan.is_empty());
}

#[test]
fn a_new_version_is_proved_beside_the_old_which_is_stopped_last() {
    let plan = planned(
        &desired(WEB, 2),
        &live(vec![instance(1, &old(WEB), 1, State::Running, 1)]),
    );
    assert_eq!(
        steps(&plan),
        "mark 2, prepare 2, start 2, prove 2, switch 2, verify 2, stop 1"
    );
    assert_eq!(plan.operations[1].why, "version 1.0.0 -> 1.1.0");
}

#[test]
fn what_serves_already_changes_nothing_and_a_newer_fence_is_only_marked() {
    let there = live(vec![instance(1, WEB, 1, State::Running, 1)]);
    let same = planned(&desired(WEB, 1), &there);
    assert_eq!((steps(&same).as_str(), same.is_empty()), ("", true));
    let newer = planned(&desired(WEB, 2), &there);
    assert_eq!((steps(&newer).as_str(), newer.is_empty()), ("mark 2", true));
    assert_eq!(
        same.digest, newer.digest,
        "a plan made before the release began still fits"
    );
}

#[test]
fn a_changed_environment_file_or_secret_makes_a_new_instance() {
    let there = live(vec![instance(1, WEB, 1, State::Running, 1)]);
    let environment = format!("{WEB}env: {{LOG_LEVEL: debug}}\n");
    let file = format!("{WEB}files: {{/etc/shop.yaml: {{content: x}}}}\n");
    for text in [&environment, &file] {
        let plan = planned(&desired(text, 1), &there);
        assert_eq!(
            steps(&plan),
            "prepare 2, start 2, prove 2, switch 2, verify 2, stop 1"
        );
        assert_eq!(plan.operations[0].why, "the configuration differs");
    }

    let secret = |value: &str| BTreeMap::from([("PASSWORD".to_owned(), Secret::new(value))]);
    let mut holder = instance(1, WEB, 1, State::Running, 1);
    holder.secrets = Fingerprints::new("salt".to_owned(), &secret("one"));
    let there = live(vec![holder]);
    let mut wanted = desired(WEB, 1);
    wanted.secrets = secret("one");
    assert!(planned(&wanted, &there).is_empty());
    wanted.secrets = secret("two");
    let plan = planned(&wanted, &there);
    assert_eq!(plan.operations[0].why, "changed secrets: PASSWORD");
    assert!(!plan.to_string().contains("two"));
}

#[test]
fn drift_of_what_runs_is_a_difference_like_any_other() {
    let mut drifted = instance(1, WEB, 1, State::Running, 1);
    drifted.identity.as_mut().unwrap().digest = "sha256:other".to_owned();
    let plan = planned(&desired(WEB, 1), &live(vec![drifted]));
    assert_eq!(plan.operations[0].why, "another artifact under the same version");
    assert_eq!(plan.risks[0].class, RiskClass::Version);

    let mut unreadable = instance(1, WEB, 1, State::Running, 1);
    unreadable.identity = None;
    let plan = planned(&desired(WEB, 1), &live(vec![unreadable]));
    assert_eq!(plan.operations[0].why, "what serves cannot be read");
}

#[test]
fn an_instance_that_died_is_started_again_as_it_is() {
    let plan = planned(
        &desired(WEB, 1),
        &live(vec![instance(1, WEB, 1, State::Ended, 1)]),
    );
    assert_eq!(steps(&plan), "start 1, prove 1, switch 1, verify 1");
    let mut there = live(vec![instance(1, WEB, 1, State::Running, 1)]);
    there.serving.as_mut().unwrap().current = false;
    assert_eq!(
        steps(&planned(&desired(WEB, 1), &there)),
        "prove 1, switch 1, verify 1"
    );
}

#[test]
fn a_missing_front_door_alone_is_opened() {
    let mut there = live(vec![instance(1, WEB, 1, State::Running, 1)]);
    there.front = Front::Down;
    assert_eq!(steps(&planned(&desired(WEB, 1), &there)), "front, verify 1");
}

#[test]
fn a_crashed_run_is_taken_up_where_it_stopped() {
    let before = || instance(1, &old(WEB), 1, State::Running, 1);
    let table = [
        (
            vec![before(), instance(2, WEB, 2, State::Partial, 0)],
            "remove 2, prepare 3, start 3, prove 3, switch 3, verify 3, stop 1",
        ),
        (
            vec![before(), instance(2, WEB, 2, State::Prepared, 0)],
            "start 2, prove 2, switch 2, verify 2, stop 1",
        ),
        (
            vec![before(), instance(2, WEB, 2, State::Running, 0)],
            "prove 2, switch 2, verify 2, stop 1",
        ),
        (
            vec![before(), instance(2, WEB, 2, State::Ended, 0)],
            "remove 2, prepare 3, start 3, prove 3, switch 3, verify 3, stop 1",
        ),
        (vec![before(), instance(2, WEB, 2, State::Running, 2)], "stop 1"),
    ];
    for (instances, expected) in table {
        assert_eq!(steps(&planned(&desired(WEB, 2), &live(instances))), expected);
    }
}

#[test]
fn processes_that_do_not_count_are_ended_before_their_port_is_needed() {
    let mut stray = instance(2, HOSTED, 2, State::Prepared, 0);
    stray.stray = true;
    let there = live(vec![instance(1, &old(HOSTED), 1, State::Ended, 1), stray.clone()]);
    let plan = planned(&desired(HOSTED, 3), &there);
    assert_eq!(
        steps(&plan),
        "mark 3, remove 2, prepare 3, start 3, prove 3, switch 3, verify 3"
    );
    assert!(!plan.has_downtime());
    stray.turn = 2;
    stray.state = State::Ended;
    let there = live(vec![stray, instance(3, WEB, 3, State::Running, 3)]);
    assert_eq!(steps(&planned(&desired(WEB, 3), &there)), "stop 2");
}

#[test]
fn what_another_release_left_behind_is_never_taken_up() {
    let there = live(vec![
        instance(1, &old(WEB), 1, State::Running, 1),
        instance(2, WEB, 2, State::Running, 0),
    ]);
    let plan = planned(&desired(WEB, 3), &there);
    assert_eq!(
        steps(&plan),
        "mark 3, remove 2, prepare 3, start 3, prove 3, switch 3, verify 3, stop 1"
    );
}

#[test]
fn two_stopped_instances_are_kept_and_taken_back_ones_go_first() {
    let text = |version: &str| WEB.replace("1.1.0", version);
    let mut taken_back = instance(4, &text("1.0.4"), 4, State::Ended, 4);
    taken_back.undone = true;
    let there = live(vec![
        instance(1, &text("1.0.1"), 1, State::Ended, 1),
        instance(2, &text("1.0.2"), 2, State::Ended, 2),
        instance(3, &text("1.0.3"), 3, State::Running, 5),
        taken_back,
    ]);
    let plan = planned(&desired(WEB, 5), &there);
    assert!(
        steps(&plan).ends_with("stop 3, remove 1, remove 4"),
        "{}",
        steps(&plan)
    );
}

#[test]
fn a_host_port_that_both_need_is_a_downtime_of_its_own_name() {
    let there = live(vec![instance(1, &old(HOSTED), 1, State::Running, 1)]);
    let plan = planned(&desired(HOSTED, 2), &there);
    assert_eq!(
        steps(&plan),
        "mark 2, prepare 2, stop 1, start 2, prove 2, switch 2, verify 2"
    );
    assert_eq!(plan.operations[2].risk, Some(RiskClass::Downtime));
    assert!(plan.has_downtime());
    assert!(
        plan.to_string()
            .contains("  downtime: stop and keep instance #1 (both need 0.0.0.0:9000)"),
        "{plan}"
    );

    let other = HOSTED.replace("9000", "9001");
    let plan = planned(&desired(&other, 2), &there);
    assert!(!plan.has_downtime());
    assert_eq!(
        plan.risks.iter().map(|risk| risk.class).collect::<Vec<_>>(),
        [RiskClass::Version, RiskClass::Exposure][1..]
    );
}

#[test]
fn risks_have_classes() {
    let classes = |before: &str, after: &str| -> Vec<RiskClass> {
        let there = live(vec![instance(1, before, 1, State::Running, 1)]);
        planned(&desired(after, 1), &there)
            .risks
            .iter()
            .map(|risk| risk.class)
            .collect()
    };
    assert_eq!(classes(WEB, &old(WEB)), [RiskClass::Version]);
    assert_eq!(
        classes(WEB, &WEB.replace("shop.example.com", "www.example.com")),
        [RiskClass::Exposure]
    );
    let unchecked = WEB.replace("healthcheck: {endpoints: [{http: /health}]}", "");
    assert_eq!(classes(WEB, &unchecked), [RiskClass::Gate]);
    assert_eq!(classes(&old(WEB), WEB), []);
}

#[test]
fn a_retired_service_is_stopped_and_its_routes_are_freed() {
    let there = live(vec![
        instance(1, &old(WEB), 1, State::Ended, 1),
        instance(2, WEB, 1, State::Running, 2),
    ]);
    let retired = desired(&format!("{WEB}state: retired\n"), 2);
    let plan = planned(&retired, &there);
    assert_eq!(steps(&plan), "mark 2, withdraw, stop 2");
    assert_eq!(plan.risks[0].class, RiskClass::Prune);
    assert_eq!(plan.instance, None);
    let mut gone = live(vec![instance(2, WEB, 1, State::Ended, 2)]);
    gone.serving = None;
    assert!(planned(&retired, &gone).is_empty());
}

#[test]
fn a_stale_fence_has_no_plan_at_all() {
    let there = live(vec![instance(1, &old(WEB), 5, State::Running, 1)]);
    let refused = plan(&desired(WEB, 4), &there, &PROCESS).unwrap_err();
    assert_eq!(
        refused.to_string(),
        "fence 4 is stale: release qa.shop.5 has changed the service already"
    );
    assert!(matches!(
        undo(&key(), &labels(0), &there, &PROCESS),
        Err(Refused::Stale { .. })
    ));
    assert!(matches!(
        plan(&desired(&format!("{WEB}state: retired\n"), 4), &there, &PROCESS),
        Err(Refused::Stale { .. })
    ));
}

#[test]
fn somebody_elses_route_or_port_is_not_taken() {
    let mut there = live(Vec::new());
    there.taken = vec!["the route shop.example.com/ belongs to acme-qa-cart".to_owned()];
    assert_eq!(
        plan(&desired(WEB, 1), &there, &PROCESS),
        Err(Refused::Taken(there.taken.clone()))
    );
}

#[test]
fn what_the_target_cannot_do_is_refused_by_name_all_at_once() {
    let much = r#"
version: "1.1.0"
image: {name: registry.example.com/shop, digest: "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"}
ports: [{name: http, port: 8080}]
resources: {cpu: 500m, memory: 256Mi, replicas: 2}
env: {PORT: "1"}
files: {/etc/shop.yaml: {from: files/shop.yaml}}
secrets: {A: {secret: shop, key: a}}
"#;
    let Err(Refused::Cannot(lacks)) = plan(&desired(much, 1), &live(Vec::new()), &PROCESS) else {
        panic!("it must be refused");
    };
    let paths: Vec<&str> = lacks.iter().map(|lack| lack.path.as_str()).collect();
    assert_eq!(
        paths,
        [
            "image.digest",
            "resources.cpu",
            "resources.memory",
            "resources.replicas",
            "env.PORT",
            "files./etc/shop.yaml.from",
            "secrets.A.secret",
        ]
    );
    assert_eq!(
        lacks[3].reason,
        "on a process target, 2 are asked for and at most 1 can run"
    );
}

#[test]
fn undo_switches_back_and_is_safe_to_repeat_under_its_fence() {
    let there = live(vec![
        instance(1, &old(WEB), 1, State::Ended, 1),
        instance(2, WEB, 2, State::Running, 2),
    ]);
    let back = undo(&key(), &labels(2), &there, &PROCESS).unwrap();
    assert_eq!(steps(&back), "start 1, prove 1, switch 1, verify 1, take back 2");
    assert_eq!(back.instance, Some(InstanceId(1)));

    // Killed after the switch: the rest is done, and nothing more.
    let mut halfway = live(vec![
        instance(1, &old(WEB), 1, State::Running, 3),
        instance(2, WEB, 2, State::Running, 2),
    ]);
    halfway.marker.as_mut().unwrap().fence = 2;
    assert_eq!(
        steps(&undo(&key(), &labels(2), &halfway, &PROCESS).unwrap()),
        "take back 2"
    );
    halfway.instances[1].state = State::Ended;
    halfway.instances[1].undone = true;
    assert!(undo(&key(), &labels(2), &halfway, &PROCESS).unwrap().is_empty());
}

#[test]
fn undo_goes_to_what_served_last_and_was_not_taken_back() {
    let text = |version: &str| WEB.replace("1.1.0", version);
    let mut taken_back = instance(3, &text("1.0.3"), 3, State::Ended, 3);
    taken_back.undone = true;
    let there = live(vec![
        instance(1, &text("1.0.1"), 1, State::Ended, 1),
        instance(2, &text("1.0.2"), 2, State::Ended, 4),
        taken_back,
        instance(4, WEB, 4, State::Running, 5),
    ]);
    assert_eq!(
        undo(&key(), &labels(4), &there, &PROCESS).unwrap().instance,
        Some(InstanceId(2))
    );
}

#[test]
fn without_an_earlier_instance_there_is_nothing_to_undo() {
    let only = live(vec![instance(1, WEB, 1, State::Running, 1)]);
    for (there, expected) in [
        (only, "no earlier instance is kept to go back to"),
        (
            live(Vec::new()),
            "no instance serves, so there is nothing to undo",
        ),
    ] {
        assert_eq!(
            undo(&key(), &labels(1), &there, &PROCESS)
                .unwrap_err()
                .to_string(),
            expected
        );
    }
}

#[test]
fn recovery_undoes_exactly_what_was_tried() {
    let there = live(vec![instance(1, &old(WEB), 1, State::Running, 1)]);
    // mark 2, prepare 2, start 2, prove 2, switch 2, verify 2, stop 1
    let plan = planned(&desired(WEB, 2), &there);
    let expected = [
        "",
        "remove 2",
        "remove 2",
        "remove 2",
        "switch 1, remove 2",
        "switch 1, remove 2",
    ];
    for (tried, expected) in (1..).zip(expected) {
        assert_eq!(short(recovery(&plan, tried)), expected, "after {tried}");
    }
}

#[test]
fn recovery_of_a_downtime_starts_the_old_again_once_the_new_is_gone() {
    let there = live(vec![instance(1, &old(HOSTED), 1, State::Running, 1)]);
    // mark 2, prepare 2, stop 1, start 2, prove 2, switch 2, verify 2
    let plan = planned(&desired(HOSTED, 2), &there);
    assert_eq!(short(recovery(&plan, 2)), "remove 2");
    for tried in 3..=7 {
        assert_eq!(
            short(recovery(&plan, tried)),
            "remove 2, start 1, switch 1",
            "after {tried}"
        );
    }
}

#[test]
fn recovery_of_a_first_release_removes_it_unless_it_serves() {
    let plan = planned(&desired(WEB, 1), &live(Vec::new()));
    // mark 1, prepare 1, start 1, prove 1, switch 1, verify 1
    assert_eq!(short(recovery(&plan, 4)), "remove 1");
    assert_eq!(short(recovery(&plan, 5)), "");
}

#[test]
fn recovery_removes_what_an_earlier_run_of_the_release_left_as_well() {
    let left = || instance(2, WEB, 2, State::Running, 0);
    let there = live(vec![instance(1, &old(WEB), 1, State::Running, 1), left()]);
    // prove 2, switch 2, verify 2, stop 1
    let plan = planned(&desired(WEB, 2), &there);
    assert_eq!(short(recovery(&plan, 1)), "remove 2");
    assert_eq!(short(recovery(&plan, 2)), "switch 1, remove 2");
    let plan = planned(&desired(WEB, 2), &live(vec![left()]));
    assert_eq!(short(recovery(&plan, 1)), "remove 2");
}

#[test]
fn the_digest_moves_with_what_is_wanted_and_what_is_there() {
    let there = live(vec![instance(1, &old(WEB), 1, State::Running, 1)]);
    let digest = |wanted: &Desired, live: &Live| planned(wanted, live).digest;
    let base = digest(&desired(WEB, 2), &there);
    assert_eq!(
        base,
        digest(&desired(WEB, 3), &there),
        "the fence is not part of it"
    );
    assert_ne!(
        base,
        digest(&desired(&format!("{WEB}env: {{A: b}}\n"), 2), &there)
    );
    let mut moved = there.clone();
    moved.instances[0].turn = 7;
    assert_ne!(base, digest(&desired(WEB, 2), &moved));
    let mut marked = there.clone();
    marked.marker = Some(Marker {
        fence: 2,
        release: None,
        commit: None,
    });
    assert_ne!(base, digest(&desired(WEB, 2), &marked));
    let mut closed = there;
    closed.front = Front::Down;
    assert_eq!(
        base,
        digest(&desired(WEB, 2), &closed),
        "the front door belongs to all services"
    );
}

#[test]
fn what_the_instance_is_not_made_of_needs_no_other_instance() {
    let live = live(vec![instance(1, WEB, 1, State::Running, 1)]);
    for more in [
        "maintainer: {name: Ana, email: ana@example.com}\n",
        "notify: {slack: [\"#shop\"]}\n",
        "smoke: [{get: /}]\n",
        "regression: {image: registry.example.com/tests}\n",
        "after: [cart]\n",
    ] {
        let changed = desired(&format!("{WEB}{more}"), 2);
        let found = plan(&changed, &live, &PROCESS).unwrap();
        assert!(found.is_empty(), "{more}{found}");
        assert_eq!(found.instance, Some(InstanceId(1)));
        assert_eq!(
            short(found.operations.iter().map(|planned| planned.operation)),
            "mark 2",
            "the commit is written down"
        );
        assert_ne!(
            found.digest,
            plan(&desired(WEB, 2), &live, &PROCESS).unwrap().digest,
            "a plan is bound to the whole descriptor"
        );
    }
    let healthcheck = WEB.replace("http: /health", "http: /ready");
    assert!(
        plan(&desired(&healthcheck, 2), &live, &PROCESS)
            .unwrap()
            .is_empty()
    );
    let env = format!("{WEB}env: {{A: b}}\n");
    assert!(!plan(&desired(&env, 2), &live, &PROCESS).unwrap().is_empty());
}

#[test]
fn undoing_a_release_that_needed_no_other_instance_leaves_the_one_that_serves() {
    let mut live = live(vec![
        instance(1, &old(WEB), 1, State::Ended, 1),
        instance(2, WEB, 2, State::Running, 2),
    ]);
    live.marker = Some(Marker {
        fence: 3,
        release: labels(3).release,
        commit: None,
    });
    let back = undo(&key(), &labels(3), &live, &PROCESS).unwrap();
    assert!(back.is_empty(), "{back}");
    assert_eq!(back.instance, Some(InstanceId(2)));
}

/// What a Docker target can do, as far as a plan asks.
const SEVERAL: Capabilities = Capabilities {
    target: "several",
    jobs: true,
    replicas: 9,
    ..PROCESS
};

const THREE: &str = r#"
version: "1.1.0"
ports: [{name: http, port: 8080}]
resources: {replicas: 3}
"#;

#[test]
fn replicas_are_proved_one_after_the_other_and_all_of_them_before_the_first_is_switched_to() {
    let there = live(vec![instance(1, &old(THREE), 1, State::Running, 1)]);
    let plan = plan(&desired(THREE, 2), &there, &SEVERAL).unwrap();
    assert_eq!(
        steps(&plan),
        "mark 2, prepare 2, start 2.1, prove 2.1, start 2.2, prove 2.2, start 2.3, prove 2.3, \
         switch 2.1, switch 2.2, switch 2.3, verify 2, stop 1"
    );
    let half = plan
        .operations
        .iter()
        .position(|planned| matches!(planned.operation, Operation::Switch { of } if of.replica == Some(2)));
    assert_eq!(short(recovery(&plan, half.unwrap() + 1)), "switch 1, remove 2");
}

#[test]
fn one_replica_that_has_ended_is_started_again_and_the_others_are_left_alone() {
    let mut hurt = instance(1, THREE, 1, State::Running, 1);
    hurt.replicas = vec![State::Running, State::Ended, State::Running];
    hurt.state = State::of(&hurt.replicas);
    hurt.stray = true;
    let plan = plan(&desired(THREE, 1), &live(vec![hurt]), &SEVERAL).unwrap();
    assert_eq!(
        steps(&plan),
        "prove 1.1, start 1.2, prove 1.2, prove 1.3, switch 1.1, switch 1.2, switch 1.3, verify 1"
    );
}

#[test]
fn replicas_cannot_share_a_port_of_the_host() {
    let text = format!("{HOSTED}resources: {{replicas: 2}}\n");
    let refused = plan(&desired(&text, 1), &live(Vec::new()), &SEVERAL).unwrap_err();
    let Refused::Cannot(lacks) = refused else {
        panic!("{refused}");
    };
    assert_eq!(lacks[0].path, "resources.replicas");
}

const MIGRATION: &str = "version: \"1.1.0\"\nkind: job\n";

#[test]
fn a_job_runs_once_for_what_it_is_made_of_and_the_last_ones_are_kept() {
    let there = live(vec![instance(1, &old(MIGRATION), 1, State::Done, 1)]);
    let plan = |there: &Live| plan(&desired(MIGRATION, 2), there, &SEVERAL).unwrap();
    assert_eq!(
        steps(&plan(&there)),
        "mark 2, prepare 2, start 2, prove 2, switch 2, verify 2"
    );
    let done = live(vec![instance(1, MIGRATION, 1, State::Done, 1)]);
    assert_eq!(steps(&plan(&done)), "mark 2");
    // The run that was to record it was killed meanwhile: it is not run a second time.
    for (state, expected) in [
        (State::Running, "prove 2, switch 2, verify 2"),
        (State::Done, "prove 2, switch 2, verify 2"),
        (
            State::Ended,
            "remove 2, prepare 3, start 3, prove 3, switch 3, verify 3",
        ),
    ] {
        let killed = live(vec![
            instance(1, &old(MIGRATION), 1, State::Done, 1),
            instance(2, MIGRATION, 2, state, 0),
        ]);
        assert_eq!(steps(&plan(&killed)), expected, "{state}");
    }
}

#[test]
fn a_job_that_has_run_cannot_be_taken_back() {
    let there = live(vec![
        instance(1, &old(MIGRATION), 1, State::Done, 1),
        instance(2, MIGRATION, 2, State::Done, 2),
    ]);
    let refused = undo(&key(), &labels(2), &there, &SEVERAL).unwrap_err();
    assert!(refused.to_string().contains("cannot be taken back"), "{refused}");
}
