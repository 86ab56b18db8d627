//! Releasing one service on a Docker engine, over asking the engine for the same container by hand: created, started, and its
//! first 200. The image is there already.

use std::net::SocketAddr;
use std::path::Path;
use std::time::{Duration, Instant};

use pilotage_tests::docker::Engine;
use pilotage_tests::gitserver::{BareRepository, NewCommit};
use serde_json::json;

use crate::sample::Sample;
use crate::table::{Row, Unit};
use crate::world::{self, binary, wait_for, well};
use crate::{Measured, Trouble};

const RUNS: usize = 5;
const POLL: Duration = Duration::from_millis(1);
const PORT: u16 = 8080;
const NETWORK: &str = "bench-hand";

pub(crate) fn measure(folder: &Path) -> Measured {
    let engine = Engine::start()?;
    // Whatever is started from here on stands beside the containers.
    engine.enter();
    let sample = binary("sample-service")?;
    for (_, version) in versions() {
        engine.import(&image(&version), &sample, &[("SAMPLE_VERSION", version.as_str())])?;
    }
    let hand = by_hand(&engine)?;
    let deploy = deploy(&engine, &folder.join("deploy"))?;
    let release = release(&engine, &folder.join("release"))?;
    let row = |work: &str, sample: Sample| {
        Row::new(work, Unit::Ms, sample)
            .against("container by the engine's API and its first 200", hand.clone())
    };
    Ok(vec![
        row("release of a service on Docker, whole", release).ratio_at_most(1.5),
        row("pilotage-deploy of a service on Docker", deploy),
    ])
}

fn image(version: &str) -> String {
    format!("bench/shop:{version}")
}

/// The first one makes the network and does not count.
fn versions() -> impl Iterator<Item = (usize, String)> {
    (0..=RUNS).map(|count| (count, format!("1.0.{count}")))
}

fn by_hand(engine: &Engine) -> Result<Sample, Trouble> {
    let network = json!({"Name": NETWORK, "Driver": "bridge"});
    engine.request("POST", "/networks/create", Some(&network))?;
    let mut times = Vec::new();
    for (count, version) in versions() {
        let name = format!("bench-hand-{count}");
        let body = json!({"Image": image(&version), "Env": [format!("PORT={PORT}")]});
        let begin = Instant::now();
        let address = engine
            .run(&name, NETWORK, &body)
            .ok_or("the container has no address")?;
        wait_for("the first 200", POLL, || {
            Ok(well(SocketAddr::new(address, PORT)).then_some(()))
        })?;
        if count > 0 {
            times.push(begin.elapsed());
        }
        engine.request("DELETE", &format!("/containers/{name}?force=1"), None)?;
    }
    Ok(Sample::milliseconds(times))
}

fn config(engine: &Engine) -> String {
    format!(
        "apiVersion: pilotage/v1
project: bench
targets:
  box: {{docker: {{host: \"{}\"}}}}
environments:
  qa: {{target: box, first: deploy}}
",
        engine.host()
    )
}

fn descriptor(version: &str) -> String {
    format!(
        "version: \"{version}\"
image: bench/shop
ports: [{{name: http, port: {PORT}}}]
healthcheck: {{endpoints: [{{http: /health, version: {{json: $.version}}}}]}}
stop: {{grace: 2s}}
"
    )
}

fn deploy(engine: &Engine, folder: &Path) -> Result<Sample, Trouble> {
    std::fs::create_dir_all(folder)?;
    std::fs::write(folder.join("pilotage.yaml"), config(engine))?;
    let mut times = Vec::new();
    for (count, version) in versions() {
        std::fs::write(folder.join("shop.yaml"), descriptor(&version))?;
        let mut command = world::step("pilotage-deploy", folder)?;
        command
            .args(["--env", "qa", "--descriptor"])
            .arg(folder.join("shop.yaml"))
            .arg("--config")
            .arg(folder.join("pilotage.yaml"));
        let begin = Instant::now();
        world::run(&mut command)?;
        if count > 0 {
            times.push(begin.elapsed());
        }
    }
    engine.remove_project("bench");
    Ok(Sample::milliseconds(times))
}

fn release(engine: &Engine, folder: &Path) -> Result<Sample, Trouble> {
    std::fs::create_dir_all(folder)?;
    let repository = BareRepository::init(&folder.join("env.git"));
    repository.commit(
        "main",
        NewCommit::new("Begin").file("pilotage.yaml", config(engine)),
    );
    let mut times = Vec::new();
    for (count, version) in versions() {
        repository.commit(
            "qa",
            NewCommit::new(&format!("Release {version}")).file("services/shop.yaml", descriptor(&version)),
        );
        let mut command = world::step("pilotage-release", folder)?;
        command
            .args(["run", "--env", "qa", "--service", "shop", "--repo"])
            .arg(repository.path())
            .arg("--cache-dir")
            .arg(folder.join("cache"));
        let begin = Instant::now();
        world::run(&mut command)?;
        if count > 0 {
            times.push(begin.elapsed());
        }
    }
    engine.remove_project("bench");
    Ok(Sample::milliseconds(times))
}
