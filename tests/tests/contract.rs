//! Every binary of the house keeps the step contract: one table, one question a test.
//!
//! A row names the binary and says how it is brought into each situation, or why it cannot come into it. The questions
//! themselves stand in `pilotage_tests::contract`, where the frame's own tests ask them too.

use std::path::PathBuf;

use pilotage_tests::command::{Command, binary};
use pilotage_tests::contract::{Begun, Contract, Given, Lasting, SECRET, World};
use pilotage_tests::gitserver::{BareRepository, NewCommit};

/// A descriptor with a problem: a version that YAML reads as a number.
const BAD_DESCRIPTOR: &str = "version: 1.10\nimage: registry.example.com/shop\n";

/// A descriptor without one.
const SHOP: &str = "version: \"1.0.0\"\nimage: registry.example.com/shop\nkind: worker\n";

fn table() -> Vec<Contract> {
    vec![
        healthcheck(),
        smoke(),
        regression(),
        deploy(),
        notify(),
        git_monitor(),
        release(),
        pilotage(),
    ]
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
        name: "pilotage-git-monitor",
        command: || Command::step("pilotage-git-monitor"),
        verdict: Ok(|world: &World| Given::args(["explain", "--repo"]).arg(repository(world, POLICY))),
        bad_descriptor: Ok(|world: &World| {
            let policy = POLICY.replace("target: box", "traget: box");
            Given::args(["once", "--repo"]).arg(repository(world, &policy))
        }),
        refused: Ok(|world: &World| {
            let url = format!("http://{}/envs.git", world.refused());
            Given::args(["once", "--repo", &url])
        }),
        lasting: Ok(Lasting {
            situation: |world| {
                let url = format!("http://{}/envs.git", world.silent());
                Given::args(["run", "--repo", &url])
            },
            begun: Begun::Connected,
            at_deadline: 5,
        }),
        effect: Ok(|world: &World| {
            Given::args(["once", "--no-wait", "--repo"]).arg(repository(world, POLICY))
        }),
        secret: Ok(("PILOTAGE_GIT_PASSWORD", |world: &World| {
            let url = format!("http://{}/envs.git", world.refused());
            Given::args(["once", "--repo", &url])
        })),
    }
}

/// A target on this machine, whose state lies in the world's folder and whose instances run `command`.
fn on_processes(world: &World, command: &str) -> String {
    let folder = world.folder().display();
    POLICY.replace(
        "box: {docker: {}}",
        &format!(
            "box: {{process: {{state: {folder}/state, command: {command}, artifact: {folder}/artifact, listen: \"127.0.0.1:18999\"}}}}"
        ),
    )
}

fn deployed(world: &World, command: &str, descriptor: &str) -> Given {
    world.file("artifact", "version = 1.0.0\n");
    let config = world.file("pilotage.yaml", &on_processes(world, command));
    let path = world.file("services/shop.yaml", descriptor);
    Given::args(["--env", "qa", "--config"])
        .arg(config)
        .arg("--descriptor")
        .arg(path)
}

const SLEEP: &str = "[sleep, \"600\"]";
const WORKER: &str = "version: \"1.0.0\"\nkind: worker\n";

/// No port here is published, so that no front door outlives a question.
fn deploy() -> Contract {
    Contract {
        name: "pilotage-deploy",
        command: || Command::step("pilotage-deploy"),
        verdict: Ok(|world: &World| deployed(world, SLEEP, WORKER).arg("status")),
        bad_descriptor: Ok(|world: &World| deployed(world, SLEEP, BAD_DESCRIPTOR)),
        refused: Ok(|world: &World| {
            let sample = binary("sample-service");
            let command = format!(
                "[{:?}, --artifact, \"{{artifact}}\", --port, \"{{port}}\"]",
                sample.display()
            );
            let descriptor = format!(
                "version: \"1.0.0\"\nports: [{{name: http, port: 8080}}]\nrequires: [\"{}\"]\n\
                 healthcheck: {{timeout: 1s, interval: 20ms, endpoints: [{{http: /health}}]}}\n",
                world.refused()
            );
            deployed(world, &command, &descriptor)
        }),
        lasting: Ok(Lasting {
            situation: |world| {
                // It runs and never listens.
                let descriptor = "version: \"1.0.0\"\nports: [{name: http, port: 8080}]\n\
                                  healthcheck: {timeout: 10m, endpoints: [{tcp: http}]}\n";
                deployed(world, SLEEP, descriptor)
            },
            begun: Begun::Stderr("prove instance"),
            at_deadline: 5,
        }),
        effect: Ok(|world: &World| deployed(world, SLEEP, WORKER)),
        // The instance prints what it was given and ends, and its last words are told.
        secret: Ok(("PILOTAGE_SECRET_SHOP_TOKEN", |world: &World| {
            let descriptor = format!("{WORKER}secrets: {{TOKEN: {{env: PILOTAGE_SECRET_SHOP_TOKEN}}}}\n");
            deployed(world, "[env]", &descriptor)
        })),
    }
}

fn release() -> Contract {
    Contract {
        name: "pilotage-release",
        command: || Command::step("pilotage-release"),
        verdict: Ok(|world: &World| Given::args(["status", "--repo"]).arg(repository(world, POLICY))),
        bad_descriptor: Ok(|world: &World| {
            let policy = POLICY.replace("target: box", "traget: box");
            Given::args(["plan", "--env", "qa", "--service", "shop", "--repo"])
                .arg(repository(world, &policy))
        }),
        refused: Ok(|world: &World| {
            let url = format!("http://{}/envs.git", world.refused());
            Given::args(["status", "--repo", &url])
        }),
        lasting: Ok(Lasting {
            situation: |world| {
                let url = format!("http://{}/envs.git", world.silent());
                Given::args(["run", "--env", "qa", "--service", "shop", "--repo", &url])
            },
            begun: Begun::Connected,
            at_deadline: 5,
        }),
        effect: Ok(|world: &World| {
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
        secret: Ok(("PILOTAGE_GIT_PASSWORD", |world: &World| {
            let url = format!("http://{}/envs.git", world.refused());
            Given::args(["status", "--repo", &url])
        })),
    }
}

fn pilotage() -> Contract {
    Contract {
        name: "pilotage",
        command: || Command::step("pilotage"),
        verdict: Ok(|world: &World| {
            let path = world.file("services/shop.yaml", SHOP);
            Given::args(["check"]).arg(path)
        }),
        bad_descriptor: Ok(|world: &World| {
            let path = world.file("services/shop.yaml", BAD_DESCRIPTOR);
            Given::args(["check"]).arg(path)
        }),
        refused: Ok(|world: &World| {
            let url = format!("http://{}/acme.git", world.refused());
            Given::args(["check", "--repo", url.as_str()])
        }),
        lasting: Ok(Lasting {
            situation: |world| {
                let url = format!("http://{}/acme.git", world.silent());
                Given::args(["why", "shop", "qa", "--repo", url.as_str()])
            },
            begun: Begun::Connected,
            at_deadline: 5,
        }),
        effect: Ok(|world: &World| {
            let place = world.folder().join("acme");
            Given::args(["init", "--project", "acme"]).arg(place)
        }),
        secret: Ok(("PILOTAGE_GIT_PASSWORD", |world: &World| {
            let url = format!("http://{}/acme.git", world.refused());
            Given::args(["check", "--repo", url.as_str()])
        })),
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
        name: "pilotage-notify",
        command: || Command::step("pilotage-notify"),
        verdict: Ok(|world: &World| told(world).arg("--to").arg("console")),
        bad_descriptor: Ok(|world: &World| {
            let path = world.file("services/shop.yaml", BAD_DESCRIPTOR);
            told(world).arg("--descriptor").arg(path)
        }),
        refused: Ok(|world: &World| {
            told_on_slack(world, &world.refused())
                .arg("--within")
                .arg("300ms")
        }),
        lasting: Ok(Lasting {
            situation: |world| told_on_slack(world, &world.silent()),
            begun: Begun::Connected,
            // Whatever channel did not take the message by then did not take it.
            at_deadline: 4,
        }),
        effect: Ok(|world: &World| told_on_slack(world, &world.silent())),
        secret: Ok(("PILOTAGE_SLACK_TOKEN", |world: &World| {
            told_on_slack(world, &world.refused())
                .arg("--within")
                .arg("300ms")
        })),
    }
}

fn healthcheck() -> Contract {
    Contract {
        name: "pilotage-healthcheck",
        command: || Command::step("pilotage-healthcheck"),
        verdict: Ok(|world: &World| {
            let url = format!("http://{}/", world.refused());
            Given::args([url.as_str(), "--timeout", "200ms"])
        }),
        bad_descriptor: Ok(|world: &World| {
            let path = world.file("services/shop.yaml", BAD_DESCRIPTOR);
            Given::args(["--env", "qa", "--descriptor"]).arg(path)
        }),
        refused: Ok(|world: &World| {
            let (url, tcp) = (
                format!("http://{}/", world.refused()),
                format!("tcp://{}", world.refused()),
            );
            Given::args([url.as_str(), tcp.as_str(), "--timeout", "300ms"])
        }),
        lasting: Ok(Lasting {
            situation: |world| {
                let url = format!("http://{}/health", world.silent());
                Given::args([url.as_str(), "--timeout", "10m", "--try-timeout", "5m"])
            },
            begun: Begun::Connected,
            at_deadline: 5,
        }),
        effect: Ok(|world: &World| {
            let url = format!("http://{}/health", world.silent());
            Given::args([url.as_str(), "--timeout", "10m"])
        }),
        secret: Ok(("PILOTAGE_HEALTH_TOKEN", |world: &World| {
            let url = format!(
                "http://{}/?key=xoxb-planted%2Fsecret%2Bvalue%2641",
                world.refused()
            );
            Given::args([url.as_str(), "--timeout", "200ms"])
        })),
    }
}

fn smoke() -> Contract {
    Contract {
        name: "pilotage-smoke",
        command: || Command::step("pilotage-smoke"),
        verdict: Ok(|world: &World| {
            let path = world.file("services/shop.yaml", SHOP);
            Given::args(["--env", "qa", "--descriptor"]).arg(path)
        }),
        bad_descriptor: Ok(|world: &World| {
            let path = world.file("services/shop.yaml", BAD_DESCRIPTOR);
            Given::args(["--env", "qa", "--descriptor"]).arg(path)
        }),
        refused: Ok(|world: &World| Given::args([format!("http://{}/", world.refused())])),
        lasting: Ok(Lasting {
            situation: |world| {
                let url = format!("http://{}/", world.silent());
                Given::args([url.as_str(), "--try-timeout", "10m"])
            },
            begun: Begun::Connected,
            at_deadline: 5,
        }),
        effect: Ok(|world: &World| Given::args([format!("http://{}/", world.silent())])),
        secret: Ok(("PILOTAGE_SMOKE_TOKEN", |world: &World| {
            let at = world.refused();
            Given::args([format!("http://{at}/?key=xoxb-planted%2Fsecret%2Bvalue%2641")])
        })),
    }
}

/// A suite that is a script, granted.
fn suite(world: &World, script: &str) -> Given {
    let policy = POLICY.replace("first: deploy", "first: deploy, allow: {commands: true}");
    let config = world.file("pilotage.yaml", &policy);
    let descriptor = format!("{SHOP}regression: {{command: [sh, -c, {script:?}]}}\n");
    let path = world.file("services/shop.yaml", &descriptor);
    Given::args(["--env", "qa", "--config"])
        .arg(config)
        .arg("--descriptor")
        .arg(path)
}

fn regression() -> Contract {
    Contract {
        name: "pilotage-regression",
        command: || Command::step("pilotage-regression"),
        verdict: Ok(|world: &World| {
            let path = world.file("services/shop.yaml", SHOP);
            Given::args(["--env", "qa", "--descriptor"]).arg(path)
        }),
        bad_descriptor: Ok(|world: &World| {
            let path = world.file("services/shop.yaml", BAD_DESCRIPTOR);
            Given::args(["--env", "qa", "--descriptor"]).arg(path)
        }),
        refused: Err("it connects to nobody itself; what its suite does is the suite's"),
        lasting: Ok(Lasting {
            situation: |world| suite(world, "echo begun; exec sleep 600"),
            begun: Begun::Stderr("begun"),
            at_deadline: 5,
        }),
        effect: Ok(|world: &World| suite(world, &format!("touch {}/effect", world.folder().display()))),
        secret: Ok(("PILOTAGE_SUITE_TOKEN", |world: &World| {
            suite(world, &format!("echo '{SECRET}'; exit 1"))
        })),
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
    reasons,
    help,
    manifest,
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
