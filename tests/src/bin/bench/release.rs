//! Releasing one service on a process target, over starting the same process by hand.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use pilotage_tests::gitserver::{BareRepository, NewCommit};

use crate::sample::Sample;
use crate::table::{Row, Unit};
use crate::world::{self, ProcessTarget, by_hand, wait_for, well};
use crate::{Measured, Trouble};

const RUNS: usize = 5;
const POLL: Duration = Duration::from_millis(1);

pub(crate) fn measure(folder: &Path) -> Measured {
    let mut rows = Vec::new();
    for (what, more) in [
        ("that starts in 1 s", "start-after = 1s"),
        ("that starts at once", ""),
    ] {
        let name = if more.is_empty() { "quick" } else { "slow" };
        rows.extend(service(&folder.join(name), what, more)?);
    }
    Ok(rows)
}

fn service(folder: &Path, what: &str, more: &str) -> Measured {
    let hand = by_hand_times(&folder.join("hand"), more)?;
    let deploy = deploy_times(&folder.with_extension("deploy"), more)?;
    let (release, serving) = release_times(&folder.with_extension("release"), more)?;
    let floor = || ("process and its first 200", hand.clone());
    let row = |work: String, sample: Sample| {
        let (name, floor) = floor();
        Row::new(work, Unit::Ms, sample).against(name, floor)
    };
    Ok(vec![
        row(format!("release of a service {what}, whole"), release).ratio_at_most(1.3),
        row(
            format!("release of a service {what}, until users have it"),
            serving,
        ),
        row(format!("pilotage-deploy of a service {what}"), deploy),
    ])
}

fn by_hand_times(folder: &Path, more: &str) -> Result<Sample, Trouble> {
    let target = ProcessTarget::new(folder.to_owned())?;
    let artifact = target.artifact("shop", "1", more)?;
    crate::sample::time(RUNS, || {
        let (_running, address) = by_hand(&artifact)?;
        wait_for("the first 200", POLL, || Ok(well(address).then_some(())))
    })
}

fn deploy_times(folder: &Path, more: &str) -> Result<Sample, Trouble> {
    let target = ProcessTarget::new(folder.to_owned())?;
    let mut times = Vec::new();
    for (count, version) in versions() {
        target.artifact("shop", &version, more)?;
        let file = folder.join("shop.yaml");
        std::fs::write(&file, ProcessTarget::descriptor("shop", &version))?;
        let mut command = world::step("pilotage-deploy", folder)?;
        command
            .args(["--env", "qa", "--descriptor"])
            .arg(file)
            .arg("--config")
            .arg(target.config_file());
        let (whole, _) = timed(command, &target, &version)?;
        if count > 0 {
            times.push(whole);
        }
    }
    target.down()?;
    Ok(Sample::milliseconds(times))
}

fn release_times(folder: &Path, more: &str) -> Result<(Sample, Sample), Trouble> {
    let target = ProcessTarget::new(folder.to_owned())?;
    let repository = BareRepository::init(&folder.join("env.git"));
    repository.commit(
        "main",
        NewCommit::new("Begin").file("pilotage.yaml", target.config()?),
    );
    let (mut times, mut serving) = (Vec::new(), Vec::new());
    for (count, version) in versions() {
        target.artifact("shop", &version, more)?;
        let text = ProcessTarget::descriptor("shop", &version);
        repository.commit(
            "qa",
            NewCommit::new(&format!("Release {version}")).file("services/shop.yaml", text),
        );
        let mut command = world::step("pilotage-release", folder)?;
        command
            .args(["run", "--env", "qa", "--service", "shop", "--repo"])
            .arg(repository.path())
            .arg("--cache-dir")
            .arg(folder.join("cache"));
        let (whole, until) = timed(command, &target, &version)?;
        if count > 0 {
            times.push(whole);
            serving.push(until);
        }
    }
    target.down()?;
    Ok((Sample::milliseconds(times), Sample::milliseconds(serving)))
}

/// The first one starts the front door and does not count.
fn versions() -> impl Iterator<Item = (usize, String)> {
    (0..=RUNS).map(|count| (count, format!("1.0.{count}")))
}

/// How long a command takes that brings a version, and how long until the front door leads to it.
fn timed(
    mut command: Command,
    target: &ProcessTarget,
    version: &str,
) -> Result<(Duration, Duration), Trouble> {
    let begin = Instant::now();
    std::thread::scope(|scope| {
        let serving = scope.spawn(|| {
            wait_for("the new version", Duration::from_millis(2), || {
                Ok(target.answers("shop", version).then(|| begin.elapsed()))
            })
        });
        world::run(&mut command)?;
        let whole = begin.elapsed();
        let serving = serving.join().map_err(|_| "the thread that asks broke off")??;
        Ok((whole, serving))
    })
}
