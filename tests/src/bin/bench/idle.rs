//! What a monitor costs while nothing happens: three environments with a thousand services each, over HTTP.

use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use pilotage_tests::gitserver::{Asked, BareRepository, Counts, GitServer, NewCommit, git_command};

use crate::process::{cpu_so_far, used};
use crate::sample::Sample;
use crate::table::{Row, Unit};
use crate::world::{self, History, PATIENCE, Running, SERVICES, descriptor, run, wait_for};
use crate::{Measured, Trouble};

const INTERVAL: Duration = Duration::from_millis(50);
const TICKS: usize = 100;
/// As many ticks in a row that cost one request each tell that nothing is left to do.
const QUIET: usize = 5;

pub(crate) fn measure(folder: &Path) -> Measured {
    let repository = BareRepository::init(&folder.join("env.git"));
    repository.commit(
        "main",
        NewCommit::new("Begin").file("pilotage.yaml", world::ADOPTING),
    );
    let files: Vec<(String, String)> = (0..SERVICES)
        .map(|n| (world::path(n), descriptor(&format!("s{n}"), "1.4.2")))
        .collect();
    let mut history = History::of("qa");
    history.commit("Begin", false, &files);
    history.write(&repository);
    for branch in ["stage", "prod"] {
        repository.git(&["branch", branch, "qa"]);
    }
    let over_http = adopt_over_http(&repository, folder)?;
    let path = repository.path().to_string_lossy();
    let adopted = adopt(&path, &folder.join("first-cache"), folder)?;
    repository.git(&["pack-refs", "--all"]);
    let chains = repository
        .git(&["for-each-ref", "refs/pilotage/release"])
        .lines()
        .count();
    if chains != 3 * SERVICES {
        return Err(format!("{chains} chains instead of {}", 3 * SERVICES).into());
    }

    let server = GitServer::start(folder);
    let url = server.url("env.git");
    let mut command = world::step("pilotage-git-monitor", folder)?;
    command
        .args(["run", "--repo", &url, "--interval", "50ms", "--cache-dir"])
        .arg(folder.join("cache"))
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    let monitor = Running::start(&mut command)?;
    let watched = watch(&server, &monitor)?;
    drop(monitor);

    let peer = peer(&server, &url, folder)?;
    Ok(vec![
        Row::new("one idle tick over http, requests", Unit::Count, watched.requests)
            .against("git ls-remote", peer.requests)
            .at_most(1.0),
        Row::new("one idle tick over http, bytes down", Unit::Bytes, watched.down)
            .against("git ls-remote", peer.down)
            .at_most(1024.0),
        Row::new("one idle tick over http, own CPU", Unit::Ms, watched.cpu)
            .against("git ls-remote", peer.cpu)
            .at_most(20.0),
        Row::new(
            "adopt 3 × 1,000 services at first sight, whole",
            Unit::Ms,
            adopted,
        ),
        Row::new("the same over http", Unit::Ms, over_http),
    ])
}

/// Lets the monitor write the ledger as it does at first sight.
fn adopt(repository: &str, cache: &Path, folder: &Path) -> Result<Sample, Trouble> {
    let begin = Instant::now();
    let mut command = world::step("pilotage-git-monitor", folder)?;
    command
        .args(["once", "--repo", repository, "--cache-dir"])
        .arg(cache);
    run(&mut command)?;
    Ok(Sample::milliseconds([begin.elapsed()]))
}

/// The same behind a server, on a copy.
fn adopt_over_http(repository: &BareRepository, folder: &Path) -> Result<Sample, Trouble> {
    let root = folder.join("over-http");
    let copy = BareRepository::init(&root.join("env.git"));
    let from = repository.path().to_string_lossy();
    copy.git(&["fetch", "--quiet", &from, "+refs/heads/*:refs/heads/*"]);
    let server = GitServer::start(&root);
    adopt(&server.url("env.git"), &root.join("cache"), folder)
}

struct Watched {
    requests: Sample,
    down: Sample,
    cpu: Sample,
}

/// Sees ticks from the server's side. A tick is told from the next by the pause between them, so that one that asked
/// twice is seen to.
fn watch(server: &GitServer, monitor: &Running) -> Result<Watched, Trouble> {
    let mut ticks = Ticks {
        server,
        last: server.counts(),
    };
    let mut quiet = 0;
    let begin = Instant::now();
    while quiet < QUIET {
        let tick = ticks.next()?;
        quiet = if tick.requests == 1 { quiet + 1 } else { 0 };
        if begin.elapsed() > PATIENCE {
            return Err("the monitor does not come to rest".into());
        }
    }
    let (mut requests, mut down, mut cpu) = (Vec::new(), Vec::new(), Vec::new());
    let mut before = cpu_so_far(monitor.pid())?;
    for _ in 0..TICKS {
        let tick = ticks.next()?;
        let now = cpu_so_far(monitor.pid())?;
        requests.push(number(tick.requests));
        down.push(number(tick.bytes_out));
        cpu.push(now.saturating_sub(before));
        before = now;
        let listings = tick.by_kind.get(&Asked::LsRefs).copied().unwrap_or_default();
        if listings != tick.requests {
            return Err("an idle tick asks for more than a listing".into());
        }
    }
    Ok(Watched {
        requests: Sample::of(requests),
        down: Sample::of(down),
        cpu: Sample::milliseconds(cpu),
    })
}

struct Ticks<'a> {
    server: &'a GitServer,
    last: Counts,
}

impl Ticks<'_> {
    /// What was asked from the next request on until the server was left alone for half an interval.
    fn next(&mut self) -> Result<Counts, Trouble> {
        let pause = Duration::from_millis(1);
        let before = self.last.clone();
        wait_for("a tick", pause, || {
            Ok((self.server.counts() != before).then_some(()))
        })?;
        let mut seen = self.server.counts();
        let mut since = Instant::now();
        while since.elapsed() < INTERVAL / 2 {
            std::thread::sleep(pause);
            let now = self.server.counts();
            if now != seen {
                (seen, since) = (now, Instant::now());
            }
        }
        self.last = seen.clone();
        Ok(difference(&seen, &before))
    }
}

fn difference(now: &Counts, before: &Counts) -> Counts {
    Counts {
        requests: now.requests - before.requests,
        by_kind: now
            .by_kind
            .iter()
            .map(|(kind, count)| {
                (
                    *kind,
                    count - before.by_kind.get(kind).copied().unwrap_or_default(),
                )
            })
            .collect(),
        bytes_in: now.bytes_in - before.bytes_in,
        bytes_out: now.bytes_out - before.bytes_out,
        connections: now.connections - before.connections,
    }
}

/// The program `git` asking for the same refs.
fn peer(server: &GitServer, url: &str, folder: &Path) -> Result<Watched, Trouble> {
    let (mut requests, mut down, mut cpu) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..7 {
        let before = server.counts();
        let mut command = git_command(folder);
        command
            .args(["ls-remote", "--quiet", url, "refs/heads/main", "refs/heads/qa"])
            .args(["refs/heads/stage", "refs/heads/prod", "refs/pilotage/monitor/*"])
            .stdout(Stdio::null());
        let (status, used) = used(&mut command)?;
        if !status.success() {
            return Err("git ls-remote failed".into());
        }
        let asked = difference(&server.counts(), &before);
        requests.push(number(asked.requests));
        down.push(number(asked.bytes_out));
        cpu.push(used.cpu);
    }
    Ok(Watched {
        requests: Sample::of(requests),
        down: Sample::of(down),
        cpu: Sample::milliseconds(cpu),
    })
}

#[expect(clippy::cast_precision_loss, reason = "counts here are far below 2^53")]
fn number(count: u64) -> f64 {
    count as f64
}
