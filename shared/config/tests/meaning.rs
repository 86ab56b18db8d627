//! What a configuration says, and what descriptors mean against it.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test ends where its own configuration is wrong"
)]

use pilotage_config::{Config, Mode, OnFailure, Source, StepName, Target, When, parse};
use pilotage_descriptor::Descriptor;
use pilotage_diagnostic::render_terminal;
use pilotage_name::{EnvironmentName, ServiceName};

fn read(text: &str) -> Config {
    let (config, problems) = parse(&Source::new("pilotage.yaml", text));
    config.unwrap_or_else(|| panic!("{}", render_terminal(problems.as_slice(), false)))
}

fn case(name: &str) -> String {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/cases/valid/");
    std::fs::read_to_string(format!("{folder}{name}.yaml")).unwrap()
}

fn environment(name: &str) -> EnvironmentName {
    name.parse().unwrap()
}

fn service(name: &str) -> ServiceName {
    name.parse().unwrap()
}

#[test]
fn a_small_file_has_the_pipelines_of_the_three_environments() {
    use StepName::{Deploy, Healthcheck, Regression, Smoke};
    let config = read(&case("small"));
    let order: Vec<_> = config
        .environments
        .iter()
        .map(|e| (e.name.as_str(), e.branch.as_str()))
        .collect();
    assert_eq!(order, [("qa", "qa"), ("stage", "stage"), ("prod", "prod")]);
    let steps = |name| -> Vec<_> {
        config
            .stages(&environment(name))
            .iter()
            .map(|s| (s.step, s.on_failure))
            .collect()
    };
    let (stop, undo) = (OnFailure::Stop, OnFailure::Undo);
    assert_eq!(steps("qa"), [(Deploy, stop), (Healthcheck, stop)]);
    assert_eq!(
        steps("stage"),
        [(Deploy, stop), (Healthcheck, undo), (Regression, stop)]
    );
    assert_eq!(
        steps("prod"),
        [(Deploy, stop), (Healthcheck, undo), (Smoke, undo)]
    );
    assert!(config.stages(&environment("other")).is_empty());
    assert!(config.policy_of(&environment("prod")).people.is_none());
    assert!(
        config
            .environment(&environment("qa"))
            .unwrap()
            .allow
            .images
            .is_none()
    );
}

#[test]
fn other_environments_follow_qa_or_prod() {
    let config = read(
        "apiVersion: pilotage/v1\nproject: acme\ntargets: {b: {docker: {}}}\nenvironments: {dev: {target: b}, live: {target: b, from: dev}}\n",
    );
    let steps = |name| -> Vec<_> { config.stages(&environment(name)).iter().map(|s| s.step).collect() };
    assert_eq!(steps("dev"), [StepName::Deploy, StepName::Healthcheck]);
    assert_eq!(
        steps("live"),
        [StepName::Deploy, StepName::Healthcheck, StepName::Smoke]
    );
}

#[test]
fn what_was_written_wins_over_the_defaults() {
    let config = read(&case("big"));
    let stages = config.stages(&environment("qa"));
    assert_eq!(stages[1].deadline.as_millis(), 120_000);
    assert_eq!(
        (stages[2].when, stages[2].on_failure),
        (When::Failed, OnFailure::Continue)
    );
    let (qa, prod, shop, cart) = (
        environment("qa"),
        environment("prod"),
        service("shop"),
        service("cart"),
    );
    assert_eq!(config.target_of(&prod, &shop).0, "cluster");
    assert_eq!(config.target_of(&qa, &shop).0, "box");
    assert!(matches!(
        config.target_of(&qa, &cart),
        ("here", Target::Process(_))
    ));
    assert_eq!(config.target_of(&environment("none"), &cart).0, "");
    assert_eq!(
        (config.mode_of(&prod, &shop), config.mode_of(&qa, &shop)),
        (Mode::Observe, Mode::Enforce)
    );
    assert_eq!(config.mode_of(&environment("stage"), &cart), Mode::Observe);
    let names = |who: &[&str]| -> Vec<String> {
        let who: Vec<String> = who.iter().map(|name| (*name).to_owned()).collect();
        config
            .members(&who)
            .into_iter()
            .map(|(name, _)| name.clone())
            .collect()
    };
    assert_eq!(names(&["release-managers", "ben", "ana"]), ["ana", "ben"]);
}

#[test]
fn the_policy_hash_covers_what_decides_and_nothing_else() {
    let (text, hash) = (case("big"), read(&case("big")).policy_hash());
    assert!(hash.starts_with("v1:") && hash.len() == 67, "{hash}");
    let with = |from: &str, to: &str| {
        assert!(text.contains(from), "{from}");
        read(&text.replace(from, to)).policy_hash()
    };
    assert_eq!(with("mode: enforce\n", "mode: enforce # the default\n"), hash);
    assert_eq!(with("    mode: enforce\n", ""), hash);
    assert_eq!(with("\"#releases\"", "\"#other\""), hash);
    assert_eq!(with("context: prod", "context: other"), hash);
    for (from, to) in [
        ("proof: signed", "proof: claimed"),
        ("ben@example.com", "bob@example.com"),
        ("release-managers: [ana]", "release-managers: [ana, ben]"),
        ("percent: 30", "percent: 31"),
        ("commands: true", "commands: false"),
        ("18:00:00Z", "19:00:00Z"),
    ] {
        assert_ne!(with(from, to), hash, "{from}");
    }
}

fn cross(config: &str, descriptors: &[(&str, &str)]) -> String {
    let config = read(config);
    let qa = environment("qa");
    let files: Vec<(ServiceName, Source, Descriptor)> = descriptors
        .iter()
        .map(|(name, text)| {
            let source = Source::new(format!("services/{name}.yaml"), *text);
            let parsed = pilotage_descriptor::parse(&source).for_service(&service(name));
            let descriptor = parsed
                .resolve(&qa)
                .unwrap_or_else(|problems| panic!("{}", render_terminal(problems.as_slice(), false)));
            (service(name), source, descriptor)
        })
        .collect();
    render_terminal(config.cross_check(&qa, &files).as_slice(), false)
}

const BOX: &str = "apiVersion: pilotage/v1\nproject: acme\ntargets: {box: {docker: {}}}\nenvironments: {qa: {target: box}}\n";

#[test]
fn descriptors_that_collide_are_told_in_both() {
    let shop = "\
version: \"1\"
image: shop
domain: shop.example.com
ports:
  - {name: http, port: 80, publish: proxy, routes: [{host: example.com, path: /a/}]}
  - {name: raw, port: 81, publish: {host: 8443}}
healthcheck: {endpoints: [{http: /}]}
after: [cart]
environments: {qa: {domain: qa.example.com}}
";
    let cart = "\
version: \"1\"
image: cart
ports:
  - {name: http, port: 80, publish: proxy, routes: [{host: qa.example.com}, {host: example.com, path: /a}]}
  - {name: raw, port: 81, publish: {host: 8443}}
healthcheck: {endpoints: [{http: /}]}
after: [mail, ship]
";
    let mail = "kind: worker\nversion: \"1\"\nafter: [shop, shopp]\n";
    let old = "version: \"1\"\nimage: old\ndomain: qa.example.com\nports: [{name: http, port: 80, publish: proxy}]\nstate: retired\n";
    let config = BOX.replace("target: box}", "target: box, allow: {host_ports: [8443]}}");
    insta::assert_snapshot!(cross(
        &config,
        &[("shop", shop), ("cart", cart), ("mail", mail), ("old", old)]
    ));
}

#[test]
fn an_environment_grants_images_and_nothing_else_by_default() {
    let shop = "\
version: \"1\"
image: registry.example.com/shop
ports:
  - {name: http, port: 80}
  - {name: raw, port: 81, publish: {host: 8443}}
healthcheck: {endpoints: [{http: /}, {exec: [/bin/true]}]}
smoke: [{get: \"https://other.example.com/\"}, {get: /}]
regression: {image: tests, command: [run]}
secrets: {A: {file: /etc/shadow}, B: {env: PILOTAGE_SECRET_SHOP_B}}
";
    insta::assert_snapshot!(cross(BOX, &[("shop", shop)]));
    let grant = "allow: {images: [\"registry.example.com/*\", tests], host_ports: [8000-9000], commands: true, urls: [\"https://other.example.com/*\"], secret_files: [/etc]}";
    let config = BOX.replace("target: box}", &format!("target: box, {grant}}}"));
    assert_eq!(cross(&config, &[("shop", shop)]), "");
    let narrow = BOX.replace("target: box}", "target: box, allow: {images: [\"registry.example.com/*\"], host_ports: [8443], commands: true, urls: [\"*\"], secret_files: [/]}}");
    insta::assert_snapshot!(cross(&narrow, &[("shop", shop)]));
}
