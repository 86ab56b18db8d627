//! Every binary of the house keeps the step contract: one table, one question a test.
//!
//! A row names the binary and says how it is brought into each situation; what a row leaves out the binary cannot come
//! into. The questions themselves stand in `pilotage_tests::contract`, where the frame's own tests ask them too.

use std::path::PathBuf;

use pilotage_tests::command::Command;
use pilotage_tests::contract::{Begun, Contract, Given, Lasting, SECRET, World};
use pilotage_tests::gitserver::{BareRepository, NewCommit};

/// A descriptor with a problem: a version that YAML reads as a number.
const BAD_DESCRIPTOR: &str = "version: 1.10\nimage: registry.example.com/shop\n";

fn table() -> Vec<Contract> {
    vec![healthcheck(), deploy(), notify(), git_monitor(), release()]
}

/// Policy of a small repository.
const POLICY: &str = "\
apiVersion: pilotage/v1
project: acme
targets: {box: {docker: {}}}
environments:
  qa: {target: box, first: deploy}
";

/// A message as the release writes it.
const MESSAGE: &str =
    r#"{"schema":"notify-message/v1","project":"acme","environment":"qa","service":"shop"}"#;

/// An environment repository in the world's folder, by its path.
fn repository(world: &World, policy: &str) -> PathBuf {
    let path = world.folder().join("envs.git");
    let repository = BareRepository::init(&path);
    repository.commit("main", NewCommit::new("Policy").file("pilotage.yaml", policy));
    let shop = "version: \"1.0.0\"\nimage: registry.example.com/shop\n";
    repository.commit("qa", NewCommit::new("Begin").file("services/shop.yaml", shop));
    path
}

fn git_monitor() -> Contract {
    Contract {
        verdict: Some(|world: &World| Given::args(["explain", "--repo"]).arg(repository(world, POLICY))),
        bad_descriptor: Some(|world: &World| {
            let policy = POLICY.replace("target: box", "traget: box");
            Given::args(["once", "--repo"]).arg(repository(world, &policy))
        }),
        refused: Some(|world: &World| {
            let url = format!("http://{}/envs.git", world.refused());
            Given::args(["once", "--repo", &url])
        }),
        lasting: Some(Lasting {
            situation: |world| {
                let url = format!("http://{}/envs.git", world.silent());
                Given::args(["run", "--repo", &url])
            },
            begun: Begun::Connected,
            at_deadline: 5,
        }),
        effect: Some(|world: &World| {
            Given::args(["once", "--no-wait", "--repo"]).arg(repository(world, POLICY))
        }),
        secret: Some(("PILOTAGE_GIT_PASSWORD", |world: &World| {
            let url = format!("http://{}/envs.git", world.refused());
            Given::args(["once", "--repo", &url])
        })),
        ..Contract::of("pilotage-git-monitor", || Command::step("pilotage-git-monitor"))
    }
}

/// A target on this machine, whose state lies in the world's folder.
fn on_processes(world: &World) -> String {
    let folder = world.folder().display();
    POLICY.replace(
        "box: {docker: {}}",
        &format!(
            "box: {{process: {{state: {folder}/state, command: [sleep, \"600\"], artifact: {folder}/artifact, listen: \"127.0.0.1:18999\"}}}}"
        ),
    )
}

fn deployed(world: &World, descriptor: &str) -> Given {
    world.file("artifact", "1.0.0\n");
    let config = world.file("pilotage.yaml", &on_processes(world));
    let path = world.file("services/shop.yaml", descriptor);
    Given::args(["--env", "qa", "--config"])
        .arg(config)
        .arg("--descriptor")
        .arg(path)
}

/// What lasts, lasts beside a front door that outlives the step; its own tests, which end that, ask those questions.
fn deploy() -> Contract {
    Contract {
        verdict: Some(|world: &World| deployed(world, "version: \"1.0.0\"\nkind: worker\n").arg("status")),
        bad_descriptor: Some(|world: &World| deployed(world, BAD_DESCRIPTOR)),
        effect: Some(|world: &World| deployed(world, "version: \"1.0.0\"\nkind: worker\n")),
        ..Contract::of("pilotage-deploy", || Command::step("pilotage-deploy"))
    }
}

fn release() -> Contract {
    Contract {
        verdict: Some(|world: &World| Given::args(["status", "--repo"]).arg(repository(world, POLICY))),
        bad_descriptor: Some(|world: &World| {
            let policy = POLICY.replace("target: box", "traget: box");
            Given::args(["plan", "--env", "qa", "--service", "shop", "--repo"])
                .arg(repository(world, &policy))
        }),
        refused: Some(|world: &World| {
            let url = format!("http://{}/envs.git", world.refused());
            Given::args(["status", "--repo", &url])
        }),
        lasting: Some(Lasting {
            situation: |world| {
                let url = format!("http://{}/envs.git", world.silent());
                Given::args(["run", "--env", "qa", "--service", "shop", "--repo", &url])
            },
            begun: Begun::Connected,
            at_deadline: 5,
        }),
        effect: Some(|world: &World| {
            Given::args([
                "abandon",
                "--env",
                "qa",
                "--service",
                "shop",
                "--reason",
                "x",
                "--by",
            ])
            .arg("Ana <ana@example.com>")
            .arg("--repo")
            .arg(repository(world, POLICY))
        }),
        secret: Some(("PILOTAGE_GIT_PASSWORD", |world: &World| {
            let url = format!("http://{}/envs.git", world.refused());
            Given::args(["status", "--repo", &url])
        })),
        ..Contract::of("pilotage-release", || Command::step("pilotage-release"))
    }
}

fn told(world: &World) -> Given {
    let message = world.file("message.json", MESSAGE);
    Given::args(["--event", "failed", "--env", "qa", "--message"]).arg(message)
}

fn told_on_slack(world: &World, address: &str) -> Given {
    let api = format!("http://{address}/api");
    told(world)
        .arg("--to")
        .arg("slack:#shop")
        .arg("--slack-api-url")
        .arg(api)
        .env("PILOTAGE_SLACK_TOKEN", SECRET)
}

fn notify() -> Contract {
    Contract {
        verdict: Some(|world: &World| told(world).arg("--to").arg("console")),
        bad_descriptor: Some(|world: &World| {
            let path = world.file("services/shop.yaml", BAD_DESCRIPTOR);
            told(world).arg("--descriptor").arg(path)
        }),
        refused: Some(|world: &World| {
            told_on_slack(world, &world.refused())
                .arg("--within")
                .arg("300ms")
        }),
        lasting: Some(Lasting {
            situation: |world| told_on_slack(world, &world.silent()),
            begun: Begun::Connected,
            // Whatever channel did not take the message by then did not take it.
            at_deadline: 4,
        }),
        effect: Some(|world: &World| told_on_slack(world, &world.silent())),
        secret: Some(("PILOTAGE_SLACK_TOKEN", |world: &World| {
            told_on_slack(world, &world.refused())
                .arg("--within")
                .arg("300ms")
        })),
        ..Contract::of("pilotage-notify", || Command::step("pilotage-notify"))
    }
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
