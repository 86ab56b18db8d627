//! What `explain` tells of an environment whose branch is gone.

use pilotage_tests::command::Command;
use pilotage_tests::gitserver::NewCommit;

use crate::world::World;

#[test]
fn a_branch_that_is_gone_is_told_and_what_goes_on_from_there() {
    let world = World::new();
    let once = || world.monitor("once").run();
    assert_eq!(once().code, Some(0));
    let tip = world.repository.id("qa");
    world.repository.git(&["update-ref", "-d", "refs/heads/qa"]);
    assert_eq!(once().code, Some(0), "a frozen environment is no error");
    let output = world.monitor("explain").args(["--env", "qa"]).run_reported();
    assert_eq!(output.code, Some(0), "{output}");
    for said in [
        "qa is frozen since ",
        "its branch `qa` is gone; what runs keeps running",
        &format!("{tip}:refs/heads/qa"),
    ] {
        assert!(output.stdout.contains(said), "{said}: {output}");
    }
    let explained = output.stdout;
    // The others are explained all the same.
    let output = world.monitor("explain").run();
    assert!(
        output.stdout.contains("shop 1.0.0 in prod") && output.stdout.contains("qa is frozen"),
        "{output}"
    );
    let unknown = world.monitor("explain").args(["--env", "qx"]).run();
    assert_eq!(unknown.code, Some(2), "{unknown}");

    // What it says to type is typed.
    std::fs::write(
        world.path("gitconfig"),
        "[user]\nname = Rita\nemail = rita@example.com\n",
    )
    .unwrap();
    let is_command = |text: &&str| {
        ["git push ", "pilotage-"]
            .iter()
            .any(|start| text.starts_with(start))
    };
    let commands: Vec<&str> = explained.split('`').filter(is_command).collect();
    assert_eq!(commands.len(), 2, "{explained}");
    for command in commands {
        let script = format!("PATH=\"{}:$PATH\"; {command}", world.path("bin").display());
        let typed = Command::program("/bin/sh")
            .args(["-c", &script])
            .env("GIT_CONFIG_GLOBAL", world.path("gitconfig"))
            .in_folder(world.repository.path())
            .run();
        assert_eq!(typed.code, Some(0), "{command}: {typed}");
    }
    let said = once().stdout;
    assert!(!said.contains("frozen"), "{said}");
}

#[test]
fn a_service_that_nobody_knows_is_a_slip_of_the_hand() {
    let world = World::new();
    world.push("qa", "ana", "cart", &crate::world::service("0.1.0"));
    let explain = |given: &[&str]| world.monitor("explain").args(given).run();
    let output = explain(&["--env", "qa", "--service", "shp"]);
    assert_eq!(output.code, Some(2), "{output}");
    assert!(output.stderr.contains("did you mean `shop`?"), "{output}");
    let output = explain(&["--service", "shop,unheard-of"]);
    assert_eq!(output.code, Some(2), "{output}");
    assert!(output.stderr.contains("cart, shop"), "{output}");
    let output = explain(&["--env", "prod", "--service", "cart"]);
    assert_eq!(output.code, Some(2), "it is in qa alone: {output}");
    // One that is in one of the environments, or was, is known.
    assert_eq!(explain(&["--service", "cart"]).code, Some(0));
    world.once();
    world
        .repository
        .commit("qa", NewCommit::new("Retire").remove("services/cart.yaml"));
    let output = explain(&["--env", "qa", "--service", "cart"]);
    assert_eq!(output.code, Some(0), "{output}");
}
