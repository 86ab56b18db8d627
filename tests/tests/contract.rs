//! Every binary of the house keeps the step contract: one table, one question a test.
//!
//! A row names the binary and says how it is brought into each situation; what a row leaves out the binary cannot come
//! into. The questions themselves stand in `pilotage_tests::contract`, where the frame's own tests ask them too.

use pilotage_tests::command::Command;
use pilotage_tests::contract::{Begun, Contract, Given, Lasting, World};

/// A descriptor with a problem: a version that YAML reads as a number.
const BAD_DESCRIPTOR: &str = "version: 1.10\nimage: registry.example.com/shop\n";

fn table() -> Vec<Contract> {
    vec![healthcheck()]
}

fn healthcheck() -> Contract {
    Contract {
        verdict: Some(|world: &World| {
            let url = format!("http://{}/", world.refused());
            Given::args([url.as_str(), "--timeout", "200ms"])
        }),
        bad_descriptor: Some(|world: &World| {
            let path = world.file("services/shop.yaml", BAD_DESCRIPTOR);
            Given::args(["--env", "qa", "--descriptor"]).arg(path)
        }),
        refused: Some(|world: &World| {
            let (url, tcp) = (
                format!("http://{}/", world.refused()),
                format!("tcp://{}", world.refused()),
            );
            Given::args([url.as_str(), tcp.as_str(), "--timeout", "300ms"])
        }),
        lasting: Some(Lasting {
            situation: |world| {
                let url = format!("http://{}/health", world.silent());
                Given::args([url.as_str(), "--timeout", "10m", "--try-timeout", "5m"])
            },
            begun: Begun::Connected,
            at_deadline: 5,
        }),
        effect: Some(|world: &World| {
            let url = format!("http://{}/health", world.silent());
            Given::args([url.as_str(), "--timeout", "10m"])
        }),
        secret: Some(("PILOTAGE_HEALTH_TOKEN", |world: &World| {
            let url = format!(
                "http://{}/?key=xoxb-planted%2Fsecret%2Bvalue%2641",
                world.refused()
            );
            Given::args([url.as_str(), "--timeout", "200ms"])
        })),
        ..Contract::of("pilotage-healthcheck", || Command::step("pilotage-healthcheck"))
    }
}

macro_rules! questions {
    ($($question:ident),+ $(,)?) => {
        $(#[test]
        fn $question() {
            for row in table() {
                row.$question();
            }
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
