//! Fifty services in one push, from the push until users have all of them.

use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;
use std::time::{Duration, Instant};

use pilotage_clock::Clock;
use pilotage_gitrepo::{Cache, Remote};
use pilotage_ledger::{Ledger, LinuxMachine};
use pilotage_name::EnvironmentName;
use pilotage_tests::gitserver::{BareRepository, NewCommit};

use crate::sample::Sample;
use crate::table::{Row, Unit};
use crate::world::{self, ProcessTarget, Running, by_hand, wait_for, well};
use crate::{Measured, Trouble};

const SERVICES: usize = 50;
const RUNS: usize = 3;
const POLL: Duration = Duration::from_millis(50);

pub(crate) fn measure(folder: &Path) -> Measured {
    let target = ProcessTarget::new(folder.join("target"))?;
    let names: Vec<String> = (0..SERVICES).map(|n| format!("s{n}")).collect();
    let floor = floor(&target, &names)?;

    let repository = BareRepository::init(&folder.join("env.git"));
    repository.commit(
        "main",
        NewCommit::new("Begin").file("pilotage.yaml", target.config()?),
    );
    repository.commit("qa", NewCommit::new("Begin").file("README", "Services of qa\n"));
    let mut command = world::step("pilotage-git-monitor", folder)?;
    command
        .args(["run", "--interval", "1s", "--repo"])
        .arg(repository.path())
        .arg("--cache-dir")
        .arg(folder.join("cache"))
        .stdout(Stdio::null())
        .stderr(std::fs::File::create(folder.join("log"))?);
    let _monitor = Running::start(&mut command)?;
    wait_for("the first look", POLL, || {
        let seen = repository.git(&["for-each-ref", "refs/pilotage/monitor/qa"]);
        Ok((!seen.is_empty()).then_some(()))
    })?;

    let (mut begun, mut serving, mut proved) = (Vec::new(), Vec::new(), Vec::new());
    for run in 0..RUNS {
        let times = push(&target, &repository, &names, &format!("1.{run}.0"), run).map_err(|trouble| {
            let log = std::fs::read_to_string(folder.join("log")).unwrap_or_default();
            let tail: Vec<&str> = log.lines().rev().take(10).collect();
            format!("{trouble}\n{}", tail.join("\n"))
        })?;
        begun.push(times.begun);
        serving.push(times.serving);
        proved.push(times.proved);
    }
    target.down()?;
    let row = |what: &str, times: Vec<Duration>| {
        Row::new(
            format!("50 services in one push, until all {what}"),
            Unit::Ms,
            Sample::milliseconds(times),
        )
    };
    Ok(vec![
        row("are begun in the ledger", begun),
        row("answer users with the new version", serving)
            .against("50 processes and their first 200", floor)
            .at_most(10_000.0),
        row("are proved and finished", proved),
    ])
}

/// Fifty processes started by hand, one after the other, until all of them say 200.
fn floor(target: &ProcessTarget, names: &[String]) -> Result<Sample, Trouble> {
    let artifacts = names
        .iter()
        .map(|name| target.artifact(name, "0", ""))
        .collect::<Result<Vec<_>, _>>()?;
    crate::sample::time(RUNS, || {
        let running = artifacts
            .iter()
            .map(|artifact| by_hand(artifact))
            .collect::<Result<Vec<_>, Trouble>>()?;
        for (_, address) in &running {
            wait_for("a first 200", Duration::from_millis(1), || {
                Ok(well(*address).then_some(()))
            })?;
        }
        Ok::<(), Trouble>(())
    })
}

struct Times {
    begun: Duration,
    serving: Duration,
    proved: Duration,
}

fn push(
    target: &ProcessTarget,
    repository: &BareRepository,
    names: &[String],
    version: &str,
    run: usize,
) -> Result<Times, Trouble> {
    let mut commit = NewCommit::new(&format!("Release {version}\n\nStorm: {SERVICES}\n"));
    for name in names {
        target.artifact(name, version, "")?;
        commit = commit.file(
            &format!("services/{name}.yaml"),
            ProcessTarget::descriptor(name, version),
        );
    }
    let mut ledger = ledger(repository)?;
    let environment: EnvironmentName = "qa".parse()?;
    let begin = Instant::now();
    repository.commit("qa", commit);
    std::thread::scope(|scope| {
        let serving = scope.spawn(|| {
            let mut waiting: Vec<&String> = names.iter().collect();
            wait_for("an answer of all services", POLL, || {
                waiting.retain(|name| !target.answers(name, version));
                Ok(waiting.is_empty().then(|| begin.elapsed()))
            })
        });
        let fences = u64::try_from(run)? + 1;
        let begun = wait_for("the begin of all services", POLL, || {
            let chains = ledger.releases(&environment)?;
            let all = chains
                .values()
                .flatten()
                .filter(|chain| chain.state().fence >= fences);
            Ok((all.count() == SERVICES).then(|| begin.elapsed()))
        })?;
        let proved = wait_for("the end of all releases", POLL, || {
            let chains = ledger.releases(&environment)?;
            let running = chains
                .values()
                .flatten()
                .any(|chain| chain.state().running.is_some());
            let proved = chains.values().flatten().filter(|chain| {
                let proved = chain.state().proved.as_ref();
                proved.is_some_and(|proved| proved.version == version)
            });
            match (running, proved.count()) {
                (true, _) => Ok(None),
                (false, SERVICES) => Ok(Some(begin.elapsed())),
                (false, some) => Err(format!("{some} of {SERVICES} releases went well").into()),
            }
        })?;
        let serving = serving.join().map_err(|_| "the thread that asks broke off")??;
        Ok(Times {
            begun,
            serving,
            proved,
        })
    })
}

/// A reader of its own: it must not know what the monitor knows.
fn ledger(repository: &BareRepository) -> Result<Ledger, Trouble> {
    let remote = Remote::at_path(repository.path());
    let cache = Cache::open(&repository.path().with_extension("reader"), &remote)?;
    Ok(Ledger::open(
        remote,
        cache,
        Clock::system(),
        Arc::new(LinuxMachine::read()?),
    ))
}
