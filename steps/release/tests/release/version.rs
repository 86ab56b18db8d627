//! Another version by hand.

use pilotage_decision::Desk;
use pilotage_release::version::{Draft, Drafted, VersionRequest, draft};
use pilotage_tests::gitserver::NewCommit;

use crate::processes::{ProcessWorld, assert_code};
use crate::world::{World, descriptor, name};

const BOB: &str = "Bob Blue <bob@example.com>";

#[test]
fn another_version_is_committed_first_and_typed_twice_it_does_nothing() {
    let here = ProcessWorld::new();
    here.artifact("1.0.0", "");
    here.artifact("1.1.0", "");
    here.push("qa", "1.0.0", "20s");
    assert_code(&here.run("qa").run(), 0);
    let run = |version: &str, more: &[&str]| {
        let run = here.run("qa").args(["--version", version, "--by", BOB]);
        run.args(more).run()
    };
    let tip = || here.world.repository.id("qa");
    let before = tip();

    let dry = run("1.1.0", &["--dry-run"]);
    assert_code(&dry, 0);
    assert!(
        dry.stdout
            .contains("a commit would ask for 1.1.0 instead of 1.0.0"),
        "{dry}"
    );
    let unknown = run("9.9.9", &[]);
    assert_ne!(unknown.code, Some(0), "{unknown}");
    assert!(unknown.stderr.contains("nothing was pushed"), "{unknown}");
    assert_eq!(tip(), before, "git asks for what it asked for");

    let output = run("1.1.0", &["--reason", "the stock is counted"]);
    assert_code(&output, 0);
    assert!(output.stdout.contains("released as qa.shop.2"), "{output}");
    assert_eq!(here.status("qa")["version"], "1.1.0");
    let show = |what: &str| here.world.repository.git(&["show", what]);
    let was = show(&format!("{before}:services/shop.yaml"));
    assert_eq!(show("qa:services/shop.yaml"), was.replace("1.0.0", "1.1.0"));
    let log = here
        .world
        .repository
        .git(&["log", "-1", "--format=%an %ae%n%B", "qa"]);
    assert_eq!(
        log.trim_end(),
        "Bob Blue bob@example.com\nRelease shop 1.1.0 in qa\n\nthe stock is counted"
    );

    let after = tip();
    let again = run("1.1.0", &[]);
    assert_code(&again, 0);
    assert!(again.stdout.contains("nothing to do"), "{again}");
    assert_eq!(tip(), after);
}

#[test]
fn a_wish_that_is_not_whole_is_wrong_usage() {
    for words in [
        &["--version", "1.1.0"][..],
        &["--version", "-1", "--by", BOB],
        &["--version", "1.1.0", "--by", BOB, "--service", "cart"],
        &["--by", BOB],
    ] {
        let here = ProcessWorld::new();
        assert_code(&here.run("qa").args(words).run(), 2);
    }
}

fn request(version: &str) -> VersionRequest {
    VersionRequest {
        environment: name("qa"),
        service: name("shop"),
        version: name(version),
        reason: None,
        by: pilotage_message::person(BOB).unwrap(),
        signing_key: None,
    }
}

fn now() -> jiff::Timestamp {
    "2026-01-02T03:04:05Z".parse().unwrap()
}

fn drafted(desk: &mut Desk, version: &str) -> Box<Draft> {
    match draft(desk, &request(version), now()) {
        Ok(Drafted::Draft(draft)) => draft,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_branch_that_moved_meanwhile_is_not_overwritten() {
    let world = World::new();
    world.push("qa", "shop", "1.0.0");
    let mut desk = world.desk();
    let late = drafted(&mut desk, "1.1.0");
    let theirs = world.push("qa", "cart", "2.0.0");
    assert!(!late.push(&mut desk).unwrap());
    assert_eq!(world.repository.id("qa"), theirs.as_str());

    let anew = drafted(&mut desk, "1.1.0");
    assert!(anew.push(&mut desk).unwrap());
    assert_eq!(world.repository.id("qa"), anew.commit.as_str());
    assert!(
        world
            .repository
            .git(&["show", "qa:services/cart.yaml"])
            .contains("2.0.0")
    );
    assert!(matches!(
        draft(&mut desk, &request("1.1.0"), now()),
        Ok(Drafted::Asked)
    ));
}

#[test]
fn what_another_version_would_not_change_or_the_gates_do_not_want_is_not_pushed() {
    let world = World::new();
    let pinned = format!("image: {{name: shop, digest: \"sha256:{}\"}}\n", "0".repeat(64));
    let pin = |more: &str| {
        let commit = NewCommit::new("Pin").file("services/shop.yaml", descriptor("1.0.0", more));
        world.repository.commit("qa", commit);
        draft(&mut world.desk(), &request("1.1.0"), now())
    };
    let fault = pin(&pinned).err().unwrap();
    assert!(fault.to_string().contains("shop is sha256:000"), "{fault}");
    assert_eq!(fault.class, pilotage_outcome::Class::Refused, "{fault}");
    let tagged = pin("image: shop:1.0.0\n").unwrap();
    assert!(
        matches!(&tagged, Drafted::Refused(refusal) if refusal.text().contains("tag")),
        "{tagged:?}"
    );
    let missing = VersionRequest {
        service: name("nowhere"),
        ..request("1.1.0")
    };
    let fault = draft(&mut world.desk(), &missing, now()).err().unwrap();
    assert!(fault.to_string().contains("there is no nowhere in qa"), "{fault}");

    let policed = "\
apiVersion: pilotage/v1
project: acme
targets:
  here: {process: {state: /nowhere/state, command: [\"{artifact}\"], artifact: \"/nowhere/{version}\", listen: \"127.0.0.1:18090\"}}
environments:
  qa: {target: here, first: deploy, policy: team}
policies: {team: {people: {who: [ana], proof: claimed}}}
people: {ana: {emails: [ana@example.com]}}
";
    let world = World::with(policed);
    let before = world.push("qa", "shop", "1.0.0");
    let refused = draft(&mut world.desk(), &request("1.1.0"), now()).unwrap();
    assert!(
        matches!(&refused, Drafted::Refused(refusal) if refusal.text().contains("bob@example.com")),
        "{refused:?}"
    );
    assert_eq!(world.repository.id("qa"), before.as_str());
}
