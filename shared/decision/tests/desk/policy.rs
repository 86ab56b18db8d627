//! Where policy comes from, who may release by it, and how that is proved.

use std::process::Command;

use pilotage_config::First;
use pilotage_decision::{Desk, descriptors};
use pilotage_gate::{Answer, Verdict};
use pilotage_ledger::{Accepted, Adopted, Note, Noted};
use pilotage_name::{ServiceKey, ServiceName};
use pilotage_tests::gitserver::{NewCommit, git_command};

use crate::world::{POLICY, World, assert_verdict, decide, name, person, said, shop};

#[test]
fn policy_is_read_from_the_config_branch_and_from_nowhere_else() {
    let world = World::new();
    assert_verdict(&world.shop("prod"), Verdict::Accept);
    // The push brings a policy of its own, and a descriptor that claims what only policy may say.
    let hired = POLICY.replace("managers: [rita]", "managers: [rita, mallory]");
    let generous = hired.replace(
        "people:\n",
        "people:\n  mallory: {emails: [mallory@example.com]}\n",
    );
    let push = NewCommit::new("Let me in")
        .file("pilotage.yaml", &generous)
        .file("services/shop.yaml", shop("6.6.6"));
    world.repository.commit("prod", push.by(&person("mallory")));
    let decision = world.shop("prod");
    assert_verdict(&decision, Verdict::Refuse);
    assert!(
        said(&decision, "people").1.contains("mallory@example.com"),
        "{}",
        decision.explain()
    );
    assert_eq!(decision.policy_hash, world.desk().sight().config.policy_hash());

    let claims = shop("6.6.7") + "policy: none\npeople: {mallory: {}}\n";
    let push = NewCommit::new("Say so myself").file("services/shop.yaml", claims);
    world.repository.commit("prod", push.by(&person("rita")));
    let decision = world.shop("prod");
    assert_verdict(&decision, Verdict::Refuse);
    assert!(
        said(&decision, "descriptor").1.contains("services/shop.yaml:3:1"),
        "{}",
        decision.explain()
    );

    // The config branch itself is believed, from then on.
    world
        .repository
        .commit("main", NewCommit::new("Hire").file("pilotage.yaml", generous));
    world.push("prod", "mallory", "6.6.8");
    assert_verdict(&world.shop("prod"), Verdict::Accept);
}

#[test]
fn a_stranger_s_commit_is_not_washed_clean_by_the_next_one() {
    let world = World::new();
    world.tick("prod");
    let strange = world.push("prod", "mallory", "1.1.0");
    assert_verdict(&world.shop("prod"), Verdict::Refuse);
    world.push("prod", "rita", "1.1.1");
    let decision = world.shop("prod");
    assert_verdict(&decision, Verdict::Refuse);
    let (_, first) = said(&decision, "people");
    assert!(
        first.contains(&strange[..10]),
        "the commit that objects comes first: {first}"
    );
    // Taken back, nothing differs any more, so there is nothing to refuse; and a clean one goes on from there.
    world.push("prod", "rita", "1.0.0");
    let decision = world.shop("prod");
    assert!(
        matches!(decision.verdict, Verdict::Accept | Verdict::Nothing),
        "{}",
        decision.explain()
    );
    world.tick("prod");
    world.push("prod", "rita", "1.1.2");
    assert_verdict(&world.shop("prod"), Verdict::Accept);
}

/// What was accepted last of shop in prod.
fn last_accepted(desk: &mut Desk) -> Accepted {
    let monitor = desk.ledger().monitor(&name("prod")).unwrap();
    let shop: ServiceName = name("shop");
    monitor.services[&shop].accepted.clone().unwrap()
}

#[test]
fn what_was_taken_back_is_answered_for_once_and_for_all() {
    let world = World::new();
    world.tick("prod");
    let mut desk = world.desk();
    let accepted = last_accepted(&mut desk);
    let adopted = Adopted {
        service: ServiceKey {
            project: name("acme"),
            environment: name("prod"),
            service: name("shop"),
        },
        commit: accepted.commit.clone(),
        config_commit: desk.sight().config_commit.clone(),
        descriptor: accepted.descriptor,
        config: "v1:0".to_owned(),
        version: accepted.version,
        proof: None,
        by: "rita".to_owned(),
        reason: "it runs".to_owned(),
    };
    let noted = desk
        .ledger()
        .note(&name("prod"), &name("shop"), &Note::Adopted(adopted));
    assert_eq!(noted.unwrap(), Noted::Done);

    world.push("prod", "mallory", "1.1.0");
    assert_verdict(&world.shop("prod"), Verdict::Refuse);
    let back = world.push("prod", "rita", "1.0.0");
    assert_verdict(&world.shop("prod"), Verdict::Nothing);
    let accepted = last_accepted(&mut world.desk());
    assert_eq!(
        accepted.commit.as_str(),
        back,
        "the next range starts where it was taken back"
    );
    world.push("prod", "rita", "1.1.2");
    assert_verdict(&world.shop("prod"), Verdict::Accept);
}

#[test]
fn what_was_only_observed_is_asked_of_again_once_it_is_enforced() {
    let observed = POLICY.replace(
        "prod: {target: box, from: stage, first: deploy, policy: strict}",
        "prod: {target: box, from: stage, first: deploy, mode: observe}",
    );
    let world = World::with(&observed);
    world.tick("prod");
    world.push("prod", "mallory", "1.1.0");
    assert_verdict(&world.shop("prod"), Verdict::Accept);
    world
        .repository
        .commit("main", NewCommit::new("Enforce").file("pilotage.yaml", POLICY));
    let decision = world.shop("prod");
    assert_verdict(&decision, Verdict::Refuse);
    assert!(
        said(&decision, "people").1.contains("mallory"),
        "{}",
        decision.explain()
    );
}

#[test]
fn what_an_environment_does_not_grant_is_an_error_of_the_descriptor() {
    let world = World::new();
    world.tick("qa");
    let greedy = shop("1.1.0") + "ports:\n  - {name: http, port: 8080, publish: {host: 443}}\n";
    world.repository.commit(
        "qa",
        NewCommit::new("Take 443").file("services/shop.yaml", greedy),
    );
    let decision = world.shop("qa");
    assert_verdict(&decision, Verdict::Refuse);
    assert!(
        said(&decision, "descriptor").1.contains("not-allowed"),
        "{}",
        decision.explain()
    );
}

#[test]
fn a_commit_that_is_no_utf_8_is_nobody_s() {
    let world = World::new();
    world.tick("prod");
    let text = shop("1.1.0");
    let mut stream = b"commit refs/heads/prod\nauthor r <rita@example.com> 1767225700 +0000\n".to_vec();
    stream.extend_from_slice(b"committer r\xff <rita@example.com> 1767225700 +0000\ndata 1\nx\n");
    stream.extend_from_slice(b"from refs/heads/prod^0\nM 100644 inline services/shop.yaml\n");
    stream.extend_from_slice(format!("data {}\n{text}\n", text.len()).as_bytes());
    world.repository.import(&stream);
    let decision = world.shop("prod");
    assert_verdict(&decision, Verdict::Refuse);
    assert!(
        said(&decision, "people").1.contains("not valid UTF-8"),
        "{}",
        decision.explain()
    );
}

/// Runs a program that has to go well.
#[track_caller]
fn run(command: &mut Command) {
    let output = command.output().unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

/// A world where prod and stage want signatures of rita's key, and the key.
pub(crate) fn signed_world() -> (World, std::path::PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let key = folder.path().join("rita");
    run(Command::new("ssh-keygen")
        .args(["-q", "-t", "ed25519", "-N", "", "-C", "rita", "-f"])
        .arg(&key));
    let public = std::fs::read_to_string(key.with_extension("pub")).unwrap();
    let policy = POLICY.replace("proof: claimed", "proof: signed").replace(
        "rita: {emails: [rita@example.com]}",
        &format!(
            "rita: {{emails: [rita@example.com], keys: [\"{}\"]}}",
            public.trim()
        ),
    );
    let world = World::with(&policy);
    let kept = world.path().join("rita");
    std::fs::copy(&key, &kept).unwrap();
    std::fs::copy(key.with_extension("pub"), kept.with_extension("pub")).unwrap();
    run(Command::new("chmod").arg("600").arg(&kept));
    (world, kept)
}

/// Commits files on a branch in a clone, signed by the key, and pushes that.
pub(crate) fn push_signed(world: &World, key: &std::path::Path, branch: &str, files: &[(&str, &str)]) {
    let clone = world.path().join(format!(
        "clone-{}",
        files.len() + branch.len() * 7 + files[0].1.len() * 31
    ));
    let _ = std::fs::remove_dir_all(&clone);
    run(git_command(world.path())
        .args(["clone", "--quiet", "--branch", branch])
        .arg(world.repository.path())
        .arg(&clone));
    for (path, text) in files {
        let path = clone.join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    run(git_command(&clone).args(["add", "--all"]));
    let signing = format!("user.signingkey={}", key.display());
    run(git_command(&clone)
        .args(["-c", "gpg.format=ssh", "-c", &signing])
        .args(["-c", "user.name=rita", "-c", "user.email=rita@example.com"])
        .args(["commit", "--quiet", "-S", "-m", "Signed"])
        .env("GIT_COMMITTER_NAME", "rita")
        .env("GIT_COMMITTER_EMAIL", "rita@example.com")
        .env("GIT_AUTHOR_NAME", "rita")
        .env("GIT_AUTHOR_EMAIL", "rita@example.com"));
    run(git_command(&clone).args(["push", "--quiet", "origin", &format!("HEAD:{branch}")]));
}

#[test]
fn a_signature_proves_who_it_was_and_the_proof_goes_along_with_the_content() {
    let (world, key) = signed_world();
    for environment in ["stage", "prod"] {
        // At first sight the newest change answers, and it is not signed.
        assert_verdict(&world.shop(environment), Verdict::Refuse);
    }
    let with_file = shop("1.1.0") + "files: {/etc/shop.conf: {from: files/shop.conf}}\n";
    let files = [
        ("services/shop.yaml", with_file.as_str()),
        ("files/shop.conf", "limit = 1\n"),
    ];
    push_signed(&world, &key, "stage", &files);
    let decision = world.shop("stage");
    assert_eq!(
        said(&decision, "people").0,
        Answer::Refuse,
        "the first one still answers: {}",
        decision.explain()
    );

    // A world that begins well.
    let (world, key) = signed_world();
    push_signed(&world, &key, "stage", &[("services/shop.yaml", &shop("1.0.1"))]);
    world
        .repository
        .git(&["update-ref", "refs/heads/prod", "refs/heads/stage"]);
    assert_verdict(&world.shop("stage"), Verdict::Accept);
    assert_verdict(&world.shop("prod"), Verdict::Accept);
    push_signed(&world, &key, "stage", &files);
    assert_verdict(&world.shop("stage"), Verdict::Accept);

    // The same content comes to prod in a merge that rita did not sign, with a file more or a file else.
    let stage = world.repository.id("stage");
    let merge = |limit: &str| {
        NewCommit::new("Merge stage")
            .merge(&stage)
            .file("services/shop.yaml", &with_file)
            .file("files/shop.conf", limit)
            .by(&person("rita"))
    };
    let prod = world.repository.id("prod");
    world.repository.commit("prod", merge("limit = 1000\n"));
    let decision = world.shop("prod");
    assert_verdict(&decision, Verdict::Refuse);
    world.repository.git(&["update-ref", "refs/heads/prod", &prod]);
    world.repository.commit("prod", merge("limit = 1\n"));
    let mut desk = world.desk();
    let decision = decide(&mut desk, "prod", None).0.remove(0).decision;
    assert!(
        said(&decision, "people")
            .1
            .contains("proved for the same content in stage"),
        "{}",
        decision.explain()
    );
    assert_eq!(said(&decision, "people").0, Answer::Pass);
}

#[test]
fn first_sight_waits_for_its_owner_and_later_services_are_ordinary() {
    let world = World::with(&POLICY.replace(", first: deploy", ""));
    let mut desk = world.desk();
    for (first, verdict) in [
        (None, Verdict::Wait),
        (Some(First::Deploy), Verdict::Accept),
        (Some(First::Adopt), Verdict::Adopt),
    ] {
        let decision = decide(&mut desk, "qa", first).0.remove(0).decision;
        assert_verdict(&decision, verdict);
    }
    let (decided, monitor) = decide(&mut desk, "qa", Some(First::Deploy));
    crate::world::record(&mut desk, "qa", &decided, &monitor);
    let cart = shop("0.1.0").replace("shop", "cart");
    world
        .repository
        .commit("qa", NewCommit::new("Add cart").file("services/cart.yaml", cart));
    let decisions = world.tick("qa");
    let cart = decisions
        .iter()
        .find(|decision| decision.service.as_str() == "cart")
        .unwrap();
    assert_verdict(cart, Verdict::Accept);
    assert_eq!(
        cart.evidence.brought.len(),
        1,
        "its range starts where the environment was first seen"
    );
}

#[test]
fn what_stands_in_a_descriptors_place_is_called_what_it_is() {
    for (mode, content, code, noun) in [
        ("120000", "/etc/passwd", "symlink", "this is a symlink"),
        (
            "160000",
            "1234567890123456789012345678901234567890",
            "submodule",
            "this is a submodule",
        ),
    ] {
        let world = World::new();
        let commit = NewCommit::new("Something else").entry(mode, "services/shop.yaml", content);
        world.repository.commit("qa", commit.by(&person("rita")));
        let desk = world.desk();
        let (qa, tip) = (name("qa"), desk.sight().tip(&name("qa")).unwrap());
        let read = descriptors::read(
            desk.cache(),
            tip,
            &qa,
            &name("shop"),
            &desk.sight().environments(),
        );
        let descriptors::Resolved::Broken { diagnostics } = read.unwrap() else {
            panic!("{mode} is no descriptor");
        };
        let told: Vec<(&str, &str)> = diagnostics
            .iter()
            .map(|one| (one.code.as_str(), one.message.as_str()))
            .collect();
        assert_eq!(told.len(), 1);
        assert!(told[0].0 == code && told[0].1.contains(noun), "{told:?}");
    }
}
