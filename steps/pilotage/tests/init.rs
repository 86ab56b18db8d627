//! `pilotage init`: what it makes is what every other command takes.
#![cfg(test)]

mod world;

use std::path::PathBuf;

use pilotage::init::{Artifacts, Destination, Files, Layout, Manager};
use pilotage_config::Source;
use pilotage_tests::command::{Command, Output};
use pilotage_tests::gitserver::git;
use world::{pilotage, places};

const ANA: &str = "Ana Costa <ana@example.com>";

fn layout(destination: Destination) -> Layout {
    Layout {
        directory: PathBuf::from("/srv/acme"),
        project: "acme".parse().unwrap(),
        environments: ["qa", "stage", "prod"].map(|name| name.parse().unwrap()).to_vec(),
        services: vec!["shop:8080".parse().unwrap()],
        destination,
        manager: Manager {
            name: "Ana Costa".to_owned(),
            email: "ana@example.com".to_owned(),
            known: true,
        },
        chose_port: false,
    }
}

fn process() -> Destination {
    Destination::Process {
        state: PathBuf::from("/srv/acme-state"),
        command: vec!["{artifact}".to_owned(), "--say".to_owned(), "\"hi\"".to_owned()],
        artifacts: Artifacts::Made(PathBuf::from("/srv/acme-state/artifacts")),
        listen: "127.0.0.1:18080".parse().unwrap(),
    }
}

fn docker() -> Destination {
    Destination::Docker {
        engine: Some("unix:///run/user/1000/docker.sock".to_owned()),
        image: "registry.example.com/acme-{service}".to_owned(),
    }
}

fn text(files: &Files) -> String {
    let all = files.config.iter().chain(&files.services).chain(&files.artifacts);
    all.map(|file| format!("### {}\n{}\n", file.path, file.text))
        .collect()
}

#[test]
fn the_files_teach_their_format() {
    insta::assert_snapshot!("process", text(&Files::of(&layout(process()))));
    insta::assert_snapshot!("docker", text(&Files::of(&layout(docker()))));
}

#[test]
fn every_file_is_valid_whatever_the_names() {
    for environments in [&["qa"][..], &["dev", "live"], &["a1", "b2", "c3", "production"]] {
        for destination in [process(), docker()] {
            let mut layout = layout(destination);
            layout.environments = environments.iter().map(|name| name.parse().unwrap()).collect();
            layout.manager.email = "o'neil+x@example.com".to_owned();
            let files = Files::of(&layout);
            let (config, problems) =
                pilotage_config::parse(&Source::new("pilotage.yaml", &files.config[0].text));
            assert!(!problems.has_errors(), "{problems:?}");
            let config = config.unwrap();
            let names: Vec<_> = config
                .environments
                .iter()
                .map(|known| known.name.clone())
                .collect();
            assert_eq!(names, layout.environments);
            for file in &files.services {
                let service = "shop".parse().unwrap();
                let parsed =
                    pilotage_descriptor::parse(&Source::new(&file.path, &file.text)).for_service(&service);
                let problems = parsed.check(&names);
                assert!(problems.is_empty(), "{problems:?}");
            }
        }
    }
}

/// Runs init for a folder in the command's own home.
fn init(command: Command, words: &str) -> Output {
    let (place, report) = (command.home().join("acme"), command.home().join("report.json"));
    // `--command` takes the rest of the line.
    command
        .arg("init")
        .arg(place)
        .args(["--project", "acme", "--committer", ANA, "--report"])
        .arg(report)
        .args(words.split_whitespace())
        .run()
}

#[test]
fn what_is_made_passes_the_check() {
    for target in ["process", "docker"] {
        let made = init(pilotage(""), &format!("--target {target}"));
        assert_eq!(made.code, Some(0), "{made}");
        let repository = made.home().join("acme");
        assert_eq!(made.report()["effects"], "complete", "{made}");
        let checked = pilotage("check --repo").arg(&repository).run_reported();
        assert_eq!(checked.code, Some(0), "{checked}");
        // What is fair on one machine only is told, and nothing else.
        let expected: &[&str] = match target {
            "process" => &["process-under-policy", "open-ledger", "claimed-proof"],
            _ => &["open-ledger", "claimed-proof"],
        };
        let codes: Vec<String> = places(&checked)
            .iter()
            .filter_map(|place| place.split(' ').next_back().map(str::to_owned))
            .collect();
        assert_eq!(codes, expected, "{checked}");
        assert!(
            checked
                .stdout
                .contains("checked 3 environments, 6 descriptors: no problems"),
            "{checked}"
        );
        // One root for the environments, another for policy.
        let id = |branch: &str| git(&repository, &["rev-parse", branch]);
        assert_eq!((id("qa"), id("qa")), (id("stage"), id("prod")));
        assert_eq!(
            git(&repository, &["rev-list", "--all", "--max-parents=0", "--count"]),
            "2"
        );
        assert_eq!(
            git(&repository, &["log", "-1", "--format=%cn <%ce>", "main"]),
            ANA
        );
        assert_eq!(git(&repository, &["symbolic-ref", "HEAD"]), "refs/heads/main");
        git(&repository, &["fsck", "--strict"]);
    }
}

#[test]
fn a_place_that_is_taken_is_refused_and_left_alone() {
    let made = init(pilotage(""), "");
    let repository = made.home().join("acme");
    let before = git(&repository, &["for-each-ref"]);
    let again = pilotage("init")
        .arg(&repository)
        .args(["--project", "other"])
        .run();
    assert_eq!(again.code, Some(2), "{again}");
    assert!(
        again.stderr.contains("is not empty") && again.stderr.contains("pilotage check --repo"),
        "{again}"
    );
    assert_eq!(git(&repository, &["for-each-ref"]), before);
    // Its state alone, too.
    std::fs::remove_dir_all(&repository).unwrap();
    let state = pilotage("init")
        .arg(&repository)
        .args(["--project", "acme"])
        .run();
    assert_eq!(state.code, Some(2), "{state}");
    assert!(state.stderr.contains("--state DIR"), "{state}");
    assert!(!repository.exists());
}

#[test]
fn a_dry_run_lists_the_files_and_makes_none() {
    let output = init(pilotage(""), "--dry-run");
    assert_eq!(output.code, Some(0), "{output}");
    for name in [
        "main:pilotage.yaml",
        "prod:services/cart.yaml",
        "acme-state/artifacts/shop/1.1.0",
    ] {
        assert!(output.stdout.contains(name), "{output}");
    }
    let left: Vec<_> = std::fs::read_dir(output.home())
        .unwrap()
        .flatten()
        .map(|entry| entry.file_name())
        .collect();
    assert_eq!(left, ["report.json"]);
}

#[test]
fn what_cannot_be_finished_leaves_nothing() {
    // The folder that the state should lie in is a file.
    let command = pilotage("");
    let file = command.home().join("file");
    std::fs::write(&file, "").unwrap();
    let state = format!("--state {}", file.join("state").display());
    let output = init(command, &state);
    assert_eq!(output.code, Some(2), "{output}");
    let mut left: Vec<_> = std::fs::read_dir(output.home())
        .unwrap()
        .flatten()
        .map(|entry| entry.file_name().into_string().unwrap())
        .collect();
    left.sort();
    assert_eq!(left, ["file", "report.json"], "{output}");
}

#[test]
fn wrong_wishes_are_usage_errors() {
    for (words, said) in [
        ("--service shop", "write a name and a port"),
        ("--service Shop:80", "is no service name"),
        ("--service shop:0", "is no port"),
        ("--service shop:1 --service shop:2", "named twice"),
        ("--environments qa,qa", "named twice"),
        ("--environments main", "config branch"),
        ("--target docker --artifacts /x", "process targets"),
        ("--image acme/{service}", "docker targets"),
        ("--target docker --image acme/shop", "write {service}"),
        ("--state acme/state", "cannot lie in each other"),
    ] {
        let output = init(pilotage(""), words);
        assert_eq!(output.code, Some(2), "{words}: {output}");
        assert!(output.stderr.contains(said), "{words}: {output}");
    }
    let nobody = pilotage("init x --project acme --committer Ana").run();
    assert_eq!(nobody.code, Some(2), "{nobody}");
    assert!(nobody.stderr.contains("Ana Costa <ana@example.com>"), "{nobody}");
}

#[test]
fn the_users_own_program_is_named() {
    let output = init(
        pilotage(""),
        "--artifacts /srv/builds --service api:9000 --listen 127.0.0.1:4000 --command /srv/run --port {port} {artifact}",
    );
    assert_eq!(output.code, Some(0), "{output}");
    let repository = output.home().join("acme");
    let config = git(&repository, &["show", "main:pilotage.yaml"]);
    assert!(
        config.contains(r#"command: ["/srv/run", "--port", "{port}", "{artifact}"]"#),
        "{config}"
    );
    assert!(
        config.contains(r#"artifact: "/srv/builds/{service}/{version}""#),
        "{config}"
    );
    // The user's own artifacts are there already.
    assert!(!output.home().join("acme-state").exists());
}

#[test]
fn git_says_who_when_nobody_else_does() {
    let ask = |command: Command| {
        let place = command.home().join("acme");
        let output = command.arg("init").arg(&place).args(["--project", "acme"]).run();
        assert_eq!(output.code, Some(0), "{output}");
        let config = git(&place, &["show", "main:pilotage.yaml"]);
        (config, output)
    };
    let command = pilotage("");
    std::fs::write(
        command.home().join(".gitconfig"),
        "[user]\n\tname = Bea\n\temail = bea@example.com\n",
    )
    .unwrap();
    let (config, _) = ask(command);
    assert!(
        config.contains(r#"bea: {emails: ["bea@example.com"]}"#),
        "{config}"
    );

    let (config, output) = ask(pilotage("").env("GIT_CONFIG_NOSYSTEM", "1"));
    assert!(
        config.contains("you@example.com") && config.contains("put your own name"),
        "{config}"
    );
    assert!(output.stdout.contains("git knows no name"), "{output}");
}

#[test]
fn every_repository_gets_a_front_door_of_its_own() {
    let made = init(pilotage(""), "");
    let other = made.home().join("other");
    let again = pilotage("init")
        .arg(&other)
        .args(["--project", "other", "--committer", ANA])
        .run();
    assert_eq!(again.code, Some(0), "{again}");
    let listen = |repository: &std::path::Path| {
        let text = git(repository, &["show", "main:pilotage.yaml"]);
        let line = text.lines().find(|line| line.trim_start().starts_with("listen:"));
        let (_, address) = line.and_then(|line| line.split_once('"')).unwrap();
        address.trim_end_matches('"').to_owned()
    };
    let (first, second) = (listen(&made.home().join("acme")), listen(&other));
    assert_ne!(first, second);
    assert!(
        again.stdout.contains(&format!(
            "Users reach them at {second} (`listen` in pilotage.yaml), a port that is free now."
        )),
        "{again}"
    );
}
