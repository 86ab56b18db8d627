//! What a descriptor says in an environment, and what its hash covers.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test ends where its own descriptor is wrong"
)]

use pilotage_descriptor::{Descriptor, FileSource, SecretSource, Source, parse};
use pilotage_diagnostic::render_terminal;
use pilotage_name::EnvironmentName;

fn environment(name: &str) -> EnvironmentName {
    name.parse().unwrap()
}

fn resolve(text: &str, name: &str) -> Descriptor {
    let parsed = parse(&Source::new("services/shop.yaml", text)).for_service(&"shop".parse().unwrap());
    parsed
        .resolve(&environment(name))
        .unwrap_or_else(|problems| panic!("{}", render_terminal(problems.as_slice(), false)))
}

fn big() -> String {
    std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/cases/valid/big.yaml")).unwrap()
}

#[test]
fn an_overlay_merges_and_its_domain_moves_the_route() {
    let (qa, prod) = (resolve(&big(), "qa"), resolve(&big(), "prod"));
    let hosts = |descriptor: &Descriptor| -> Vec<String> {
        let routes = &descriptor.port("http").unwrap().routes;
        routes.iter().map(|route| route.host.to_string()).collect()
    };
    assert_eq!(hosts(&qa), ["shop.qa.example.com"]);
    assert_eq!(hosts(&prod), ["shop.example.com"]);
    assert_eq!((qa.resources.replicas, prod.resources.replicas), (1, 4));
    assert_eq!(
        (qa.resources.cpu.is_some(), prod.resources.cpu.is_some()),
        (true, false)
    );
    assert!(qa.regression.is_none() && prod.regression.is_some());
    // Another place of a secret replaces the base's place.
    assert_eq!(
        qa.secrets["API_TOKEN"],
        SecretSource::File("/run/secrets/api".into())
    );
    assert_eq!(qa.image.unwrap().tag.as_deref(), Some("1.4.2"));
    assert_eq!(qa.smoke[0].port.as_deref(), Some("http"));
}

#[test]
fn an_overlay_removes_its_domain_with_null() {
    let text = "\
version: \"1\"
domain: shop.example.com
ports: [{name: http, port: 80, publish: proxy, routes: [{host: shop.example.com}, {host: api.example.com}]}]
environments: {qa: {domain: null}}
";
    let qa = resolve(text, "qa");
    assert_eq!((qa.ports[0].routes.len(), qa.domain), (1, None));
}

/// The hash is a label on running instances: whoever changes it restarts every service there is.
#[test]
fn the_hash_of_version_1_never_changes() {
    insta::assert_snapshot!(format!(
        "{}\n{:#}",
        resolve(&big(), "prod").config_hash(),
        resolve(&big(), "prod").intent()
    ));
}

#[test]
fn the_hash_covers_the_intent_and_not_the_text() {
    let (text, hash) = (big(), resolve(&big(), "prod").config_hash());
    let with = |from: &str, to: &str| {
        assert!(text.contains(from), "{from}");
        resolve(&text.replace(from, to), "prod").config_hash()
    };
    // Comments, defaults, the order of keys, the overlay of another environment, sealing once more.
    assert_eq!(with("kind: service", "# the default"), hash);
    assert_eq!(with("try_timeout: 3s", "try_timeout: 3000ms"), hash);
    assert_eq!(
        with(
            "{name: admin, port: 9090}",
            "{port: 9090, name: admin, publish: internal}"
        ),
        hash
    );
    assert_eq!(with("shop.qa.example.com", "qa.example.com"), hash);
    assert_eq!(with("YWdlLWVuY3J5cHRpb24", "c2VhbGVkIGFnYWlu"), hash);
    for (from, to) in [
        ("LOG_LEVEL: warn", "LOG_LEVEL: debug"),
        ("1.4.2", "1.4.3"),
        ("replicas: 4", "replicas: 5"),
        ("PILOTAGE_SECRET_SHOP_API", "PILOTAGE_SECRET_SHOP_OTHER"),
        ("hello", "goodbye"),
        ("port: 9090", "port: 9091"),
    ] {
        assert_ne!(with(from, to), hash, "{from}");
    }
}

/// Every field, and whether a running instance is made of it: two texts that differ in that field alone.
#[test]
fn each_field_is_on_one_side_of_the_instance() {
    const WEB: &str = "ports: [{name: http, port: 80, publish: proxy, routes: [{host: a.example.com}]}]\n";
    let table = [
        ("kind", true, "kind: worker", "kind: job"),
        ("version", true, "", "version: \"2\""),
        ("image", true, "image: r.example.com/a", "image: r.example.com/b"),
        (
            "maintainer",
            false,
            "maintainer: {name: A, email: a@example.com}",
            "maintainer: {name: B, email: a@example.com}",
        ),
        ("domain", false, WEB, &format!("{WEB}domain: a.example.com")),
        ("ports", true, WEB, &WEB.replace("a.example.com", "b.example.com")),
        (
            "requires",
            true,
            "requires: [\"db:5432\"]",
            "requires: [\"db:5433\"]",
        ),
        (
            "resources",
            true,
            "resources: {memory: 1Gi}",
            "resources: {memory: 2Gi}",
        ),
        ("stop", true, "stop: {grace: 5s}", "stop: {grace: 6s}"),
        ("env", true, "env: {A: a}", "env: {A: b}"),
        (
            "files",
            true,
            "files: {/a: {content: a}}",
            "files: {/a: {content: b}}",
        ),
        (
            "secrets",
            true,
            "secrets: {A: {file: /a}}",
            "secrets: {B: {file: /a}}",
        ),
        (
            "healthcheck",
            false,
            &format!("{WEB}healthcheck: {{endpoints: [{{http: /a}}]}}"),
            &format!("{WEB}healthcheck: {{endpoints: [{{http: /b}}], timeout: 9s}}"),
        ),
        (
            "smoke",
            false,
            &format!("{WEB}smoke: [{{get: /a}}]"),
            &format!("{WEB}smoke: [{{get: /b}}]"),
        ),
        (
            "regression",
            false,
            "regression: {image: r.example.com/a}",
            "regression: {image: r.example.com/b}",
        ),
        (
            "notify",
            false,
            "notify: {slack: [\"#a\"]}",
            "notify: {slack: [\"#b\"]}",
        ),
        ("after", false, "after: [cart]", "after: [pay]"),
        ("state", false, "", "state: retired"),
    ];
    for (field, inside, before, after) in table {
        let whole = |text: &str| {
            let version = if text.starts_with("version") {
                ""
            } else {
                "version: \"1\"\n"
            };
            let kind = if text.contains("ports") || text.contains("kind") {
                ""
            } else {
                "kind: worker\n"
            };
            resolve(&format!("{version}{kind}{text}\n"), "qa")
        };
        let (before, after) = (whole(before), whole(after));
        assert_ne!(before.config_hash(), after.config_hash(), "{field}");
        assert_eq!(before.instance_hash() != after.instance_hash(), inside, "{field}");
    }
    let schema = pilotage_descriptor::schema();
    let mut known: Vec<&str> = schema["properties"]
        .as_object()
        .unwrap()
        .keys()
        .map(String::as_str)
        .collect();
    known.retain(|name| *name != "environments");
    known.sort_unstable();
    let mut asked = table.map(|(field, ..)| field);
    asked.sort_unstable();
    assert_eq!(asked.as_slice(), known, "every field is asked about");
}

#[test]
fn another_place_of_the_same_secret_needs_no_other_instance() {
    let hash = |place: &str| {
        resolve(
            &format!("version: \"1\"\nkind: worker\nsecrets: {{A: {place}}}\n"),
            "qa",
        )
        .instance_hash()
    };
    assert_eq!(hash("{file: /a}"), hash("{sealed: YWdl}"));
    assert!(hash("{file: /a}").starts_with("v1:"));
}

#[test]
fn files_become_content_or_are_told_at_their_place() {
    let text = "\
version: \"1\"
kind: worker
files:
  /etc/a: {from: files/a}
  /etc/b: {from: files/missing}
environments: {qa: {files: {/etc/c: {from: files/gone}}}}
";
    let parsed = parse(&Source::new("services/shop.yaml", text));
    let read = |path: &str| (path == "files/a").then(|| "A".to_owned());
    let problems = parsed.resolve_with(&environment("qa"), read).unwrap_err();
    insta::assert_snapshot!(render_terminal(problems.as_slice(), false));
    let all = parsed
        .resolve_with(&environment("qa"), |path| Some(path.to_owned()))
        .unwrap();
    assert_eq!(all.files["/etc/c"], FileSource::Content("files/gone".into()));
    let missing = parsed
        .resolve(&environment("qa"))
        .unwrap()
        .with_files(read)
        .unwrap_err();
    assert_eq!(missing, ["files/missing", "files/gone"]);
}

#[test]
fn a_default_try_is_never_longer_than_the_check() {
    let text = "version: \"1\"\nports: [{name: http, port: 80}]\nhealthcheck: {endpoints: [{http: /}], timeout: 2s}\n";
    assert_eq!(
        resolve(text, "qa").healthcheck.unwrap().try_timeout.as_millis(),
        2_000
    );
}

#[test]
fn a_file_with_overlays_is_no_resolved_descriptor() {
    let problems = Descriptor::read(&Source::new("resolved.yaml", big())).unwrap_err();
    assert!(problems.iter().any(|problem| problem.code == "not-resolved"));
}

#[test]
fn a_place_is_found_in_the_overlay_that_brought_it() {
    let source = Source::new("services/shop.yaml", big());
    let parsed = parse(&source);
    let at = |name: &str, path: &str| source.slice(parsed.place(&environment(name), path)).to_owned();
    assert_eq!(at("qa", "ports[0].routes[0].host"), "shop.qa.example.com");
    assert_eq!(at("prod", "ports[0].routes[0].host"), "shop.example.com");
    assert_eq!(at("prod", "stop.grace.none"), "30s");
}
