//! `pilotage check`: every problem, at its place, with the exit code that says so.
#![cfg(test)]

mod world;

use pilotage_tests::contract::assert_valid;
use pilotage_tests::gitserver::{GitServer, NewCommit, Person, git};
use world::{CONFIG, World, descriptor, pilotage, places};

#[test]
fn a_good_repository_is_one_line() {
    let output = World::new().pilotage("check");
    assert_eq!(output.code, Some(0), "{output}");
    assert_eq!(output.stderr, "", "{output}");
    assert_eq!(
        output.stdout, "checked 3 environments, 6 descriptors: no problems\n",
        "{output}"
    );
}

#[test]
fn every_slip_has_its_place() {
    let good = descriptor("shop");
    for (from, to, expected) in [
        ("version: ", "verison: ", "1:1 unknown-key"),
        ("image: ", "imgae: ", "2:1 unknown-key"),
        ("domain: shop.example", "domian: shop.example", "3:1 unknown-key"),
        ("ports:", "port:", "4:1 unknown-key"),
        ("publish: proxy", "publsh: proxy", "5:30 unknown-key"),
        ("healthcheck:", "heathcheck:", "6:1 unknown-key"),
        ("http: /health", "htpp: /health", "8:8 unknown-key"),
        ("environments:", "enviroments:", "9:1 unknown-key"),
        ("stage:", "stge:", "11:3 unknown-environment"),
        ("\"1.0.0\"", "1.10", "1:10 quote-it"),
        ("port: 8080", "port: 80800", "5:24 invalid-value"),
    ] {
        let text = good.replacen(from, to, 1);
        assert_ne!(text, good, "{from}");
        let output = World::with(CONFIG, &[("services/shop.yaml", &text)]).pilotage("check");
        assert_eq!(output.code, Some(3), "{to}: {output}");
        let found = places(&output);
        let expected = format!("qa:services/shop.yaml:{expected}");
        assert!(
            found.contains(&expected),
            "{to}: expected {expected} in {found:#?}\n{output}"
        );
        // What is the same in three branches is told once, with a caret.
        assert_eq!(
            found.iter().filter(|one| **one == expected).count(),
            1,
            "{found:?}"
        );
        assert!(
            output.stderr.contains("the same stands on stage, prod"),
            "{output}"
        );
        assert!(output.stderr.contains('^'), "{output}");
    }
}

#[test]
fn one_broken_file_stops_no_other() {
    let two = descriptor("two")
        .replace("1.0.0", "-bad-")
        .replace("port: 8080", "port: 0");
    let world = World::with(
        CONFIG,
        &[
            ("services/one.yaml", "a: [\n"),
            ("services/two.yaml", &two),
            ("services/shop.yaml", &descriptor("shop")),
            (
                "services/twin.yaml",
                &descriptor("shop").replace("registry.example.com/shop", "registry.example.com/twin"),
            ),
        ],
    );
    let output = world.pilotage("check --env qa");
    assert_eq!(output.code, Some(3), "{output}");
    let found = places(&output);
    let of = |name: &str| found.iter().filter(|one| one.contains(name)).count();
    assert_eq!(of("services/one.yaml"), 1, "{found:?}");
    assert_eq!(of("services/two.yaml"), 2, "{found:?}");
    // Two good files that take one route are told in spite of the broken ones.
    assert!(
        found.iter().any(|one| one.ends_with("duplicate-route")),
        "{found:?}"
    );
    assert!(
        output
            .stdout
            .contains("checked 1 environment, 4 descriptors: 4 problems"),
        "{output}"
    );
    assert_valid(&output.report());
    // As JSON, the same.
    let json = world.pilotage("check --env qa --output json");
    assert_eq!(json.code, Some(3), "{json}");
    assert_eq!(json.json()["diagnostics"], output.report()["diagnostics"]);
    assert_eq!(json.json()["result"]["errors"], 4);
}

#[test]
fn what_is_no_descriptor_is_refused_by_name() {
    let world = World::new();
    world.bare.commit(
        "qa",
        NewCommit::new("Oddities")
            .entry("120000", "services/link.yaml", "../../etc/passwd")
            .file("services/Shop.yaml", descriptor("shop"))
            .file("services/shop.yml", descriptor("shop"))
            .file("services/below/shop.yaml", descriptor("shop"))
            .file("services/$(id).yaml", "version: x\n")
            .file("services/.gitkeep", ""),
    );
    let output = world.pilotage("check --env qa");
    assert_eq!(output.code, Some(3), "{output}");
    assert_eq!(
        places(&output),
        [
            "qa:services/$(id).yaml:1:1 service-name",
            "qa:services/Shop.yaml:1:1 service-name",
            "qa:services/below:1:1 folder",
            "qa:services/link.yaml:1:1 symlink",
            "qa:services/shop.yml:1:1 file-name",
        ],
        "{output}"
    );
}

#[test]
fn the_configuration_is_checked_and_the_descriptors_all_the_same() {
    let world = World::with(
        &CONFIG.replace("target: cluster, from: qa", "target: clutser, from: qa"),
        &[(
            "services/shop.yaml",
            &descriptor("shop").replace("ports:", "prots:"),
        )],
    );
    let output = world.pilotage("check");
    assert_eq!(output.code, Some(3), "{output}");
    let found = places(&output);
    assert!(
        found.iter().any(|one| one.starts_with("pilotage.yaml:7:")),
        "{found:?}"
    );
    // Sorted by branch, the first one that has it speaks for the others.
    assert!(
        found.contains(&"prod:services/shop.yaml:4:1 unknown-key".to_owned()),
        "{found:?}"
    );

    let none = World::new();
    none.bare.git(&["update-ref", "-d", "refs/heads/main"]);
    let output = none.pilotage("check");
    assert_eq!(output.code, Some(3), "{output}");
    assert_eq!(places(&output), ["no-configuration"], "{output}");
}

#[test]
fn a_branch_that_is_missing_is_a_warning_and_an_unknown_environment_is_not() {
    let world = World::new();
    world.bare.git(&["update-ref", "-d", "refs/heads/prod"]);
    let output = world.pilotage("check");
    assert_eq!(
        (output.code, places(&output)),
        (Some(0), vec!["no-branch".to_owned()]),
        "{output}"
    );
    let output = world.pilotage("check --env stge");
    assert_eq!(output.code, Some(2), "{output}");
    assert!(output.stderr.contains("did you mean `stage`?"), "{output}");
}

#[test]
fn files_that_descriptors_name_have_to_be_there() {
    let text = format!(
        "{}files: {{/etc/app.yaml: {{from: files/app.yaml}}}}\n",
        descriptor("shop")
    );
    let world = World::with(CONFIG, &[("services/shop.yaml", &text)]);
    let output = world.pilotage("check --env qa");
    assert_eq!(
        places(&output),
        ["qa:services/shop.yaml:12:31 missing-file"],
        "{output}"
    );
    world
        .bare
        .commit("qa", NewCommit::new("Add it").file("files/app.yaml", "a: b\n"));
    let output = world.pilotage("check --env qa");
    assert_eq!(output.code, Some(0), "{output}");
}

#[test]
fn no_repository_is_no_answer() {
    let output = pilotage("check --repo /no/such/repository").run_reported();
    assert_eq!(output.code, Some(4), "{output}");
    assert!(output.stderr.contains("no git repository"), "{output}");
    let output = pilotage("check").run_reported();
    assert_eq!(output.code, Some(2), "{output}");
    assert!(output.stderr.contains("services/<service>.yaml"), "{output}");
}

#[test]
fn over_http_too() {
    let world = World::new();
    let server = GitServer::start(world.folder());
    let output = pilotage("check --repo").arg(server.url("acme")).run_reported();
    assert_eq!(output.code, Some(0), "{output}");
    server.require("ana", "secret-password");
    let output = pilotage("check --repo").arg(server.url("acme")).run_reported();
    assert_eq!(output.code, Some(4), "{output}");
}

#[test]
fn a_working_tree_is_checked_against_the_config_branch() {
    let world = World::new();
    let tree = world.clone_of("qa");
    let check = |words: &str| pilotage(words).in_folder(&tree).run_reported();
    let output = check("check");
    assert_eq!(output.code, Some(0), "{output}");
    assert_eq!(
        output.stdout, "checked 1 environment, 2 descriptors: no problems\n",
        "{output}"
    );

    std::fs::write(
        tree.join("services/shop.yaml"),
        descriptor("shop").replace("stage:", "stge:"),
    )
    .unwrap();
    std::fs::write(tree.join("services/Cart.yml"), "").unwrap();
    // Policy that lies beside the descriptors holds for nobody.
    std::fs::write(tree.join("pilotage.yaml"), CONFIG.replace("stage", "stge")).unwrap();
    let output = check("check");
    assert_eq!(output.code, Some(3), "{output}");
    assert_eq!(
        places(&output),
        [
            "services/Cart.yml:1:1 file-name",
            "services/shop.yaml:11:3 unknown-environment"
        ],
        "{output}"
    );
    let output = check("check services/shop.yaml");
    assert_eq!(
        places(&output),
        ["services/shop.yaml:11:3 unknown-environment"],
        "{output}"
    );
    let output = check("check services/shop.yaml --config pilotage.yaml");
    assert_eq!(output.code, Some(0), "{output}");
    let output = check("check services/none.yaml");
    assert_eq!(output.code, Some(2), "{output}");
}

#[test]
fn a_symlink_of_a_working_tree_is_not_followed() {
    let world = World::new();
    let tree = world.clone_of("qa");
    std::os::unix::fs::symlink("shop.yaml", tree.join("services/link.yaml")).unwrap();
    let output = pilotage("check").in_folder(&tree).run_reported();
    assert_eq!(places(&output), ["services/link.yaml:1:1 symlink"], "{output}");
}

#[test]
fn outside_of_git_what_can_be_said_is_said() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("services")).unwrap();
    std::fs::write(
        folder.path().join("services/shop.yaml"),
        descriptor("shop").replace("image:", "imgae:"),
    )
    .unwrap();
    let output = pilotage("check").in_folder(folder.path()).run_reported();
    assert_eq!(output.code, Some(3), "{output}");
    assert_eq!(
        places(&output),
        ["services/shop.yaml:2:1 unknown-key"],
        "{output}"
    );
    assert!(output.stdout.contains("--config FILE"), "{output}");
}

const POLICY: &str = "\
policies: {strict: {people: {who: [ana], proof: claimed}}}
people: {ana: {emails: [ana@example.com]}}
";

fn strict() -> String {
    CONFIG.replace(
        "target: cluster, from: stage",
        "target: cluster, from: stage, policy: strict",
    ) + POLICY
}

#[test]
fn a_pull_request_is_told_how_the_gates_would_decide() {
    let world = World::with(&strict(), &[("services/shop.yaml", &descriptor("shop"))]);
    let eve = Person::new("Eve", "eve@example.com");
    let change =
        NewCommit::new("Raise").file("services/shop.yaml", descriptor("shop").replace("1.0.0", "1.1.0"));
    let root = world.bare.id("prod");
    let commit = world.bare.commit("topic", change.by(&eve).from(&root));
    let output = world.pilotage(&format!("check --against prod --commit {commit}"));
    assert_eq!(
        output.code,
        Some(0),
        "what a merge would change is no problem of the file: {output}"
    );
    let decisions = &output.report()["result"]["decisions"];
    assert_eq!(decisions[0]["verdict"], "refuse", "{output}");
    assert!(output.stdout.contains("eve@example.com"), "{output}");
    assert!(output.stdout.contains("as if the branch were moved"), "{output}");

    // In a clone there is no ledger, and that is said.
    let tree = world.clone_of("topic");
    let output = pilotage("check --against prod").in_folder(&tree).run_reported();
    assert_eq!(output.code, Some(0), "{output}");
    assert_eq!(
        output.report()["result"]["decisions"][0]["verdict"],
        "refuse",
        "{output}"
    );
    assert!(output.stdout.contains("the ledger was not asked"), "{output}");

    // What is only worth a word in the policy is told to those who see to it.
    assert_eq!(places(&output), Vec::<String>::new(), "{output}");

    // Policy is the config branch's, whatever the topic brings along.
    let cheat = NewCommit::new("Cheat").file("pilotage.yaml", CONFIG).by(&eve);
    world.bare.commit("topic", cheat);
    git(&tree, &["pull", "--quiet"]);
    let output = pilotage("check --against prod").in_folder(&tree).run_reported();
    assert_eq!(
        output.report()["result"]["decisions"][0]["verdict"],
        "refuse",
        "{output}"
    );

    let output = world.pilotage(&format!("check --against prdo --commit {commit}"));
    assert_eq!(output.code, Some(2), "{output}");
    assert!(output.stderr.contains("did you mean `prod`?"), "{output}");
}

#[test]
fn nothing_that_a_clone_brings_is_run() {
    let world = World::new();
    let tree = world.clone_of("qa");
    let trap = tree.join("trap");
    let script = format!("#!/bin/sh\ntouch {}\n", trap.display());
    for hook in [
        "post-checkout",
        "reference-transaction",
        "pre-auto-gc",
        "fsmonitor",
    ] {
        let path = tree.join(".git/hooks").join(hook);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, &script).unwrap();
        std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    }
    let hook = tree.join(".git/hooks/fsmonitor");
    git(&tree, &["config", "core.fsmonitor", hook.to_str().unwrap()]);
    git(&tree, &["config", "filter.x.smudge", hook.to_str().unwrap()]);
    std::fs::write(tree.join(".gitattributes"), "* filter=x\n").unwrap();
    let output = pilotage("check --against qa").in_folder(&tree).run_reported();
    assert_eq!(output.code, Some(0), "{output}");
    assert!(!trap.exists());
}

#[test]
fn the_ledgers_trust_is_said() {
    let key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ0Zf5QGr0vD6tXmPqC3RbV0pQmNn2n8o2mZ2y0xqg8K ledger";
    for (ledger, said) in [
        (String::new(), "no problems"),
        (
            "ledger: {repository: /srv/ledger}\n".to_owned(),
            "a repository of its own",
        ),
        (
            format!("ledger: {{keys: [\"{key}\"]}}\n"),
            "its one key has signed",
        ),
    ] {
        let config = format!("{}{ledger}", strict());
        let output = World::with(&config, &[]).pilotage("check --env qa");
        assert!(output.stdout.contains(said), "{ledger}: {output}");
        let warned = places(&output).iter().any(|one| one.ends_with("open-ledger"));
        assert_eq!(warned, ledger.is_empty(), "{output}");
    }
}

#[test]
fn quarantine_lists_are_checked_with_their_places() {
    let list = "tests:\n  - {test: C.old, issue: SHOP-1, owner: ana, until: 2001-01-01}\n  - {test: C.known, issue: SHOP-2}\n";
    let world = World::with(
        CONFIG,
        &[
            ("quarantine/shop.yaml", list),
            ("quarantine/Cart.yaml", "tests: []\n"),
        ],
    );
    let output = world.pilotage("check");
    assert_eq!(output.code, Some(3), "{output}");
    let found = places(&output);
    for expected in ["quarantine/shop.yaml:3:5 missing-key", "quarantine/Cart.yaml"] {
        assert!(
            found.iter().any(|place| place.contains(expected)),
            "{expected}: {found:#?}"
        );
    }
    let over = "tests:\n  - {test: C.old, issue: SHOP-1, owner: ana, until: 2001-01-01}\n";
    let output = World::with(CONFIG, &[("quarantine/shop.yaml", over)]).pilotage("check");
    assert_eq!(output.code, Some(3), "{output}");
    assert!(
        places(&output)
            .iter()
            .any(|place| place.contains("quarantine/shop.yaml:2:53 quarantine-over")),
        "{output}"
    );
    let good = over.replace("2001", "2999");
    let output = World::with(CONFIG, &[("quarantine/shop.yaml", &good)]).pilotage("check");
    assert_eq!(output.code, Some(0), "{output}");
}
