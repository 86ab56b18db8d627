//! The front door keeps the step contract; the questions stand in `pilotage_tests::contract`.
#![cfg(test)]

use pilotage_tests::command::Command;
use pilotage_tests::contract::{Begun, Contract, Given, Lasting, World};

const GOOD: &str = "version: \"1.0.0\"\nimage: registry.example.com/shop\nkind: worker\n";
const BAD: &str = "version: 1.10\nimage: registry.example.com/shop\n";

fn pilotage() -> Contract {
    Contract {
        verdict: Some(|world: &World| {
            let path = world.file("services/shop.yaml", GOOD);
            Given::args(["check"]).arg(path)
        }),
        bad_descriptor: Some(|world: &World| {
            let path = world.file("services/shop.yaml", BAD);
            Given::args(["check"]).arg(path)
        }),
        refused: Some(|world: &World| {
            let url = format!("http://{}/acme.git", world.refused());
            Given::args(["check", "--repo", url.as_str()])
        }),
        lasting: Some(Lasting {
            situation: |world| {
                let url = format!("http://{}/acme.git", world.silent());
                Given::args(["why", "shop", "qa", "--repo", url.as_str()])
            },
            begun: Begun::Connected,
            at_deadline: 5,
        }),
        effect: Some(|world: &World| {
            let place = world.folder().join("acme");
            Given::args(["init", "--project", "acme"]).arg(place)
        }),
        secret: Some(("PILOTAGE_GIT_PASSWORD", |world: &World| {
            let url = format!("http://{}/acme.git", world.refused());
            Given::args(["check", "--repo", url.as_str()])
        })),
        ..Contract::of("pilotage", || Command::step("pilotage"))
    }
}

macro_rules! questions {
    ($($question:ident),+ $(,)?) => {
        $(#[test]
        fn $question() {
            pilotage().$question();
        })+
    };
}

questions!(
    help,
    version,
    bad_flag,
    environment_twin,
    json_output,
    bad_descriptor,
    refused,
    deadline,
    terminated,
    interrupted,
    dry_run,
    unwritable_report,
    planted_secret,
);
